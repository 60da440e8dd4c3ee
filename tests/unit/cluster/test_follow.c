// What a daemon is told by the register that it follows: that registers are back after they were
// away, and that the session index is another one than before; and neither without reason.
#include "cluster_world.h"

// Back is one that answers after one did not; the first answer is one, since nobody was there.
START_TEST(test_registers_back) {
    world_begin();
    ck_assert_uint_eq(w.ready, 0);
    register_tells(NULL, 0, 0);
    ck_assert_uint_eq(w.ready, 1);
    ck_assert_uint_eq(w.back, 1);
    register_tells(NULL, 0, 0);
    register_tells(NULL, 0, 0);
    ck_assert_uint_eq(w.back, 1);
    fake_forgets(&w.reg.watch); // it says that it has no store
    world_settle();
    ck_assert_uint_eq(w.back, 1);
    world_passes(200);
    UNTIL(w.reg.watch);
    register_tells(NULL, 0, 0);
    ck_assert_uint_eq(w.back, 2);
    ck_assert_uint_eq(w.ready, 1);
    world_end();
}
END_TEST

// The first one that it hears of is none that was lost; one that says nothing of it either.
START_TEST(test_index_lost) {
    static const struct {
        uint64_t epoch;
        unsigned lost;
    } rows[] = {{0, 0}, {5, 0}, {5, 0}, {0, 0}, {6, 1}, {6, 1}, {5, 2}};
    world_begin();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        register_tells(NULL, 0, rows[i].epoch);
        ck_assert_msg(w.index_lost == rows[i].lost, "row %zu: %u", i, w.index_lost);
    }
    world_end();
}
END_TEST

RUN_TESTS("follow", test_registers_back, test_index_lost)
