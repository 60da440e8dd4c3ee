// Loads and heads.
#include "redis_internal.h"

#include "bytes.h"

// --- load

Hawser__Internal__StoredMessage *saver_redis_message(const redisReply *r, size_t at, size_t times) {
    const redisReply *bytes = redis_reply_at(r, at);
    uint64_t sent_ms = redis_reply_u64(r, times), expires_ms = redis_reply_u64(r, times + 1);
    Hawser__Internal__StoredMessage *m = hawser__internal__stored_message__unpack(
        NULL, (size_t)bytes->len, (const uint8_t *)bytes->str);
    if (m && sent_ms)
        m->sent_ms = sent_ms;
    if (m && expires_ms)
        m->expires_ms = expires_ms;
    return m;
}

static Hawser__Internal__LoadEntry *load_entry(const redisReply *r) {
    Hawser__Internal__LoadEntry *e = hw_malloc(sizeof(*e));
    const redisReply *second = redis_reply_at(r, 1);
    hawser__internal__load_entry__init(e);
    e->seq = e->last = redis_reply_u64(r, 0);
    if (second->len == 0) {
        e->last = redis_reply_u64(r, 2);
        e->gap_reason = (uint32_t)redis_reply_u64(r, 3);
        return e;
    }
    e->message = saver_redis_message(r, 1, 2); // bytes that do not decode: a gap, unknown
    return e;
}

static ProtobufCMessage *load_reply(const redisReply *r) {
    Hawser__Internal__LoadReply *reply = hw_malloc(sizeof(*reply));
    const redisReply *list = redis_reply_at(r, SAVER_LOAD_AT_STEPS);
    hawser__internal__load_reply__init(reply);
    reply->epoch = redis_reply_u64(r, SAVER_LOAD_AT_EPOCH);
    reply->head = redis_reply_u64(r, SAVER_LOAD_AT_HEAD);
    reply->change = redis_reply_u64(r, SAVER_LOAD_AT_CHANGE);
    reply->reset = redis_reply_u64(r, SAVER_LOAD_AT_RESET) != 0;
    reply->reset_after = redis_reply_u64(r, SAVER_LOAD_AT_RESET_AFTER);
    reply->entry = hw_calloc(list->elements + 1, sizeof(reply->entry[0]));
    for (size_t i = 0; i < list->elements; i++)
        reply->entry[reply->n_entry++] = load_entry(list->element[i]);
    return &reply->base;
}

static void on_load(void *arg, int error, const redisReply *r) {
    if (!redis_step_failed(arg, error, r))
        store_step_complete(arg, 0, load_reply(r));
}

void saver_redis_load(struct store_step *p, const Hawser__Internal__LoadRequest *q) {
    char base[BASE_MAX];
    saver_base_of(base, q->product, q->user);
    char stream[12];
    snprintf(stream, sizeof(stream), "%u", q->stream);
    struct saver_load_args args = {
        .base = base,
        .epoch = saver_epoch(redis_store_of(p)),
        .name = q->stream == STREAM_INBOX ? q->user : stream,
        .is_inbox = q->stream == STREAM_INBOX,
        .wanted = q->epoch,
        .after = q->after,
        .messages_max = q->max_messages,
        .bytes_max = q->max_bytes < LOAD_BYTES_MAX ? q->max_bytes : LOAD_BYTES_MAX,
        .device = q->device,
    };
    saver_load_run(redis_store_of(p), &args, on_load, p);
}

// --- what became of messages: only MariaDB knows

void saver_redis_outcomes(struct store_step *p, const Hawser__Internal__OutcomesRequest *q) {
    (void)q;
    store_step_complete(p, -HW_EUNIMPLEMENTED, NULL);
}

void saver_redis_status(struct store_step *p, const Hawser__Internal__StatusRequest *q) {
    (void)q;
    store_step_complete(p, -HW_EUNIMPLEMENTED, NULL);
}

// --- heads

static void put_head(Hawser__Internal__HeadReply *out, const struct step_heads *from) {
    hawser__internal__head_reply__init(out);
    out->epoch = from->epoch;
    out->head = from->head;
    out->change = from->change;
}

static struct step_heads heads_at(const redisReply *r, size_t i) {
    return (struct step_heads){redis_reply_u64(r, 3 * i), redis_reply_u64(r, 3 * i + 1),
                               redis_reply_u64(r, 3 * i + 2)};
}

