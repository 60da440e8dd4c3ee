#include "memory_store.h"

#include "os.h"

uint64_t memory_store_now_ms(const struct memory_store *m) {
    return m->clock_offset_ms + loop_now_ms(m->store.loop);
}

void memory_store_init(struct memory_store *m, const struct store_kind *kind, struct loop *l) {
    store_init(&m->store, kind, l);
    m->clock_offset_ms = loop_wall_ms(l) - loop_now_ms(l);
    for (size_t i = 0; i < sizeof(m->hash_key); i++)
        m->hash_key[i] = (uint8_t)os_random(loop_os(l));
}
