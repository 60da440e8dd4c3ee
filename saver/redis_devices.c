// Attach, ack, and what is known of a user. Where the news and bulk logs stand is asked first: they
// are kept in another hash slot. A position that a client brings was given out before that
// question.
#include "redis_internal.h"

enum { DEVICES_HELD_MAX = 1000 }; // of a user, where the caller gives no bound

// Where news and bulk stand could not be asked: nothing was done to any device yet.
static bool heads_failed(struct store_step *p, int error, const redisReply *r) {
    if (redis_step_failed(p, error == -HW_EOUTCOME ? -HW_ESTORE : error, r))
        return true;
    saver_redis_take_heads(p, r);
    return false;
}

// Else nobody keeps what has become of messages.
static bool has_back(struct store_step *p) {
    return saver_redis_of(redis_store_of(p))->sweep.has_back;
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
    return out;
}

static Hawser__Internal__AttachReply *attach_reply(struct saver_step *p, const redisReply *r) {
    Hawser__Internal__AttachReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__attach_reply__init(reply);
    reply->stale = redis_reply_u64(r, SAVER_ATTACH_AT_STALE) != 0;
    if (reply->stale)
        return reply;
    p->heads[STREAM_INBOX] = (struct step_heads){redis_reply_u64(r, SAVER_ATTACH_AT_EPOCH),
                                                 redis_reply_u64(r, SAVER_ATTACH_AT_HEAD),
                                                 redis_reply_u64(r, SAVER_ATTACH_AT_CHANGE)};
    reply->known = redis_reply_u64(r, SAVER_ATTACH_AT_KNOWN) != 0;
    reply->stream = hw_calloc(STREAMS, sizeof(reply->stream[0]));
    for (uint32_t i = 0; i < STREAMS; i++)
        reply->stream[reply->n_stream++] = attached_stream(i, &p->heads[i], r);
    return reply;
}

static void take_attach_ends(Hawser__Internal__AttachReply *reply, const redisReply *r) {
    for (size_t at = SAVER_ATTACH_AT_ACKED; at + 1 < r->elements; at += 2) {
        Hawser__Internal__InboxEnd *end = saver_end_add(&reply->n_end, &reply->end);
        end->first = redis_reply_u64(r, at);
        end->last = redis_reply_u64(r, at + 1);
        end->state = HAWSER__INTERNAL__OUTCOME_STATE__STATE_ACKED;
    }
}

static void on_attach(void *arg, int error, const redisReply *r) {
    if (redis_step_failed(arg, error, r))
        return;
    Hawser__Internal__AttachReply *reply = attach_reply(arg, r);
    if (has_back(arg))
        take_attach_ends(reply, r);
    store_step_complete(arg, 0, &reply->base);
}

// As scripts/part/attach_next.lua reads it. Of several positions in a stream the last one counts.
static void put_attach(struct buf *out, struct store_step *p,
                       const Hawser__Internal__AttachRequest *a) {
    const struct step_heads *heads = saver_step_of(p)->heads;
    struct step_heads have[STREAMS] = {0};
    uint8_t given = 0;
    for (size_t i = 0; i < a->n_have; i++) {
        if (a->have[i]->stream >= STREAMS)
            continue;
        given |= (uint8_t)(1U << a->have[i]->stream);
        have[a->have[i]->stream] = (struct step_heads){a->have[i]->epoch, a->have[i]->seq, 0};
    }
    saver_put_number(out, a->generation);
    saver_put_number(out, a->devices_max && a->devices_max < DEVICES_HELD_MAX ? a->devices_max
                                                                              : DEVICES_HELD_MAX);
    saver_put_number(out, saver_epoch(redis_store_of(p)));
    for (int i = STREAM_NEWS; i < STREAMS; i++) {
        saver_put_number(out, heads[i].epoch);
        saver_put_number(out, heads[i].head);
    }
    buf_append(out, &given, 1);
    for (int i = 0; i < STREAMS; i++) {
        saver_put_number(out, have[i].epoch);
        saver_put_number(out, have[i].head);
    }
}

static void on_attach_heads(struct store_step *p, int error, const redisReply *r, size_t i) {
    const Hawser__Internal__AttachRequest *a = (const Hawser__Internal__AttachRequest *)p->request;
    (void)i; // one answer for all who asked
    if (heads_failed(p, error, r))
        return;
    char base[BASE_MAX];
    saver_base_of(base, a->product, a->user);
    struct buf what = BUF_EMPTY;
    struct redis_args known;
    known.count = 0;
    for (size_t n = 0; n < a->n_known && n < KNOWN_MAX; n++)
        redis_arg_text(&known, a->known[n]);
    put_attach(&what, p, a);
    saver_attach_run(redis_store_of(p),
                     &(struct saver_attach_args){.base = base,
                                                 .what = {what.data, what.len},
                                                 .user = a->user,
                                                 .name = a->device,
                                                 .rest = &known},
                     on_attach, p);
    buf_free(&what);
}

void saver_redis_attach(struct store_step *p, const Hawser__Internal__AttachRequest *a) {
    store_step_keep(p, &a->base);
    saver_redis_ask_heads(p, a->product, on_attach_heads);
}

// --- ack

static void take_acked(void *arg, uint64_t first, uint64_t last) {
    Hawser__Internal__AckReply *reply = arg;
    Hawser__Internal__InboxEnd *end = saver_end_add(&reply->n_end, &reply->end);
    end->first = first;
    end->last = last;
    end->state = HAWSER__INTERNAL__OUTCOME_STATE__STATE_ACKED;
}

