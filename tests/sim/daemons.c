// The daemons of a run: production roles on simulated nodes.
#include "buf.h"
#include "center.h"
#include "coordinator.h"
#include "dispatcher.h"
#include "register.h"
#include "room.h"
#include "run.h"
#include "saver.h"

static void set(struct config *c, const char *key, const char *text) {
    struct buf error = BUF_EMPTY;
    if (config_set(c, key, text, &error) != 0) {
        fprintf(stderr, "sim: %s\n", buf_cstr(&error));
        abort();
    }
    buf_free(&error);
}

static void configure(struct run *r, struct daemon_slot *d) {
    char host[32], text[64];
    d->config = config_default();
    node_address(&r->world, d->node, host, sizeof(host));
    set(d->config, "cluster.secrets", "simulated-cluster-secret-0123456789");
    set(d->config, "cluster.admin_keys", ADMIN_KEY);
    set(d->config, "cluster.registers", "10.0.0.1:7400,10.0.0.2:7400");
    set(d->config, "cluster.log_level", r->world.trace ? "info" : "error");
    set(d->config, "room.connections_max", "1000");
    snprintf(text, sizeof(text), "%s:7400", host);
    set(d->config, "register.listen", text);
    snprintf(text, sizeof(text), "%s:7500", host);
    set(d->config, "saver.listen", text);
    snprintf(text, sizeof(text), "%s:7200", host);
    set(d->config, "room.listen", text);
    snprintf(text, sizeof(text), "%s:7100", host);
    set(d->config, "dispatcher.listen", text);
    snprintf(text, sizeof(text), "%s:7180", host);
    set(d->config, "dispatcher.http_listen", text);
    snprintf(text, sizeof(text), "%s:%d", host, CENTER_PORT);
    set(d->config, "center.listen", text);
    snprintf(text, sizeof(text), "%s:7600", host);
    set(d->config, "coordinator.listen", text);
    if (world_chance(&r->world, 300))
        set(d->config, "room.linger", world_chance(&r->world, 500) ? "0s" : "3s");
}

void daemons_add(struct run *r) {
    static const struct {
        const struct daemon_role *role;
        int count;
    } roles[] = {{&register_role, REGISTERS},
                 {&saver_role, SAVERS},
                 {&room_role, ROOMS},
                 {&center_role, CENTERS},
                 {&dispatcher_role, DISPATCHERS},
                 {&coordinator_role, COORDINATORS}};
    int n = 0;
    r->has_small_windows = world_chance(&r->world, 250);
    for (size_t k = 0; k < sizeof(roles) / sizeof(roles[0]); k++)
        for (int i = 0; i < roles[k].count; i++) {
            struct daemon_slot *d = &r->daemons[n++];
            char name[24];
            snprintf(name, sizeof(name), "%s%d", roles[k].role->name, i);
            d->run = r;
            d->role = roles[k].role;
            d->number = i;
            d->node = node_add(&r->world, name);
            configure(r, d);
        }
}

static bool trace_line(void *arg, const char *line, size_t len) {
    struct daemon_slot *d = arg;
    const char *event = strstr(line, "event=");
    if (d->run->world.trace)
        printf("          %s %.*s", d->run->world.nodes[d->node].name,
               (int)(len - (size_t)((event ? event : line) - line)), event ? event : line);
    return true;
}

// Registers and savers are on the simulated stores.

static int start_register(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    const struct daemon_slot *d = env->hosted_by;
    (void)ret_error;
    return register_start_on(env, stores_register(d->run->stores, d->node), ret_self);
}

static int start_saver(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    const struct daemon_slot *d = env->hosted_by;
    (void)ret_error;
    return saver_start_on(env, stores_saver(d->run->stores, d->node), ret_self);
}

static int start_room(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    const struct daemon_slot *d = env->hosted_by;
    int rc = room_role.start(env, ret_error, ret_self);
    if (rc == 0 && d->run->has_small_windows)
        inspect_shrink_windows(*ret_self);
    return rc;
}

void daemon_boot(struct daemon_slot *d) {
    struct world *w = &d->run->world;
    struct buf error = BUF_EMPTY;
    d->hosted_role = *d->role;
    if (d->role == &register_role)
        d->hosted_role.start = start_register;
    else if (d->role == &saver_role)
        d->hosted_role.start = start_saver;
    else if (d->role == &room_role)
        d->hosted_role.start = start_room;
    d->sent = d->lease_us = 0;
    d->round = 0;
    d->is_loss_unseen = false;
    struct daemon_options o = {.role = &d->hosted_role,
                               .loop = node_boot(w, d->node),
                               .config = d->config,
                               .log_sink = trace_line,
                               .log_sink_arg = d,
                               .hosted_by = d};
    if (daemon_new(&o, &error, &d->daemon) == 0)
        d->self = daemon_self(d->daemon);
    else
        violation(d->run, "%s does not start: %s", w->nodes[d->node].name, buf_cstr(&error));
    buf_free(&error);
}

int daemon_halt(struct daemon_slot *d, bool kill) {
    struct world *w = &d->run->world;
    w->nodes[d->node].is_frozen = false;
    w->nodes[d->node].os.is_dead = kill;
    daemon_free(d->daemon);
    d->daemon = NULL;
    d->self = NULL;
    return node_halt(w, d->node, kill);
}

struct daemon_slot *daemon_any(struct run *r, const struct daemon_role *role) {
    int first = (int)rng_below(&r->world.rng, DAEMONS);
    for (int k = 0; k < DAEMONS; k++) {
        struct daemon_slot *d = &r->daemons[(first + k) % DAEMONS];
        if (d->role == role && d->self && !r->world.nodes[d->node].is_frozen)
            return d;
    }
    return NULL;
}

bool daemons_are_ready(struct run *r) {
    for (int i = 0; i < DAEMONS; i++) {
        struct daemon_slot *d = &r->daemons[i];
        if (!d->daemon || daemon_unready(d->daemon))
            return false;
    }
    return true;
}
