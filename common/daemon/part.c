#include "part.h"

#include <assert.h>

#include "addr.h"
#include "buf.h"
#include "shared_limits.h"

enum { ANNOUNCE_MS = 1000, ID_HOST_MAX = 230 };

struct part {
    struct daemon_env *env;         // borrowed
    const struct daemon_role *role; // borrowed
    void *self;                     // borrowed: the role's value outlives us
    struct rpc_identity identity;
    struct rpc_server *server;
    struct cluster *cluster;
    struct timer again;
    char rpc[DAEMON_ADDRESS_MAX]; // what daemons are told
    struct host_port bound;       // where the RPC server listens
    char id[ROW_TEXT_MAX + 1];
    bool withdrawing, withdrawn;
};

struct host_port part_told(const char *advertise, const struct host_port *bound) {
    struct host_port at = {0};
    bool everywhere = strcmp(bound->host, "0.0.0.0") == 0 || strcmp(bound->host, "::") == 0 ||
                      strcmp(bound->host, "") == 0 || strcmp(bound->host, "*") == 0;
    if (*advertise && host_port_parse(advertise, true, &at) == 0)
        at.port = at.port ? at.port : bound->port;
    else if (everywhere)
        at = (struct host_port){.host = "127.0.0.1", .port = bound->port};
    else
        at = *bound;
    at.port_last = at.port;
    return at;
}

int part_cannot_listen(const struct host_port *at, const char *key, int error,
                       struct buf *ret_error) {
    char tried[DAEMON_ADDRESS_MAX];
    host_port_format(at->host, at->port, tried, sizeof(tried));
    buf_printf(ret_error, "%s: cannot listen at %s", key, tried);
    if (at->port_last != at->port)
        buf_printf(ret_error, "-%u", at->port_last);
    buf_printf(ret_error, ": %s", hw_strerror(error));
    return error;
}

void part_say_made(const char *key, const char *role, struct buf *ret_error) {
    buf_printf(ret_error, "; %s is empty, so its port is made from %s.listen", key, role);
}

static void count_calls(struct part *p) {
    struct metrics *m = p->env->metrics;
    const struct rpc_counts *counts = rpc_server_counts(p->server);
    metrics_counter(m, "calls_forbidden_total",
                    "calls of methods that are not for the caller's role", &counts->forbidden);
    metrics_counter(m, "peers_displaced_total",
                    "connections that gave way to newer ones before they had proven themselves",
                    &counts->displaced);
    metrics_counter(m, "peers_refused_total",
                    "daemons that did not prove themselves, or broke the protocol",
                    &counts->refused);
    metrics_counter(m, "refused_calls_total",
                    "calls that do not decode, decode to too much, or make no sense",
                    &counts->calls_refused);
    for (size_t i = 0; p->role->methods[i].handler; i++)
        metrics_counter(m, p->role->methods[i].counter, p->role->methods[i].help,
                        rpc_server_served(p->server, i));
}

static int part_serve(struct part *p, struct buf *ret_error) {
    const struct daemon_env *env = p->env;
    const char *key = p->role->rpc_listen_key;
    struct host_port at = config_listen(env->config, key);
    bool is_made = !*config_text(env->config, key);
    if (is_made && host_port_parse(env->rpc_listen, false, &at) != 0)
        abort(); // the role's own words
    int rc = rpc_server_new(&(struct rpc_server_options){.loop = env->loop,
                                                         .self = &p->identity,
                                                         .log = env->log,
                                                         .host = at.host,
                                                         .first = at.port,
                                                         .last = at.port_last,
                                                         .methods = p->role->methods,
                                                         .daemon = p->self},
                            &p->server);
    if (rc != 0) {
        part_cannot_listen(&at, key, rc, ret_error);
        if (is_made)
            part_say_made(key, env->role, ret_error);
        return rc;
    }
    count_calls(p);
    at.port = rpc_server_port(p->server);
    p->bound = at;
    at = part_told(config_text(env->config, p->role->rpc_told_key), &at);
    host_port_format(at.host, at.port, p->rpc, sizeof(p->rpc));
    return 0;
}

