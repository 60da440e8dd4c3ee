// A saver's life: its store.
#include "saver.h"

#include "buf.h"
#include "durable.h"
#include "redis_store.h"
#include "saver_internal.h"

// What the durable store counts; 0 without one.
#define DURABLE_METRICS(X)                                                                         \
    X(landed, false, "mariadb_rows_landed_total",                                                  \
      "durable messages that were committed in MariaDB")                                           \
    X(marked, false, "mariadb_rows_marked_total", "of these, those that were given their seq")     \
    X(withdrawn, false, "mariadb_rows_withdrawn_total",                                            \
      "rows taken away, since the log refused them")                                               \
    X(taken_up, false, "mariadb_rows_taken_up_total",                                              \
      "rows left behind that this saver has appended")                                             \
    X(refused, false, "mariadb_rows_refused_total",                                                \
      "rows left behind that the log refused for good")                                            \
    X(restored, false, "mariadb_rows_restored_total", "rows put back, that Redis had lost")        \
    X(jobs_restored, false, "mariadb_jobs_restored_total",                                         \
      "jobs stored anew, that Redis had lost")                                                     \
    X(appended_anew, false, "mariadb_rows_anew_total",                                             \
      "of those lost, appended anew: their place was gone")                                        \
    X(stored_landed, false, "mariadb_stored_landed_total", "stored messages whose row has landed") \
    X(stored_refused, false, "mariadb_stored_refused_total",                                       \
      "stored pushes refused: too much has yet to land")                                           \
    X(stored_put_aside, false, "mariadb_stored_put_aside_total",                                   \
      "stored messages whose row MariaDB refuses for good")                                        \
    X(ends_told, false, "mariadb_ends_told_total",                                                 \
      "inboxes of which it was told what all devices have handled")                                \
    X(ends_missed, false, "mariadb_ends_missed_total", "ends not told: too many waited")           \
    X(outcomes_told, false, "mariadb_outcomes_told_total", "ends of messages, or runs of them")    \
    X(outcomes_missed, false, "mariadb_outcomes_missed_total",                                     \
      "outcomes not told: too many waited")                                                        \
    X(backlog_rows, true, "mariadb_stored_backlog_number",                                         \
      "stored messages that have yet to land")                                                     \
    X(backlog_bytes, true, "mariadb_stored_backlog_bytes", "memory that they take")                \
    X(backlog_oldest_s, true, "mariadb_stored_backlog_seconds", "how long the oldest has waited")  \
    X(unmarked, true, "mariadb_rows_unmarked_number",                                              \
      "rows without a seq, of all savers; up to 10000")                                            \
    X(refused_statements, false, "mariadb_statements_refused_total", "not sent: too many waited")  \
    X(waiting, true, "mariadb_backlog_statements", "statements that wait, or are under way")       \
    X(waiting_bytes, true, "mariadb_backlog_bytes", "bytes of these")                              \
    MARIA_CONN_METRICS(X)
#define DURABLE_METRIC_READ(field, is_gauge, name, help)                                           \
    static uint64_t read_##field(void *self) {                                                     \
        const struct saver *s = self;                                                              \
        return s->durable ? s->durable->field : 0;                                                 \
    }
#define DURABLE_METRIC_ROW(field, is_gauge, name, help) {name, help, 0, is_gauge, read_##field},
DURABLE_METRICS(DURABLE_METRIC_READ)

static const struct daemon_metric metrics[] = {
    STORE_METRICS(saver, count.store),
    DURABLE_METRICS(DURABLE_METRIC_ROW){0},
};

int saver_start_on(struct daemon_env *env, struct store *store, void **ret_self) {
    struct saver *s = hw_calloc(1, sizeof(*s));
    s->env = env;
    s->loop = env->loop;
    s->store = store;
    s->durable = saver_durable_counts(store);
    store_count_into(store, &s->count.store);
    *ret_self = s;
    return 0;
}

