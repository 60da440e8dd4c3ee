// One daemon in a loop: its role's value, its place in the cluster, its log and metrics, and its
// ops port.
#include "daemon.h"

#include <unistd.h>

#include "http.h"
#include "part.h"

enum { STORE_WAIT_MS = 5000 }; // at the start, for a store that does not answer

struct daemon {
    struct daemon_env env;
    const struct daemon_role *role;
    struct log log;
    char host[65];
    void *self; // owned, the role's
    struct http_server *ops;
    bool draining;
    char hopeless[256];
};

// --- the ops port

static void ops_text(struct http_request *r, int status, const char *type, struct buf *body) {
    http_respond(
        r, &(struct http_response){
               .status = status, .content_type = type, .body = body->data, .body_len = body->len});
    buf_free(body);
}

static void ops_request(void *arg, struct http_request *r) {
    struct daemon *d = arg;
    struct buf body = BUF_EMPTY;
    const char *reason = NULL, *lack = NULL;
    if (strcmp(r->method, "GET") != 0) {
        bool is_options = strcmp(r->method, "OPTIONS") == 0;
        http_respond(r, &(struct http_response){.status = is_options ? 204 : 405,
                                                .headers = {{"Allow", "GET, HEAD, OPTIONS"}}});
    } else if (strcmp(r->path, "/healthz") == 0) {
        buf_append_str(&body, "ok\n");
        ops_text(r, 200, "text/plain", &body);
    } else if (strcmp(r->path, "/readyz") == 0) {
        reason = daemon_unready(d);
        lack = !reason && d->role->lacks ? d->role->lacks(d->self) : NULL;
        buf_printf(&body, "%s%s%s\n", reason ? reason : "ready", lack ? "; " : "",
                   lack ? lack : "");
        ops_text(r, reason ? 503 : 200, "text/plain", &body);
    } else if (strcmp(r->path, "/metrics") == 0) {
        metrics_print(d->env.metrics, &body);
        ops_text(r, 200, "text/plain; version=0.0.4", &body);
    } else if (strcmp(r->path, "/config") == 0) {
        config_print(d->env.config, &body);
        ops_text(r, 200, "application/yaml", &body);
    } else {
        buf_append_str(&body, "there are /healthz, /readyz, /metrics and /config\n");
        ops_text(r, 404, "text/plain", &body);
    }
}

// Port + 1000 on 127.0.0.1 unless configured; the kernel's choice where the own port was its
// choice.
static int ops_start(struct daemon *d, struct buf *ret_error) {
    char own[48], name[48];
    struct daemon_port ports[DAEMON_PORTS_MAX] = {0};
    snprintf(own, sizeof(own), "%s.listen", d->role->name);
    snprintf(name, sizeof(name), "%s.ops_listen", d->role->name);
    struct host_port at = config_listen(d->env.config, name);
    bool is_made = !*config_text(d->env.config, name);
    if (is_made) {
        at = (struct host_port){.host = "127.0.0.1"};
        if (daemon_ports(d, ports) > 0 && config_listen(d->env.config, own).port != 0)
            at.port = at.port_last = (uint16_t)(ports[0].port + 1000);
    }
    int rc = http_server_new(&(struct http_options){.loop = d->env.loop,
                                                    .host = at.host,
                                                    .port_first = at.port,
                                                    .port_last = at.port_last,
                                                    .door = DOOR_OPS,
                                                    .log = &d->log,
                                                    .limits = http_limits_default,
                                                    .handler = ops_request,
                                                    .arg = d},
                             &d->ops);
    if (rc == 0)
        http_server_count(d->ops, d->env.metrics, true);
    else
        part_cannot_listen(&at, name, rc, ret_error);
    if (rc != 0 && is_made)
        part_say_made(name, d->role->name, ret_error);
    return rc;
}

// --- the daemon

static enum log_level level_of(const struct config *config) {
    static const char *const names[] = {"error", "warn", "info", "debug"};
    int i = 0;
    while (i < LOG_DEBUG && strcmp(config_text(config, "cluster.log_level"), names[i]) != 0)
        i++;
    return (enum log_level)i;
}

static uint64_t process_rss(void *arg) {
    (void)arg;
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f)
        return 0;
    if (fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(f);
    return (uint64_t)pages * 4096;
}

static void count_process(struct daemon *d) {
    struct metrics *m = d->env.metrics;
    metrics_gauge_read(m, "resident_bytes", "memory of the process", process_rss, NULL);
    metrics_counter(m, "log_dropped_total", "log lines that stderr did not take", &d->log.dropped);
    metrics_counter(m, "log_kept_back_total",
                    "log lines over what one event, or one peer, may cause", &d->log.kept_back);
    metrics_gauge(m, "unfinished_bytes", "read of frames and requests that are not whole yet",
                  loop_kept_bytes(d->env.loop));
    metrics_counter(m, "accepts_refused_total", "newcomers closed for want of descriptors",
                    loop_accepts_refused(d->env.loop));
    metrics_counter(m, "stale_events_total", "events of what had closed meanwhile",
                    loop_stale_events(d->env.loop));
    metrics_gauge(m, "incarnation_number", "random number of this run", &d->env.incarnation);
}

static struct daemon_store daemon_store(struct daemon *d) {
    struct daemon_store store = {0};
    if (d->role->store)
        d->role->store(d->self, &store);
    return store;
}

static uint64_t store_up(void *arg) {
    return daemon_store(arg).down_reason ? 0 : 1;
}

