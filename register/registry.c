// A register's life: its store. Its own place is in the directory that it serves.
#include "buf.h"
#include "catalog_pair.h"
#include "maria_catalog.h"
#include "redis_store.h"
#include "register_internal.h"

// What the pair with MariaDB counts; 0 without one.
#define CATALOG_METRICS(X)                                                                         \
    X(committed, false, "mariadb_changes_committed_total",                                         \
      "changes of products and keys that were committed in MariaDB")                               \
    X(settled, false, "mariadb_changes_settled_total",                                             \
      "changes that found another one there, which Redis had not got yet")                         \
    X(filled, false, "mariadb_entries_filled_total",                                               \
      "catalog entries that Redis lacked and got from MariaDB")                                    \
    X(kept, false, "mariadb_entries_kept_total",                                                   \
      "catalog entries that MariaDB lacked and got from Redis")                                    \
    X(bad, true, "mariadb_entries_bad_number", "catalog entries left out: the log says why")       \
    MARIA_CONN_METRICS(X)
#define CATALOG_METRIC_READ(field, is_gauge, name, help)                                           \
    static uint64_t read_##field(void *self) {                                                     \
        const struct registry *r = self;                                                           \
        return r->catalog ? r->catalog->field : 0;                                                 \
    }
#define CATALOG_METRIC_ROW(field, is_gauge, name, help) {name, help, 0, is_gauge, read_##field},
CATALOG_METRICS(CATALOG_METRIC_READ)

static const struct daemon_metric metrics[] = {
    DAEMON_COUNTER(registry, count.takeovers, "takeovers_total",
                   "sessions replaced by a newer login"),
    DAEMON_COUNTER(registry, count.refused, "refused_total", "logins refused"),
    DAEMON_COUNTER(registry, count.devices_full, "devices_full_total",
                   "logins refused for the number of the user's devices"),
    DAEMON_COUNTER(registry, count.restored, "catalog_restored_total",
                   "entries written back to a store that lost them"),
    STORE_METRICS(registry, count.store),
    CATALOG_METRICS(CATALOG_METRIC_ROW){0},
};

int register_start_on(struct daemon_env *env, struct store *store, void **ret_self) {
    struct registry *r = hw_calloc(1, sizeof(*r));
    r->env = env;
    r->loop = env->loop;
    r->store = store;
    r->catalog = register_catalog_counts(store);
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

static struct store *open_register_catalog(const struct store_env *env) {
    return register_maria_catalog(
        &(struct maria_options){.url = config_text(env->config, "mariadb.url"),
                                .timeout_ms = (uint32_t)config_ms(env->config, "mariadb.timeout"),
                                .loop = env->loop,
                                .log = env->log});
}

// A memory store forgets, so it is no front of one that does not.
static const struct store_backend *register_backends(const struct config *config) {
    static const struct store_backend forgetting[] = {
        {"redis.url", .is_its_url = store_url_is_memory, .open = open_register_memory}, {0}};
    static const struct store_backend keeping[] = {
        {"redis.url", .check = redis_url_check, .open = open_register_redis},
        {"mariadb.url", .check = maria_url_check, .open = open_register_catalog,
         .over = register_catalog_pair},
        {0}};
    return store_url_is_memory(config_text(config, "redis.url")) ? forgetting : keeping;
}

static int register_start(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    const struct store_env with = {env->loop, env->log, env->config};
    struct store *store;
    int rc = store_open(register_backends(env->config), &with, ret_error, &store);
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

static const char *register_lacks(void *self) {
    struct registry *r = self;
    return r->catalog && register_catalog_lacks(r->store, r->lack, sizeof(r->lack)) ? r->lack
                                                                                    : NULL;
}

const struct daemon_role register_role = {.name = "register",
                                          .start = register_start,
                                          .joined = register_joined,
                                          .store = register_ask_store,
                                          .unready = register_unready,
                                          .lacks = register_lacks,
                                          .free = register_free,
                                          .methods = register_methods,
                                          .rpc_listen_key = "register.listen",
                                          .rpc_told_key = "register.advertise",
                                          .is_register = true,
                                          .metrics = metrics,
                                          .ports = {{"register", NULL}}};
