// A center's life: its HTTP server and its place in the cluster.
#include "center.h"

#include "access.h"
#include "center_internal.h"
#include "handlers.h"
#include "hints.h"
#include "recall.h"
#include "request.h"
#include "send.h"
#include "spread.h"

// --- life

// Links are open before the first message needs them.
static void center_on_member(void *self, const Hawser__Internal__Member *m) {
    struct center *c = self;
    if (c->cluster && (strcmp(m->role, "room") == 0 || strcmp(m->role, "saver") == 0))
        (void)cluster_peer(c->cluster, m->incarnation);
}

static void center_on_member_gone(void *self, const Hawser__Internal__Member *m, bool clean) {
    (void)clean;
    hints_member_gone(self, m->incarnation);
}

static void center_fill(void *self, Hawser__Internal__Member *m) {
    struct center *c = self;
    m->http = c->advertised;
    m->draining = c->is_draining;
}

static struct http_limits limits_of(const struct config *config) {
    struct http_limits l = http_limits_default;
    l.head_ms = config_ms(config, "center.head_within");
    l.idle_ms = config_ms(config, "center.idle_within");
    l.body_ms = config_ms(config, "center.body_within");
    l.read_ms = config_ms(config, "center.read_within");
    l.body_bytes_max = config_bytes(config, "center.body_max");
    l.bodies_bytes_max = config_bytes(config, "center.bodies_max");
    l.connections_max = (unsigned)config_number(config, "center.connections_max");
    return l;
}

static int serve_api(struct center *c, struct buf *ret_error) {
    const struct daemon_env *env = c->env;
    struct host_port at = config_listen(env->config, "center.listen");
    struct http_options options = {.loop = c->loop,
                                   .host = at.host,
                                   .port_first = at.port,
                                   .port_last = at.port_last,
                                   .log = env->log,
                                   .limits = limits_of(env->config),
                                   .handler = center_request,
                                   .arg = c};
    int rc = http_server_new(&options, &c->http);
    if (rc != 0)
        return part_cannot_listen(&at, "center.listen", rc, ret_error);
    http_server_count(c->http, env->metrics, false);
    at.port = http_server_port(c->http);
    at = part_told(config_text(env->config, "center.advertise"), &at);
    host_port_format(at.host, at.port, c->advertised, sizeof(c->advertised));
    return 0;
}

static void known_rows_start(struct center *c) {
    uint8_t hash_key[16];
    rng_16_bytes(loop_rng(c->loop), hash_key);
    known_rows_init(&c->known_rows, hash_key);
}

static int center_start(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    struct center *c = hw_calloc(1, sizeof(*c));
    c->env = env;
    c->loop = env->loop;
    known_rows_start(c);
    access_init(c);
    int rc = serve_api(c, ret_error);
    if (rc == 0) {
        *ret_self = c;
        return 0;
    }
    access_deinit(c);
    free(c);
    return rc;
}

static void center_joined(void *self) {
    struct center *c = self;
    c->cluster = c->env->cluster;
    store_clock_start(&c->clock, c->loop, c->cluster);
    spread_start(c);
}

static void center_stop(void *self) {
    struct center *c = self;
    c->is_stopping = true; // its calls are cancelled next, and answered
}

static void center_free(void *self) {
    struct center *c = self;
    sends_end(c);
    spread_end(c);
    recalls_end(c);
    store_clock_stop(&c->clock);
    request_gone_all(c);
    http_server_free(c->http); // behind the last answers: it calls no handler any more
    hints_free(c);
    known_rows_deinit(&c->known_rows);
    access_deinit(c);
    paces_free(&c->paces);
    free(c);
}

// New requests are still answered until the last one is out: whoever balances sees readyz first.
static void center_drain(void *self) {
    struct center *c = self;
    c->is_draining = true;
    http_server_drain(c->http);
}

static bool center_is_drained(void *self) {
    const struct center *c = self;
    return c->count.open == 0 && c->spread.under_way == 0;
}

static uint16_t center_port(const void *self) {
    const struct center *c = self;
    return http_server_port(c->http);
}

static const struct daemon_metric metrics[] = {
    DAEMON_COUNTER(center, count.requests, "requests_total", "API requests"),
    DAEMON_COUNTER(center, count.problems, "problems_total",
                   "API requests answered with a problem"),
    DAEMON_GAUGE(center, count.open, "requests_open_count", "API requests being worked on"),
    DAEMON_COUNTER(center, count.pushes, "pushes_total", "pushes taken on"),
    DAEMON_COUNTER(center, count.targets, "targets_total", "inboxes and logs of those pushes"),
    DAEMON_COUNTER(center, count.appends, "appends_total", "appends that were stored"),
    DAEMON_COUNTER(center, count.append_retries, "append_retries_total", "appends repeated"),
    DAEMON_COUNTER(center, count.parts, "job_parts_total", "parts of jobs that were spread"),
    DAEMON_COUNTER(center, count.parts_lost, "job_parts_lost_total",
                   "parts of jobs given up, for another center to go on with"),
    DAEMON_COUNTER(center, count.rejected, "job_targets_rejected_total",
                   "targets of jobs whose inbox was full"),
    DAEMON_COUNTER(center, count.recalled, "recalled_total", "recalls that were done"),
    DAEMON_GAUGE(center, count.recalls_open, "recalls_open_count",
                 "recalls under way, answered or not"),
    DAEMON_COUNTER(center, count.delivered, "delivered_total", "hints that a room took"),
    DAEMON_COUNTER(center, count.not_here, "not_here_total", "hints for sessions that were gone"),
    DAEMON_COUNTER(center, count.rows_known, "rows_known_total",
                   "stored messages for users whose sessions were known"),
    DAEMON_COUNTER(center, count.rows_asked, "rows_asked_total",
                   "times that a register was asked for a user's sessions"),
    DAEMON_COUNTER(center, known_rows.displaced, "rows_displaced_total",
                   "users whose known sessions were forgotten for others"),
    DAEMON_GAUGE(center, known_rows.bytes, "rows_bytes",
                 "memory of where users' sessions are, as far as it is known"),
    DAEMON_COUNTER(center, count.hints_kept, "hints_kept_total",
                   "hints kept for a room out of reach"),
    DAEMON_COUNTER(center, count.hints_dropped, "hints_dropped_total", "hints over the bound"),
    {0},
};

const struct daemon_role center_role = {
    .name = "center",
    .start = center_start,
    .joined = center_joined,
    .drain = center_drain,
    .is_drained = center_is_drained,
    .unready = center_unready,
    .stop = center_stop,
    .free = center_free,
    .events = {.on_member = center_on_member, .on_member_gone = center_on_member_gone},
    .fill = center_fill,
    .metrics = metrics,
    .ports = {{"center", center_port}},
};