static void count_role(struct daemon *d) {
    const struct daemon_metric *row = d->role->metrics;
    for (; row && row->name; row++) {
        const uint64_t *value = (const void *)((const char *)d->self + row->at);
        if (row->read && !row->is_gauge)
            metrics_counter_read(d->env.metrics, row->name, row->help, row->read, d->self);
        else if (row->read)
            metrics_gauge_read(d->env.metrics, row->name, row->help, row->read, d->self);
        else if (row->is_gauge)
            metrics_gauge(d->env.metrics, row->name, row->help, value);
        else
            metrics_counter(d->env.metrics, row->name, row->help, value);
    }
    if (d->role->store)
        metrics_gauge_read(d->env.metrics, "store_up", "whether the store answers", store_up, d);
}

static void log_ports(struct daemon *d) {
    struct daemon_port ports[DAEMON_PORTS_MAX];
    struct buf text = BUF_EMPTY;
    int count = daemon_ports(d, ports);
    for (int i = 0; i < count; i++)
        buf_printf(&text, "%s%s=%u", i ? " " : "", i ? ports[i].name : "port", ports[i].port);
    log_event(&d->log, LOG_INFO, "listening", "%s cluster=%s", buf_cstr(&text),
              log_quote_str(config_text(d->env.config, "cluster.name")));
    buf_free(&text);
}

static int daemon_start(struct daemon *d, struct buf *ret_error) {
    int rc = d->role->start(&d->env, ret_error, &d->self);
    if (rc == 0)
        rc = part_new(&d->env, d->role, d->self, ret_error);
    if (rc == 0)
        rc = ops_start(d, ret_error);
    if (rc != 0)
        return rc;
    if (d->role->joined)
        d->role->joined(d->self);
    count_role(d);
    part_announce(d->env.part);
    log_ports(d);
    return 0;
}

int daemon_new(const struct daemon_options *o, struct buf *ret_error, struct daemon **ret_daemon) {
    struct daemon *d = hw_calloc(1, sizeof(*d));
    d->role = o->role;
    log_init(&d->log, o->role->name, level_of(o->config));
    if (o->log_sink) {
        d->log.sink = o->log_sink;
        d->log.sink_arg = o->log_sink_arg;
    }
    d->env = (struct daemon_env){.role = o->role->name,
                                 .loop = o->loop,
                                 .log = &d->log,
                                 .config = o->config,
                                 .metrics = metrics_new(o->role->name),
                                 .incarnation = rng_epoch(loop_rng(o->loop)),
                                 .started_ms = loop_wall_ms(o->loop),
                                 .hosted_by = o->hosted_by};
    if (gethostname(d->host, sizeof(d->host) - 1) == 0)
        d->env.host = d->host;
    count_process(d);
    int rc = daemon_start(d, ret_error);
    if (rc != 0) {
        daemon_free(d);
        return rc;
    }
    *ret_daemon = d;
    return 0;
}

void daemon_free(struct daemon *d) {
    if (!d)
        return;
    http_server_free(d->ops); // before what its handler asks
    if (d->self && d->role->stop)
        d->role->stop(d->self);
    part_free(&d->env);
    if (d->self)
        d->role->free(d->self);
    metrics_free(d->env.metrics);
    free(d);
}

void daemon_drain(struct daemon *d) {
    if (d->draining)
        return;
    d->draining = true;
    log_event(&d->log, LOG_INFO, "draining", "%s", "");
    if (d->role->drain)
        d->role->drain(d->self);
    if (!d->role->stays_listed)
        part_withdraw(d->env.part);
}

bool daemon_is_drained(struct daemon *d) {
    if (!d->draining || (d->role->is_drained && !d->role->is_drained(d->self)))
        return false;
    part_withdraw(d->env.part); // of one that stayed listed
    return part_is_withdrawn(d->env.part);
}

void daemon_reload(struct daemon *d, const struct config *config) {
    d->env.config = config;
    d->log.level = level_of(config);
    part_reload(d->env.part);
    log_event(&d->log, LOG_INFO, "reloaded", "%s", "");
}

const char *daemon_unready(struct daemon *d) {
    const char *reason = d->draining ? "draining" : daemon_store(d).down_reason;
    if (!reason)
        reason = cluster_unready_reason(d->env.cluster);
    return reason || !d->role->unready ? reason : d->role->unready(d->self);
}

// A store that was never there is a wrong URL sooner than an accident.
const char *daemon_hopeless(struct daemon *d) {
    struct daemon_store s = daemon_store(d);
    if (!s.down_reason || s.is_coming ||
        loop_wall_ms(d->env.loop) < d->env.started_ms + STORE_WAIT_MS)
        return cluster_hopeless(d->env.cluster);
    snprintf(d->hopeless, sizeof(d->hopeless), "%s: %s", s.opened_by, s.down_reason);
    return d->hopeless;
}

int daemon_ports(const struct daemon *d, struct daemon_port out[DAEMON_PORTS_MAX]) {
    int count = 0;
    for (; count < DAEMON_PORTS_MAX && d->role->ports[count].name; count++) {
        uint16_t (*of)(const void *self) = d->role->ports[count].of;
        out[count] = (struct daemon_port){d->role->ports[count].name,
                                          of ? of(d->self) : part_rpc_port(d->env.part)};
    }
    return count;
}

uint16_t daemon_port(const struct daemon *d, const char *name) {
    struct daemon_port ports[DAEMON_PORTS_MAX];
    for (int i = daemon_ports(d, ports) - 1; i >= 0; i--)
        if (strcmp(ports[i].name, name) == 0)
            return ports[i].port;
    return 0;
}

uint16_t daemon_ops_port(const struct daemon *d) {
    return http_server_port(d->ops);
}

const struct daemon_env *daemon_env(const struct daemon *d) {
    return &d->env;
}

void *daemon_self(struct daemon *d) {
    return d->self;
}
