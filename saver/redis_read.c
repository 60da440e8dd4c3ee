// Loads and heads.
#include "redis_internal.h"

// --- load

static Hawser__Internal__LoadEntry *load_entry(const redisReply *r) {
    Hawser__Internal__LoadEntry *e = hw_malloc(sizeof(*e));
    const redisReply *second = saver_reply_at(r, 1);
    hawser__internal__load_entry__init(e);
    e->seq = e->last = saver_reply_u64(r, 0);
    if (r->elements == 2)
        e->message = hawser__internal__stored_message__unpack(NULL, (size_t)second->len,
                                                              (const uint8_t *)second->str);
    else
        e->last = saver_reply_u64(r, 1);
    e->gap_reason = (uint32_t)saver_reply_u64(r, 2); // bytes that do not decode: a gap, unknown
    return e;
}

static ProtobufCMessage *load_reply(const redisReply *r) {
    Hawser__Internal__LoadReply *reply = hw_malloc(sizeof(*reply));
    const redisReply *list = saver_reply_at(r, 5);
    hawser__internal__load_reply__init(reply);
    reply->epoch = saver_reply_u64(r, 0);
    reply->head = saver_reply_u64(r, 1);
    reply->change = saver_reply_u64(r, 2);
    reply->reset = saver_reply_u64(r, 3) != 0;
    reply->reset_after = saver_reply_u64(r, 4);
    reply->entry = hw_calloc(list->elements + 1, sizeof(reply->entry[0]));
    for (size_t i = 0; i < list->elements; i++)
        reply->entry[reply->n_entry++] = load_entry(list->element[i]);
    return &reply->base;
}

static void on_load(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    if (error != 0)
        saver_redis_refused(p->store, "load", r);
    saver_step_complete(p, error, error ? NULL : load_reply(r));
}

void saver_redis_load(struct step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__LoadRequest *q = (const Hawser__Internal__LoadRequest *)request;
    struct redis_args args;
    char stream[12];
    snprintf(stream, sizeof(stream), "%u", q->stream);
    saver_args_init(&args, p->store, q->product, q->user);
    saver_arg_epoch(&args, p->store);
    saver_arg_text(&args, q->stream == STREAM_INBOX ? q->user : stream);
    saver_arg_u64(&args, q->stream == STREAM_INBOX ? 1 : 0);
    saver_arg_u64(&args, q->epoch);
    saver_arg_u64(&args, q->after);
    saver_arg_u64(&args, q->max_messages);
    saver_arg_u64(&args, q->max_bytes < LOAD_BYTES_MAX ? q->max_bytes : LOAD_BYTES_MAX);
    saver_arg_text(&args, q->device);
    saver_script_send(p->store, SCRIPT_LOAD, &args, on_load, p);
}

// --- heads

static void fill_head(Hawser__Internal__HeadReply *out, const struct step_heads *from) {
    hawser__internal__head_reply__init(out);
    out->epoch = from->epoch;
    out->head = from->head;
    out->change = from->change;
}

static struct step_heads head_at(const redisReply *r, size_t i) {
    return (struct step_heads){saver_reply_u64(r, 3 * i), saver_reply_u64(r, 3 * i + 1),
                               saver_reply_u64(r, 3 * i + 2)};
}

static void on_head(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    if (error != 0) {
        saver_redis_refused(p->store, "head", r);
        saver_step_complete(p, error, NULL);
        return;
    }
    Hawser__Internal__HeadReply *reply = hw_malloc(sizeof(*reply));
    struct step_heads head = head_at(r, 0);
    fill_head(reply, &head);
    saver_step_complete(p, 0, &reply->base);
}

void saver_redis_head(struct step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__HeadRequest *q = (const Hawser__Internal__HeadRequest *)request;
    struct redis_args args;
    saver_args_init(&args, p->store, q->product, q->user);
    saver_arg_text(&args, q->user);
    saver_arg_epoch(&args, p->store);
    saver_script_send(p->store, SCRIPT_HEADS, &args, on_head, p);
}

void saver_redis_ask_heads(struct step *p, uint32_t product, redis_done_fn *done) {
    struct redis_args args;
    saver_args_init(&args, p->store, product, NULL);
    saver_arg_text(&args, "1");
    saver_arg_epoch(&args, p->store);
    saver_arg_text(&args, "2");
    saver_arg_epoch(&args, p->store);
    saver_script_send(p->store, SCRIPT_HEADS, &args, done, p);
}

void saver_redis_take_heads(struct step *p, const redisReply *r) {
    p->heads[STREAM_NEWS] = head_at(r, 0);
    p->heads[STREAM_BULK] = head_at(r, 1);
}

static void on_product_heads(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    if (error != 0) {
        saver_redis_refused(p->store, "heads", r);
        saver_step_complete(p, error, NULL);
        return;
    }
    Hawser__Internal__ProductHeadsReply *reply = hw_malloc(sizeof(*reply));
    char run_id[RUN_ID_CHARS + 1]; // hexadecimal
    snprintf(run_id, sizeof(run_id), "%s", redis_conn_run_id(p->store->conn));
    hawser__internal__product_heads_reply__init(reply);
    reply->store = strtoull(run_id, NULL, 16);
    saver_redis_take_heads(p, r);
    reply->news = hw_malloc(sizeof(*reply->news));
    reply->bulk = hw_malloc(sizeof(*reply->bulk));
    fill_head(reply->news, &p->heads[STREAM_NEWS]);
    fill_head(reply->bulk, &p->heads[STREAM_BULK]);
    saver_step_complete(p, 0, &reply->base);
}

void saver_redis_product_heads(struct step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__ProductHeadsRequest *q =
        (const Hawser__Internal__ProductHeadsRequest *)request;
    saver_redis_ask_heads(p, q->product, on_product_heads);
}
