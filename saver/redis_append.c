// Append.
#include "client.pb-c.h"
#include "redis_internal.h"

enum { HASH_BYTES = 16, ID_CUT_BYTES = 64, USER_CUT_BYTES = 100, RETENTION_BITS = 47 };

// --- the answer

// What the script answers of append i.
static uint64_t answer_at(const redisReply *r, size_t i, size_t place) {
    return redis_reply_u64(r, APPEND_ANSWERS * i + place);
}

// How each way out of a log is counted.
static Hawser__Internal__OutcomeState state_of_gap(uint64_t reason) {
    return reason == HAWSER__V1__GAP_REASON__GAP_COLLAPSED
               ? HAWSER__INTERNAL__OUTCOME_STATE__STATE_COLLAPSED
               : HAWSER__INTERNAL__OUTCOME_STATE__STATE_OVERFLOWED;
}

static void take_dropped(void *arg, uint64_t seq, uint64_t reason) {
    Hawser__Internal__AppendReply *reply = arg;
    Hawser__Internal__InboxEnd *end = saver_end_add(&reply->n_end, &reply->end);
    end->first = end->last = seq;
    end->state = state_of_gap(reason);
}

static ProtobufCMessage *append_reply(struct store_step *p, const redisReply *r, size_t i) {
    Hawser__Internal__AppendReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__append_reply__init(reply);
    reply->outcome = (Hawser__Internal__AppendOutcome)answer_at(r, i, SAVER_APPEND_AT_OUTCOME);
    reply->store_ms = redis_reply_u64(r, SAVER_APPEND_AT_STORE_MS);
    reply->epoch = answer_at(r, i, SAVER_APPEND_AT_EPOCH);
    reply->seq = answer_at(r, i, SAVER_APPEND_AT_SEQ);
    reply->change = answer_at(r, i, SAVER_APPEND_AT_CHANGE);
    reply->sent_ms = answer_at(r, i, SAVER_APPEND_AT_SENT_MS);
    reply->expires_ms = answer_at(r, i, SAVER_APPEND_AT_EXPIRES_MS);
    reply->arrivals = answer_at(r, i, SAVER_APPEND_AT_ARRIVALS);
    reply->store = saver_history(redis_store_of(p));
    if (saver_redis_of(redis_store_of(p))->sweep.has_back) // else nobody keeps them
        saver_batch_take_ends(r, i, take_dropped, reply);
    return &reply->base;
}

static void on_append(struct store_step *p, int error, const redisReply *r, size_t i) {
    bool is_stored = error == 0 && answer_at(r, i, SAVER_APPEND_AT_OUTCOME) ==
                                       HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED;
    saver_key_settle(p, error, is_stored);
    if (redis_step_failed(p, error, r))
        return;
    if (i == 0 && redis_reply_u64(r, SAVER_APPEND_AT_SUM_IS_NEW) != 0)
        saver_bucket_announce(redis_store_of(p), saver_step_of(p), true);
    if (answer_at(r, i, SAVER_APPEND_AT_OUTCOME) == APPEND_REFUSED) {
        redis_store_refused(redis_store_of(p), p->name,
                            "OOM: there is no memory for one more message");
        store_step_complete(p, -HW_ESTORE, NULL);
        return;
    }
    store_step_complete(p, 0, append_reply(p, r, i));
}

// --- what the script is called with

// The script's numbers are exact below 2^53, and the times that it packs have 48 bits.
static uint64_t bounded(uint64_t n) {
    uint64_t max = (UINT64_C(1) << RETENTION_BITS) - 1;
    return n < max ? n : max;
}

static bool has_collapse_key(const Hawser__Internal__AppendRequest *a) {
    return a->stream == STREAM_INBOX && *a->message->collapse_key;
}

static uint64_t append_flags(const Hawser__Internal__AppendRequest *a, bool keys_full) {
    return (a->stream == STREAM_INBOX ? APPEND_INBOX : 0U) |
           (append_limits_of(a).is_reject_new ? APPEND_REJECTS : 0U) |
           (keys_full ? APPEND_KEYS_FULL : 0U) |
           (a->body_hash.len == HASH_BYTES ? APPEND_HASHED : 0U) |
           (a->message->n_device ? APPEND_NAMED : 0U) | (a->settles ? APPEND_SETTLES : 0U) |
           (has_collapse_key(a) ? APPEND_COLLAPSES : 0U);
}

// Behind the numbers the hash, the collapse key and the names, as scripts/part/what.lua says.
static void put_what(struct buf *out, const Hawser__Internal__AppendRequest *a, bool keys_full) {
    const Hawser__Internal__StoredMessage *m = a->message;
    struct append_limits limits = append_limits_of(a);
    const struct saver_what what = {
        .flags = append_flags(a, keys_full),
        .id_ttl = bounded(a->id_ttl_ms > ID_KEPT_MIN_MS ? a->id_ttl_ms : ID_KEPT_MIN_MS),
        .not_after = bounded(a->not_after_ms),
        .messages = bounded(limits.messages),
        .bytes = bounded(limits.bytes),
        .kept = bounded(limits.kept_ms),
        .ends = bounded(m->expires_ms),
        .sent = bounded(m->sent_ms),
        .payload = bounded(m->payload.len),
        .claim = a->claim,
        .ttl = bounded(a->ttl_ms),
    };
    saver_what_put(out, &what);
    buf_append(out, a->body_hash.data, what.flags & APPEND_HASHED ? HASH_BYTES : 0);
    if (what.flags & APPEND_COLLAPSES)
        saver_put_collapse_key(out, m);
    saver_put_names(out, m);
}

static void append_send(struct store_step *p, const Hawser__Internal__AppendRequest *a,
                        bool keys_full) {
    struct buf what = BUF_EMPTY, message = BUF_EMPTY;
    char stream[12];
    bool is_inbox = a->stream == STREAM_INBOX;
    snprintf(stream, sizeof(stream), "%u", a->stream);
    const char *name = is_inbox ? a->user : stream;
    saver_step_is_of(p, a->product, is_inbox ? a->user : NULL);
    saver_bucket_announce(redis_store_of(p), saver_step_of(p), false); // before there is anything
    put_what(&what, a, keys_full);
    saver_put_message(&message, a->message, a->ttl_ms > 0);
    const struct redis_bytes words[] = {{what.data, what.len},
                                        {name, strnlen(name, USER_CUT_BYTES)},
                                        {a->message->id, strnlen(a->message->id, ID_CUT_BYTES)},
                                        {message.data, message.len}};
    saver_batch_add(p, BATCH_APPEND, &(struct batch_words){words, on_append});
    buf_free(&what);
    buf_free(&message);
}

void saver_redis_append(struct store_step *p, const Hawser__Internal__AppendRequest *a) {
    saver_key_admit(p, a, append_send);
}
