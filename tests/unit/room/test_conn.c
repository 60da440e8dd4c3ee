// What a connection leaves to its voice: a beginning and an end with a state of its own, and
// whether its silence may be asked about.
#include "conn_bed.h"

static struct conn_bed bed;
static int ended, pings;

static void begin(struct conn *c) {
    c->voice_state = hw_calloc(1, 8);
}
static void end(struct conn *c) {
    ck_assert_ptr_null(c->stream);
    ended++;
    free(c->voice_state);
    c->voice_state = NULL;
}
static void ping(struct conn *c) {
    (void)c;
    pings++;
}

static const struct voice asking = {.name = "asking", .begin = begin, .end = end, .say_ping = ping};
static const struct voice silent = {.name = "silent"};

START_TEST(test_a_voice_begins_and_ends) {
    ended = 0;
    bed_begin(&bed, &asking);
    ck_assert_ptr_nonnull(bed.conn->voice_state);
    conn_end(bed.conn);
    ck_assert_int_eq(ended, 0); // whoever holds it may still use it
    bed_end(&bed);
    ck_assert_int_eq(ended, 1);
}
END_TEST

START_TEST(test_a_ping_must_be_answered) {
    pings = 0;
    bed_begin(&bed, &asking);
    ck_assert(conn_ping(bed.conn));
    ck_assert_int_eq(pings, 1);
    ck_assert_uint_eq(bed.conn->timer.due_ms, bed.conn->pinged_ms + 8000);
    ck_assert(!conn_ping(bed.conn)); // one is out
    bed_end(&bed);
}
END_TEST

// 1.5 heartbeats and 8 s after the client was heard last, whatever was to be asked.
START_TEST(test_one_that_cannot_ask) {
    bed_begin(&bed, &silent);
    conn_rearm(bed.conn);
    uint64_t due = bed.conn->heard_ms + 90000 + 8000;
    ck_assert_uint_eq(bed.conn->timer.due_ms, due);
    ck_assert(!conn_ping(bed.conn));
    ck_assert_uint_eq(bed.conn->timer.due_ms, due);
    ck_assert_uint_eq(bed.room.count.pings, 0);
    bed_end(&bed);
}
END_TEST

RUN_TESTS("connections", test_a_voice_begins_and_ends, test_a_ping_must_be_answered,
          test_one_that_cannot_ask)
