// The memory store: the same rules, forgotten at the end.
#include "memory_internal.h"

REGISTER_METHODS(MEMORY_STEP_UNTYPED)

static const struct store_method methods[] = {REGISTER_METHODS(STORE_STEP_ROW)};

static void before_step(struct store *store) {
    register_memory_note_time((struct register_memory *)store);
}

static void register_memory_deinit(struct store *store) {
    struct register_memory *m = (struct register_memory *)store;
    register_memory_directory_free(m);
    register_memory_sessions_free(m);
}

static const struct store_kind kind = {.methods = methods,
                                       .is_in_memory = true,
                                       .method_count = sizeof(methods) / sizeof(methods[0]),
                                       .before_step = before_step,
                                       .deinit = register_memory_deinit};

static void take_epochs(struct register_memory *m) {
    struct rng *rng = loop_rng(m->base.store.loop);
    m->run_ms = memory_store_now_ms(&m->base);
    m->directory_epoch = rng_epoch(rng);
    m->catalog_epoch = rng_epoch(rng);
    m->index_epoch = rng_epoch(rng);
}

void register_store_memory_next_history(struct store *s) {
    take_epochs((struct register_memory *)s);
    ((struct register_memory *)s)->run_ms = memory_store_now_ms((struct memory_store *)s);
}

struct store *register_store_memory(struct loop *l) {
    struct register_memory *m = hw_calloc(1, sizeof(*m));
    memory_store_init(&m->base, &kind, l);
    take_epochs(m);
    return &m->base.store;
}
