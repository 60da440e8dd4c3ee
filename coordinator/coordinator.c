#include "coordinator.h"

#include "buf.h"

struct coordinator {
    struct daemon_env *env;
};

static const struct rpc_method methods[] = {{0}};

static int coordinator_start(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    struct coordinator *c = hw_calloc(1, sizeof(*c));
    (void)ret_error;
    c->env = env;
    *ret_self = c;
    return 0;
}

const struct daemon_role coordinator_role = {.name = "coordinator",
                                             .start = coordinator_start,
                                             .free = free,
                                             .methods = methods,
                                             .rpc_listen_key = "coordinator.listen",
                                             .rpc_told_key = "coordinator.advertise",
                                             .ports = {{"coordinator", NULL}}};