static void take_ack_ends(Hawser__Internal__AckReply *reply, const redisReply *r, size_t i) {
    uint64_t first = redis_reply_u64(r, ACK_ANSWERS * i + 1);
    if (first > 0)
        take_acked(reply, first, redis_reply_u64(r, ACK_ANSWERS * i + 2));
    saver_batch_take_ends(r, i, take_acked, reply);
}

static void on_ack(struct store_step *p, int error, const redisReply *r, size_t i) {
    if (redis_step_failed(p, error, r))
        return;
    Hawser__Internal__AckReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__ack_reply__init(reply);
    uint64_t answer = redis_reply_u64(r, ACK_ANSWERS * i);
    reply->stale = answer == ACK_STALE;
    reply->unknown = answer == ACK_UNKNOWN;
    if (has_back(p)) {
        reply->left = answer > ACK_TAKEN ? answer - ACK_TAKEN : 0;
        take_ack_ends(reply, r, i);
    }
    store_step_complete(p, 0, &reply->base);
}

// As scripts/part/upto.lua reads it.
static void put_upto(struct buf *out, const Hawser__Internal__AckRequest *a,
                     const struct step_heads *heads) {
    uint8_t count = 0;
    saver_put_number(out, a->generation);
    for (int i = STREAM_NEWS; i < STREAMS; i++) {
        saver_put_number(out, heads[i].epoch);
        saver_put_number(out, heads[i].head);
    }
    size_t at = out->len;
    buf_append(out, &count, 1);
    for (size_t i = 0; i < a->n_upto && i < ACKS_MAX; i++) {
        uint8_t stream = (uint8_t)a->upto[i]->stream;
        if (a->upto[i]->stream >= STREAMS)
            continue;
        buf_append(out, &stream, 1);
        saver_put_number(out, a->upto[i]->epoch);
        saver_put_number(out, a->upto[i]->seq);
        count++;
    }
    out->data[at] = count;
}

static void send_ack(struct store_step *p, const Hawser__Internal__AckRequest *a) {
    struct buf upto = BUF_EMPTY;
    put_upto(&upto, a, saver_step_of(p)->heads);
    saver_step_is_of(p, a->product, a->user);
    const struct redis_bytes words[] = {
        {upto.data, upto.len}, {a->user, strlen(a->user)}, {a->device, strlen(a->device)}};
    saver_batch_add(p, BATCH_ACK, &(struct batch_words){words, on_ack});
    buf_free(&upto);
}

static void on_ack_heads(struct store_step *p, int error, const redisReply *r, size_t i) {
    (void)i; // one answer for all who asked
    if (!heads_failed(p, error, r))
        send_ack(p, (const Hawser__Internal__AckRequest *)p->request);
}

void saver_redis_ack(struct store_step *p, const Hawser__Internal__AckRequest *a) {
    bool is_inbox_only = true;
    for (size_t i = 0; i < a->n_upto; i++)
        is_inbox_only &= a->upto[i]->stream == STREAM_INBOX;
    if (is_inbox_only) { // the most, by far
        send_ack(p, a);
        return;
    }
    store_step_keep(p, &a->base);
    saver_redis_ask_heads(p, a->product, on_ack_heads);
}

// --- user

// What the script answers of each: its name, generation, when it was seen, what it was tried with,
// and its positions.
enum { USER_DEVICE_POSITIONS = 6, USER_DEVICE_PARTS = USER_DEVICE_POSITIONS + 2 * STREAMS };

static Hawser__Internal__UserDevice *user_device(const redisReply *r, size_t at) {
    Hawser__Internal__UserDevice *out = hw_malloc(sizeof(*out));
    hawser__internal__user_device__init(out);
    out->device = hw_strdup(redis_reply_at(r, at)->str);
    out->generation = redis_reply_u64(r, at + 1);
    out->seen_ms = redis_reply_u64(r, at + 2);
    out->tried = redis_reply_u64(r, at + 3);
    out->attempts = (uint32_t)redis_reply_u64(r, at + 4);
    out->passed_over = redis_reply_u64(r, at + 5) != 0;
    out->position = hw_calloc(STREAMS, sizeof(out->position[0]));
    for (uint32_t i = 0; i < STREAMS; i++) {
        Hawser__Internal__StreamPosition *p = hw_malloc(sizeof(*p));
        hawser__internal__stream_position__init(p);
        p->stream = i;
        p->epoch = redis_reply_u64(r, at + USER_DEVICE_POSITIONS + 2 * i);
        p->seq = redis_reply_u64(r, at + USER_DEVICE_POSITIONS + 1 + 2 * i);
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
    reply->parked = redis_reply_u64(r, SAVER_USER_AT_PARKED);
    reply->handled = redis_reply_u64(r, SAVER_USER_AT_HANDLED);
    const redisReply *letters = redis_reply_at(r, SAVER_USER_AT_LETTERS);
    reply->letter = hw_calloc(letters->elements + 1, sizeof(reply->letter[0]));
    for (size_t i = 0; i < letters->elements; i++)
        reply->letter[reply->n_letter++] = redis_reply_u64(letters, i);
    reply->device = hw_calloc(r->elements + 1, sizeof(reply->device[0]));
    for (size_t at = SAVER_USER_AT_DEVICES; at + USER_DEVICE_PARTS <= r->elements;
         at += USER_DEVICE_PARTS)
        reply->device[reply->n_device++] = user_device(r, at);
    return &reply->base;
}

static void on_user(void *arg, int error, const redisReply *r) {
    if (!redis_step_failed(arg, error, r))
        store_step_complete(arg, 0, user_reply(r));
}

void saver_redis_user(struct store_step *p, const Hawser__Internal__UserRequest *q) {
    char base[BASE_MAX];
    saver_base_of(base, q->product, q->user);
    saver_user_run(redis_store_of(p), &(struct saver_user_args){base, q->user}, on_user, p);
}
