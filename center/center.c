// A center's life: its HTTP server and its place in the cluster.
#include "center.h"

#include "center_internal.h"

// --- life

// Links are open before the first message needs them.
static void on_member(void *self, const Hawser__Internal__Member *m) {
    struct center *c = self;
    if (c->cluster && (strcmp(m->role, "room") == 0 || strcmp(m->role, "saver") == 0))
        (void)cluster_peer(c->cluster, m->incarnation);
}

static void on_member_gone(void *self, const Hawser__Internal__Member *m, bool clean) {
    (void)clean;
    hints_member_gone(self, m->incarnation);
}

static void fill(void *self, Hawser__Internal__Member *m) {
    struct center *c = self;
    m->http = c->advertised;
    m->draining = c->is_draining;
}

static void stop(void *self) {
    struct center *c = self;
    c->is_stopping = true;
    part_free(c->part); // its calls are cancelled, and answered
    sends_end(c);
    store_clock_stop(&c->clock);
    request_gone_all(c);
    http_server_free(c->http); // behind the last answers: it calls no handler any more
    hints_free(c);
    rates_free(c);
    free(c);
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

static int serve(struct center *c, struct buf *ret_error) {
    const char *listen = config_text(c->env->config, "center.listen");
    struct host_port at;
    if (host_port_parse(listen, false, &at) != 0) {
        buf_printf(ret_error, "center.listen: '%s' is not host:port", listen);
        return -HW_ECONFIG;
    }
    struct http_options options = {.loop = c->loop,
                                   .host = at.host,
                                   .port_first = at.port,
                                   .port_last = at.port_last,
                                   .log = c->env->log,
                                   .limits = limits_of(c->env->config),
                                   .handler = center_request,
                                   .arg = c};
    int rc = http_server_new(&options, &c->http);
    if (rc != 0) {
        buf_printf(ret_error, "center.listen: cannot listen at %s: %s", listen, hw_strerror(rc));
        return rc;
    }
    http_server_count(c->http, c->env->metrics, false);
    part_advertised(config_text(c->env->config, "center.advertise"), at.host,
                    http_server_port(c->http), c->advertised, sizeof(c->advertised));
    return 0;
}

static void count_all(struct center *c) {
    struct metrics *m = c->env->metrics;
    metrics_counter(m, "requests_total", "API requests", &c->count.requests);
    metrics_counter(m, "problems_total", "API requests answered with a problem",
                    &c->count.problems);
    metrics_gauge(m, "requests_open_count", "API requests being worked on", &c->count.open);
    metrics_counter(m, "pushes_total", "pushes taken on", &c->count.pushes);
    metrics_counter(m, "targets_total", "inboxes and logs of those pushes", &c->count.targets);
    metrics_counter(m, "appends_total", "appends that were stored", &c->count.appends);
    metrics_counter(m, "append_retries_total", "appends repeated", &c->count.append_retries);
    metrics_counter(m, "delivered_total", "hints that a room took", &c->count.delivered);
    metrics_counter(m, "not_here_total", "hints for sessions that were gone", &c->count.not_here);
    metrics_counter(m, "hints_kept_total", "hints kept for a room out of reach",
                    &c->count.hints_kept);
    metrics_counter(m, "hints_dropped_total", "hints over the bound", &c->count.hints_dropped);
}

static int start(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    struct center *c = hw_calloc(1, sizeof(*c));
    c->env = env;
    c->loop = env->loop;
    struct part_options o = {.env = env,
                             .listen = "",
                             .advertise = "",
                             .events = {.on_member = on_member, .on_member_gone = on_member_gone},
                             .self = c,
                             .fill = fill};
    int rc = serve(c, ret_error);
    if (rc == 0)
        rc = part_new(&o, ret_error, &c->part);
    if (rc != 0) {
        stop(c);
        return rc;
    }
    c->cluster = part_cluster(c->part);
    count_all(c);
    store_clock_start(&c->clock, c->loop, c->cluster);
    part_announce(c->part);
    log_event(env->log, LOG_INFO, "listening", "port=%u", http_server_port(c->http));
    *ret_self = c;
    return 0;
}

// New requests are still answered until the last one is out: whoever balances sees readyz first.
static void drain(void *self) {
    struct center *c = self;
    c->is_draining = true;
    http_server_drain(c->http);
    part_withdraw(c->part);
}

static bool is_drained(void *self) {
    struct center *c = self;
    return c->count.open == 0 && part_is_withdrawn(c->part);
}

static void reload(void *self) {
    struct center *c = self;
    part_reload(c->part);
}

static const char *unready(void *self) {
    struct center *c = self;
    const char *reason = cluster_unready_reason(c->cluster);
    if (reason)
        return reason;
    if (c->is_draining)
        return "draining";
    return c->clock.is_known ? NULL : "no saver answers";
}

static const char *hopeless(void *self) {
    struct center *c = self;
    return cluster_hopeless(c->cluster);
}

static int ports(void *self, struct daemon_port out[DAEMON_PORTS_MAX]) {
    struct center *c = self;
    out[0] = (struct daemon_port){"center", http_server_port(c->http)};
    return 1;
}

const struct daemon_role center_role = {.name = "center",
                                        .start = start,
                                        .stop = stop,
                                        .drain = drain,
                                        .is_drained = is_drained,
                                        .reload = reload,
                                        .unready = unready,
                                        .hopeless = hopeless,
                                        .ports = ports};
