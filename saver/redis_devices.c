// Attach, ack, and what is known of a user. Where the news and bulk logs stand is asked first: they
// are kept in another slot. A position that a client brings was given out before that question.
#include "redis_internal.h"

#include "message.h"

static void put_heads(struct redis_args *args, const struct step *p) {
    for (int i = STREAM_NEWS; i < STREAMS; i++) {
        saver_arg_u64(args, p->heads[i].epoch);
        saver_arg_u64(args, p->heads[i].head);
    }
}

// --- attach

static ProtobufCMessage *attach_reply(const struct step *p, const redisReply *r) {
    Hawser__Internal__AttachReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__attach_reply__init(reply);
    reply->stale = saver_reply_u64(r, 0) != 0;
    if (reply->stale)
        return &reply->base;
    struct step_heads heads[STREAMS] = {
        {saver_reply_u64(r, 7), saver_reply_u64(r, 8), saver_reply_u64(r, 9)},
        p->heads[STREAM_NEWS],
        p->heads[STREAM_BULK]};
    reply->stream = hw_calloc(STREAMS, sizeof(reply->stream[0]));
    for (uint32_t i = 0; i < STREAMS; i++) {
        Hawser__Internal__AttachedStream *out = hw_malloc(sizeof(*out));
        hawser__internal__attached_stream__init(out);
        out->stream = i;
        out->epoch = heads[i].epoch;
        out->head = heads[i].head;
        out->change = heads[i].change;
        out->after = saver_reply_u64(r, 1 + 2 * i);
        out->reset = saver_reply_u64(r, 2 + 2 * i) != 0;
        if (out->reset)
            out->reset_reason = hw_strdup("the position is not one of this log");
        reply->stream[reply->n_stream++] = out;
    }
    return &reply->base;
}

static void on_attach(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    if (error != 0)
        saver_redis_refused(p->store, "attach", r);
    saver_step_complete(p, error, error ? NULL : attach_reply(p, r));
}

static void put_have(struct redis_args *args, const Hawser__Internal__AttachRequest *a,
                     uint32_t stream) {
    const Hawser__Internal__StreamPosition *have = NULL;
    for (size_t i = 0; i < a->n_have; i++)
        have = a->have[i]->stream == stream ? a->have[i] : have;
    saver_arg_u64(args, have ? 1 : 0);
    saver_arg_u64(args, have ? have->epoch : 0);
    saver_arg_u64(args, have ? have->seq : 0);
}

static void on_attach_heads(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    const Hawser__Internal__AttachRequest *a = (const Hawser__Internal__AttachRequest *)p->request;
    struct redis_args args;
    if (error != 0) { // nothing was done to any device yet
        saver_redis_refused(p->store, "attach", r);
        saver_step_complete(p, error == -HW_EOUTCOME ? -HW_ESTORE : error, NULL);
        return;
    }
    saver_redis_take_heads(p, r);
    saver_args_init(&args, p->store, a->product, a->user);
    saver_arg_epoch(&args, p->store);
    saver_arg_text(&args, a->user);
    saver_arg_text(&args, a->device);
    saver_arg_u64(&args, a->generation);
    saver_arg_u64(&args, a->devices_max);
    saver_arg_u64(&args, DEVICE_FORGOTTEN_MS);
    put_heads(&args, p);
    for (uint32_t i = 0; i < STREAMS; i++)
        put_have(&args, a, i);
    for (size_t i = 0; i < a->n_known && i < KNOWN_MAX; i++)
        saver_arg_text(&args, a->known[i]);
    saver_script_send(p->store, SCRIPT_ATTACH, &args, on_attach, p);
}

void saver_redis_attach(struct step *p, const ProtobufCMessage *request) {
    p->request = message_copy(request);
    saver_redis_ask_heads(p, ((const Hawser__Internal__AttachRequest *)request)->product,
                          on_attach_heads);
}

// --- ack

