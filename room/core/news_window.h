// A product's news as a room knows them: its latest broadcasts, which lie in one run of encoded
// frames that all sessions read by seq, and blocks of those before them. The window goes on from
// `base` to `head` without a hole; it never passes one. The window knows bytes and seqs, and nobody
// who reads them.
#ifndef HW_NEWS_WINDOW_H
#define HW_NEWS_WINDOW_H

#include "news_blocks.h"

struct news_window_limits {
    size_t bytes; // of frames
    size_t entries;
};

struct news_window {
    uint64_t epoch, base, head; // epoch 0: the log is not known yet
    struct news_window_limits limits;
    struct news_run latest;
    struct news_blocks older;
};

enum news_found {
    NEWS_HERE,
    NEWS_NONE,  // nothing is known behind it
    NEWS_LATER, // a block is to be read first
};

struct news_range { // valid until the window, or its blocks, change
    const struct news_entry *entry, *end;
    const uint8_t *frames; // entry->offset counts from here
};

void news_window_init(struct news_window *w, const struct news_window_limits *limits,
                      struct news_room *room);
// Ends or starts again, with another log: nothing is kept of the one before. Those who waited for
// its blocks are added to *waiters, unless that is NULL.
void news_window_deinit(struct news_window *w, struct handles *waiters);
void news_window_start(struct news_window *w, uint64_t epoch, uint64_t head,
                       struct handles *waiters);
size_t news_window_bytes(const struct news_window *w); // of memory, without the blocks
// Whether an entry first..last is new and leaves no hole.
bool news_window_takes(const struct news_window *w, uint64_t first, uint64_t last);
// Puts an entry that it takes behind its head; the audience is the window's from now on. The
// oldest half goes when it is full.
void news_window_add(struct news_window *w, const struct news_entry *e, const uint8_t *frame);
struct news_seek { // what comes after `after`; waiter: who is told when it is there
    uint64_t after, waiter, now_ms;
};
// NEWS_LATER: see news_blocks_find.
enum news_found news_window_find(struct news_window *w, const struct news_seek *seek,
                                 struct news_range *ret_range);

#endif
