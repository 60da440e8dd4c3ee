// How a daemon announces itself: its lease, the store's clock that it learns, what is announced at
// once, and its good-bye.
#include "cluster_world.h"

static void announce_load(uint32_t load) {
    Hawser__Internal__Member m = HAWSER__INTERNAL__MEMBER__INIT;
    m.role = (char *)(uintptr_t) "room";
    m.load = load;
    cluster_announce(w.cluster, &m);
}

static void until_held(void) {
    UNTIL(w.reg.held);
}

// The register answers what it held, which the daemon has not read yet.
static void let_go(void) {
    fake_tells_announced(&w.reg, w.reg.held);
    w.reg.held = NULL;
    for (int i = 0; i < 5; i++)
        loop_step(w.reg.loop, 0);
}

// It ends 10 s after its renewal was sent, however late the answer came.
START_TEST(test_lease_is_counted_from_the_sending) {
    world_begin();
    w.reg.holds = true;
    announce_load(1);
    until_held();
    uint64_t sent_ms = w.reg.asked_ms;
    world_passes(2000);
    ck_assert(!cluster_lease_is_held(w.cluster));
    let_go();
    UNTIL(cluster_lease_is_held(w.cluster));
    world_passes(sent_ms + 9999 - clock_ms); // the renewals are not answered
    ck_assert(cluster_lease_is_held(w.cluster));
    ck_assert_str_eq(w.leases, "held ");
    world_passes(1);
    ck_assert(!cluster_lease_is_held(w.cluster));
    ck_assert_str_eq(w.leases, "held lost ");
    world_end();
}
END_TEST

// Frozen over the end of its lease, it reads the answer to its renewal before any timer runs: that
// the lease was lost meanwhile is told all the same.
START_TEST(test_lease_lost_in_a_freeze) {
    world_begin();
    announce_load(1);
    UNTIL(cluster_lease_is_held(w.cluster));
    w.reg.fails = true;
    world_passes(9000);
    w.reg.fails = false;
    w.reg.holds = true;
    fake_forgets(&w.reg.held);
    world_passes(200);
    until_held();
    let_go();
    ck_assert_str_eq(w.leases, "held ");
    clock_ms += 1500;
    world_settle();
    ck_assert_str_eq(w.leases, "held lost held ");
    ck_assert(cluster_lease_is_held(w.cluster));
    world_end();
}
END_TEST

// An answer that waited for us for more than a second says nothing of the store's clock, but for
// the first, which is better than none.
START_TEST(test_store_clock_of_a_late_answer) {
    static const struct {
        uint64_t late_ms, tells_ms;
        bool counts;
    } rows[] = {
        {2000, 500000, true}, {1001, 900000, false}, {1000, 900000, true}, {0, 950000, true}};
    uint64_t told_ms = 0, read_ms = 0;
    world_begin();
    ck_assert_uint_eq(cluster_store_ms(w.cluster), 0);
    w.reg.holds = true;
    announce_load(1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        until_held();
        world_passes(w.reg.asked_ms + rows[i].late_ms - clock_ms);
        w.reg.store_ms = rows[i].tells_ms;
        let_go();
        world_settle();
        told_ms = rows[i].counts ? rows[i].tells_ms : told_ms;
        read_ms = rows[i].counts ? clock_ms : read_ms;
        ck_assert_uint_eq(cluster_store_ms(w.cluster), told_ms + clock_ms - read_ms);
        world_passes(3000);
    }
    world_end();
}
END_TEST

// A load goes with the next renewal, but that of one that takes nobody more, or takes some again,
// goes at once.
START_TEST(test_announced_at_once) {
    static const struct {
        uint32_t load;
        bool at_once;
    } rows[] = {{1, true},
                {2, false},
                {LOAD_FULL - 1, false},
                {LOAD_FULL, true},
                {LOAD_FULL, false},
                {LOAD_FULL + 1, false},
                {LOAD_FULL - 1, true},
                {3, false}};
    unsigned announces = 0;
    world_begin();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        announce_load(rows[i].load);
        world_settle();
        announces += rows[i].at_once;
        ck_assert_msg(w.reg.announces == announces, "row %zu: %u", i, w.reg.announces);
    }
    world_passes(3000);
    ck_assert_uint_eq(w.reg.announces, announces + 1);
    world_end();
}
END_TEST

// A good-bye ends when it is answered, or after a second; a daemon that has gone is told nothing.
START_TEST(test_withdrawn) {
    for (int held = 0; held < 3; held++) {
        world_begin();
        announce_load(1);
        UNTIL(cluster_lease_is_held(w.cluster));
        w.reg.holds = held > 0;
        cluster_withdraw(w.cluster, on_world_withdrawn, NULL);
        world_settle();
        ck_assert_uint_eq(w.withdrawn, held == 0);
        if (held == 1)
            world_passes(1000);
        ck_assert_uint_eq(w.withdrawn, held < 2);
        world_end();
        ck_assert_uint_eq(w.withdrawn, held < 2);
    }
}
END_TEST

RUN_TESTS("announce", test_lease_is_counted_from_the_sending, test_lease_lost_in_a_freeze,
          test_store_clock_of_a_late_answer, test_announced_at_once, test_withdrawn)
