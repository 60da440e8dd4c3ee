#include "news_blocks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ASKED_WITH_AHEAD = 2 }; // questions of a product, one that nobody waits for among them

// --- the blocks of a product, by where they begin

// How many begin at or before `after`: the last of these is the one to look at.
static size_t begin_before(const struct news_blocks *blocks, uint64_t after) {
    size_t low = 0, high = blocks->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (blocks->block[middle]->after <= after)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void count_bytes(struct news_block *b, size_t bytes) {
    struct news_blocks *owner = b->owner;
    owner->bytes = owner->bytes - b->bytes + bytes;
    owner->room->bytes = owner->room->bytes - b->bytes + bytes;
    b->bytes = bytes;
}

static void want(struct news_blocks *blocks, uint64_t after, uint32_t messages) {
    struct news_block *b = hw_calloc(1, sizeof(*b));
    size_t at = begin_before(blocks, after);
    if (blocks->count == blocks->capacity) {
        blocks->capacity = blocks->capacity ? blocks->capacity * 2 : 8;
        blocks->block = hw_realloc(blocks->block, blocks->capacity * sizeof(blocks->block[0]));
    }
    memmove(blocks->block + at + 1, blocks->block + at,
            (blocks->count - at) * sizeof(blocks->block[0]));
    blocks->block[at] = b;
    blocks->count++;
    b->owner = blocks;
    b->after = after;
    b->messages = messages;
    if (TAILQ_EMPTY(&blocks->wanted))
        TAILQ_INSERT_TAIL(&blocks->room->wanting, blocks, in_room);
    TAILQ_INSERT_TAIL(&blocks->wanted, b, in_product);
}

// The block stands in no list any more.
static void block_free(struct news_block *b) {
    struct news_blocks *owner = b->owner;
    size_t at = begin_before(owner, b->after) - 1;
    assert(owner->block[at] == b);
    owner->count--;
    memmove(owner->block + at, owner->block + at + 1,
            (owner->count - at) * sizeof(owner->block[0]));
    count_bytes(b, 0);
    news_run_deinit(&b->run);
    handles_deinit(&b->waiters);
    free(b);
}

static void give_back(struct news_block *b) {
    TAILQ_REMOVE(&b->owner->loaded, b, in_product);
    TAILQ_REMOVE(&b->owner->room->loaded, b, in_room);
    b->owner->room->given_back++;
    block_free(b);
}

static void stand_last(struct news_block *b) {
    TAILQ_INSERT_TAIL(&b->owner->loaded, b, in_product);
    TAILQ_INSERT_TAIL(&b->owner->room->loaded, b, in_room);
}

// --- the room

void news_room_init(struct news_room *room, const struct news_limits *limits) {
    *room = (struct news_room){.limits = *limits};
    assert(limits->asked_max > 0 && limits->block_messages > 0);
    assert(limits->asked_max * limits->block_bytes <= limits->product_bytes);
    assert(limits->block_bytes <= limits->room_bytes);
    TAILQ_INIT(&room->wanting);
    TAILQ_INIT(&room->loaded);
}

bool news_room_has_wanted(const struct news_room *room) {
    return !TAILQ_EMPTY(&room->wanting);
}

static bool free_for_a_block(struct news_blocks *blocks) {
    struct news_room *room = blocks->room;
    const struct news_limits *l = &room->limits;
    while (blocks->bytes + l->block_bytes > l->product_bytes && !TAILQ_EMPTY(&blocks->loaded))
        give_back(TAILQ_FIRST(&blocks->loaded));
    while (room->bytes + l->block_bytes > l->room_bytes && !TAILQ_EMPTY(&room->loaded))
        give_back(TAILQ_FIRST(&room->loaded));
    return blocks->bytes + l->block_bytes <= l->product_bytes &&
           room->bytes + l->block_bytes <= l->room_bytes;
}

static void news_blocks_ask(struct news_blocks *blocks, struct news_ask *ret_ask) {
    struct news_room *room = blocks->room;
    struct news_block *b = TAILQ_FIRST(&blocks->wanted);
    TAILQ_REMOVE(&blocks->wanted, b, in_product);
    TAILQ_REMOVE(&room->wanting, blocks, in_room);
    if (!TAILQ_EMPTY(&blocks->wanted))
        TAILQ_INSERT_TAIL(&room->wanting, blocks, in_room); // the others first
    b->ticket = ++room->tickets;
    blocks->asked++;
    room->loads++;
    count_bytes(b, room->limits.block_bytes);
    *ret_ask = (struct news_ask){blocks, b->after, b->ticket, b->messages,
                                 (uint32_t)room->limits.block_bytes};
}

bool news_room_ask(struct news_room *room, struct news_ask *ret_ask) {
    struct news_blocks *blocks;
    TAILQ_FOREACH(blocks, &room->wanting, in_room) {
        if (blocks->asked < room->limits.asked_max && free_for_a_block(blocks)) {
            news_blocks_ask(blocks, ret_ask);
            return true;
        }
    }
    return false;
}

// --- a product

void news_blocks_init(struct news_blocks *blocks, struct news_room *room) {
    *blocks = (struct news_blocks){.room = room};
    TAILQ_INIT(&blocks->wanted);
    TAILQ_INIT(&blocks->loaded);
}

void news_blocks_reset(struct news_blocks *blocks, struct handles *waiters) {
    struct news_block *b;
    if (!TAILQ_EMPTY(&blocks->wanted))
        TAILQ_REMOVE(&blocks->room->wanting, blocks, in_room);
    TAILQ_FOREACH(b, &blocks->loaded, in_product)
        TAILQ_REMOVE(&blocks->room->loaded, b, in_room);
    for (size_t i = 0; i < blocks->count; i++)
        handles_move(&blocks->block[i]->waiters, waiters);
    while (blocks->count > 0)
        block_free(blocks->block[blocks->count - 1]);
    free(blocks->block);
    news_blocks_init(blocks, blocks->room);
}

static bool covers(const struct news_block *b, uint64_t after) {
    return b->is_loaded ? b->last > after : after - b->after < b->messages;
}

// The block that has, or will have, after+1. A new one begins at a multiple of block_messages, so
// that readers who come from anywhere meet in it; unless one that begins there, or later, ended
// before it came so far: then messages are large, and it begins where it is needed.
static struct news_block *find_or_want(struct news_blocks *blocks, uint64_t after) {
    uint64_t grid = blocks->room->limits.block_messages, start = after - after % grid;
    size_t before = begin_before(blocks, after);
    struct news_block *b = before > 0 ? blocks->block[before - 1] : NULL;
    if (b && covers(b, after))
        return b;
    if (b && (b->after >= start || (b->is_loaded && b->last == after)))
        start = after;
    want(blocks, start, (uint32_t)(grid - start % grid));
    return blocks->block[begin_before(blocks, start) - 1];
}

static void look_ahead(struct news_blocks *blocks, struct news_block *b, uint64_t until) {
    if (b->is_led_on || b->last >= until || !TAILQ_EMPTY(&blocks->wanted) ||
        blocks->asked >= ASKED_WITH_AHEAD)
        return;
    b->is_led_on = true;
    (void)find_or_want(blocks, b->last);
}

const struct news_block *news_blocks_find(struct news_blocks *blocks, const struct news_reader *at,
                                          uint64_t now_ms) {
    struct news_block *b = find_or_want(blocks, at->after);
    if (!b->is_loaded) {
        handles_add(&b->waiters, at->waiter);
        return NULL;
    }
    TAILQ_REMOVE(&blocks->loaded, b, in_product);
    TAILQ_REMOVE(&blocks->room->loaded, b, in_room);
    stand_last(b);
    b->used_ms = now_ms;
    look_ahead(blocks, b, at->until);
    return b;
}

struct news_block *news_blocks_answer(struct news_blocks *blocks, uint64_t ticket) {
    for (size_t i = 0; i < blocks->count; i++)
        if (blocks->block[i]->ticket == ticket && !blocks->block[i]->is_loaded)
            return blocks->block[i];
    blocks->room->too_late++;
    return NULL;
}

bool news_block_add(struct news_block *b, const struct news_entry *e, const uint8_t *frame) {
    uint64_t at = b->run.count ? b->run.entry[b->run.count - 1].last : b->after;
    if (e->first != at + 1 || e->last < e->first)
        return false;
    news_run_add(&b->run, e, frame);
    return true;
}

bool news_block_settle(struct news_block *b, uint64_t now_ms, struct handles *waiters) {
    handles_move(&b->waiters, waiters);
    b->owner->asked--;
    if (b->run.count == 0) {
        block_free(b);
        return false;
    }
    b->is_loaded = true;
    b->last = b->run.entry[b->run.count - 1].last;
    b->used_ms = now_ms;
    count_bytes(b, sizeof(*b) + news_run_bytes(&b->run));
    stand_last(b);
    return true;
}

void news_blocks_tick(struct news_blocks *blocks, uint64_t now_ms) {
    struct news_block *b;
    while ((b = TAILQ_FIRST(&blocks->loaded)) != NULL &&
           b->used_ms + blocks->room->limits.idle_ms <= now_ms)
        give_back(b);
}
