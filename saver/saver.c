// A saver's life: its store.
#include "saver.h"

#include "buf.h"
#include "saver_internal.h"
#include "store_open.h"

static const struct daemon_metric metrics[] = {
    DAEMON_COUNTER(saver, count.store_errors, "store_errors_total",
                   "steps that the store did not answer"),
    DAEMON_COUNTER(saver, count.outcome_unknown, "outcome_unknown_total",
                   "of these, steps that may have been done"),
    {0},
};

int saver_start_on(struct daemon_env *env, struct store *store, void **ret_self) {
    struct saver *s = hw_calloc(1, sizeof(*s));
    s->env = env;
    s->loop = env->loop;
    s->store = store;
    *ret_self = s;
    return 0;
}

static int saver_start(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    static const struct store_backends backends = {saver_store_memory, saver_store_redis};
    const struct store_env with = {env->loop, env->log, env->config};
    struct store *store;
    int rc = store_open_configured(&backends, &with, ret_error, &store);
    if (rc == 0)
        rc = saver_start_on(env, store, ret_self);
    if (rc == 0)
        ((struct saver *)*ret_self)->is_in_memory = store_is_in_memory(env->config);
    return rc;
}

static void saver_free(void *self) {
    struct saver *s = self;
    store_free(s->store);
    free(s);
}

static const char *saver_store_down(void *self, bool *ret_is_coming) {
    struct saver *s = self;
    *ret_is_coming = store_is_coming(s->store);
    return store_down_reason(s->store);
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
                                       .store_down = saver_store_down,
                                       .unready = saver_unready,
                                       .free = saver_free,
                                       .methods = saver_methods,
                                       .rpc_listen_key = "saver.listen",
                                       .rpc_told_key = "saver.advertise",
                                       .metrics = metrics,
                                       .ports = {{"saver", NULL}}};
