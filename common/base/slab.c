// Each slot is its object behind an 8-byte head: the turn, and whether it is taken. A chunk
// whose slots are all free is given back, but for one, so that a table that breathes around a
// chunk's edge does not allocate at each breath. Slots are taken from the lowest chunk that has
// one, so that after a storm the high ones empty.
#include "slab.h"

#include <assert.h>
#include <stdbool.h>

#include "buf.h"

enum { CHUNK_SLOTS = 1024, HEAD_BYTES = 8, NO_SLOT = UINT16_MAX, NO_CHUNK = -1 };

struct slot_head {
    uint32_t turn;
    uint16_t taken;
    uint16_t next_free; // in its chunk, while it is free
};

struct slab_chunk {
    char *slots;    // owned; NULL = given back, or never there
    uint32_t turn;  // that its slots begin with: none comes twice, also when it was away
    uint16_t used;  // slots taken
    uint16_t fresh; // slots fresh.. have not been taken since it came
    uint16_t free;  // the first of the free ones below, NO_SLOT = none
};

static size_t slot_bytes(const struct slab *s) {
    return HEAD_BYTES + ((s->object_bytes + 7) & ~(size_t)7);
}

static uint32_t chunk_count(const struct slab *s) {
    return s->slots_max / CHUNK_SLOTS + (s->slots_max % CHUNK_SLOTS > 0);
}

static struct slot_head *head_in(const struct slab *s, const struct slab_chunk *c, uint32_t index) {
    return (struct slot_head *)(void *)(c->slots + index * slot_bytes(s));
}

// NULL where the chunk is not there.
static struct slot_head *head_at(const struct slab *s, uint32_t slot) {
    const struct slab_chunk *c = &s->chunks[slot / CHUNK_SLOTS];
    return c->slots ? head_in(s, c, slot % CHUNK_SLOTS) : NULL;
}

void slab_init(struct slab *s, size_t object_bytes, uint32_t slots_max) {
    assert(slots_max >= 1 && slots_max <= INT32_MAX);
    *s = (struct slab){
        .object_bytes = object_bytes, .slots_max = slots_max, .empty_chunk = NO_CHUNK};
    s->chunks = hw_calloc(chunk_count(s), sizeof(s->chunks[0]));
}

void slab_deinit(struct slab *s) {
    for (uint32_t i = 0; s->chunks && i < chunk_count(s); i++)
        free(s->chunks[i].slots);
    free(s->chunks);
    *s = (struct slab){0};
}

static bool has_free(const struct slab *s, uint32_t chunk) {
    const struct slab_chunk *c = &s->chunks[chunk];
    uint32_t slots = s->slots_max - chunk * CHUNK_SLOTS;
    return c->used < (slots < CHUNK_SLOTS ? slots : CHUNK_SLOTS);
}

static void chunk_bring(struct slab *s, struct slab_chunk *c) {
    c->slots = hw_calloc(CHUNK_SLOTS, slot_bytes(s));
    c->free = NO_SLOT;
    c->fresh = 0;
    if (c->turn == 0)
        c->turn = 1;
}

static uint32_t take_from(const struct slab *s, struct slab_chunk *c) {
    uint32_t index = c->free;
    if (index != NO_SLOT) {
        c->free = head_in(s, c, index)->next_free;
    } else {
        index = c->fresh++;
        head_in(s, c, index)->turn = c->turn;
    }
    c->used++;
    return index;
}

void *slab_take(struct slab *s, uint32_t *ret_slot, uint32_t *ret_turn) {
    if (s->used == s->slots_max)
        return NULL;
    while (!has_free(s, s->lowest_free))
        s->lowest_free++;
    uint32_t chunk = s->lowest_free;
    struct slab_chunk *c = &s->chunks[chunk];
    if (!c->slots)
        chunk_bring(s, c);
    if (s->empty_chunk == (int32_t)chunk)
        s->empty_chunk = NO_CHUNK;
    uint32_t index = take_from(s, c), slot = chunk * CHUNK_SLOTS + index;
    struct slot_head *head = head_in(s, c, index);
    head->taken = 1;
    s->used++;
    if (s->high_water <= slot)
        s->high_water = slot + 1;
    *ret_slot = slot;
    *ret_turn = head->turn;
    return memset(head + 1, 0, s->object_bytes);
}

static void chunk_give_back(struct slab *s, uint32_t chunk) {
    struct slab_chunk *c = &s->chunks[chunk];
    for (uint32_t i = 0; i < c->fresh; i++)
        if (head_in(s, c, i)->turn > c->turn)
            c->turn = head_in(s, c, i)->turn;
    free(c->slots);
    c->slots = NULL;
    while (s->high_water > 0 && !s->chunks[(s->high_water - 1) / CHUNK_SLOTS].slots)
        s->high_water = (s->high_water - 1) / CHUNK_SLOTS * CHUNK_SLOTS;
}

// The higher one of two empty chunks goes.
static void chunk_emptied(struct slab *s, uint32_t chunk) {
    if (s->empty_chunk == NO_CHUNK) {
        s->empty_chunk = (int32_t)chunk;
        return;
    }
    uint32_t other = (uint32_t)s->empty_chunk;
    s->empty_chunk = (int32_t)(other < chunk ? other : chunk);
    chunk_give_back(s, other < chunk ? chunk : other);
}

void slab_give(struct slab *s, uint32_t slot) {
    uint32_t chunk = slot / CHUNK_SLOTS;
    struct slab_chunk *c = &s->chunks[chunk];
    struct slot_head *head = head_at(s, slot);
    assert(head && head->taken);
    head->taken = 0;
    head->turn = head->turn == UINT32_MAX ? 1 : head->turn + 1;
    head->next_free = c->free;
    c->free = (uint16_t)(slot % CHUNK_SLOTS);
    c->used--;
    s->used--;
    if (s->lowest_free > chunk)
        s->lowest_free = chunk;
    if (c->used == 0)
        chunk_emptied(s, chunk);
}

void *slab_at(const struct slab *s, uint32_t slot) {
    struct slot_head *head = slot < s->high_water ? head_at(s, slot) : NULL;
    return head && head->taken ? head + 1 : NULL;
}

void *slab_find(const struct slab *s, uint32_t slot, uint32_t turn) {
    void *object = slab_at(s, slot);
    return object && slab_turn(s, slot) == turn ? object : NULL;
}

uint32_t slab_turn(const struct slab *s, uint32_t slot) {
    return head_at(s, slot)->turn;
}
