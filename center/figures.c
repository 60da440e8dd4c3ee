// Statistics, the cluster's daemons, and health.
#include "center_internal.h"

// --- stats: the saver's counters and the register's count of sessions, of one product or of all

struct figures {
    struct request *request;
    size_t left;
    bool failed;
    uint64_t online, broadcasts, sent, acked_devices;
    uint64_t sum[9];
};
static const char *const sum_names[9] = {"accepted", "acked",      "pending",
                                         "expired",  "overflowed", "collapsed",
                                         "recalled", "parked",     "rejected"};

static void figures_step(struct figures *f) {
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
    json_object_set_new(body, "broadcasts",
                        json_pack("{s:I, s:I, s:I}", "accepted", (json_int_t)f->broadcasts, "sent",
                                  (json_int_t)f->sent, "acked", (json_int_t)f->acked_devices));
    reply_json(f->request, 200, body);
}

static void on_online(void *arg, int error, const Hawser__Internal__OnlineReply *reply) {
    struct figures *f = arg;
    (void)error;
    f->failed = f->failed || !reply;
    if (reply) {
        f->online += reply->sessions;
    }
    figures_step(f);
}

static void add_stats(struct figures *f, const Hawser__Internal__StatsReply *s) {
    const uint64_t values[9] = {s->accepted,  s->acked,    s->pending, s->expired, s->overflowed,
                                s->collapsed, s->recalled, s->parked,  s->rejected};
    for (int i = 0; i < 9; i++)
        f->sum[i] += values[i];
    for (size_t i = 0; i < s->n_sum; i++) {
        f->sent += s->sum[i]->sent;
        f->acked_devices += s->sum[i]->acked;
    }
    f->broadcasts += s->broadcasts;
}

static void on_stats(void *arg, int error, const Hawser__Internal__StatsReply *reply) {
    struct figures *f = arg;
    (void)error;
    f->failed = f->failed || !reply;
    if (reply) {
        add_stats(f, reply);
    }
    figures_step(f);
}

static void ask_product(struct figures *f, const struct product *product) {
    struct cluster *cluster = f->request->center->cluster;
    Hawser__Internal__OnlineRequest online = HAWSER__INTERNAL__ONLINE_REQUEST__INIT;
    Hawser__Internal__StatsRequest stats = HAWSER__INTERNAL__STATS_REQUEST__INIT;
    online.product = stats.product = product->number;
    f->left += 2;
    register_online(register_of(cluster), &online, on_online, f);
    saver_stats(saver_of_product(cluster, product->number), &stats, on_stats, f);
}

static struct figures *figures_new(struct request *q) {
    struct figures *f = hw_calloc(1, sizeof(*f));
    f->request = q;
    f->left = 1;
    q->state = f;
    q->free_state = free;
    return f;
}

void handle_product_stats(struct request *q) {
    struct figures *f = figures_new(q);
    ask_product(f, request_product(q));
    figures_step(f);
}

void handle_stats(struct request *q) {
    struct figures *f = figures_new(q);
    const struct product *product = NULL;
    while ((product = cluster_product_next(q->center->cluster, product)) != NULL)
        ask_product(f, product);
    figures_step(f);
}

// --- the cluster

static const char *const roles[] = {"register",    "saver",      "center",
                                    "coordinator", "dispatcher", "room"};

static json_t *endpoints_json(const Hawser__Internal__Member *m) {
    json_t *list = json_array();
    for (size_t i = 0; i < m->n_endpoint; i++)
        json_array_append_new(
            list, json_pack("{s:o, s:i, s:o}", "host", text_json(m->endpoint[i]->host), "port",
                            (int)m->endpoint[i]->port, "idc", text_json(m->endpoint[i]->idc)));
    return list;
}

static json_t *member_json(const Hawser__Internal__Member *m) {
    char incarnation[24];
    snprintf(incarnation, sizeof(incarnation), "%llu", (unsigned long long)m->incarnation);
    const char *health = m->draining ? "draining" : *m->unhealthy ? m->unhealthy : "ok";
    json_t *one = json_pack("{s:o, s:o, s:s, s:o, s:f, s:I, s:o, s:i, s:o}", "role",
                            text_json(m->role), "id", text_json(m->id), "incarnation", incarnation,
                            "health", text_json(health), "load", m->load / 10000.0, "sessions",
                            (json_int_t)m->sessions, "build", text_json(m->build), "protocol_minor",
                            (int)m->protocol_minor, "started_at", time_json(m->started_ms));
    if (m->sessions_max)
        json_object_set_new(
            one, "headroom",
            json_integer(
                (json_int_t)(m->sessions_max -
                             (m->sessions < m->sessions_max ? m->sessions : m->sessions_max))));
    if (m->n_endpoint)
        json_object_set_new(one, "endpoints", endpoints_json(m));
    if (*m->rpc)
        json_object_set_new(one, "rpc", text_json(m->rpc));
    if (*m->http)
        json_object_set_new(one, "http", text_json(m->http));
    return one;
}

void handle_cluster(struct request *q) {
    json_t *items = json_array();
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        const Hawser__Internal__Member *m = NULL;
        while ((m = cluster_member_next(q->center->cluster, roles[i], m)) != NULL)
            json_array_append_new(items, member_json(m));
    }
    reply_json(q, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

static void on_draining(void *arg, int error, const Hawser__Internal__DrainReply *reply) {
    struct request *q = arg;
    (void)reply;
    if (error != 0)
        reply_unanswered(q, "room", error);
    else
        reply_json(q, 202,
                   json_pack("{s:o, s:s}", "id", text_json(q->segments[2]), "health", "draining"));
}

void handle_drain(struct request *q) {
    static const char *const names[] = {"within_s", NULL};
    Hawser__Internal__DrainRequest request = HAWSER__INTERNAL__DRAIN_REQUEST__INIT;
    const Hawser__Internal__Member *m = NULL;
    struct problem p = {0};
    uint64_t within_s = 60;
    bool given;
    const json_t *body = q->reader.root;
    if (!fields_known(body, "", names, &p) ||
        !field_number(body, "", "within_s", 1, 3600, &given, &within_s, &p)) {
        reply_problem(q, &p);
        return;
    }
    while ((m = cluster_member_next(q->center->cluster, "room", m)) != NULL)
        if (strcmp(m->id, q->segments[2]) == 0)
            break;
    if (!m) {
        reply_fault(q, PROBLEM_not_found, NULL, "no room '%.100s'", q->segments[2]);
        return;
    }
    request.within_ms = (uint32_t)(within_s * 1000);
    struct peer room = room_of(q->center->cluster, m->incarnation);
    q->was_up = peer_is_up(room);
    room_drain(room, &request, on_draining, q);
}

// --- health

void handle_healthz(struct request *q) {
    reply_json(q, 200, json_pack("{s:s}", "status", "ok"));
}

void handle_readyz(struct request *q) {
    const char *reason = center_role.unready(q->center);
    reply_json(q, reason ? 503 : 200,
               reason ? json_pack("{s:s, s:o}", "status", "not ready", "reason", text_json(reason))
                      : json_pack("{s:s}", "status", "ready"));
}