static void complete_head(struct store_step *p, const struct step_heads *head) {
    Hawser__Internal__HeadReply *reply = hw_malloc(sizeof(*reply));
    put_head(reply, head);
    store_step_complete(p, 0, &reply->base);
}

// One that is made now, that a session arrives at, or of which another history has something
// to say.
static void on_head_by_script(void *arg, int error, const redisReply *r) {
    if (redis_step_failed(arg, error, r))
        return;
    struct step_heads head = heads_at(r, 0);
    complete_head(arg, &head);
}

static void head_by_script(struct store_step *p, const Hawser__Internal__HeadRequest *q) {
    char base[BASE_MAX];
    saver_base_of(base, q->product, q->user);
    struct redis_args logs;
    if (q->arrives) {
        saver_arrive_run(redis_store_of(p),
                         &(struct saver_arrive_args){base, q->user, saver_epoch(redis_store_of(p))},
                         on_head_by_script, p);
        return;
    }
    logs.count = 0;
    redis_arg_text(&logs, q->user);
    redis_arg_u64(&logs, saver_epoch(redis_store_of(p)));
    saver_heads_run(redis_store_of(p), &(struct saver_heads_args){base, &logs}, on_head_by_script,
                    p);
}

// As scripts/part/layout.lua packs what each state begins with: form, epoch, head, change, history.
static bool head_of_state(const redisReply *r, struct redis_bytes history, struct step_heads *out) {
    enum { FORM = 1, EPOCH = 7, HEAD = 7, CHANGE = 4, ALL = FORM + EPOCH + HEAD + CHANGE };
    const uint8_t *at = (const uint8_t *)r->str;
    if (r->type != REDIS_REPLY_STRING || r->len < (size_t)ALL + history.len ||
        memcmp(at + ALL, history.data, history.len) != 0)
        return false;
    out->epoch = le_get(at + FORM, EPOCH);
    out->head = le_get(at + FORM + EPOCH, HEAD);
    out->change = le_get(at + FORM + EPOCH + HEAD, CHANGE);
    return true;
}

static void on_inbox_state(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    struct step_heads head;
    if (redis_step_failed(p, error, r))
        return;
    if (head_of_state(r, redis_conn_history(redis_store_of(p)->conn), &head))
        complete_head(p, &head);
    else
        head_by_script(p, (const Hawser__Internal__HeadRequest *)p->request);
}

// Each session's is asked for every 30 s: a command instead of a script, since nearly all are
// there.
void saver_redis_head(struct store_step *p, const Hawser__Internal__HeadRequest *q) {
    char base[BASE_MAX];
    saver_base_of(base, q->product, q->user);
    char logs[BASE_MAX + 2];
    if (q->arrives) {
        head_by_script(p, q);
        return;
    }
    snprintf(logs, sizeof(logs), "%sl", base);
    store_step_keep(p, &q->base);
    const char *const word[] = {"HGET", logs, q->user, NULL};
    redis_store_ask(redis_store_of(p), &(struct redis_words){logs, "?s", word}, on_inbox_state, p);
}

void saver_redis_ask_heads(struct store_step *p, uint32_t product, batch_done_fn *done) {
    saver_step_is_of(p, product, NULL);
    saver_batch_add(p, BATCH_HEADS, &(struct batch_words){NULL, done});
}

void saver_redis_take_heads(struct store_step *p, const redisReply *r) {
    saver_step_of(p)->heads[STREAM_NEWS] = heads_at(r, 0);
    saver_step_of(p)->heads[STREAM_BULK] = heads_at(r, 1);
}

static void on_product_heads(struct store_step *p, int error, const redisReply *r, size_t i) {
    (void)i; // one answer for all who asked
    if (redis_step_failed(p, error, r))
        return;
    Hawser__Internal__ProductHeadsReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__product_heads_reply__init(reply);
    reply->store = saver_history(redis_store_of(p));
    saver_redis_take_heads(p, r);
    reply->news = hw_malloc(sizeof(*reply->news));
    reply->bulk = hw_malloc(sizeof(*reply->bulk));
    put_head(reply->news, &saver_step_of(p)->heads[STREAM_NEWS]);
    put_head(reply->bulk, &saver_step_of(p)->heads[STREAM_BULK]);
    store_step_complete(p, 0, &reply->base);
}

void saver_redis_product_heads(struct store_step *p,
                               const Hawser__Internal__ProductHeadsRequest *q) {
    saver_redis_ask_heads(p, q->product, on_product_heads);
}
