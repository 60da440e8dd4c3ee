// Each slot is its object behind an 8-byte head: the generation, and whether it is taken.
#include "slab.h"

#include <assert.h>
#include <stdbool.h>

#include "buf.h"

enum { CHUNK_SLOTS = 1024, HEAD_BYTES = 8 };

struct slot_head {
    uint32_t generation;
    uint32_t taken;
};

static size_t slot_bytes(const struct slab *s) {
    return HEAD_BYTES + ((s->object_bytes + 7) & ~(size_t)7);
}

static uint32_t chunk_count(const struct slab *s, uint32_t slots) {
    (void)s;
    return slots / CHUNK_SLOTS + (slots % CHUNK_SLOTS > 0);
}

static struct slot_head *head_at(const struct slab *s, uint32_t slot) {
    char *chunk = s->chunks[slot / CHUNK_SLOTS];
    return (struct slot_head *)(void *)(chunk + (slot % CHUNK_SLOTS) * slot_bytes(s));
}

void slab_init(struct slab *s, size_t object_bytes, uint32_t slots_max) {
    assert(slots_max >= 1 && slots_max <= INT32_MAX);
    *s = (struct slab){.object_bytes = object_bytes, .slots_max = slots_max};
    s->chunks = hw_calloc(chunk_count(s, slots_max), sizeof(void *));
}

void slab_deinit(struct slab *s) {
    for (uint32_t i = 0; i < chunk_count(s, s->high_water); i++)
        free(s->chunks[i]);
    free(s->chunks);
    free(s->free_slots);
    *s = (struct slab){0};
}

// The free stack grows with the chunks, so that giving never allocates.
static void slab_grow(struct slab *s) {
    uint32_t chunk = s->high_water / CHUNK_SLOTS;
    s->chunks[chunk] = hw_calloc(CHUNK_SLOTS, slot_bytes(s));
    s->free_slots = hw_realloc(s->free_slots, (size_t)(chunk + 1) * CHUNK_SLOTS * sizeof(uint32_t));
}

void *slab_take(struct slab *s, uint32_t *ret_slot, uint32_t *ret_generation) {
    uint32_t slot = 0;
    if (s->free_count > 0) {
        slot = s->free_slots[--s->free_count];
    } else if (s->high_water < s->slots_max) {
        if (s->high_water % CHUNK_SLOTS == 0)
            slab_grow(s);
        slot = s->high_water++;
    } else {
        return NULL;
    }
    struct slot_head *head = head_at(s, slot);
    head->taken = 1;
    if (head->generation == 0)
        head->generation = 1;
    s->used++;
    *ret_slot = slot;
    *ret_generation = head->generation;
    return memset(head + 1, 0, s->object_bytes);
}

void slab_give(struct slab *s, uint32_t slot) {
    struct slot_head *head = head_at(s, slot);
    assert(head->taken);
    head->taken = 0;
    head->generation = head->generation == UINT32_MAX ? 1 : head->generation + 1;
    s->free_slots[s->free_count++] = slot;
    s->used--;
}

void *slab_at(const struct slab *s, uint32_t slot) {
    if (slot >= s->high_water)
        return NULL;
    struct slot_head *head = head_at(s, slot);
    return head->taken ? head + 1 : NULL;
}

void *slab_find(const struct slab *s, uint32_t slot, uint32_t generation) {
    void *object = slab_at(s, slot);
    return object && slab_generation(s, slot) == generation ? object : NULL;
}

uint32_t slab_generation(const struct slab *s, uint32_t slot) {
    return head_at(s, slot)->generation;
}
