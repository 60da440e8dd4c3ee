// The passes over all sessions and connections of a room, and what starts them.
#ifndef HW_PASSES_H
#define HW_PASSES_H

#include <stdbool.h>
#include <stdint.h>

#include "timer.h"

struct room;

// Slots that a pass goes over, a share at each tick, or all in a hurry.
struct pass {
    uint32_t at;      // the last slot
    uint32_t rest;    // of a division
    uint32_t hurried; // slots still to visit in a hurry
};

struct passes {
    struct timer tick;
    uint32_t tick_count;
    struct pass confirm, heads, save, looks, hurried_confirm, hurried_heads;
    uint64_t hurried_heads_ms;
    bool confirm_again, heads_wanted, heads_twice;
};

// --- what files below passes.c ask for, too
static inline void passes_want_confirmations(struct passes *p) { // of those in doubt
    p->confirm_again = true;
}
static inline void passes_want_heads(struct passes *p) { // of all inboxes
    p->heads_wanted = true;
}
// Centers could not ask where users are, or were answered by what is not there any more. Such a
// center may find its register back later than this room does, so the room asks once more when that
// is over.
static inline void passes_lost_hints(struct passes *p) {
    p->heads_wanted = p->heads_twice = true;
}

// --- passes.c
void passes_begin(struct room *r);
void passes_end(struct room *r);
void passes_on_lease(struct room *r, bool held);
void passes_confirm_all(struct room *r);

#endif
