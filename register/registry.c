// A register's life: its store. Its own place is in the directory that it serves.
#include "buf.h"
#include "redis_store.h"
#include "register_internal.h"

static const struct daemon_metric metrics[] = {
    DAEMON_COUNTER(registry, count.takeovers, "takeovers_total",
                   "sessions replaced by a newer login"),
    DAEMON_COUNTER(registry, count.refused, "refused_total", "logins refused"),
    DAEMON_COUNTER(registry, count.devices_full, "devices_full_total",
                   "logins refused for the number of the user's devices"),
    DAEMON_COUNTER(registry, count.restored, "catalog_restored_total",
                   "entries written back to a store that lost them"),
    STORE_METRICS(registry, count.store),
    {0},
};

int register_start_on(struct daemon_env *env, struct store *store, void **ret_self) {
    struct registry *r = hw_calloc(1, sizeof(*r));
    r->env = env;
    r->loop = env->loop;
    r->store = store;
    store_count_into(store, &r->count.store);
    hawser__internal__watch_request__init(&r->seen);
    *ret_self = r;
    return 0;
}

static struct store *open_register_memory(const struct store_env *env) {
    return register_store_memory(env->loop);
}

static struct store *open_register_redis(const struct store_env *env) {
    const struct redis_options o = redis_options_of(env);
    return register_store_redis(&o);
}

static int register_start(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    static const struct store_backend backends[] = {
        {"redis.url", .is_its_url = store_url_is_memory, .open = open_register_memory},
        {"redis.url", .check = redis_url_check, .open = open_register_redis},
        {0}};
    const struct store_env with = {env->loop, env->log, env->config};
    struct store *store;
    int rc = store_open(backends, &with, ret_error, &store);
    if (rc == 0)
        rc = register_start_on(env, store, ret_self);
    if (rc == 0)
        ((struct registry *)*ret_self)->is_in_memory = store_is_in_memory(store);
    return rc;
}

static void register_joined(void *self) {
    struct registry *r = self;
    loop_arm(r->loop, &r->poll, 0, watchers_tick);
}

static void register_free(void *self) {
    struct registry *r = self;
    store_free(r->store);
    watchers_free(r);
    held_free(r);
    free(r);
}

static void register_ask_store(void *self, struct daemon_store *ret) {
    struct store *store = ((struct registry *)self)->store;
    *ret = (struct daemon_store){.down_reason = store_down_reason(store),
                                 .opened_by = store_opened_by(store),
                                 .is_coming = store_is_coming(store)};
}

// Each register has a directory of its own then, and never hears of the others. But it is told of
// them as all daemons are.
static const char *register_unready(void *self) {
    const struct registry *r = self;
    int count = 0;
    (void)config_list(r->env->config, "cluster.registers", &count);
    return r->is_in_memory && count > 1
               ? "redis.url is memory:, and cluster.registers names others, "
                 "which do not know what is stored here"
               : NULL;
}

const struct daemon_role register_role = {.name = "register",
                                          .start = register_start,
                                          .joined = register_joined,
                                          .store = register_ask_store,
                                          .unready = register_unready,
                                          .free = register_free,
                                          .methods = register_methods,
                                          .rpc_listen_key = "register.listen",
                                          .rpc_told_key = "register.advertise",
                                          .is_register = true,
                                          .metrics = metrics,
                                          .ports = {{"register", NULL}}};
