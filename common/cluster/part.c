#include "part.h"

#include "addr.h"
#include "buf.h"

enum { ANNOUNCE_MS = 1000, ADDRESS_MAX = HOST_MAX + 8 };

struct part {
    struct part_options options;
    struct rpc_identity identity;
    struct rpc_server *server;
    struct cluster *cluster;
    struct timer again;
    char host[HOST_MAX + 1]; // where the server is bound
    char rpc[ADDRESS_MAX], id[ADDRESS_MAX + 16];
    bool withdrawing, withdrawn;
};

void part_advertised(const char *advertise, const char *bound_host, uint16_t bound_port, char *out,
                     size_t out_len) {
    struct host_port at = {0};
    if (*advertise && host_port_parse(advertise, true, &at) == 0) {
        host_port_format(at.host, at.port ? at.port : bound_port, out, out_len);
        return;
    }
    bool everywhere = strcmp(bound_host, "0.0.0.0") == 0 || strcmp(bound_host, "::") == 0 ||
                      strcmp(bound_host, "") == 0 || strcmp(bound_host, "*") == 0;
    host_port_format(everywhere ? "127.0.0.1" : bound_host, bound_port, out, out_len);
}

static int listen_at(struct part *p, struct buf *ret_error) {
    const struct part_options *o = &p->options;
    struct host_port at;
    if (host_port_parse(o->listen, false, &at) != 0) {
        buf_printf(ret_error, "%s: '%s' is not host:port", o->env->role, o->listen);
        return -HW_ECONFIG;
    }
    int rc = rpc_server_new(o->env->loop, &p->identity, o->env->log, at.host, at.port, at.port_last,
                            o->methods, o->self, &p->server);
    if (rc < 0) {
        buf_printf(ret_error, "%s: cannot listen at %s: %s", o->env->role, o->listen,
                   hw_strerror(rc));
        return rc;
    }
    metrics_counter(o->env->metrics, "calls_forbidden_total",
                    "calls of methods that are not for the caller's role",
                    &rpc_server_counts(p->server)->forbidden);
    metrics_counter(o->env->metrics, "peers_displaced_total",
                    "connections that gave way to newer ones before they had proven themselves",
                    &rpc_server_counts(p->server)->displaced);
    metrics_counter(o->env->metrics, "peers_refused_total",
                    "daemons that did not prove themselves, or broke the protocol",
                    &rpc_server_counts(p->server)->refused);
    snprintf(p->host, sizeof(p->host), "%s", at.host);
    part_advertised(o->advertise, at.host, rpc_server_port(p->server), p->rpc, sizeof(p->rpc));
    return 0;
}

static void take_secrets(struct part *p) {
    int count;
    char *const *secrets = config_list(p->options.env->config, "cluster.secrets", &count);
    p->identity.secret_count = count < RPC_SECRETS_MAX ? count : RPC_SECRETS_MAX;
    for (int i = 0; i < p->identity.secret_count; i++)
        p->identity.secrets[i] = secrets[i];
}

static int join(struct part *p, struct buf *ret_error) {
    const struct daemon_env *env = p->options.env;
    struct cluster_options options = p->options.events;
    char own[ADDRESS_MAX];
    char *own_list[] = {own};
    struct host_port at;
    options.loop = env->loop;
    options.log = env->log;
    options.metrics = env->metrics;
    options.self = &p->identity;
    options.arg = p->options.self;
    options.registers = config_list(env->config, "cluster.registers", &options.register_count);
    if (p->options.is_register) {
        part_advertised("", p->host, rpc_server_port(p->server), own, sizeof(own));
        options.registers = own_list;
        options.register_count = 1;
    }
    for (int i = 0; i < options.register_count; i++)
        if (host_port_parse(options.registers[i], false, &at) != 0) {
            buf_printf(ret_error, "cluster.registers: '%s' is not host:port", options.registers[i]);
            return -HW_ECONFIG;
        }
    if (options.register_count == 0) {
        buf_append_str(ret_error, "cluster.registers: at least one host:port is needed");
        return -HW_ECONFIG;
    }
    p->cluster = cluster_new(&options);
    return 0;
}

int part_new(const struct part_options *o, struct buf *ret_error, struct part **ret_part) {
    struct part *p = hw_calloc(1, sizeof(*p));
    p->options = *o;
    p->identity = (struct rpc_identity){.role = o->env->role, .incarnation = o->env->incarnation};
    take_secrets(p);
    int rc = o->methods ? listen_at(p, ret_error) : 0;
    if (rc == 0)
        rc = join(p, ret_error);
    if (rc != 0) {
        part_free(p);
        return rc;
    }
    *ret_part = p;
    return 0;
}

void part_free(struct part *p) {
    if (!p)
        return;
    loop_disarm(p->options.env->loop, &p->again);
    cluster_free(p->cluster);
    rpc_server_free(p->server);
    free(p);
}

static bool is_own_machine(const char *host) {
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

// The id names the place, so that it stays over restarts: its advertised address. One that means
// another machine to everybody gives way to this machine's name, so that two machines differ.
static void name_it(struct part *p, Hawser__Internal__Member *m) {
    const struct daemon_env *env = p->options.env;
    struct host_port at = {0};
    if (m->n_endpoint > 0) {
        snprintf(at.host, sizeof(at.host), "%s", m->endpoint[0]->host);
        at.port = (uint16_t)m->endpoint[0]->port;
    } else if (host_port_parse(*p->rpc ? p->rpc : m->http ? m->http : "", true, &at) != 0) {
        at.host[0] = '\0'; // advertises nothing
    }
    const char *host = env->host && is_own_machine(at.host) ? env->host : at.host;
    snprintf(p->id, sizeof(p->id), "%s-%.255s-%u", env->role, host, at.port);
    for (char *c = p->id; *c; c++)
        if (*c == ':' || *c <= ' ' || *c == '"')
            *c = '-';
    snprintf(env->log->id, sizeof(env->log->id), "%.63s", p->id);
    m->id = p->id;
}

static void announce_again(struct timer *t) {
    part_announce(container_of(t, struct part, again));
}

void part_announce(struct part *p) {
    const struct daemon_env *env = p->options.env;
    if (p->withdrawing)
        return;
    Hawser__Internal__Member m = HAWSER__INTERNAL__MEMBER__INIT;
    m.role = (char *)(uintptr_t)env->role;
    m.rpc = p->rpc;
    m.idc = (char *)(uintptr_t)config_text(env->config, "cluster.idc");
    m.started_ms = env->started_ms;
    if (p->options.fill)
        p->options.fill(p->options.self, &m);
    name_it(p, &m);
    cluster_announce(p->cluster, &m);
    loop_arm(env->loop, &p->again, ANNOUNCE_MS, announce_again);
}

static void on_withdrawn(void *arg) {
    struct part *p = arg;
    p->withdrawn = true;
}

void part_withdraw(struct part *p) {
    if (p->withdrawing)
        return;
    p->withdrawing = true;
    loop_disarm(p->options.env->loop, &p->again);
    cluster_withdraw(p->cluster, on_withdrawn, p);
}

bool part_is_withdrawn(const struct part *p) {
    return p->withdrawn;
}

struct cluster *part_cluster(struct part *p) {
    return p->cluster;
}

uint16_t part_rpc_port(const struct part *p) {
    return p->server ? rpc_server_port(p->server) : 0;
}

void part_reload(struct part *p) {
    take_secrets(p);
}
