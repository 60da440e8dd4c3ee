// The Redis store: each step is a script there, so this side only packs and unpacks.
#include "redis_internal.h"

static void begin_restored(struct store_step *p, const ProtobufCMessage *request) {
    saver_redis_restored(p, (const Hawser__Internal__RestoredRequest *)request);
}

static void begin_restore(struct store_step *p, const ProtobufCMessage *request) {
    saver_redis_restore(p, (const Hawser__Internal__RestoreRequest *)request);
}

SAVER_METHODS(REDIS_STEP_UNTYPED)

// The first two are asked only by a pair whose back remembers more.
static const struct store_method methods[] = {
    {"restored", &hawser__internal__restored_request__descriptor, begin_restored},
    {"restore", &hawser__internal__restore_request__descriptor, begin_restore},
    SAVER_METHODS(STORE_STEP_ROW)};

static void saver_redis_on_state(struct redis_store *s, bool up) {
    struct sweep *sweep = &saver_redis_of(s)->sweep;
    sweep->is_held = sweep->has_back;
    if (up)
        sweep->count = 0; // of what was there before
    else
        saver_buckets_forget(saver_redis_of(s)); // the next server may not have them
}

static void saver_redis_stop(struct redis_store *store) {
    struct saver_redis *s = saver_redis_of(store);
    saver_sweep_stop(s);
    saver_batches_cancel(s);
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
                                             .before_send = saver_batches_send,
                                             .stop = saver_redis_stop};

struct store *saver_store_redis(const struct redis_options *o) {
    struct saver_redis *s = hw_calloc(1, sizeof(*s));
    struct redis_options options = *o;
    options.old_key = "hw:products"; // the set that stands behind the logs of the first layout
    options.old_why =
        "hw:products: logs of an older layout, which can't be read (CHANGES.md): delete all keys "
        "hw:*, or give redis.url another database";
    redis_store_init(&s->base, &kind, &options);
    saver_batches_init(s);
    saver_sweep_start(s);
    return &s->base.store;
}
