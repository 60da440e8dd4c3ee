// What was put back, and whether all was.
#include "maria_rows.h"
#include "redis_internal.h"

#include <inttypes.h>

static void on_restored(void *arg, int error, const redisReply *r) {
    if (redis_step_failed(arg, error, r))
        return;
    Hawser__Internal__RestoredReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__restored_reply__init(reply);
    reply->restored = r->integer == 1;
    reply->history = saver_history(redis_store_of(arg));
    saver_redis_of(redis_store_of(arg))->sweep.is_held = !reply->restored;
    store_step_complete(arg, 0, &reply->base);
}

void saver_redis_restored(struct store_step *p, const Hawser__Internal__RestoredRequest *q) {
    saver_redis_of(redis_store_of(p))->sweep.has_back = true;
    const struct saver_restored_args args = {"hw:restored", q->does, q->walk};
    saver_restored_run(redis_store_of(p), &args, on_restored, p);
}

// --- the rows of a log

enum {
    TOLD_SENT = 1,
    TOLD_END = 2,
    HAS_LEFT = 4,
    RECALLED_ROW = 8
}; // told: times that the store gave
enum { ROW_WORDS = 2 };
#define LIMIT_MAX (UINT64_C(1) << 47)

static void take_outcomes(Hawser__Internal__RestoreReply *reply, const redisReply *r,
                          const Hawser__Internal__RestoreRequest *q) {
    reply->lost = hw_calloc(q->n_row + 1, sizeof(reply->lost[0]));
    for (size_t i = 0; i < q->n_row; i++) {
        uint64_t outcome = redis_reply_u64(r, SAVER_RESTORE_AT_OUTCOME + i);
        reply->restored += outcome == RESTORE_RESTORED ? 1 : 0;
        if (outcome == RESTORE_LOST)
            reply->lost[reply->n_lost++] = q->row[i]->row;
    }
}

static void on_restore(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    const Hawser__Internal__RestoreRequest *q =
        (const Hawser__Internal__RestoreRequest *)p->request;
    if (redis_step_failed(p, error, r))
        return;
    if (r->elements != SAVER_RESTORE_AT_OUTCOME + q->n_row) {
        store_step_complete(p, -HW_EOUTCOME, NULL);
        return;
    }
    Hawser__Internal__RestoreReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__restore_reply__init(reply);
    reply->lacks = redis_reply_u64(r, SAVER_RESTORE_AT_LACKS) != 0;
    reply->after = redis_reply_u64(r, SAVER_RESTORE_AT_AFTER);
    take_outcomes(reply, r, q);
    store_step_complete(p, 0, &reply->base);
}

static uint64_t limit_of(uint64_t n) { // the script's numbers are exact below 2^53
    return n == 0 || n > LIMIT_MAX ? LIMIT_MAX : n;
}

static void put_row_words(const Hawser__Internal__RestoreRow *row, struct buf *what,
                          struct buf *message) {
    const Hawser__Internal__StoredMessage *m = row->message;
    const struct saver_row numbers = {
        .seq = row->seq,
        .sent = row->sent_ms,
        .ends = row->expires_ms,
        .told = (m->sent_ms == 0 ? TOLD_SENT : 0U) | (row->has_ttl ? TOLD_END : 0U) |
                (row->has_left ? HAS_LEFT : 0U) | (row->recalled ? RECALLED_ROW : 0U),
        .messages = limit_of(row->messages_max),
        .bytes = limit_of(row->bytes_max),
        .id_ttl = row->id_ttl_ms,
        .hash_len = row->body_hash.len,
        .id_len = strlen(m->id)};
    saver_row_put(what, &numbers);
    buf_append(what, row->body_hash.data, row->body_hash.len);
    buf_append_str(what, m->id);
    saver_put_collapse_key(what, m);
    saver_put_names(what, m);
    saver_put_message(message, m, row->has_ttl);
}

void saver_redis_restore(struct store_step *p, const Hawser__Internal__RestoreRequest *q) {
    char base[BASE_MAX], stream[12];
    bool is_inbox = q->stream == STREAM_INBOX;
    struct buf words[RESTORE_ROWS_MAX * ROW_WORDS] = {0};
    struct redis_args rest;
    snprintf(stream, sizeof(stream), "%" PRIu32, q->stream);
    saver_base_of(base, q->product, is_inbox ? q->user : NULL);
    saver_step_is_of(p, q->product, is_inbox ? q->user : NULL);
    if (q->n_row > 0)
        saver_bucket_announce(redis_store_of(p), saver_step_of(p), false);
    rest.count = 0;
    for (size_t i = 0; i < q->n_row && i < RESTORE_ROWS_MAX; i++) {
        struct buf *what = &words[ROW_WORDS * i], *message = what + 1;
        put_row_words(q->row[i], what, message);
        redis_arg_bytes(&rest, what->data, what->len);
        redis_arg_bytes(&rest, message->data, message->len);
    }
    store_step_keep(p, &q->base);
    const struct saver_restore_args args = {.base = base,
                                            .name = is_inbox ? q->user : stream,
                                            .wanted = q->epoch,
                                            .upto = q->upto,
                                            .is_inbox = is_inbox,
                                            .is_last = q->last,
                                            .rest = &rest};
    saver_restore_run(redis_store_of(p), &args, on_restore, p);
    for (size_t i = 0; i < ROW_WORDS * q->n_row && i < ROW_WORDS * RESTORE_ROWS_MAX; i++)
        buf_free(&words[i]);
}
