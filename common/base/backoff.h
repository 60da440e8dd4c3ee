// How long whoever connects waits before the next try: longer after each that failed, with full
// jitter (50 ms .. 2 s). A connection that ends soon after it came up has failed like one that
// never did: a peer that lets everybody in and ends it at the first word is not asked in a tight
// circle.
#ifndef HW_BACKOFF_H
#define HW_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "rng.h"

enum {
    BACKOFF_BASE_MS = 50,
    BACKOFF_CAP_MS = 2000,
    BACKOFF_STEADY_MS = 1000, // so long it was up: what ends it is no failure to connect
};

struct backoff {       // all zero at the beginning
    uint32_t attempts; // since it was last up for so long
    bool is_up;
    uint64_t up_ms; // since then
};
void backoff_came_up(struct backoff *b, uint64_t now_ms);
// It went down, or did not come up: the next try is due after so long, 1..BACKOFF_CAP_MS.
uint64_t backoff_wait_ms(struct backoff *b, uint64_t now_ms, struct rng *rng);

#endif
