// Attach, ack, and what is known of a user. Where the news and bulk logs stand is asked first: they
// are kept in another slot. A position that a client brings was given out before that question.
#include "redis_internal.h"

// Where news and bulk stand could not be asked: nothing was done to any device yet.
static bool heads_failed(struct redis_step *p, int error, const redisReply *r) {
    if (redis_step_failed(p, error == -HW_EOUTCOME ? -HW_ESTORE : error, r))
        return true;
    saver_redis_take_heads(p, r);
    return false;
}

// --- attach

static Hawser__Internal__AttachedStream *
attached_stream(uint32_t stream, const struct step_heads *log, const redisReply *r) {
    Hawser__Internal__AttachedStream *out = hw_malloc(sizeof(*out));
    hawser__internal__attached_stream__init(out);
    out->stream = stream;
    out->epoch = log->epoch;
    out->head = log->head;
    out->change = log->change;
    out->after = redis_reply_u64(r, SAVER_ATTACH_AT_AFTER + 2 * stream);
    out->reset = redis_reply_u64(r, SAVER_ATTACH_AT_RESET + 2 * stream) != 0;
    if (out->reset)
        out->reset_reason = hw_strdup("the position is not one of this log");
    return out;
}

static ProtobufCMessage *attach_reply(struct saver_step *p, const redisReply *r) {
    Hawser__Internal__AttachReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__attach_reply__init(reply);
    reply->stale = redis_reply_u64(r, SAVER_ATTACH_AT_STALE) != 0;
    if (reply->stale)
        return &reply->base;
    p->heads[STREAM_INBOX] = (struct step_heads){redis_reply_u64(r, SAVER_ATTACH_AT_EPOCH),
                                                 redis_reply_u64(r, SAVER_ATTACH_AT_HEAD),
                                                 redis_reply_u64(r, SAVER_ATTACH_AT_CHANGE)};
    reply->stream = hw_calloc(STREAMS, sizeof(reply->stream[0]));
    for (uint32_t i = 0; i < STREAMS; i++)
        reply->stream[reply->n_stream++] = attached_stream(i, &p->heads[i], r);
    return &reply->base;
}

static void on_attach(void *arg, int error, const redisReply *r) {
    if (!redis_step_failed(arg, error, r))
        redis_step_complete(arg, 0, attach_reply(arg, r));
}

// The position that the client brings in a stream.
static void put_have(const Hawser__Internal__AttachRequest *a, struct saver_attach_args *args) {
    for (size_t i = 0; i < a->n_have; i++) {
        const Hawser__Internal__StreamPosition *have = a->have[i];
        if (have->stream == STREAM_INBOX) {
            args->has_inbox = true;
            args->inbox_have_epoch = have->epoch;
            args->inbox_have_seq = have->seq;
        } else if (have->stream == STREAM_NEWS) {
            args->has_news = true;
            args->news_have_epoch = have->epoch;
            args->news_have_seq = have->seq;
        } else if (have->stream == STREAM_BULK) {
            args->has_bulk = true;
            args->bulk_have_epoch = have->epoch;
            args->bulk_have_seq = have->seq;
        }
    }
}

static void on_attach_heads(void *arg, int error, const redisReply *r) {
    struct redis_step *p = arg;
    const struct step_heads *heads = saver_step_of(p)->heads;
    const Hawser__Internal__AttachRequest *a = (const Hawser__Internal__AttachRequest *)p->request;
    if (heads_failed(p, error, r))
        return;
    struct saver_place place = saver_place_of(p->store, a->product, a->user);
    struct redis_args known;
    known.count = 0;
    for (size_t i = 0; i < a->n_known && i < KNOWN_MAX; i++)
        redis_arg_text(&known, a->known[i]);
    struct saver_attach_args args = {
        .base = place.base,
        .run = place.run,
        .epoch = saver_epoch(p->store),
        .user = a->user,
        .name = a->device,
        .generation = a->generation,
        .max = a->devices_max,
        .news_epoch = heads[STREAM_NEWS].epoch,
        .news_head = heads[STREAM_NEWS].head,
        .bulk_epoch = heads[STREAM_BULK].epoch,
        .bulk_head = heads[STREAM_BULK].head,
        .rest = &known,
    };
    put_have(a, &args);
    saver_attach_run(p->store, &args, on_attach, p);
}

