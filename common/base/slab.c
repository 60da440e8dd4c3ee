// A chunk is one aligned piece of memory: a head, the turns of its slots, then their objects. So an
// object says by its address alone which slot it is, of which slab, and nothing is kept with it for
// that. A chunk whose slots are all free is given back, but for one, so that a table that breathes
// around a chunk's edge does not allocate at each breath. Slots are taken from the lowest chunk
// that has one, so that after a storm the high ones empty.
#include "slab.h"

#include <assert.h>
#include <stdbool.h>

#include "buf.h"

enum { NO_SLOT = UINT16_MAX, NO_CHUNK = -1 };

struct chunk_memory {
    struct slab *slab; // borrowed: whose it is. The first one: see slab_of
    uint32_t first;    // its first slot
    // Of each slot: odd while it is taken, even while it is free. 0: not taken since the chunk
    // came, or when 2^31 turns are over.
    uint32_t turns[];
};

struct slab_chunk {
    struct chunk_memory *memory; // owned; NULL = given back, or never there
    uint32_t turn;  // that its slots begin with: none comes twice, also when it was away
    uint16_t used;  // slots taken
    uint16_t fresh; // slots fresh.. have not been taken since it came
    uint16_t free;  // the first of the free ones below, NO_SLOT = none
};

static uint32_t chunk_count(const struct slab *s) {
    return (s->slots_max - 1) / s->chunk_slots + 1;
}

static char *object_at(const struct slab *s, struct chunk_memory *m, uint32_t index) {
    return (char *)m + s->objects_at + (size_t)index * s->object_bytes;
}

// Where the next free one is written in one that is free.
static uint16_t *next_free(const struct slab *s, struct chunk_memory *m, uint32_t index) {
    return (uint16_t *)(void *)object_at(s, m, index);
}

static struct chunk_memory *memory_of(const void *object) {
    return (struct chunk_memory *)((uintptr_t)object & ~(uintptr_t)(SLAB_CHUNK_BYTES - 1));
}

static uint32_t index_in(const struct chunk_memory *m, const void *object) {
    uint32_t at = (uint32_t)((const char *)object - (const char *)m) - m->slab->objects_at;
    return at / m->slab->object_bytes;
}

static uint32_t public_turn(uint32_t turn) {
    return turn / 2 + 1;
}

void slab_init(struct slab *s, size_t object_bytes, uint32_t slots_max) {
    assert(slots_max >= 1 && slots_max <= INT32_MAX && object_bytes <= SLAB_CHUNK_BYTES / 2);
    *s = (struct slab){.object_bytes = ((uint32_t)object_bytes + 7) & ~UINT32_C(7),
                       .slots_max = slots_max,
                       .empty_chunk = NO_CHUNK};
    // As many as fit, with 4 bytes for aligning the first object.
    uint32_t head = sizeof(struct chunk_memory), turn = sizeof(uint32_t);
    s->chunk_slots = (SLAB_CHUNK_BYTES - head - turn) / (s->object_bytes + turn);
    s->objects_at = (head + s->chunk_slots * turn + 7) & ~UINT32_C(7);
    s->chunks = hw_calloc(chunk_count(s), sizeof(s->chunks[0]));
}

void slab_deinit(struct slab *s) {
    for (uint32_t i = 0; s->chunks && i < chunk_count(s); i++)
        free(s->chunks[i].memory);
    free(s->chunks);
    *s = (struct slab){0};
}

static bool has_free(const struct slab *s, uint32_t chunk) {
    const struct slab_chunk *c = &s->chunks[chunk];
    uint32_t slots = s->slots_max - chunk * s->chunk_slots;
    return c->used < (slots < s->chunk_slots ? slots : s->chunk_slots);
}

static void chunk_bring(struct slab *s, uint32_t chunk) {
    struct slab_chunk *c = &s->chunks[chunk];
    void *memory = NULL;
    if (posix_memalign(&memory, SLAB_CHUNK_BYTES, SLAB_CHUNK_BYTES) != 0)
        abort();
    memset(memory, 0, s->objects_at);
    c->memory = memory;
    c->memory->slab = s;
    c->memory->first = chunk * s->chunk_slots;
    c->free = NO_SLOT;
    c->fresh = 0;
}

static uint32_t take_from(const struct slab *s, struct slab_chunk *c) {
    uint32_t index = c->free;
    if (index != NO_SLOT) {
        c->free = *next_free(s, c->memory, index);
    } else {
        index = c->fresh++;
        c->memory->turns[index] = c->turn;
    }
    c->memory->turns[index]++;
    c->used++;
    return index;
}

void *slab_take(struct slab *s) {
    if (s->used == s->slots_max)
        return NULL;
    while (!has_free(s, s->lowest_free))
        s->lowest_free++;
    uint32_t chunk = s->lowest_free;
    struct slab_chunk *c = &s->chunks[chunk];
    if (!c->memory)
        chunk_bring(s, chunk);
    if (s->empty_chunk == (int32_t)chunk)
        s->empty_chunk = NO_CHUNK;
    uint32_t index = take_from(s, c), slot = c->memory->first + index;
    s->used++;
    if (s->high_water <= slot)
        s->high_water = slot + 1;
    return memset(object_at(s, c->memory, index), 0, s->object_bytes);
}

static void chunk_give_back(struct slab *s, uint32_t chunk) {
    struct slab_chunk *c = &s->chunks[chunk];
    for (uint32_t i = 0; i < c->fresh; i++)
        if (c->memory->turns[i] > c->turn)
            c->turn = c->memory->turns[i];
    free(c->memory);
    c->memory = NULL;
    while (s->high_water > 0 && !s->chunks[(s->high_water - 1) / s->chunk_slots].memory)
        s->high_water = (s->high_water - 1) / s->chunk_slots * s->chunk_slots;
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

void slab_give(void *object) {
    struct chunk_memory *m = memory_of(object);
    struct slab *s = m->slab;
    uint32_t index = index_in(m, object), chunk = m->first / s->chunk_slots;
    struct slab_chunk *c = &s->chunks[chunk];
    assert(m->turns[index] % 2 == 1);
    m->turns[index]++;
    *next_free(s, m, index) = c->free;
    c->free = (uint16_t)index;
    c->used--;
    s->used--;
    if (s->lowest_free > chunk)
        s->lowest_free = chunk;
    if (c->used == 0)
        chunk_emptied(s, chunk);
}

// turn: odd, of one that is taken; NULL where it is free, or its chunk is not there.
static void *slab_look(const struct slab *s, uint32_t slot, uint32_t *ret_turn) {
    if (slot >= s->high_water)
        return NULL;
    struct chunk_memory *m = s->chunks[slot / s->chunk_slots].memory;
    uint32_t index = slot % s->chunk_slots;
    if (!m || m->turns[index] % 2 == 0)
        return NULL;
    *ret_turn = m->turns[index];
    return object_at(s, m, index);
}

void *slab_at(const struct slab *s, uint32_t slot) {
    uint32_t turn;
    return slab_look(s, slot, &turn);
}

void *slab_find(const struct slab *s, uint32_t slot, uint32_t turn) {
    uint32_t now = 0;
    void *object = slab_look(s, slot, &now);
    return object && public_turn(now) == turn ? object : NULL;
}

uint32_t slab_slot(const void *object) {
    const struct chunk_memory *m = memory_of(object);
    return m->first + index_in(m, object);
}

uint32_t slab_turn(const void *object) {
    const struct chunk_memory *m = memory_of(object);
    return public_turn(m->turns[index_in(m, object)]);
}
