// Recalls, and where to look for what is recalled.
#include "redis_internal.h"

#include <inttypes.h>

#include "crypto.h"

enum { SCANNED_AT_ONCE = 500 };

static void on_recalled(void *arg, int error, const redisReply *r) {
    if (redis_step_failed(arg, error, r))
        return;
    Hawser__Internal__RecallReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__recall_reply__init(reply);
    reply->outcome = (Hawser__Internal__RecallOutcome)redis_reply_u64(r, SAVER_RECALL_AT_OUTCOME);
    reply->epoch = redis_reply_u64(r, SAVER_RECALL_AT_EPOCH);
    reply->head = redis_reply_u64(r, SAVER_RECALL_AT_HEAD);
    reply->change = redis_reply_u64(r, SAVER_RECALL_AT_CHANGE);
    reply->seq = redis_reply_u64(r, SAVER_RECALL_AT_SEQ);
    reply->after = redis_reply_u64(r, SAVER_RECALL_AT_AFTER);
    reply->sent_ms = redis_reply_u64(r, SAVER_RECALL_AT_SENT_MS);
    reply->expires_ms = redis_reply_u64(r, SAVER_RECALL_AT_EXPIRES_MS);
    store_step_complete(arg, 0, &reply->base);
}

void saver_redis_recall(struct store_step *p, const Hawser__Internal__RecallRequest *q) {
    bool is_inbox = q->stream == STREAM_INBOX;
    char base[BASE_MAX], stream[12];
    saver_base_of(base, q->product, is_inbox ? q->user : NULL);
    snprintf(stream, sizeof(stream), "%u", q->stream);
    saver_recall_run(
        redis_store_of(p),
        &(struct saver_recall_args){
            .base = base, .name = is_inbox ? q->user : stream, .id = q->id, .after = q->after},
        on_recalled, p);
}

// --- whose inboxes hold something: those stand in the list of what is due

static bool inbox_is_asked_for(const Hawser__Internal__InboxesRequest *q,
                               const redisReply *member) {
    const char *user = member->str + 1; // behind the kind
    return member->len > 1 && *member->str == 'l' &&
           (q->of_all_marks || mark_of_user(user, member->len - 1) == q->mark);
}

static void on_scanned(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    if (redis_step_failed(p, error, r))
        return;
    const Hawser__Internal__InboxesRequest *q =
        (const Hawser__Internal__InboxesRequest *)p->request;
    const redisReply *list = redis_reply_at(r, 1);
    Hawser__Internal__InboxesReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__inboxes_reply__init(reply);
    reply->cursor = redis_reply_u64(r, 0);
    reply->user = hw_calloc(list->elements + 1, sizeof(reply->user[0]));
    for (size_t i = 0; i + 1 < list->elements; i += 2) // each with when it is due
        if (inbox_is_asked_for(q, list->element[i]))
            reply->user[reply->n_user++] = hw_strdup(list->element[i]->str + 1);
    store_step_complete(p, 0, &reply->base);
}

void saver_redis_inboxes(struct store_step *p, const Hawser__Internal__InboxesRequest *q) {
    char base[BASE_MAX], key[BASE_MAX + 4], cursor[24], count[12];
    saver_base(base, q->product, (int)q->bucket);
    snprintf(key, sizeof(key), "%sdue", base);
    snprintf(cursor, sizeof(cursor), "%" PRIu64, q->cursor);
    snprintf(count, sizeof(count), "%d", SCANNED_AT_ONCE);
    store_step_keep(p, &q->base);
    const char *const word[] = {"ZSCAN", key, cursor, "MATCH", "l*", "COUNT", count, NULL};
    redis_store_ask(redis_store_of(p), &(struct redis_words){key, "[n[*s]]", word}, on_scanned, p);
}