void saver_redis_attach(struct redis_step *p, const Hawser__Internal__AttachRequest *a) {
    redis_step_keep(p, &a->base);
    saver_redis_ask_heads(p, a->product, on_attach_heads);
}

// --- ack

static void on_ack(void *arg, int error, const redisReply *r) {
    if (redis_step_failed(arg, error, r))
        return;
    Hawser__Internal__AckReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__ack_reply__init(reply);
    reply->stale = r->integer == ACK_STALE;
    reply->unknown = r->integer == ACK_UNKNOWN;
    redis_step_complete(arg, 0, &reply->base);
}

static void send_ack(struct redis_step *p, const Hawser__Internal__AckRequest *a) {
    const struct step_heads *heads = saver_step_of(p)->heads;
    struct saver_place place = saver_place_of(p->store, a->product, a->user);
    struct redis_args upto;
    upto.count = 0;
    for (size_t i = 0; i < a->n_upto && i < ACKS_MAX; i++) {
        if (a->upto[i]->stream >= STREAMS)
            continue;
        redis_arg_u64(&upto, a->upto[i]->stream);
        redis_arg_u64(&upto, a->upto[i]->epoch);
        redis_arg_u64(&upto, a->upto[i]->seq);
    }
    struct saver_ack_args args = {
        .base = place.base,
        .run = place.run,
        .user = a->user,
        .name = a->device,
        .generation = a->generation,
        .news_epoch = heads[STREAM_NEWS].epoch,
        .news_head = heads[STREAM_NEWS].head,
        .bulk_epoch = heads[STREAM_BULK].epoch,
        .bulk_head = heads[STREAM_BULK].head,
        .rest = &upto,
    };
    saver_ack_run(p->store, &args, on_ack, p);
}

static void on_ack_heads(void *arg, int error, const redisReply *r) {
    struct redis_step *p = arg;
    if (!heads_failed(p, error, r))
        send_ack(p, (const Hawser__Internal__AckRequest *)p->request);
}

void saver_redis_ack(struct redis_step *p, const Hawser__Internal__AckRequest *a) {
    bool is_inbox_only = true;
    for (size_t i = 0; i < a->n_upto; i++)
        is_inbox_only &= a->upto[i]->stream == STREAM_INBOX;
    if (is_inbox_only) { // the most, by far
        send_ack(p, a);
        return;
    }
    redis_step_keep(p, &a->base);
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
    reply->pending = redis_reply_u64(r, SAVER_USER_AT_PENDING);
    reply->epoch = redis_reply_u64(r, SAVER_USER_AT_EPOCH);
    reply->head = redis_reply_u64(r, SAVER_USER_AT_HEAD);
    reply->device = hw_calloc(r->elements + 1, sizeof(reply->device[0]));
    for (size_t i = SAVER_USER_AT_DEVICES; i + 1 < r->elements; i += 2)
        reply->device[reply->n_device++] = user_device(r->element[i], r->element[i + 1]);
    return &reply->base;
}

static void on_user(void *arg, int error, const redisReply *r) {
    if (!redis_step_failed(arg, error, r))
        redis_step_complete(arg, 0, user_reply(r));
}

void saver_redis_user(struct redis_step *p, const Hawser__Internal__UserRequest *q) {
    struct saver_place place = saver_place_of(p->store, q->product, q->user);
    saver_user_run(p->store, &(struct saver_user_args){place.base, place.run, q->user}, on_user, p);
}