static void take_secrets(struct part *p) {
    int count;
    char *const *secrets = config_list(p->env->config, "cluster.secrets", &count);
    assert(count <= RPC_SECRETS_MAX); // the configuration takes no more
    p->identity.secret_count = count;
    for (int i = 0; i < count; i++)
        p->identity.secrets[i] = secrets[i];
}

static void join(struct part *p) {
    struct daemon_env *env = p->env;
    struct cluster_options options = p->role->events;
    char own[DAEMON_ADDRESS_MAX];
    char *own_list[] = {own};
    options.loop = env->loop;
    options.log = env->log;
    options.metrics = env->metrics;
    options.self = &p->identity;
    options.arg = p->self;
    options.registers = config_list(env->config, "cluster.registers", &options.register_count);
    if (p->role->is_register) {
        struct host_port at = part_told("", &p->bound);
        host_port_format(at.host, at.port, own, sizeof(own));
        options.registers = own_list;
        options.register_count = 1;
    }
    p->cluster = cluster_new(&options);
    env->cluster = p->cluster;
}

int part_new(struct daemon_env *env, const struct daemon_role *role, void *self,
             struct buf *ret_error) {
    struct part *p = hw_calloc(1, sizeof(*p));
    *p = (struct part){.env = env,
                       .role = role,
                       .self = self,
                       .identity = {.role = env->role, .incarnation = env->incarnation}};
    take_secrets(p);
    int rc = role->methods ? part_serve(p, ret_error) : 0;
    if (rc != 0) {
        free(p);
        return rc;
    }
    join(p);
    env->part = p;
    return 0;
}

void part_free(struct daemon_env *env) {
    struct part *p = env->part;
    if (!p)
        return;
    loop_disarm(env->loop, &p->again);
    cluster_free(p->cluster);
    env->cluster = NULL;
    rpc_server_free(p->server);
    free(p);
    env->part = NULL;
}

static bool is_own_machine(const char *host) {
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

// The id names the place, so that it stays over restarts: its advertised address. One that means
// another machine to everybody gives way to this machine's name, so that two machines differ. A
// register's row takes it: of a longer name the end, which is the domain's, is left out.
static void name_it(struct part *p, Hawser__Internal__Member *m) {
    const struct daemon_env *env = p->env;
    struct host_port at = {0};
    if (m->n_endpoint > 0) {
        snprintf(at.host, sizeof(at.host), "%s", m->endpoint[0]->host);
        at.port = (uint16_t)m->endpoint[0]->port;
    } else if (host_port_parse(*p->rpc ? p->rpc : m->http ? m->http : "", true, &at) != 0) {
        at.host[0] = '\0'; // advertises nothing
    }
    const char *host = env->host && is_own_machine(at.host) ? env->host : at.host;
    snprintf(p->id, sizeof(p->id), "%s-%.*s-%u", env->role, ID_HOST_MAX, host, at.port);
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
    const struct daemon_env *env = p->env;
    if (p->withdrawing)
        return;
    Hawser__Internal__Member m = HAWSER__INTERNAL__MEMBER__INIT;
    m.role = (char *)(uintptr_t)env->role;
    m.rpc = p->rpc;
    m.idc = (char *)(uintptr_t)config_text(env->config, "cluster.idc");
    m.started_ms = env->started_ms;
    if (p->role->fill)
        p->role->fill(p->self, &m);
    name_it(p, &m);
    cluster_announce(p->cluster, &m);
    loop_arm(env->loop, &p->again, ANNOUNCE_MS, announce_again);
}

static void part_on_withdrawn(void *arg) {
    struct part *p = arg;
    p->withdrawn = true;
}

void part_withdraw(struct part *p) {
    if (p->withdrawing)
        return;
    p->withdrawing = true;
    loop_disarm(p->env->loop, &p->again);
    cluster_withdraw(p->cluster, part_on_withdrawn, p);
}

bool part_is_withdrawn(const struct part *p) {
    return p->withdrawn;
}

const char *part_id(const struct part *p) {
    return p->id;
}

uint16_t part_rpc_port(const struct part *p) {
    return p->server ? rpc_server_port(p->server) : 0;
}

void part_reload(struct part *p) {
    take_secrets(p);
}
