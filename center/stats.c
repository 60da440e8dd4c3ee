// Statistics: the saver's sums and the register's count of sessions, of one product or of all.
#include "handlers.h"
#include "request.h"

struct stats {
    struct request *request;
    size_t left;
    bool failed;
    uint64_t online, broadcasts, sent, acked_devices, letters_dropped;
    uint64_t sum[9];
};
static const char *const sum_names[9] = {"accepted", "acked",      "pending",
                                         "expired",  "overflowed", "collapsed",
                                         "recalled", "parked",     "rejected"};

static void stats_step(struct stats *f) {
    if (--f->left > 0)
        return;
    if (f->failed) {
        reply_fault(f->request, PROBLEM_store_unavailable, NULL,
                    "the register or the saver did not answer");
        return;
    }
    json_t *body = json_pack("{s:I}", "online", (json_int_t)f->online);
    for (int i = 0; i < 9; i++)
        json_object_set_new(body, sum_names[i], json_integer((json_int_t)f->sum[i]));
    json_object_set_new(body, "dead_letters_dropped", json_integer((json_int_t)f->letters_dropped));
    json_object_set_new(body, "broadcasts",
                        json_pack("{s:I, s:I, s:I}", "accepted", (json_int_t)f->broadcasts, "sent",
                                  (json_int_t)f->sent, "acked", (json_int_t)f->acked_devices));
    reply_json(f->request, 200, body);
}

static void on_online(void *arg, int error, const Hawser__Internal__OnlineReply *reply) {
    struct stats *f = arg;
    (void)error;
    f->failed = f->failed || !reply;
    f->online += reply ? reply->sessions : 0;
    stats_step(f);
}

static void add_stats(struct stats *f, const Hawser__Internal__StatsReply *s) {
    const uint64_t values[9] = {s->accepted,  s->acked,    s->pending, s->expired, s->overflowed,
                                s->collapsed, s->recalled, s->parked,  s->rejected};
    for (int i = 0; i < 9; i++)
        f->sum[i] += values[i];
    for (size_t i = 0; i < s->n_sum; i++) {
        f->sent += s->sum[i]->sent;
        f->acked_devices += s->sum[i]->acked;
    }
    f->broadcasts += s->broadcasts;
    f->letters_dropped += s->letters_dropped;
}

static void on_stats(void *arg, int error, const Hawser__Internal__StatsReply *reply) {
    struct stats *f = arg;
    (void)error;
    f->failed = f->failed || !reply;
    if (reply)
        add_stats(f, reply);
    stats_step(f);
}

static void ask_product(struct stats *f, const struct product *product) {
    struct cluster *cluster = f->request->center->cluster;
    Hawser__Internal__OnlineRequest online = HAWSER__INTERNAL__ONLINE_REQUEST__INIT;
    Hawser__Internal__StatsRequest stats = HAWSER__INTERNAL__STATS_REQUEST__INIT;
    online.product = stats.product = product->number;
    f->left += 2;
    register_online(register_of(cluster), &online, on_online, f);
    saver_stats(saver_of_product(cluster, product->number), &stats, on_stats, f);
}

static struct stats *stats_begin(struct request *q) {
    struct stats *f = hw_calloc(1, sizeof(*f));
    f->request = q;
    f->left = 1;
    q->state = f;
    q->free_state = free;
    return f;
}

// Statistics over time come later: whoever asks for them must not take today's for an answer.
static bool is_of_now(struct request *q) {
    static const char *const over_time[] = {"from", "to", "step", NULL};
    return request_asks_for_none_of(q, over_time);
}

void handle_product_stats(struct request *q) {
    if (!is_of_now(q))
        return;
    struct stats *f = stats_begin(q);
    ask_product(f, request_product(q));
    stats_step(f);
}

void handle_stats(struct request *q) {
    if (!is_of_now(q))
        return;
    struct stats *f = stats_begin(q);
    const struct product *product = NULL;
    while ((product = cluster_product_next(q->center->cluster, product)) != NULL)
        ask_product(f, product);
    stats_step(f);
}
