// What a connection leaves to its voice: a beginning and an end with a state of its own, and
// whether its silence may be asked about.
#include "conn_bed.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct conn_bed bed;
static int ended, pings;

static void begin(struct conn *c) {
    conn_transit(c)->voice_state = hw_calloc(1, 8);
}
static void end(struct conn *c) {
    ck_assert_ptr_null(c->stream);
    ended++;
    free(c->transit->voice_state);
    c->transit->voice_state = NULL;
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
    ck_assert_ptr_nonnull(bed.conn->transit->voice_state);
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
    ck_assert_uint_eq(bed.conn->transit->timer.due_ms, loop_now_ms(bed.room.loop) + 8000);
    ck_assert(!conn_ping(bed.conn)); // one is out
    bed_end(&bed);
}
END_TEST

// 1.5 heartbeats and 8 s after the client was heard last, whatever was to be asked. Long before
// that there is no timer: passes look.
START_TEST(test_one_that_cannot_ask) {
    bed_begin(&bed, &silent);
    bed_open(&bed);
    conn_look(bed.conn);
    ck_assert_ptr_null(bed.conn->transit);
    bed.conn->heard_ms -= 90000;
    conn_look(bed.conn);
    uint64_t due = loop_now_ms(bed.room.loop) + 8000;
    ck_assert_uint_eq(bed.conn->transit->timer.due_ms, due);
    ck_assert(!conn_ping(bed.conn));
    ck_assert_uint_eq(bed.conn->transit->timer.due_ms, due);
    ck_assert_uint_eq(bed.room.count.conn.pings, 0);
    bed_end(&bed);
}
END_TEST

// What it borrowed while something was under way goes back when a pass looks.
START_TEST(test_one_that_rests) {
    bed_begin(&bed, &asking);
    bed_open(&bed);
    ck_assert(conn_ping(bed.conn));
    conn_heard(bed.conn);
    conn_look(bed.conn);
    ck_assert_ptr_nonnull(bed.conn->transit); // that it was asked counts for a while
    bed.conn->transit->pinged_ms -= ASK_APART_MS;
    conn_look(bed.conn);
    ck_assert_ptr_nonnull(bed.conn->transit); // its voice has something in it
    end(bed.conn);
    conn_look(bed.conn);
    ck_assert_ptr_null(bed.conn->transit);
    begin(bed.conn);
    bed_end(&bed);
}
END_TEST

// Before its Hello it gives way to who came later, not to who came first; afterwards never.
START_TEST(test_a_stranger_gives_way) {
    bed_begin(&bed, &asking);
    uint64_t now_ms = loop_now_ms(bed.room.loop);
    ck_assert_uint_eq(bed.room.places.strangers_count, 1);
    ck_assert(!conn_stranger_gives_way(&bed.room, now_ms - 1));
    ck_assert(conn_stranger_gives_way(&bed.room, now_ms));
    ck_assert_uint_eq(bed.room.places.strangers_displaced, 1);
    ck_assert_uint_eq(bed.room.places.strangers_count, 0);
    ck_assert_uint_eq(bed.room.conns.used, 0); // its slot is free at once
    bed_conn(&bed, &asking);
    bed_open(&bed);
    ck_assert(!conn_stranger_gives_way(&bed.room, UINT64_MAX));
    bed_end(&bed);
}
END_TEST

// Whether the step is taken, and counted: another one than those of the table ends the process.
static bool may_enter(enum conn_state from, enum conn_state to) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO); // what the assertion says is not for the log
        bed.conn->state = (uint8_t)from;
        conn_enter(bed.conn, to);
        _exit(bed.conn->state == to && bed.room.count.conn.steps[to] == 1 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGABRT);
    return WIFEXITED(status);
}

START_TEST(test_steps) {
#define STEP_IN_TABLE(from, to) [CONN_##from][CONN_##to] = true,
    static const bool table[CONN_STATE_COUNT][CONN_STATE_COUNT] = {CONN_STEPS(STEP_IN_TABLE)};
#undef STEP_IN_TABLE
    bed_begin(&bed, &silent);
    for (int from = 0; from < CONN_STATE_COUNT; from++)
        for (int to = 0; to < CONN_STATE_COUNT; to++)
            ck_assert_msg(may_enter((enum conn_state)from, (enum conn_state)to) == table[from][to],
                          "from %d to %d", from, to);
    bed_end(&bed);
}
END_TEST

RUN_TESTS("connections", test_a_voice_begins_and_ends, test_a_ping_must_be_answered,
          test_one_that_cannot_ask, test_one_that_rests, test_a_stranger_gives_way, test_steps)
