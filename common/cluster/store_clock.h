// An estimate of the clock of the savers' store, by which messages are accepted and expire: a saver
// is asked for it every 5 s. The estimate is never later than that clock. Embedded in a daemon that
// is in the cluster; a daemon's own wall clock says nothing about expiry.
#ifndef HW_STORE_CLOCK_H
#define HW_STORE_CLOCK_H

#include "cluster.h"

struct store_clock {
    struct loop *loop;       // borrowed from the daemon
    struct cluster *cluster; // the same
    struct timer timer;
    uint64_t asked_ms, read_ms;
    int64_t offset_ms; // the store's clock less loop_now_ms
    bool is_known;
};

void store_clock_start(struct store_clock *clock, struct loop *loop, struct cluster *cluster);
// After the cluster's calls are cancelled. Harmless when it was never started.
void store_clock_stop(struct store_clock *clock);
uint64_t store_clock_ms(const struct store_clock *clock); // Unix ms; 0 = not known

#endif
