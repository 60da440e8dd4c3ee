// A dispatcher's life.
#include "dispatcher.h"

#include "dispatcher_internal.h"

static void dispatcher_fill(void *self, Hawser__Internal__Member *m) {
    struct dispatcher *d = self;
    m->n_endpoint = (size_t)d->endpoints.count;
    m->endpoint = d->endpoints.list;
    m->http = d->http_at;
}

static void dispatcher_free(void *self) {
    struct dispatcher *d = self;
    listener_free(d->listener);
    visitors_end(d);
    http_server_free(d->http); // before what its handler asks
    arena_deinit(&d->arena);
    free(d);
}

static int serve_frames(struct dispatcher *d, struct buf *ret_error) {
    struct host_port at = config_listen(d->env->config, "dispatcher.listen");
    int rc = listener_new(d->loop, (struct listen_at){at.host, at.port, at.port_last},
                          visitor_accept, d, &d->listener);
    if (rc != 0)
        return part_cannot_listen(&at, "dispatcher.listen", rc, ret_error);
    at.port = listener_port(d->listener);
    endpoints_take(&d->endpoints, d->env, "dispatcher.advertise", &at);
    return 0;
}

static int serve_http(struct dispatcher *d, struct buf *ret_error) {
    struct host_port at = config_listen(d->env->config, "dispatcher.http_listen");
    int rc = http_server_new(&(struct http_options){.loop = d->loop,
                                                    .host = at.host,
                                                    .port_first = at.port,
                                                    .port_last = at.port_last,
                                                    .log = d->env->log,
                                                    .limits = http_limits_default,
                                                    .allow_origin = "*",
                                                    .handler = locate_http,
                                                    .arg = d},
                             &d->http);
    if (rc != 0)
        return part_cannot_listen(&at, "dispatcher.http_listen", rc, ret_error);
    http_server_count(d->http, d->env->metrics, false);
    host_port_format(d->endpoints.hosts[0], http_server_port(d->http), d->http_at,
                     sizeof(d->http_at));
    return 0;
}

static int dispatcher_start(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    struct dispatcher *d = hw_calloc(1, sizeof(*d));
    d->env = env;
    d->loop = env->loop;
    // They come for a moment: the HTTP door, and what else lives in this process, need as much.
    d->visitors_max = descriptors_for_clients(os_descriptors(loop_os(d->loop))) / 4 + 1;
    arena_init(&d->arena);
    visitors_begin(d);
    int rc = serve_frames(d, ret_error);
    if (rc == 0)
        rc = serve_http(d, ret_error);
    if (rc == 0)
        *ret_self = d;
    else
        dispatcher_free(d);
    return rc;
}

static void dispatcher_drain(void *self) {
    struct dispatcher *d = self;
    http_server_drain(d->http);
}

static uint16_t dispatcher_port(const void *self) {
    const struct dispatcher *d = self;
    return listener_port(d->listener);
}

static uint16_t dispatcher_http_port(const void *self) {
    const struct dispatcher *d = self;
    return http_server_port(d->http);
}

static const struct daemon_metric metrics[] = {
    DAEMON_COUNTER(dispatcher, count.located, "located_total", "answers to Locate"),
    DAEMON_COUNTER(dispatcher, count.without_room, "without_room_total", "answers without a room"),
    DAEMON_COUNTER(dispatcher, count.http_requests, "http_requests_total", "HTTP requests"),
    DAEMON_COUNTER(dispatcher, count.protocol_errors, "protocol_errors_total",
                   "connections closed with 43xx, or whose first bytes are of no protocol"),
    DAEMON_COUNTER(dispatcher, count.visitors_displaced, "visitors_displaced_total",
                   "silent connections that gave way to newcomers at a full dispatcher"),
    DAEMON_COUNTER(dispatcher, count.silent, "silent_total",
                   "connections whose first bytes did not come in time"),
    DAEMON_GAUGE(dispatcher, count.visitors, "connections_count", "connections"),
    {0},
};

const struct daemon_role dispatcher_role = {
    .name = "dispatcher",
    .start = dispatcher_start,
    .drain = dispatcher_drain,
    .free = dispatcher_free,
    .fill = dispatcher_fill,
    .metrics = metrics,
    .ports = {{"dispatcher", dispatcher_port}, {"dispatcher_http", dispatcher_http_port}},
};
