// Recalls, and where to look for what is recalled.
#include "client.pb-c.h"
#include "memory_internal.h"

// --- what was recalled

static unsigned recalled_key(const struct saver_memory *m, const Hawser__Internal__RecallRequest *q,
                             char key[ID_KEY_MAX], size_t *ret_len) {
    *ret_len = id_key(&(struct id_place){q->product, q->stream, q->user, q->id}, key);
    return (unsigned)siphash(m->base.hash_key, key, *ret_len);
}

static struct recalled *recalled_find(struct saver_memory *m,
                                      const Hawser__Internal__RecallRequest *q) {
    char key[ID_KEY_MAX];
    size_t len;
    struct recalled *r = NULL;
    unsigned hash = recalled_key(m, q, key, &len);
    HASH_FIND_BYHASHVALUE(hh, m->recalled, key, len, hash, r);
    return r;
}

static void recalled_free(struct recalled *r) {
    loop_disarm(r->store->base.store.loop, &r->expiry);
    HASH_DELETE(hh, r->store->recalled, r);
    free(r);
}

static void recalled_over(struct timer *t) {
    recalled_free(container_of(t, struct recalled, expiry));
}

static struct recalled *recalled_keep(struct saver_memory *m,
                                      const Hawser__Internal__RecallRequest *q,
                                      const struct log_entry *e) {
    char key[ID_KEY_MAX];
    size_t len;
    unsigned hash = recalled_key(m, q, key, &len);
    struct recalled *r = hw_calloc(1, sizeof(*r) + len);
    r->store = m;
    r->seq = e->seq;
    r->sent_ms = e->message->sent_ms;
    r->expires_ms = e->expires_ms;
    r->key_len = len;
    memcpy(r->key, key, len);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, m->recalled, r->key, r->key_len, hash, r);
    loop_arm(m->base.store.loop, &r->expiry, e->expires_ms - memory_store_now_ms(&m->base),
             recalled_over);
    return r;
}

void saver_memory_recalled_free(struct saver_memory *m) {
    while (m->recalled)
        recalled_free(m->recalled);
}

// --- the step

// The entry of that id behind `after`, as far as one step looks; *ret_more: where it ended
// otherwise, 0 at the end of the log.
static struct log_entry *entry_of_id(const struct log_stream *l, const char *id, uint64_t after,
                                     uint64_t *ret_more) {
    size_t entries = 0, bytes = 0;
    *ret_more = 0;
    for (struct log_entry *e = l->first; e; e = e->next) {
        if (e->seq <= after)
            continue;
        if (strcmp(e->message->id, id) == 0)
            return e;
        bytes += e->bytes;
        if (++entries < RECALL_ENTRIES_MAX && bytes < RECALL_BYTES_MAX)
            continue;
        *ret_more = e->seq;
        return NULL;
    }
    return NULL;
}

static void recall_entry(struct log_stream *l, struct inbox *b, struct log_entry *e) {
    if (b) {
        dead_letter_forget(b, e->seq);
        inbox_drop(b, e, HAWSER__V1__GAP_REASON__GAP_RECALLED, &b->product->recalled);
    } else {
        log_remove(l, e, HAWSER__V1__GAP_REASON__GAP_RECALLED);
    }
    l->change++;
}

static void answer_recalled(const struct recalled *r, const struct log_stream *l,
                            Hawser__Internal__RecallReply *reply) {
    reply->outcome = HAWSER__INTERNAL__RECALL_OUTCOME__RECALL_DONE;
    reply->seq = r->seq;
    reply->sent_ms = r->sent_ms;
    reply->expires_ms = r->expires_ms;
    reply->change = l->change;
}

Hawser__Internal__RecallReply *saver_memory_recall(struct saver_memory *m,
                                                   const Hawser__Internal__RecallRequest *q) {
    Hawser__Internal__RecallReply *reply = hw_malloc(sizeof(*reply));
    bool is_inbox = q->stream == STREAM_INBOX;
    struct inbox *b = is_inbox ? inbox_find(m, q->product, q->user) : NULL;
    hawser__internal__recall_reply__init(reply);
    if (is_inbox && !b)
        return reply;
    struct log_stream *l = b ? &b->log : &product_logs_get(m, q->product)->stream[q->stream].log;
    struct recalled *known = recalled_find(m, q);
    // Also behind that one: its id may be another message's by now.
    uint64_t after = known && known->seq > q->after ? known->seq : q->after;
    struct log_entry *e = entry_of_id(l, q->id, after, &reply->after);
    reply->epoch = l->epoch;
    reply->head = l->head;
    reply->change = l->change;
    if (e && e->expires_ms > memory_store_now_ms(&m->base)) {
        if (known)
            recalled_free(known);
        known = recalled_keep(m, q, e);
        recall_entry(l, b, e);
    }
    if (reply->after > 0)
        reply->outcome = HAWSER__INTERNAL__RECALL_OUTCOME__RECALL_MORE;
    else if (known)
        answer_recalled(known, l, reply);
    return reply;
}

// --- whose inboxes hold something

Hawser__Internal__InboxesReply *saver_memory_inboxes(struct saver_memory *m,
                                                     const Hawser__Internal__InboxesRequest *q) {
    Hawser__Internal__InboxesReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__inboxes_reply__init(reply);
    reply->user = hw_calloc(HASH_COUNT(m->inboxes) + 1, sizeof(reply->user[0]));
    for (struct inbox *b = m->inboxes; b; b = b->hh.next) {
        const char *user = b->key + sizeof(q->product);
        size_t len = b->key_len - sizeof(q->product);
        bool is_asked_for = b->product->number == q->product && b->log.count > 0 &&
                            bucket_of_user(user, len) == q->bucket &&
                            (q->of_all_marks || mark_of_user(user, len) == q->mark);
        if (is_asked_for)
            reply->user[reply->n_user++] = hw_strndup(user, len);
    }
    return reply;
}
