// A table of equal-sized slots addressed by (slot, turn), for what comes in millions. Memory
// grows in chunks of 64 KiB up to a maximum; a chunk that is wholly free is given back. A handle
// whose turn is no longer current finds nothing, also when its chunk was away meanwhile. The object
// of a slot starts zeroed; its address is stable while the slot is taken, and must not be touched
// afterwards. An object knows its slab, slot and turn by its address. A slab must not be moved
// while it has objects.
#ifndef HW_SLAB_H
#define HW_SLAB_H

#include <stddef.h>
#include <stdint.h>

enum { SLAB_CHUNK_BYTES = 64 * 1024 }; // and a chunk's address is a multiple of it
struct slab_chunk;

struct slab {
    uint32_t object_bytes; // a multiple of 8
    uint32_t slots_max;
    uint32_t used;       // slots taken now
    uint32_t high_water; // no slot from here on is taken: for walks
    // private
    uint32_t chunk_slots;      // in each chunk
    uint32_t objects_at;       // in a chunk's memory
    struct slab_chunk *chunks; // owned
    uint32_t lowest_free;      // no chunk before it has a free slot
    int32_t empty_chunk;       // the one that is kept though nothing is in it; -1 = none
};
// object_bytes at most 32 KiB, without the slab's own 4 bytes per slot. slots_max 1..2^31-1.
void slab_init(struct slab *s, size_t object_bytes, uint32_t slots_max);
void slab_deinit(struct slab *s);
void *slab_take(struct slab *s); // NULL when slots_max are taken
void slab_give(void *object);    // frees it; its slot's turn moves on
void *slab_find(const struct slab *s, uint32_t slot, uint32_t turn); // NULL when not current
void *slab_at(const struct slab *s,
              uint32_t slot); // the object if the slot is taken, else NULL: for walks
// Of an object that is taken: its slab, and what finds it there. Its turn is at least 1.
static inline struct slab *slab_of(const void *object) { // here, since it is asked so often
    return *(struct slab *const *)((uintptr_t)object & ~(uintptr_t)(SLAB_CHUNK_BYTES - 1));
}
uint32_t slab_slot(const void *object);
uint32_t slab_turn(const void *object);

#endif
