// A register's life: its store, its RPC server, and its own place in the directory it serves.
#include "buf.h"
#include "redis_conn.h"
#include "register_internal.h"

static void stop(void *self) {
    struct registry *r = self;
    if (r->part)
        part_free(r->part); // its server first: nobody asks any more
    r->store->ops->free(r->store);
    watchers_free(r);
    held_free(r);
    free(r);
}

static void count_all(struct registry *r) {
    struct metrics *m = r->env->metrics;
    metrics_counter(m, "refused_calls_total", "calls with values that no daemon may send",
                    &r->count.refused_calls);
    metrics_counter(m, "logins_total", "login steps", &r->count.logins);
    metrics_counter(m, "takeovers_total", "sessions replaced by a newer login",
                    &r->count.takeovers);
    metrics_counter(m, "refused_total", "logins refused", &r->count.refused);
    metrics_counter(m, "devices_full_total", "logins refused for the number of the user's devices",
                    &r->count.devices_full);
    metrics_counter(m, "finds_total", "users looked up", &r->count.finds);
    metrics_counter(m, "watches_total", "watches taken", &r->count.watches);
    metrics_counter(m, "catalog_restored_total", "entries written back to a store that lost them",
                    &r->count.restored);
    metrics_counter(m, "store_errors_total", "steps that the store did not answer",
                    &r->count.store_errors);
}

int register_start_on(struct daemon_env *env, struct register_store *store, struct buf *ret_error,
                      void **ret_self) {
    struct registry *r = hw_calloc(1, sizeof(*r));
    r->env = env;
    r->loop = env->loop;
    r->store = store;
    hawser__internal__watch_request__init(&r->seen);
    struct part_options o = {.env = env,
                             .methods = register_methods,
                             .listen = config_text(env->config, "register.listen"),
                             .advertise = config_text(env->config, "register.advertise"),
                             .is_register = true,
                             .self = r};
    int rc = part_new(&o, ret_error, &r->part);
    if (rc != 0) {
        stop(r);
        return rc;
    }
    count_all(r);
    loop_arm(r->loop, &r->poll, 0, watchers_tick);
    part_announce(r->part);
    log_event(env->log, LOG_INFO, "listening", "port=%u", part_rpc_port(r->part));
    *ret_self = r;
    return 0;
}

static int start(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    const char *url = config_text(env->config, "redis.url");
    struct buf reason = BUF_EMPTY;
    if (strcmp(url, "memory:") == 0)
        return register_start_on(env, register_store_memory(env->loop), ret_error, ret_self);
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
    return register_start_on(env, register_store_redis(&o), ret_error, ret_self);
}

static void drain(void *self) {
    struct registry *r = self;
    part_withdraw(r->part);
}

static bool is_drained(void *self) {
    struct registry *r = self;
    return part_is_withdrawn(r->part);
}

static void reload(void *self) {
    struct registry *r = self;
    part_reload(r->part);
}

static const char *unready(void *self) {
    struct registry *r = self;
    const char *reason = r->store->ops->down_reason(r->store);
    return reason ? reason : cluster_unready_reason(part_cluster(r->part));
}

// A store that was never there is a wrong redis.url sooner than an accident.
static const char *hopeless(void *self) {
    struct registry *r = self;
    const char *reason = r->store->ops->down_reason(r->store);
    bool is_coming = r->store->ops->is_coming && r->store->ops->is_coming(r->store);
    if (!reason || is_coming || loop_wall_ms(r->loop) < r->env->started_ms + STORE_WAIT_MS)
        return cluster_hopeless(part_cluster(r->part));
    struct buf url = BUF_EMPTY;
    config_url_show(config_text(r->env->config, "redis.url"), &url);
    snprintf(r->hopeless, sizeof(r->hopeless), "redis.url: %s: %s", buf_cstr(&url), reason);
    buf_free(&url);
    return r->hopeless;
}

static int ports(void *self, struct daemon_port out[DAEMON_PORTS_MAX]) {
    struct registry *r = self;
    out[0] = (struct daemon_port){"register", part_rpc_port(r->part)};
    return 1;
}

const struct daemon_role register_role = {.name = "register",
                                          .start = start,
                                          .stop = stop,
                                          .drain = drain,
                                          .is_drained = is_drained,
                                          .reload = reload,
                                          .unready = unready,
                                          .hopeless = hopeless,
                                          .ports = ports};
