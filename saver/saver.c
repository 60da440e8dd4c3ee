// A saver's life: its store.
#include "saver.h"

#include "buf.h"
#include "redis_store.h"
#include "saver_internal.h"

static const struct daemon_metric metrics[] = {
    STORE_METRICS(saver, count.store),
    {0},
};

int saver_start_on(struct daemon_env *env, struct store *store, void **ret_self) {
    struct saver *s = hw_calloc(1, sizeof(*s));
    s->env = env;
    s->loop = env->loop;
    s->store = store;
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

static int saver_start(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    static const struct store_backend backends[] = {
        {"redis.url", .is_its_url = store_url_is_memory, .open = open_saver_memory},
        {"redis.url", .check = redis_url_check, .open = open_saver_redis},
        {0}};
    const struct store_env with = {env->loop, env->log, env->config};
    struct store *store;
    int rc = store_open(backends, &with, ret_error, &store);
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
                                       .store = saver_ask_store,
                                       .unready = saver_unready,
                                       .free = saver_free,
                                       .methods = saver_methods,
                                       .rpc_listen_key = "saver.listen",
                                       .rpc_told_key = "saver.advertise",
                                       .metrics = metrics,
                                       .ports = {{"saver", NULL}}};
