// A process that plays clients: some of the bench's sessions, in one loop, by order of the
// conductor.
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include "share.h"

struct worker_place {
    uint32_t index, first, count; // which of share's workers; whose clients
};
// Runs until ORDER_END, or until the other end of `orders` is closed. For a child of the conductor.
void worker_run(struct share *share, struct worker_place place, int orders);

#endif