static void on_ack(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    if (error != 0) {
        saver_redis_refused(p->store, "ack", r);
        saver_step_complete(p, error, NULL);
        return;
    }
    Hawser__Internal__AckReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__ack_reply__init(reply);
    reply->stale = r->integer == 1;
    reply->unknown = r->integer == 2;
    saver_step_complete(p, 0, &reply->base);
}

static void send_ack(struct step *p, const Hawser__Internal__AckRequest *a) {
    struct redis_args args;
    saver_args_init(&args, p->store, a->product, a->user);
    saver_arg_epoch(&args, p->store);
    saver_arg_text(&args, a->user);
    saver_arg_text(&args, a->device);
    saver_arg_u64(&args, a->generation);
    put_heads(&args, p);
    for (size_t i = 0; i < a->n_upto && i < ACKS_MAX; i++) {
        if (a->upto[i]->stream >= STREAMS)
            continue;
        saver_arg_u64(&args, a->upto[i]->stream);
        saver_arg_u64(&args, a->upto[i]->epoch);
        saver_arg_u64(&args, a->upto[i]->seq);
    }
    saver_script_send(p->store, SCRIPT_ACK, &args, on_ack, p);
}

static void on_ack_heads(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    if (error != 0) {
        saver_redis_refused(p->store, "ack", r);
        saver_step_complete(p, error == -HW_EOUTCOME ? -HW_ESTORE : error, NULL);
        return;
    }
    saver_redis_take_heads(p, r);
    send_ack(p, (const Hawser__Internal__AckRequest *)p->request);
}

void saver_redis_ack(struct step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__AckRequest *a = (const Hawser__Internal__AckRequest *)request;
    bool is_inbox_only = true;
    for (size_t i = 0; i < a->n_upto; i++)
        is_inbox_only &= a->upto[i]->stream == STREAM_INBOX;
    if (is_inbox_only) { // the most, by far
        send_ack(p, a);
        return;
    }
    p->request = message_copy(request);
    saver_redis_ask_heads(p, a->product, on_ack_heads);
}

// --- user

static Hawser__Internal__UserDevice *user_device(const redisReply *name, const redisReply *record) {
    Hawser__Internal__UserDevice *out = hw_malloc(sizeof(*out));
    char *at = record->str;
    hawser__internal__user_device__init(out);
    out->device = hw_strdup(name->str);
    out->generation = strtoull(at, &at, 10);
    out->seen_ms = strtoull(at, &at, 10);
    out->position = hw_calloc(STREAMS, sizeof(out->position[0]));
    for (uint32_t i = 0; i < STREAMS; i++) {
        Hawser__Internal__StreamPosition *p = hw_malloc(sizeof(*p));
        hawser__internal__stream_position__init(p);
        p->stream = i;
        p->epoch = strtoull(at, &at, 10);
        p->seq = strtoull(at, &at, 10);
        out->position[out->n_position++] = p;
    }
    return out;
}

static ProtobufCMessage *user_reply(const redisReply *r) {
    Hawser__Internal__UserReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__user_reply__init(reply);
    reply->pending = saver_reply_u64(r, 0);
    reply->epoch = saver_reply_u64(r, 1);
    reply->head = saver_reply_u64(r, 2);
    reply->device = hw_calloc(r->elements + 1, sizeof(reply->device[0]));
    for (size_t i = 3; i + 1 < r->elements; i += 2)
        reply->device[reply->n_device++] = user_device(r->element[i], r->element[i + 1]);
    return &reply->base;
}

static void on_user(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    if (error != 0)
        saver_redis_refused(p->store, "user", r);
    saver_step_complete(p, error, error ? NULL : user_reply(r));
}

void saver_redis_user(struct step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__UserRequest *q = (const Hawser__Internal__UserRequest *)request;
    struct redis_args args;
    saver_args_init(&args, p->store, q->product, q->user);
    saver_arg_text(&args, q->user);
    saver_script_send(p->store, SCRIPT_USER, &args, on_user, p);
}
