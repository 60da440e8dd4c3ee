// Figures: those of a product are sums over its buckets. Each bucket holds the sum by itself, so
// what is added up holds it too, also when it was not read in one moment.
#include "redis_internal.h"

// With the reply that was put together.
static void complete_held(struct step *p, int error, const redisReply *r, const char *what) {
    if (error != 0)
        saver_redis_refused(p->store, what, r);
    ProtobufCMessage *reply = p->reply;
    p->reply = NULL;
    saver_step_complete(p, error, reply);
}

// --- sums

static void on_sums(void *arg, int error, const redisReply *r) {
    complete_held(arg, error, r, "sums");
}

void saver_redis_sums(struct step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__SumsRequest *q = (const Hawser__Internal__SumsRequest *)request;
    Hawser__Internal__SumsReply *reply = hw_malloc(sizeof(*reply));
    struct redis_args args;
    hawser__internal__sums_reply__init(reply);
    p->reply = &reply->base;
    if (q->id.len != 16) { // not counted
        redis_command(p->store->conn, "+", 1, (const char *const[]){"PING"}, (const size_t[]){4},
                      on_sums, p);
        return;
    }
    saver_bucket_announce(p->store, q->product, -1, false);
    saver_args_init(&args, p->store, q->product, NULL);
    saver_arg_bytes(&args, q->id.data, q->id.len);
    saver_arg_u64(&args, q->rejected);
    for (size_t i = 0; i < q->n_sum && i < ACKS_MAX; i++) {
        if (q->sum[i]->stream >= STREAMS)
            continue;
        saver_arg_u64(&args, q->sum[i]->stream);
        saver_arg_u64(&args, q->sum[i]->sent);
        saver_arg_u64(&args, q->sum[i]->acked);
    }
    saver_script_send(p->store, SCRIPT_SUMS, &args, on_sums, p);
}

// --- stats

static const char *const fields[] = {"accepted",   "acked",      "pending",  "expired",
                                     "overflowed", "broadcasts", "sent1",    "acked1",
                                     "sent2",      "acked2",     "rejected", "keyed"};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

static Hawser__Internal__StreamSum *sum_new(uint32_t stream) {
    Hawser__Internal__StreamSum *sum = hw_malloc(sizeof(*sum));
    hawser__internal__stream_sum__init(sum);
    sum->stream = stream;
    return sum;
}

static ProtobufCMessage *stats_new(void) {
    Hawser__Internal__StatsReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__stats_reply__init(reply);
    reply->sum = hw_calloc(STREAMS, sizeof(reply->sum[0]));
    for (uint32_t i = STREAM_NEWS; i < STREAMS; i++)
        reply->sum[reply->n_sum++] = sum_new(i);
    return &reply->base;
}

static void add(Hawser__Internal__StatsReply *to, const redisReply *r) {
    uint64_t *const into[FIELDS] = {&to->accepted,      &to->acked,         &to->pending,
                                    &to->expired,       &to->overflowed,    &to->broadcasts,
                                    &to->sum[0]->sent,  &to->sum[0]->acked, &to->sum[1]->sent,
                                    &to->sum[1]->acked, &to->rejected,      &to->keyed};
    for (size_t i = 0; i < FIELDS; i++)
        *into[i] += saver_reply_u64(r, i);
}

static void on_bucket_figures(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    if (error == 0)
        add((Hawser__Internal__StatsReply *)p->reply, r);
    else if (p->error == 0)
        p->error = error;
    if (--p->open == 0)
        complete_held(p, p->error, r, "stats");
}

static void ask_bucket(struct step *p, int bucket) {
    const char *argv[FIELDS + 2] = {"HMGET"};
    size_t lens[FIELDS + 2] = {5};
    char key[BASE_MAX + 8], base[BASE_MAX];
    saver_base(base, p->product, bucket);
    snprintf(key, sizeof(key), "%ssum", base);
    argv[1] = key;
    for (size_t i = 0; i < FIELDS; i++)
        argv[i + 2] = fields[i];
    for (size_t i = 1; i < FIELDS + 2; i++)
        lens[i] = strlen(argv[i]);
    p->open++;
    redis_command(p->store->conn, "[*?n]", FIELDS + 2, argv, lens, on_bucket_figures, p);
}

static void on_buckets(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    if (error != 0 || r->elements == 0) {
        complete_held(p, error, r, "stats");
        return;
    }
    for (size_t i = 0; i < r->elements; i++)
        ask_bucket(p, (int)strtol(r->element[i]->str, NULL, 10));
}

void saver_redis_stats(struct step *p, const ProtobufCMessage *request) {
    char key[BASE_MAX + 8], base[BASE_MAX];
    p->product = ((const Hawser__Internal__StatsRequest *)request)->product;
    p->reply = stats_new();
    saver_base(base, p->product, -1);
    snprintf(key, sizeof(key), "%sb", base);
    redis_command(p->store->conn, "[*s]", 2, (const char *const[]){"SMEMBERS", key},
                  (const size_t[]){8, strlen(key)}, on_buckets, p);
}

// --- the clock

static void on_clock(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    if (error != 0) {
        saver_step_complete(p, error, NULL);
        return;
    }
    Hawser__Internal__ClockReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__clock_reply__init(reply);
    reply->store_ms = saver_reply_u64(r, 0) * 1000 + saver_reply_u64(r, 1) / 1000;
    saver_step_complete(p, 0, &reply->base);
}

void saver_redis_clock(struct step *p, const ProtobufCMessage *request) {
    (void)request;
    redis_command(p->store->conn, "[nn]", 1, (const char *const[]){"TIME"}, (const size_t[]){4},
                  on_clock, p);
}
