// Jobs are spread by all centers: each takes a part under a lease, appends the message to the inbox
// of each of its targets, finds and delivers, and says how far it has come. Who takes a part up
// behind a center that is gone begins where that one has said to be; what was appended beyond it is
// known by its id. No append of a lease is taken behind its end, by the store's clock.
#ifndef HW_SPREAD_H
#define HW_SPREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "timer.h"

struct center;
struct job_part;

struct spread {
    struct timer timer;          // until the next question for a part
    LIST_HEAD(, job_part) parts; // owned
    size_t under_way;
    uint64_t asked_ms; // when the question was sent
    bool is_asking;    // it is not answered yet
};

void spread_start(struct center *c);
void spread_wake(struct center *c); // there is a job
// At the end, after the calls were cancelled.
void spread_end(struct center *c);

#endif
