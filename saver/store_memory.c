// The memory store: the same rules, forgotten at the end.
#include "memory_internal.h"

SAVER_METHODS(MEMORY_STEP_UNTYPED)

static const struct store_method methods[] = {SAVER_METHODS(STORE_STEP_ROW)};

static void saver_memory_deinit(struct store *store) {
    struct saver_memory *m = (struct saver_memory *)store;
    saver_memory_ids_free(m);
    saver_memory_jobs_free(m);
    saver_memory_recalled_free(m);
    saver_memory_logs_free(m);
}

static const struct store_kind kind = {.methods = methods,
                                       .is_in_memory = true,
                                       .method_count = sizeof(methods) / sizeof(methods[0]),
                                       .deinit = saver_memory_deinit};

void saver_store_memory_is_of(struct store *s, uint64_t history) {
    ((struct saver_memory *)s)->history = history;
}

struct store *saver_store_memory(struct loop *l) {
    struct saver_memory *m = hw_calloc(1, sizeof(*m));
    memory_store_init(&m->base, &kind, l);
    m->history = 1;
    return &m->base.store;
}
