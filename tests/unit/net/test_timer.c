// The wheel against a plain list of due times: the same timers fire at the same moments in the same
// order, whatever is armed, re-armed and stopped, also from within handlers, and over spans beyond
// the wheel's.
#include "suite.h"

#include <stddef.h>

#include "buf.h"
#include "rng.h"
#include "timer.h"

enum { TIMERS = 200, STEPS = 4000 };

struct owner {
    struct timer timer;
    uint64_t due_ms, armed_at; // armed_at: order of arming
    bool armed;
    int fired;
};

static struct owner owners[TIMERS];
static struct wheel *wheel;
static uint64_t now_ms, arms, last_due, last_armed_at;

static void on_fire(struct timer *t) {
    struct owner *o = container_of(t, struct owner, timer);
    ck_assert(o->armed && !timer_is_armed(t));
    ck_assert_uint_le(o->due_ms, now_ms);
    ck_assert(o->due_ms > last_due || (o->due_ms == last_due && o->armed_at > last_armed_at));
    last_due = o->due_ms;
    last_armed_at = o->armed_at;
    o->armed = false;
    o->fired++;
}

static void arm(struct owner *o, uint64_t due) {
    o->due_ms = due;
    o->armed_at = ++arms;
    o->armed = true;
    wheel_arm(wheel, &o->timer, due, on_fire);
}

START_TEST(test_against_list) {
    static const uint64_t spans[] = {3, 300, 70000, 20000000, 6000000000};
    struct rng rng;
    rng_init(&rng, 42);
    wheel = wheel_new(now_ms = 123456789);
    for (int step = 0; step < STEPS; step++) {
        uint64_t span = spans[rng_below(&rng, 5)];
        struct owner *o = &owners[rng_below(&rng, TIMERS)];
        if (rng_below(&rng, 4) == 0) {
            wheel_stop(wheel, &o->timer);
            o->armed = false;
        } else {
            arm(o, now_ms + 1 + rng_below(&rng, span));
        }
        now_ms += rng_below(&rng, spans[rng_below(&rng, 5)]) / 8;
        uint64_t soonest = UINT64_MAX;
        uint32_t armed = 0;
        for (int i = 0; i < TIMERS; i++) {
            armed += owners[i].armed;
            if (owners[i].armed && owners[i].due_ms < soonest)
                soonest = owners[i].due_ms;
        }
        ck_assert_uint_eq(wheel_armed(wheel), armed);
        ck_assert_uint_le(wheel_next_due_ms(wheel), soonest);
        last_due = last_armed_at = 0;
        wheel_run(wheel, now_ms);
        for (int i = 0; i < TIMERS; i++)
            ck_assert(!owners[i].armed || owners[i].due_ms > now_ms);
    }
    for (int i = 0; i < TIMERS; i++)
        wheel_stop(wheel, &owners[i].timer);
    ck_assert_uint_eq(wheel_next_due_ms(wheel), UINT64_MAX);
    wheel_free(wheel);
}
END_TEST

static int rearmed;

static void rearm(struct timer *t) {
    if (++rearmed < 5)
        wheel_arm(wheel, t, now_ms, rearm); // due at once: must not fire within this run
}

// A handler that arms its timer for now does not spin the wheel.
START_TEST(test_rearm_for_now) {
    wheel = wheel_new(now_ms = 1000);
    struct timer t = {0};
    wheel_arm(wheel, &t, 1001, rearm);
    wheel_run(wheel, now_ms = 1001);
    ck_assert_int_eq(rearmed, 1);
    wheel_run(wheel, now_ms = 1002);
    ck_assert_int_eq(rearmed, 2);
    wheel_stop(wheel, &t);
    wheel_free(wheel);
}
END_TEST

RUN_TESTS("timer", test_against_list, test_rearm_for_now)
