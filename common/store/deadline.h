// A deadline towards a server, counted while the loop ran: what was answered while the process
// stood still may be unread, so the time in which it stood does not count.
#ifndef HW_DEADLINE_H
#define HW_DEADLINE_H

#include "loop.h"

struct deadline {
    struct timer timer;
    struct loop *loop;
    uint64_t due_ms;
    void (*late)(struct deadline *d);
};
uint64_t deadline_in(const struct loop *l, uint64_t ms); // as deadline_set takes it
// In the place of what was set before.
void deadline_set(struct deadline *d, struct loop *l, uint64_t due_ms,
                  void (*late)(struct deadline *d));
void deadline_clear(struct deadline *d);

#endif
