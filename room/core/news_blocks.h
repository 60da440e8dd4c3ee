// What lies before the news windows of a room's products, read from their logs in blocks that all
// sessions share. A block covers exactly the seqs that the log answered with, `after`+1 .. `last`,
// so that one that was read when the log was shorter hides nothing. A session that needs a block
// waits for it; questions are asked in the order in which blocks were wanted, the products in
// turn. A block stays until memory is wanted for another (the one unused longest goes first), or
// nobody has used it for a while: it is never kept from one that waits. Whoever waits is told when
// the block is there, before any block can go: so each block that is read takes all that waited
// for it further. Bounded in bytes for a product and for the room.
#ifndef HW_NEWS_BLOCKS_H
#define HW_NEWS_BLOCKS_H

#include <sys/queue.h>

#include "handles.h"
#include "news_run.h"

struct news_limits {
    size_t block_bytes;      // asked for in one question, and held free until its answer comes
    uint32_t block_messages; // blocks begin and end at multiples of it where they can
    size_t product_bytes, room_bytes; // of blocks
    uint32_t asked_max;               // questions of a product at once
    uint64_t idle_ms;
};

struct news_block {
    TAILQ_ENTRY(news_block) in_product; // its `wanted`, or `loaded`, or none while asked
    TAILQ_ENTRY(news_block) in_room;    // `loaded`
    uint64_t after, last;               // last: when loaded
    uint64_t used_ms;
    uint64_t ticket; // of its question
    struct news_blocks *owner;
    struct news_run run;
    size_t bytes;           // counted for it in both sums
    struct handles waiters; // numbers that mean something to the caller only
    uint32_t messages;      // wanted at most
    bool is_loaded;
    bool is_led_on; // what comes after it was asked for ahead, once
};
TAILQ_HEAD(news_block_list, news_block);

struct news_blocks { // of one product
    struct news_room *room;
    TAILQ_ENTRY(news_blocks) in_room; // while some are wanted
    struct news_block **block;        // owned: all of them, by `after`
    size_t count, capacity;
    struct news_block_list wanted, loaded; // loaded: unused longest first
    size_t bytes;
    uint32_t asked;
};

struct news_room { // all of a room's
    struct news_limits limits;
    TAILQ_HEAD(, news_blocks) wanting; // asked in turn
    struct news_block_list loaded;     // unused longest first
    uint64_t bytes;
    uint64_t tickets;
    uint64_t loads, given_back, too_late; // counters: questions; blocks dropped; answers for nobody
};

struct news_ask { // a question to the log
    struct news_blocks *of;
    uint64_t after, ticket;
    uint32_t messages, bytes;
};

void news_room_init(struct news_room *room, const struct news_limits *limits);
bool news_room_has_wanted(const struct news_room *room);
// The next question, when there is one and its answer fits in; blocks are given back for it. Each
// must be answered by news_blocks_answer and _settle, or by neither after a _reset.
bool news_room_ask(struct news_room *room, struct news_ask *ret_ask);

void news_blocks_init(struct news_blocks *blocks, struct news_room *room); // borrowed; outlives it
// The log is another one, or the product goes: all blocks go, answers on their way are too late.
// Adds all who waited to *waiters, unless that is NULL.
void news_blocks_reset(struct news_blocks *blocks, struct handles *waiters);
// Where a reader is.
struct news_reader {
    uint64_t after, until; // blocks that go on before `until` are asked for ahead
    uint64_t waiter;       // who is told when the log has answered
};
// The block with after+1; NULL: it is asked for. The block stays at least until the next
// news_room_ask, _tick or _reset.
const struct news_block *news_blocks_find(struct news_blocks *blocks, const struct news_reader *at,
                                          uint64_t now_ms);
// The block of a question; NULL: nobody wants it any more.
struct news_block *news_blocks_answer(struct news_blocks *blocks, uint64_t ticket);
// One step of the answer: false when it does not go on where the last one ended; then the entry
// and its audience stay the caller's.
bool news_block_add(struct news_block *b, const struct news_entry *e, const uint8_t *frame);
// Adds those who waited to *waiters. False: nothing was added, and the block is gone.
bool news_block_settle(struct news_block *b, uint64_t now_ms, struct handles *waiters);
void news_blocks_tick(struct news_blocks *blocks, uint64_t now_ms); // gives back what is idle

#endif
