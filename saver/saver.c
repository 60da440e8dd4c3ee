// A saver's life: its store, its RPC server, its place in the cluster.
#include "saver.h"

#include "buf.h"
#include "redis_conn.h"
#include "saver_internal.h"

static void stop(void *self) {
    struct saver *s = self;
    part_free(s->part); // its server first: nobody asks any more
    s->store->ops->free(s->store);
    free(s);
}

static uint64_t store_up(void *arg) {
    struct saver *s = arg;
    return s->store->ops->down_reason(s->store) ? 0 : 1;
}

static void count_all(struct saver *s) {
    struct metrics *m = s->env->metrics;
    uint64_t *calls = s->count.calls;
    metrics_counter(m, "appends_total", "append steps",
                    &calls[HAWSER__INTERNAL__SAVER_METHOD__SAVER_APPEND]);
    metrics_counter(m, "loads_total", "log reads",
                    &calls[HAWSER__INTERNAL__SAVER_METHOD__SAVER_LOAD]);
    metrics_counter(m, "heads_total", "inbox heads read",
                    &calls[HAWSER__INTERNAL__SAVER_METHOD__SAVER_HEAD]);
    metrics_counter(m, "attaches_total", "logins' positions",
                    &calls[HAWSER__INTERNAL__SAVER_METHOD__SAVER_ATTACH]);
    metrics_counter(m, "acks_total", "ack steps",
                    &calls[HAWSER__INTERNAL__SAVER_METHOD__SAVER_ACK]);
    metrics_counter(m, "refused_total", "requests that do not decode or make sense",
                    &s->count.refused);
    metrics_counter(m, "store_errors_total", "steps that the store did not answer",
                    &s->count.store_errors);
    metrics_counter(m, "outcome_unknown_total", "of these, steps that may have been done",
                    &s->count.outcome_unknown);
    metrics_gauge_read(m, "store_up", "whether the store answers", store_up, s);
}

int saver_start_on(struct daemon_env *env, struct saver_store *store, struct buf *ret_error,
                   void **ret_self) {
    struct saver *s = hw_calloc(1, sizeof(*s));
    s->env = env;
    s->loop = env->loop;
    s->store = store;
    struct part_options o = {.env = env,
                             .methods = saver_methods,
                             .listen = config_text(env->config, "saver.listen"),
                             .advertise = config_text(env->config, "saver.advertise"),
                             .self = s};
    int rc = part_new(&o, ret_error, &s->part);
    if (rc != 0) {
        stop(s);
        return rc;
    }
    count_all(s);
    part_announce(s->part);
    log_event(env->log, LOG_INFO, "listening", "port=%u", part_rpc_port(s->part));
    *ret_self = s;
    return 0;
}

// The configuration's words for a store are checked here, so that a wrong one ends the start.
static int store_new(struct daemon_env *env, struct buf *ret_error,
                     struct saver_store **ret_store) {
    const char *url = config_text(env->config, "redis.url");
    if (strcmp(url, "memory:") == 0) {
        *ret_store = saver_store_memory(env->loop);
        return 0;
    }
    struct buf why = BUF_EMPTY;
    if (redis_url_check(url, &why) != 0) {
        buf_printf(ret_error, "redis.url: %s", buf_cstr(&why));
        buf_free(&why);
        return -HW_ECONFIG;
    }
    buf_free(&why);
    *ret_store = saver_store_redis(
        &(struct redis_options){.url = url,
                                .timeout_ms = (uint32_t)config_ms(env->config, "redis.timeout"),
                                .allow_volatile = config_bool(env->config, "redis.allow_volatile"),
                                .loop = env->loop,
                                .log = env->log});
    return 0;
}

static int start(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    struct saver_store *store;
    int rc = store_new(env, ret_error, &store);
    return rc != 0 ? rc : saver_start_on(env, store, ret_error, ret_self);
}

static void drain(void *self) {
    struct saver *s = self;
    part_withdraw(s->part);
}

static bool is_drained(void *self) {
    struct saver *s = self;
    return part_is_withdrawn(s->part);
}

static void reload(void *self) {
    struct saver *s = self;
    part_reload(s->part);
}

static const char *unready(void *self) {
    struct saver *s = self;
    const char *reason = s->store->ops->down_reason(s->store);
    return reason ? reason : cluster_unready_reason(part_cluster(s->part));
}

// A store that was never there is a wrong redis.url sooner than an accident.
static const char *hopeless(void *self) {
    struct saver *s = self;
    const char *reason = s->store->ops->down_reason(s->store);
    bool is_coming = s->store->ops->is_coming && s->store->ops->is_coming(s->store);
    if (!reason || is_coming || loop_wall_ms(s->loop) < s->env->started_ms + STORE_WAIT_MS)
        return cluster_hopeless(part_cluster(s->part));
    struct buf url = BUF_EMPTY;
    config_url_show(config_text(s->env->config, "redis.url"), &url);
    snprintf(s->hopeless, sizeof(s->hopeless), "redis.url: %s: %s", buf_cstr(&url), reason);
    buf_free(&url);
    return s->hopeless;
}

static int ports(void *self, struct daemon_port out[DAEMON_PORTS_MAX]) {
    struct saver *s = self;
    out[0] = (struct daemon_port){"saver", part_rpc_port(s->part)};
    return 1;
}

const struct daemon_role saver_role = {.name = "saver",
                                       .start = start,
                                       .stop = stop,
                                       .drain = drain,
                                       .is_drained = is_drained,
                                       .reload = reload,
                                       .unready = unready,
                                       .hopeless = hopeless,
                                       .ports = ports};
