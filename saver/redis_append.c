// Append.
#include "redis_internal.h"

#include "crypto.h"

enum { ID_KEY_MAX = 256, HASH_BYTES = 16 };

static ProtobufCMessage *answer(const redisReply *r) {
    Hawser__Internal__AppendReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__append_reply__init(reply);
    reply->outcome = (Hawser__Internal__AppendOutcome)saver_reply_u64(r, 0);
    reply->store_ms = saver_reply_u64(r, 1);
    reply->epoch = saver_reply_u64(r, 3);
    reply->seq = saver_reply_u64(r, 4);
    reply->change = saver_reply_u64(r, 5);
    reply->sent_ms = saver_reply_u64(r, 6);
    reply->expires_ms = saver_reply_u64(r, 7);
    return &reply->base;
}

static void on_answer(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    if (error == 0 && saver_reply_u64(r, 2) != 0)
        saver_bucket_announce(p->store, p->product, p->bucket, true);
    if (error != 0)
        saver_redis_refused(p->store, "append", r);
    saver_step_complete(p, error, error ? NULL : answer(r));
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

static void put_limits(struct redis_args *args, const Hawser__Internal__AppendRequest *a,
                       bool keys_full) {
    const Hawser__Internal__InboxLimits *l = a->limits;
    bool is_inbox = a->stream == STREAM_INBOX;
    saver_arg_u64(args, keys_full ? 1 : 0);
    saver_arg_u64(args, is_inbox ? 1 : 0);
    saver_arg_u64(args, !is_inbox ? BROADCAST_MESSAGES_MAX : l ? l->messages : UINT64_MAX);
    saver_arg_u64(args, !is_inbox ? BROADCAST_BYTES_MAX : l ? l->bytes : UINT64_MAX);
    saver_arg_u64(args, is_inbox && l && l->reject_new ? 1 : 0);
    saver_arg_u64(args, is_inbox && l && l->retention_ms ? l->retention_ms
                                                         : (uint64_t)BROADCAST_RETENTION_MS);
}

static int id_key(const Hawser__Internal__AppendRequest *a, char out[ID_KEY_MAX]) {
    return snprintf(out, ID_KEY_MAX, "%u/%.64s/%.100s", a->stream, a->message->id, a->user);
}

void saver_redis_append_step(struct step *p, const Hawser__Internal__AppendRequest *a,
                             bool keys_full) {
    bool is_inbox = a->stream == STREAM_INBOX;
    struct redis_args args;
    struct buf names = BUF_EMPTY;
    char key[ID_KEY_MAX], stream[12];
    size_t size = hawser__internal__stored_message__get_packed_size(a->message);
    uint8_t *packed = hw_malloc(size + 1);
    hawser__internal__stored_message__pack(a->message, packed);
    put_names(&names, a->message);
    snprintf(stream, sizeof(stream), "%u", a->stream);
    p->product = a->product;
    p->bucket = is_inbox ? (int)bucket_of_user(a->user, strlen(a->user)) : -1;
    saver_args_init(&args, p->store, a->product, a->user);
    saver_arg_epoch(&args, p->store);
    saver_arg_text(&args, is_inbox ? a->user : stream);
    saver_arg_bytes(&args, key, (size_t)id_key(a, key));
    saver_arg_bytes(&args, a->body_hash.data, a->body_hash.len == HASH_BYTES ? HASH_BYTES : 0);
    saver_arg_u64(&args, a->id_ttl_ms > ID_KEPT_MIN_MS ? a->id_ttl_ms : ID_KEPT_MIN_MS);
    saver_arg_u64(&args, a->not_after_ms);
    put_limits(&args, a, keys_full);
    saver_arg_u64(&args, a->message->expires_ms);
    saver_arg_u64(&args, a->message->sent_ms);
    saver_arg_u64(&args, a->message->payload.len);
    saver_arg_bytes(&args, names.data, names.len);
    saver_arg_bytes(&args, packed, size);
    saver_arg_u64(&args, a->claim);
    saver_arg_u64(&args, a->ttl_ms);
    saver_bucket_announce(p->store, a->product, p->bucket, false); // before there is anything
    saver_script_send(p->store, SCRIPT_APPEND, &args, on_answer, p);
    buf_free(&names);
    free(packed);
}
