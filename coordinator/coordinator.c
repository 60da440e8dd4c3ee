#include "coordinator.h"

#include "buf.h"
#include "part.h"

struct coordinator {
    struct daemon_env *env;
    struct part *part;
};

static const struct rpc_method methods[] = {{0, NULL, 0}};

static void stop(void *self) {
    struct coordinator *c = self;
    part_free(c->part);
    free(c);
}

static int start(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    struct coordinator *c = hw_calloc(1, sizeof(*c));
    c->env = env;
    struct part_options o = {.env = env,
                             .methods = methods,
                             .listen = config_text(env->config, "coordinator.listen"),
                             .advertise = config_text(env->config, "coordinator.advertise"),
                             .self = c};
    int rc = part_new(&o, ret_error, &c->part);
    if (rc != 0) {
        stop(c);
        return rc;
    }
    part_announce(c->part);
    log_event(env->log, LOG_INFO, "listening", "port=%u", part_rpc_port(c->part));
    *ret_self = c;
    return 0;
}

static void drain(void *self) {
    struct coordinator *c = self;
    part_withdraw(c->part);
}

static bool is_drained(void *self) {
    struct coordinator *c = self;
    return part_is_withdrawn(c->part);
}

static void reload(void *self) {
    struct coordinator *c = self;
    part_reload(c->part);
}

static const char *unready(void *self) {
    struct coordinator *c = self;
    return cluster_unready_reason(part_cluster(c->part));
}

static const char *hopeless(void *self) {
    struct coordinator *c = self;
    return cluster_hopeless(part_cluster(c->part));
}

static int ports(void *self, struct daemon_port out[DAEMON_PORTS_MAX]) {
    struct coordinator *c = self;
    out[0] = (struct daemon_port){"coordinator", part_rpc_port(c->part)};
    return 1;
}

const struct daemon_role coordinator_role = {.name = "coordinator",
                                             .start = start,
                                             .stop = stop,
                                             .drain = drain,
                                             .is_drained = is_drained,
                                             .reload = reload,
                                             .unready = unready,
                                             .hopeless = hopeless,
                                             .ports = ports};
