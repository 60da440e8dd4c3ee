// A table of equal-sized slots addressed by (slot, turn), for what comes in millions. Memory
// grows in chunks of 1,024 slots up to a maximum; a chunk that is wholly free is given back. A
// handle whose turn is no longer current finds nothing, also when its chunk was away
// meanwhile. The object of a slot starts zeroed; its address is stable while the slot is taken, and
// must not be touched afterwards.
#ifndef HW_SLAB_H
#define HW_SLAB_H

#include <stddef.h>
#include <stdint.h>

struct slab_chunk;

struct slab {
    size_t object_bytes;
    uint32_t slots_max;
    uint32_t used;       // slots taken now
    uint32_t high_water; // no slot from here on is taken: for walks
    // private
    struct slab_chunk *chunks; // owned
    uint32_t lowest_free;      // no chunk before it has a free slot
    int32_t empty_chunk;       // the one that is kept though nothing is in it; -1 = none
};
// object_bytes does not include the slab's own 8 bytes per slot. slots_max 1..2^31-1.
void slab_init(struct slab *s, size_t object_bytes, uint32_t slots_max);
void slab_deinit(struct slab *s);
void *slab_take(struct slab *s, uint32_t *ret_slot,
                uint32_t *ret_turn);           // NULL when slots_max are taken; turn >= 1
void slab_give(struct slab *s, uint32_t slot); // frees it; its turn moves on
void *slab_find(const struct slab *s, uint32_t slot, uint32_t turn); // NULL when not current
void *slab_at(const struct slab *s,
              uint32_t slot); // the object if the slot is taken, else NULL: for walks
uint32_t slab_turn(const struct slab *s, uint32_t slot); // of a taken slot

#endif
