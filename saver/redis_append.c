// Append.
#include "redis_internal.h"

#include "crypto.h"

enum { ID_KEY_MAX = 256, HASH_BYTES = 16 };

static ProtobufCMessage *append_reply(const redisReply *r) {
    Hawser__Internal__AppendReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__append_reply__init(reply);
    reply->outcome = (Hawser__Internal__AppendOutcome)redis_reply_u64(r, SAVER_APPEND_AT_OUTCOME);
    reply->store_ms = redis_reply_u64(r, SAVER_APPEND_AT_STORE_MS);
    reply->epoch = redis_reply_u64(r, SAVER_APPEND_AT_EPOCH);
    reply->seq = redis_reply_u64(r, SAVER_APPEND_AT_SEQ);
    reply->change = redis_reply_u64(r, SAVER_APPEND_AT_CHANGE);
    reply->sent_ms = redis_reply_u64(r, SAVER_APPEND_AT_SENT_MS);
    reply->expires_ms = redis_reply_u64(r, SAVER_APPEND_AT_EXPIRES_MS);
    return &reply->base;
}

static void on_append_answer(void *arg, int error, const redisReply *r) {
    struct redis_step *p = arg;
    bool is_stored = error == 0 && redis_reply_u64(r, SAVER_APPEND_AT_OUTCOME) ==
                                       HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED;
    saver_key_settle(p, error, is_stored);
    if (redis_step_failed(p, error, r))
        return;
    if (redis_reply_u64(r, SAVER_APPEND_AT_SUM_IS_NEW) != 0)
        saver_bucket_announce(p->store, saver_step_of(p), true);
    redis_step_complete(p, 0, append_reply(r));
}

// Each name between zeros; empty for all devices.
static void put_names(struct buf *out, const Hawser__Internal__StoredMessage *m) {
    for (size_t i = 0; i < m->n_device; i++) {
        buf_append(out, "\0", 1);
        buf_append_str(out, m->device[i]);
    }
    if (m->n_device > 0)
        buf_append(out, "\0", 1);
}

// Of the log that the message goes to.
static void put_limits(struct saver_append_args *args, const Hawser__Internal__AppendRequest *a) {
    const Hawser__Internal__InboxLimits *l = a->limits;
    if (a->stream != STREAM_INBOX) {
        args->messages_max = BROADCAST_MESSAGES_MAX;
        args->bytes_max = BROADCAST_BYTES_MAX;
    } else {
        args->is_inbox = true;
        args->messages_max = l ? l->messages : UINT64_MAX;
        args->bytes_max = l ? l->bytes : UINT64_MAX;
        args->reject_new = l && l->reject_new;
    }
    bool is_given = args->is_inbox && l && l->retention_ms;
    args->kept = is_given ? l->retention_ms : (uint64_t)BROADCAST_RETENTION_MS;
}

static void put_message_fields(struct saver_append_args *args,
                               const Hawser__Internal__StoredMessage *m) {
    args->ends = m->expires_ms;
    args->sent = m->sent_ms;
    args->payload_bytes = m->payload.len;
}

static int append_id_key(const Hawser__Internal__AppendRequest *a, char out[ID_KEY_MAX]) {
    return snprintf(out, ID_KEY_MAX, "%u/%.64s/%.100s", a->stream, a->message->id, a->user);
}

static void run_append(struct redis_step *p, const Hawser__Internal__AppendRequest *a,
                       struct saver_append_args *args) {
    struct saver_place place = saver_place_of(p->store, a->product, a->user);
    char key[ID_KEY_MAX], stream[12];
    snprintf(stream, sizeof(stream), "%u", a->stream);
    args->base = place.base;
    args->run = place.run;
    args->epoch = saver_epoch(p->store);
    args->name = a->stream == STREAM_INBOX ? a->user : stream;
    args->key = (struct redis_bytes){key, (size_t)append_id_key(a, key)};
    args->hash =
        (struct redis_bytes){a->body_hash.data, a->body_hash.len == HASH_BYTES ? HASH_BYTES : 0};
    args->id_ttl = a->id_ttl_ms > ID_KEPT_MIN_MS ? a->id_ttl_ms : ID_KEPT_MIN_MS;
    args->not_after = a->not_after_ms;
    args->claim = a->claim;
    args->ttl = a->ttl_ms;
    put_limits(args, a);
    put_message_fields(args, a->message);
    saver_append_run(p->store, args, on_append_answer, p);
}

void saver_redis_append_step(struct redis_step *p, const Hawser__Internal__AppendRequest *a,
                             bool keys_full) {
    struct saver_step *of = saver_step_of(p);
    struct buf names = BUF_EMPTY;
    size_t size = hawser__internal__stored_message__get_packed_size(a->message);
    uint8_t *packed = hw_malloc(size + 1);
    hawser__internal__stored_message__pack(a->message, packed);
    put_names(&names, a->message);
    of->product = a->product;
    of->bucket = a->stream == STREAM_INBOX ? (int)bucket_of_user(a->user, strlen(a->user)) : -1;
    saver_bucket_announce(p->store, of, false); // before there is anything
    run_append(p, a,
               &(struct saver_append_args){.keys_full = keys_full,
                                           .names = {names.data, names.len},
                                           .message = {packed, size}});
    buf_free(&names);
    free(packed);
}
