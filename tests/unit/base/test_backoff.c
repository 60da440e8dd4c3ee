// How long the next try to connect waits, by what became of those before it.
#include "../suite.h"

#include "backoff.h"

static struct rng rng;

// The longest of many waits in that state, of copies: it is near the bound that they are drawn
// below.
static uint64_t longest(const struct backoff *b, uint64_t now_ms) {
    uint64_t most = 0;
    for (int i = 0; i < 2000; i++) {
        struct backoff copy = *b;
        uint64_t wait = backoff_wait_ms(&copy, now_ms, &rng);
        ck_assert_uint_ge(wait, 1);
        most = wait > most ? wait : most;
    }
    return most;
}

static void check_bound(const struct backoff *b, uint64_t now_ms, uint64_t bound) {
    uint64_t most = longest(b, now_ms);
    ck_assert_uint_le(most, bound);
    ck_assert_uint_gt(most, bound - bound / 10);
}

START_TEST(test_grows) {
    static const uint64_t bounds[] = {50, 100, 200, 400, 800, 1600, 2000, 2000, 2000};
    struct backoff b = {0};
    rng_init(&rng, 1);
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        check_bound(&b, 7, bounds[i]);
        (void)backoff_wait_ms(&b, 7, &rng);
    }
}
END_TEST

// Only who was up for a second begins anew: what comes up and goes down at once waits ever longer.
START_TEST(test_flaps) {
    struct backoff b = {0};
    uint64_t now = 0;
    rng_init(&rng, 2);
    for (int i = 0; i < 10; i++) {
        backoff_came_up(&b, now);
        now += BACKOFF_STEADY_MS - 1;
        now += backoff_wait_ms(&b, now, &rng);
    }
    check_bound(&b, now, BACKOFF_CAP_MS);
    check_bound(&b, now + 3600 * 1000, BACKOFF_CAP_MS); // it was down all the time
    backoff_came_up(&b, now);
    check_bound(&b, now + BACKOFF_STEADY_MS - 1, BACKOFF_CAP_MS);
    check_bound(&b, now + BACKOFF_STEADY_MS, BACKOFF_BASE_MS);
}
END_TEST

RUN_TESTS("backoff", test_grows, test_flaps)
