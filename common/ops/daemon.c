// One daemon in a loop: its role's value, its log and metrics, and its ops port.
#include "daemon.h"

#include <unistd.h>

#include "addr.h"
#include "http.h"

struct daemon {
    struct daemon_env env;
    const struct daemon_role *role;
    struct log log;
    char host[65];
    void *self; // owned, the role's
    struct http_server *ops;
    bool draining;
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
    const char *reason = NULL;
    if (strcmp(r->method, "GET") != 0) {
        bool is_options = strcmp(r->method, "OPTIONS") == 0;
        http_respond(r, &(struct http_response){.status = is_options ? 204 : 405,
                                                .headers = {{"Allow", "GET, HEAD, OPTIONS"}}});
    } else if (strcmp(r->path, "/healthz") == 0) {
        buf_append_str(&body, "ok\n");
        ops_text(r, 200, "text/plain", &body);
    } else if (strcmp(r->path, "/readyz") == 0) {
        reason = daemon_unready(d);
        buf_printf(&body, "%s\n", reason ? reason : "ready");
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
    char name[48];
    struct daemon_port ports[DAEMON_PORTS_MAX] = {0};
    struct host_port at = {.host = "127.0.0.1"}, own = {0};
    snprintf(name, sizeof(name), "%s.listen", d->role->name);
    bool chosen =
        host_port_parse(config_text(d->env.config, name), true, &own) == 0 && own.port == 0;
    snprintf(name, sizeof(name), "%s.ops_listen", d->role->name);
    const char *listen = config_text(d->env.config, name);
    if (*listen && host_port_parse(listen, false, &at) != 0) {
        buf_printf(ret_error, "%s: '%s' is not host:port", name, listen);
        return -HW_ECONFIG;
    }
    if (!*listen && !chosen && d->role->ports(d->self, ports) > 0)
        at.port = at.port_last = (uint16_t)(ports[0].port + 1000);
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
        buf_printf(ret_error, "%s: %s:%u: %s", name, at.host, at.port, hw_strerror(rc));
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

int daemon_new(const struct daemon_role *role, struct loop *l, const struct config *config,
               struct buf *ret_error, struct daemon **ret_daemon) {
    struct daemon *d = hw_calloc(1, sizeof(*d));
    d->role = role;
    log_init(&d->log, role->name, level_of(config));
    d->env = (struct daemon_env){.role = role->name,
                                 .loop = l,
                                 .log = &d->log,
                                 .config = config,
                                 .metrics = metrics_new(role->name),
                                 .incarnation = rng_epoch(loop_rng(l)),
                                 .started_ms = loop_wall_ms(l)};
    if (gethostname(d->host, sizeof(d->host) - 1) == 0)
        d->env.host = d->host;
    metrics_gauge_read(d->env.metrics, "resident_bytes", "memory of the process", process_rss,
                       NULL);
    metrics_counter(d->env.metrics, "log_dropped_total", "log lines that stderr did not take",
                    &d->log.dropped);
    metrics_counter(d->env.metrics, "log_kept_back_total",
                    "log lines over what one event, or one peer, may cause", &d->log.kept_back);
    metrics_counter(d->env.metrics, "accepts_refused_total",
                    "newcomers closed for want of descriptors", loop_accepts_refused(l));
    metrics_gauge(d->env.metrics, "incarnation_number", "random number of this run",
                  &d->env.incarnation);
    int rc = role->start(&d->env, ret_error, &d->self);
    if (rc == 0)
        rc = ops_start(d, ret_error);
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
    if (d->self)
        d->role->stop(d->self);
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
}

bool daemon_is_drained(struct daemon *d) {
    return d->draining && (!d->role->is_drained || d->role->is_drained(d->self));
}

void daemon_reload(struct daemon *d, const struct config *config) {
    d->env.config = config;
    d->log.level = level_of(config);
    if (d->role->reload)
        d->role->reload(d->self);
    log_event(&d->log, LOG_INFO, "reloaded", "%s", "");
}

const char *daemon_unready(struct daemon *d) {
    return d->draining ? "draining" : d->role->unready ? d->role->unready(d->self) : NULL;
}

const char *daemon_hopeless(struct daemon *d) {
    return d->role->hopeless ? d->role->hopeless(d->self) : NULL;
}

int daemon_ports(struct daemon *d, struct daemon_port out[DAEMON_PORTS_MAX]) {
    return d->role->ports(d->self, out);
}

uint16_t daemon_ops_port(const struct daemon *d) {
    return http_server_port(d->ops);
}

struct log *daemon_log(struct daemon *d) {
    return &d->log;
}
