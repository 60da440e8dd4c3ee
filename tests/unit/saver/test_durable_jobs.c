// Jobs of the pair over a private Redis and a private MariaDB: committed before they are answered,
// and stored anew in a Redis that lost them.
#include "contract_jobs.h"
#include "recovery_bed.h"

static void until_jobs(struct bed *b, const char *count) {
    while (strcmp(maria_table("SELECT COUNT(*) FROM hawser_jobs"), count) != 0)
        loop_step(b->loop, 20);
}

static void jobs_are_old(void) {
    maria_sql("UPDATE hawser_jobs SET landed_ms = 0;");
}

// A job has a row, a repeat has the same one, and a job that is done has none. What is refused
// leaves none.
START_TEST(test_rows) {
    struct bed b = recovery_bed();
    ck_assert_int_eq(JOB(&b, .id = "late", .not_after_ms = 1), OUTCOME(TOO_LATE));
    until_jobs(&b, "0");
    ck_assert_int_eq(JOB(&b, .id = "j", .parts = 2), OUTCOME(STORED));
    ck_assert_int_eq(JOB(&b, .id = "j", .parts = 2), OUTCOME(REPLAYED));
    until_jobs(&b, "1");
    bed_take(&b);
    bed_take(&b);
    ck_assert(ADVANCE(&b, .id = "j", .part = 1, .number = 2, .cursor = 2, .ends = true));
    maria_sql("UPDATE hawser_jobs SET expires_ms = 9000000000000;");
    jobs_are_old();
    while (strcmp(maria_table("SELECT parts_done FROM hawser_jobs"), "2") != 0)
        loop_step(b.loop, 20);
    ck_assert(ADVANCE(&b, .id = "j", .number = 1, .cursor = 2, .ends = true));
    until_jobs(&b, "0");
    ck_assert_str_eq(bed_all_jobs(&b), "j done 4/4 (0)");
    recovery_end(&b);
}
END_TEST

// A Redis that has lost all gets the job back, and none of the targets that were done.
START_TEST(test_restored) {
    struct bed b = recovery_bed();
    ck_assert_int_eq(JOB(&b, .id = "j", .parts = 2), OUTCOME(STORED));
    maria_sql("UPDATE hawser_jobs SET expires_ms = 9000000000000;");
    ck_assert_str_eq(bed_take(&b), "j 0 #1 at 0 (0): u0 u1");
    ck_assert(ADVANCE(&b, .id = "j", .number = 1, .cursor = 2, .ends = true));
    while (strcmp(maria_table("SELECT parts_done FROM hawser_jobs"), "1") != 0)
        loop_step(b.loop, 20);
    redis_went_back(&b);
    ck_assert_str_eq(bed_take(&b), "");
    jobs_are_old();
    while (!*bed_take(&b))
        loop_step(b.loop, 20);
    ck_assert_str_eq(b.text, "j 0 #1 at 0 (0):");
    ck_assert_str_eq(bed_take(&b), "j 1 #2 at 0 (0): u2 u3");
    while (saver_durable_counts(b.store)->jobs_restored == 0) // counted at a tick
        loop_step(b.loop, -1);
    recovery_end(&b);
}
END_TEST

// A job whose message has ended is not stored anew.
START_TEST(test_over) {
    struct bed b = recovery_bed();
    ck_assert_int_eq(JOB(&b, .id = "j"), OUTCOME(STORED)); // its end is long ago
    redis_went_back(&b);
    jobs_are_old();
    until_jobs(&b, "0");
    ck_assert_str_eq(bed_all_jobs(&b), "");
    recovery_end(&b);
}
END_TEST

RUN_TESTS_ON_MARIADB("durable_jobs", test_rows, test_restored, test_over)