static struct store *open_saver_memory(const struct store_env *env) {
    return saver_store_memory(env->loop);
}

static struct store *open_saver_redis(const struct store_env *env) {
    const struct redis_options o = redis_options_of(env);
    return saver_store_redis(&o);
}

static struct store *open_saver_rows(const struct store_env *env) {
    return saver_maria_rows(
        &(struct maria_options){.url = config_text(env->config, "mariadb.url"),
                                .timeout_ms = (uint32_t)config_ms(env->config, "mariadb.timeout"),
                                .loop = env->loop,
                                .log = env->log});
}

// A memory store forgets, so it is no front of one that does not.
static const struct store_backend *backends_of(const struct config *config) {
    static const struct store_backend forgetting[] = {
        {"redis.url", .is_its_url = store_url_is_memory, .open = open_saver_memory}, {0}};
    static const struct store_backend keeping[] = {
        {"redis.url", .check = redis_url_check, .open = open_saver_redis},
        {"mariadb.url", .check = maria_url_check, .open = open_saver_rows, .over = saver_durable},
        {0}};
    return store_url_is_memory(config_text(config, "redis.url")) ? forgetting : keeping;
}

static int saver_start(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    const struct store_env with = {env->loop, env->log, env->config};
    struct store *store;
    int rc = store_open(backends_of(env->config), &with, ret_error, &store);
    if (rc == 0 && saver_durable_counts(store))
        saver_durable_bound(store, config_bytes(env->config, "mariadb.backlog_max"));
    if (rc == 0)
        rc = saver_start_on(env, store, ret_self);
    if (rc == 0)
        ((struct saver *)*ret_self)->is_in_memory = store_is_in_memory(store);
    return rc;
}

static void saver_free(void *self) {
    struct saver *s = self;
    store_free(s->store);
    free(s);
}

static void saver_ask_store(void *self, struct daemon_store *ret) {
    struct store *store = ((struct saver *)self)->store;
    *ret = (struct daemon_store){.down_reason = store_down_reason(store),
                                 .opened_by = store_opened_by(store),
                                 .is_coming = store_is_coming(store)};
}

static const char *saver_lacks(void *self) {
    struct saver *s = self;
    const char *why = s->durable ? saver_durable_down(s->store) : NULL;
    bool is_full = s->durable && saver_durable_is_full(s->store);
    if (!why && !is_full)
        return NULL;
    snprintf(s->lack, sizeof(s->lack), "%s%s%s%s", why ? "class durable is refused: " : "",
             why ? why : "", why && is_full ? "; " : "",
             is_full ? "class stored is refused: mariadb.backlog_max has yet to land" : "");
    return s->lack;
}

// What has yet to land is waited for as long as a drain may take.
static bool saver_is_drained(void *self) {
    const struct saver *s = self;
    return !s->durable || saver_durable_has_landed(s->store);
}

// Rooms and centers go to a saver by the user, whatever its store: what this one accepts, the
// others never hear of.
static const char *saver_unready(void *self) {
    const struct saver *s = self;
    const Hawser__Internal__Member *m = NULL;
    while (s->is_in_memory && (m = cluster_member_next(s->env->cluster, "saver", m)) != NULL)
        if (m->incarnation != s->env->incarnation)
            return "redis.url is memory:, and there is another saver, which does not know what is "
                   "stored here";
    return NULL;
}

const struct daemon_role saver_role = {.name = "saver",
                                       .start = saver_start,
                                       .is_drained = saver_is_drained,
                                       .store = saver_ask_store,
                                       .unready = saver_unready,
                                       .lacks = saver_lacks,
                                       .free = saver_free,
                                       .methods = saver_methods,
                                       .rpc_listen_key = "saver.listen",
                                       .rpc_told_key = "saver.advertise",
                                       .metrics = metrics,
                                       .ports = {{"saver", NULL}}};
