// Sums: those of a product are over its buckets. Each bucket holds the sum by itself, so
// what is added up holds it too, also when it was not read in one moment.
#include "redis_internal.h"

// With the reply that was put together.
static void complete_held(struct store_step *p, int error, const redisReply *r) {
    if (redis_step_failed(p, error, r))
        return;
    ProtobufCMessage *reply = p->reply;
    p->reply = NULL;
    store_step_complete(p, 0, reply);
}

// --- sums

static void on_sums_counted(void *arg, int error, const redisReply *r) {
    complete_held(arg, error, r);
}

void saver_redis_sums(struct store_step *p, const Hawser__Internal__SumsRequest *q) {
    Hawser__Internal__SumsReply *reply = hw_malloc(sizeof(*reply));
    char base[BASE_MAX];
    saver_base_of(base, q->product, NULL);
    struct redis_args sums;
    hawser__internal__sums_reply__init(reply);
    p->reply = &reply->base;
    if (q->id.len != 16) { // not counted
        redis_store_ask(redis_store_of(p),
                        &(struct redis_words){NULL, "+", (const char *const[]){"PING", NULL}},
                        on_sums_counted, p);
        return;
    }
    saver_step_of(p)->product = q->product;
    saver_step_of(p)->bucket = -1;
    saver_bucket_announce(redis_store_of(p), saver_step_of(p), false);
    sums.count = 0;
    for (size_t i = 0; i < q->n_sum && i < ACKS_MAX; i++) {
        if (q->sum[i]->stream >= STREAMS)
            continue;
        redis_arg_u64(&sums, q->sum[i]->stream);
        redis_arg_u64(&sums, q->sum[i]->sent);
        redis_arg_u64(&sums, q->sum[i]->acked);
    }
    struct redis_bytes id = {q->id.data, q->id.len};
    saver_sums_run(redis_store_of(p), &(struct saver_sums_args){base, id, q->rejected, &sums},
                   on_sums_counted, p);
}

// --- stats

static const char *const fields[] = {"accepted",        "acked",     "expired", "overflowed",
                                     "broadcasts",      "sent1",     "acked1",  "sent2",
                                     "acked2",          "rejected",  "keyed",   "parked",
                                     "letters_dropped", "collapsed", "recalled"};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

static Hawser__Internal__StreamSum *sum_new(uint32_t stream) {
    Hawser__Internal__StreamSum *sum = hw_malloc(sizeof(*sum));
    hawser__internal__stream_sum__init(sum);
    sum->stream = stream;
    return sum;
}

static ProtobufCMessage *redis_sums_stats_new(void) {
    Hawser__Internal__StatsReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__stats_reply__init(reply);
    reply->sum = hw_calloc(STREAMS, sizeof(reply->sum[0]));
    for (uint32_t i = STREAM_NEWS; i < STREAMS; i++)
        reply->sum[reply->n_sum++] = sum_new(i);
    return &reply->base;
}

static void add_sums(Hawser__Internal__StatsReply *to, const redisReply *r) {
    uint64_t *const into[FIELDS] = {&to->accepted,        &to->acked,        &to->expired,
                                    &to->overflowed,      &to->broadcasts,   &to->sum[0]->sent,
                                    &to->sum[0]->acked,   &to->sum[1]->sent, &to->sum[1]->acked,
                                    &to->rejected,        &to->keyed,        &to->parked,
                                    &to->letters_dropped, &to->collapsed,    &to->recalled};
    for (size_t i = 0; i < FIELDS; i++)
        *into[i] += redis_reply_u64(r, i);
    // What waits is what has met no end yet, so that no script counts it twice.
    to->pending = to->accepted - to->acked - to->expired - to->overflowed - to->collapsed -
                  to->recalled - to->parked;
}

static void on_bucket_sums(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    if (error == 0)
        add_sums((Hawser__Internal__StatsReply *)p->reply, r);
    else if (p->error == 0)
        p->error = error;
    if (--p->open == 0)
        complete_held(p, p->error, r);
}

static void ask_bucket(struct store_step *p, int bucket) {
    const char *word[FIELDS + 3] = {"HMGET"};
    char key[BASE_MAX + 8], base[BASE_MAX];
    saver_base(base, saver_step_of(p)->product, bucket);
    snprintf(key, sizeof(key), "%ssum", base);
    word[1] = key;
    memcpy(word + 2, fields, sizeof(fields));
    p->open++;
    redis_store_ask(redis_store_of(p), &(struct redis_words){key, "[*?n]", word}, on_bucket_sums,
                    p);
}

static void on_buckets(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    if (error != 0 || r->elements == 0) {
        complete_held(p, error, r);
        return;
    }
    for (size_t i = 0; i < r->elements; i++)
        ask_bucket(p, (int)strtol(r->element[i]->str, NULL, 10));
}

void saver_redis_stats(struct store_step *p, const Hawser__Internal__StatsRequest *q) {
    char key[BASE_MAX + 8], base[BASE_MAX];
    saver_step_of(p)->product = q->product;
    p->reply = redis_sums_stats_new();
    saver_base(base, q->product, -1);
    snprintf(key, sizeof(key), "%sb", base);
    const char *const word[] = {"SMEMBERS", key, NULL};
    redis_store_ask(redis_store_of(p), &(struct redis_words){key, "[*s]", word}, on_buckets, p);
}

// --- the clock

static void on_clock(void *arg, int error, const redisReply *r) {
    if (redis_step_failed(arg, error, r))
        return;
    Hawser__Internal__ClockReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__clock_reply__init(reply);
    reply->store_ms = redis_reply_u64(r, 0) * 1000 + redis_reply_u64(r, 1) / 1000;
    store_step_complete(arg, 0, &reply->base);
}

void saver_redis_clock(struct store_step *p, const Hawser__Internal__ClockRequest *q) {
    (void)q;
    redis_store_ask(redis_store_of(p),
                    &(struct redis_words){NULL, "[nn]", (const char *const[]){"TIME", NULL}},
                    on_clock, p);
}
