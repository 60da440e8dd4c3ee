// Some frames on their way to one client in one write: which entries of a log go into it, and what
// became of them. The bytes are the caller's; a run knows where each frame ends.
#ifndef HW_FRAME_RUN_H
#define HW_FRAME_RUN_H

#include <stddef.h>

#include "feed.h"

enum { FRAME_RUN_MAX = 66 }; // 32 messages with a gap before each, and two more

struct frame_run_item {
    uint64_t last; // seq
    uint32_t end;  // offset behind its frame
    bool counts;   // a message, in the window; else a gap
};

struct frame_run {
    struct frame_run_item items[FRAME_RUN_MAX];
    size_t count;
    uint64_t epoch; // of the feed's log
    uint64_t at;    // last seq in it
    uint32_t messages_left;
};

enum frame_run_fit {
    RUN_KNOWN, // sent already: pass it over
    RUN_NEXT,  // goes on where the run ends
    RUN_ENDS,  // it does not go on there, or the window or the run is used up
};

// --- filled entry by entry, for each session of a walk

static inline void frame_run_begin(struct frame_run *r, const struct feed *f) {
    r->count = 0;
    r->epoch = f->epoch;
    r->at = f->sent;
    r->messages_left = feed_messages_left(f);
}

// Where an entry of the log stands: a message (first = last), or a gap of first..last.
static inline enum frame_run_fit frame_run_fit(const struct frame_run *r, uint64_t first,
                                               uint64_t last, bool is_message) {
    if (last <= r->at)
        return RUN_KNOWN;
    if (first > r->at + 1 || r->count == FRAME_RUN_MAX || (is_message && r->messages_left == 0))
        return RUN_ENDS;
    return RUN_NEXT;
}

// Takes one that is RUN_NEXT; its frame ends at `end` of the caller's bytes.
static inline void frame_run_add(struct frame_run *r, uint64_t last, uint32_t end,
                                 bool is_message) {
    r->items[r->count++] = (struct frame_run_item){last, end, is_message};
    r->messages_left -= is_message ? 1 : 0;
    r->at = last;
}

// --- what became of it

struct frame_run_sent {
    size_t messages;
    size_t anew; // of them, that were never sent before
};
// The first so many items went out.
struct frame_run_sent frame_run_went(const struct frame_run *r, size_t items, struct feed *f);

#endif
