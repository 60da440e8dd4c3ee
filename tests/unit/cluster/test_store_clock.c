// The clock of the savers' store, as one of them told it: for a minute without an answer it goes
// on, and an answer that came late is none.
#include "cluster_world.h"

#include "store_clock.h"

static const int first[] = {0};
static struct store_clock store_clock;

static void clock_begin(void) {
    world_begin();
    register_tells(first, 1, 0);
    w.savers[0].store_ms = 500000;
    store_clock_start(&store_clock, w.loop, w.cluster);
    ck_assert_uint_eq(store_clock_ms(&store_clock), 0);
    UNTIL(store_clock_ms(&store_clock) != 0); // its link is made meanwhile
    ck_assert_uint_eq(store_clock_ms(&store_clock), 500000);
}

static void clock_end(void) {
    store_clock_stop(&store_clock);
    world_end();
}

START_TEST(test_lost_after_a_minute) {
    clock_begin();
    fake_ends(&w.savers[0]);
    world_settle();
    clock_ms += 59800; // it asks, and again in 200 ms
    world_settle();
    ck_assert_uint_eq(store_clock_ms(&store_clock), 559800);
    clock_ms += 199;
    world_settle();
    ck_assert_uint_eq(store_clock_ms(&store_clock), 559999);
    clock_ms += 1;
    world_settle();
    ck_assert_uint_eq(store_clock_ms(&store_clock), 0);
    clock_end();
}
END_TEST

START_TEST(test_late_answer) {
    static const struct {
        uint64_t late_ms, known_ms;
    } rows[] = {{1000, 900000}, {1001, 500000 + 5000 + 1001}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        Hawser__Internal__ClockReply reply = HAWSER__INTERNAL__CLOCK_REPLY__INIT;
        clock_begin();
        w.savers[0].holds = true;
        world_passes(5000);
        UNTIL(w.savers[0].held);
        world_passes(rows[i].late_ms);
        reply.store_ms = 900000;
        saver_clock_reply(w.savers[0].held, &reply);
        w.savers[0].held = NULL;
        world_settle();
        ck_assert_uint_eq(store_clock_ms(&store_clock), rows[i].known_ms);
        clock_end();
    }
}
END_TEST

RUN_TESTS("store_clock", test_lost_after_a_minute, test_late_answer)
