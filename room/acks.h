// What clients have handled, on its way to the saver.
#ifndef HW_ACKS_H
#define HW_ACKS_H

#include <stddef.h>
#include <stdint.h>

#include "timer.h"

struct late_ack;
struct room;
struct room_binding;

// Positions of sessions that are ending or away, and of all now and then.
struct late_acks {
    struct late_ack *list; // owned: those that wait for another try
    struct timer timer;    // until then
    size_t count;          // those on their way too
    uint64_t lost;         // a counter
};

void acks_save_last(struct room_binding *b);
void acks_deinit(struct room *r);

#endif
