// A dispatcher's life.
#include "dispatcher.h"

#include "dispatcher_internal.h"

static void fill(void *self, Hawser__Internal__Member *m) {
    struct dispatcher *d = self;
    m->n_endpoint = 1;
    m->endpoint = d->endpoint_list;
    m->http = d->http_at;
}

static void stop(void *self) {
    struct dispatcher *d = self;
    listener_free(d->listener);
    visitors_end(d);
    http_server_free(d->http); // before what its handler asks
    part_free(d->part);
    arena_deinit(&d->arena);
    free(d);
}

static int parse_listen(struct dispatcher *d, const char *key, struct host_port *ret_at,
                        struct buf *ret_error) {
    const char *listen = config_text(d->env->config, key);
    if (host_port_parse(listen, false, ret_at) == 0)
        return 0;
    buf_printf(ret_error, "%s: '%s' is not host:port", key, listen);
    return -HW_ECONFIG;
}

static int serve_frames(struct dispatcher *d, struct buf *ret_error) {
    struct host_port at;
    int count;
    int rc = parse_listen(d, "dispatcher.listen", &at, ret_error);
    if (rc != 0)
        return rc;
    rc = listener_new(d->loop, at.host, at.port, at.port_last, visitor_accept, d, &d->listener);
    if (rc != 0) {
        buf_printf(ret_error, "dispatcher.listen: cannot listen at %s: %s",
                   config_text(d->env->config, "dispatcher.listen"), hw_strerror(rc));
        return rc;
    }
    char *const *advertise = config_list(d->env->config, "dispatcher.advertise", &count);
    char text[HOST_MAX + 8];
    part_advertised(count ? advertise[0] : "", at.host, listener_port(d->listener), text,
                    sizeof(text));
    if (host_port_parse(text, false, &at) != 0) {
        buf_printf(ret_error, "dispatcher.advertise: '%s' is not host:port", text);
        return -HW_ECONFIG;
    }
    hawser__internal__member_endpoint__init(&d->endpoint);
    snprintf(d->host, sizeof(d->host), "%s", at.host);
    d->endpoint.host = d->host;
    d->endpoint.port = at.port;
    d->transport = HAWSER__V1__TRANSPORT__PLAIN;
    d->endpoint.transport = &d->transport;
    d->endpoint.n_transport = 1;
    d->endpoint_list[0] = &d->endpoint;
    return 0;
}

static int serve_http(struct dispatcher *d, struct buf *ret_error) {
    struct host_port at;
    int rc = parse_listen(d, "dispatcher.http_listen", &at, ret_error);
    if (rc != 0)
        return rc;
    rc = http_server_new(&(struct http_options){.loop = d->loop,
                                                .host = at.host,
                                                .port_first = at.port,
                                                .port_last = at.port_last,
                                                .log = d->env->log,
                                                .limits = http_limits_default,
                                                .allow_origin = "*",
                                                .handler = locate_http,
                                                .arg = d},
                         &d->http);
    if (rc != 0) {
        buf_printf(ret_error, "dispatcher.http_listen: cannot listen at %s: %s",
                   config_text(d->env->config, "dispatcher.http_listen"), hw_strerror(rc));
        return rc;
    }
    http_server_count(d->http, d->env->metrics, false);
    host_port_format(d->host, http_server_port(d->http), d->http_at, sizeof(d->http_at));
    return 0;
}

int dispatcher_start(struct daemon_env *env, bool with_http, struct buf *ret_error,
                     void **ret_self) {
    struct dispatcher *d = hw_calloc(1, sizeof(*d));
    struct metrics *m = env->metrics;
    d->env = env;
    d->loop = env->loop;
    // They come for a moment: the HTTP door, and what else lives in this process, need as much.
    d->visitors_max = descriptors_for_clients(os_descriptors(loop_os(d->loop))) / 4 + 1;
    arena_init(&d->arena);
    struct part_options o = {.env = env, .listen = "", .advertise = "", .self = d, .fill = fill};
    int rc = serve_frames(d, ret_error);
    if (rc == 0 && with_http)
        rc = serve_http(d, ret_error);
    if (rc == 0)
        rc = part_new(&o, ret_error, &d->part);
    if (rc != 0) {
        stop(d);
        return rc;
    }
    metrics_counter(m, "located_total", "answers to Locate", &d->count.located);
    metrics_counter(m, "without_room_total", "answers without a room", &d->count.without_room);
    metrics_counter(m, "http_requests_total", "HTTP requests", &d->count.http_requests);
    metrics_counter(m, "protocol_errors_total", "connections closed with 43xx",
                    &d->count.protocol_errors);
    metrics_counter(m, "visitors_displaced_total",
                    "silent connections that gave way to newcomers at a full dispatcher",
                    &d->count.visitors_displaced);
    metrics_gauge(m, "connections_count", "connections", &d->count.visitors);
    part_announce(d->part);
    log_event(env->log, LOG_INFO, "listening", "port=%u", listener_port(d->listener));
    *ret_self = d;
    return 0;
}

static int start(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    return dispatcher_start(env, true, ret_error, ret_self);
}

static void drain(void *self) {
    struct dispatcher *d = self;
    if (d->http)
        http_server_drain(d->http);
    part_withdraw(d->part);
}

static bool is_drained(void *self) {
    struct dispatcher *d = self;
    return part_is_withdrawn(d->part);
}

static void reload(void *self) {
    struct dispatcher *d = self;
    part_reload(d->part);
}

static const char *unready(void *self) {
    struct dispatcher *d = self;
    return cluster_unready_reason(part_cluster(d->part));
}

static const char *hopeless(void *self) {
    struct dispatcher *d = self;
    return cluster_hopeless(part_cluster(d->part));
}

static int ports(void *self, struct daemon_port out[DAEMON_PORTS_MAX]) {
    struct dispatcher *d = self;
    out[0] = (struct daemon_port){"dispatcher", listener_port(d->listener)};
    out[1] = (struct daemon_port){"dispatcher_http", d->http ? http_server_port(d->http) : 0};
    return 2;
}

const struct daemon_role dispatcher_role = {.name = "dispatcher",
                                            .start = start,
                                            .stop = stop,
                                            .drain = drain,
                                            .is_drained = is_drained,
                                            .reload = reload,
                                            .unready = unready,
                                            .hopeless = hopeless,
                                            .ports = ports};
