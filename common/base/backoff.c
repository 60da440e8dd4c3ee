#include "backoff.h"

enum { DOUBLINGS = 6 }; // more than the cap has

void backoff_came_up(struct backoff *b, uint64_t now_ms) {
    b->is_up = true;
    b->up_ms = now_ms;
}

uint64_t backoff_wait_ms(struct backoff *b, uint64_t now_ms, struct rng *rng) {
    if (b->is_up && now_ms - b->up_ms >= BACKOFF_STEADY_MS)
        b->attempts = 0;
    b->is_up = false;
    uint64_t cap = (uint64_t)BACKOFF_BASE_MS << (b->attempts < DOUBLINGS ? b->attempts : DOUBLINGS);
    b->attempts++;
    return 1 + rng_below(rng, cap < BACKOFF_CAP_MS ? cap : BACKOFF_CAP_MS);
}
