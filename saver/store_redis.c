// The Redis store: each step is a script there, so this side only packs and unpacks.
#include "redis_internal.h"

#include <inttypes.h>

#include "crypto.h"

SAVER_METHODS(REDIS_STEP_UNTYPED)

static const struct redis_method methods[] = {SAVER_METHODS(REDIS_STEP_ROW)};

int saver_base(char out[BASE_MAX], uint32_t product, int bucket) {
    return bucket < 0 ? snprintf(out, BASE_MAX, "hw:{%" PRIu32 "}:", product)
                      : snprintf(out, BASE_MAX, "hw:{%" PRIu32 ":%d}:", product, bucket);
}

struct redis_bytes saver_run_id(struct redis_store *s) {
    const char *run_id = redis_conn_run_id(s->conn);
    return (struct redis_bytes){run_id, strnlen(run_id, RUN_ID_CHARS)};
}

struct saver_place saver_place_of(struct redis_store *s, uint32_t product, const char *user) {
    bool is_own = !user || !*user;
    struct saver_place place = {.run = saver_run_id(s)};
    saver_base(place.base, product, is_own ? -1 : (int)bucket_of_user(user, strlen(user)));
    return place;
}

uint64_t saver_epoch(const struct redis_store *s) {
    return rng_epoch(loop_rng(s->loop));
}

static void saver_redis_on_state(struct redis_store *s, bool up) {
    if (!up)
        saver_buckets_forget(saver_redis_of(s)); // the next server may not have them
}

static void saver_redis_deinit(struct redis_store *store) {
    struct saver_redis *s = saver_redis_of(store);
    saver_sweep_stop(s);
    saver_buckets_forget(s);
    saver_key_counts_free(s);
    free(s->sweep.bases);
}

static const struct redis_store_kind kind = {.methods = methods,
                                             .method_count = sizeof(methods) / sizeof(methods[0]),
                                             .scripts = saver_scripts,
                                             .script_count = SAVER_SCRIPTS,
                                             .step_bytes = sizeof(struct saver_step),
                                             .on_state = saver_redis_on_state,
                                             .deinit = saver_redis_deinit};

struct store *saver_store_redis(const struct redis_options *o) {
    struct saver_redis *s = hw_calloc(1, sizeof(*s));
    redis_store_init(&s->base, &kind, o);
    saver_sweep_start(s);
    return &s->base.store;
}
