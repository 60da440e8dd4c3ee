// The Redis store, as one table of what each step does.
#include "redis_internal.h"

static void begin_fill(struct store_step *p, const ProtobufCMessage *request) {
    register_redis_fill(p, (const Hawser__Internal__CatalogFillRequest *)request);
}

static void begin_filled(struct store_step *p, const ProtobufCMessage *request) {
    register_redis_filled(p, (const Hawser__Internal__CatalogFilledRequest *)request);
}

static void begin_number(struct store_step *p, const ProtobufCMessage *request) {
    (void)request;
    register_redis_number(p);
}

REGISTER_METHODS(REDIS_STEP_UNTYPED)

// The first three are asked only by a pair.
static const struct store_method methods[] = {
    {"fill", &hawser__internal__catalog_fill_request__descriptor, begin_fill},
    {"filled", &hawser__internal__catalog_filled_request__descriptor, begin_filled},
    {"number", &hawser__internal__catalog_number_request__descriptor, begin_number},
    REGISTER_METHODS(STORE_STEP_ROW)};

static void register_redis_stop(struct redis_store *store) {
    register_view_stop(register_redis_of(store));
    register_counts_forget(register_redis_of(store));
}

static const struct redis_store_kind kind = {.methods = methods,
                                             .method_count = sizeof(methods) / sizeof(methods[0]),
                                             .scripts = register_scripts,
                                             .script_count = REGISTER_SCRIPTS,
                                             .step_bytes = sizeof(struct store_step),
                                             .on_state = register_view_on_state,
                                             .unready = register_view_unready,
                                             .before_send = register_counts_send,
                                             .stop = register_redis_stop};

struct store *register_store_redis(const struct redis_options *o) {
    struct register_redis *s = hw_calloc(1, sizeof(*s));
    redis_store_init(&s->base, &kind, o);
    register_view_start(s);
    return &s->base.store;
}
