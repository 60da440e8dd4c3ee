// A register's life: its store. Its own place is in the directory that it serves.
#include "buf.h"
#include "redis_conn.h"
#include "register_internal.h"

static const struct daemon_metric metrics[] = {
    DAEMON_COUNTER(registry, count.refused_calls, "refused_calls_total",
                   "calls with values that no daemon may send"),
    DAEMON_COUNTER(registry, count.logins, "logins_total", "login steps"),
    DAEMON_COUNTER(registry, count.takeovers, "takeovers_total",
                   "sessions replaced by a newer login"),
    DAEMON_COUNTER(registry, count.refused, "refused_total", "logins refused"),
    DAEMON_COUNTER(registry, count.devices_full, "devices_full_total",
                   "logins refused for the number of the user's devices"),
    DAEMON_COUNTER(registry, count.finds, "finds_total", "users looked up"),
    DAEMON_COUNTER(registry, count.watches, "watches_total", "watches taken"),
    DAEMON_COUNTER(registry, count.restored, "catalog_restored_total",
                   "entries written back to a store that lost them"),
    DAEMON_COUNTER(registry, count.store_errors, "store_errors_total",
                   "steps that the store did not answer"),
    {0},
};

int register_start_on(struct daemon_env *env, struct store *store, void **ret_self) {
    struct registry *r = hw_calloc(1, sizeof(*r));
    r->env = env;
    r->loop = env->loop;
    r->store = store;
    hawser__internal__watch_request__init(&r->seen);
    *ret_self = r;
    return 0;
}

static int start(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    const char *url = config_text(env->config, "redis.url");
    struct buf reason = BUF_EMPTY;
    if (strcmp(url, "memory:") == 0)
        return register_start_on(env, register_store_memory(env->loop), ret_self);
    if (redis_url_check(url, &reason) != 0) {
        buf_printf(ret_error, "redis.url: %s", buf_cstr(&reason));
        buf_free(&reason);
        return -HW_ECONFIG;
    }
    buf_free(&reason);
    struct redis_options o = {.url = url,
                              .timeout_ms = (uint32_t)config_ms(env->config, "redis.timeout"),
                              .allow_volatile = config_bool(env->config, "redis.allow_volatile"),
                              .loop = env->loop,
                              .log = env->log};
    return register_start_on(env, register_store_redis(&o), ret_self);
}

static void joined(void *self) {
    struct registry *r = self;
    loop_arm(r->loop, &r->poll, 0, watchers_tick);
}

static void end(void *self) {
    struct registry *r = self;
    store_free(r->store);
    watchers_free(r);
    held_free(r);
    free(r);
}

static const char *store_down(void *self, bool *ret_is_coming) {
    struct registry *r = self;
    *ret_is_coming = store_is_coming(r->store);
    return store_down_reason(r->store);
}

const struct daemon_role register_role = {.name = "register",
                                          .start = start,
                                          .joined = joined,
                                          .store_down = store_down,
                                          .free = end,
                                          .methods = register_methods,
                                          .rpc_listen_key = "register.listen",
                                          .rpc_told_key = "register.advertise",
                                          .is_register = true,
                                          .metrics = metrics,
                                          .ports = {{"register", NULL}}};
