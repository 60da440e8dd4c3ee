// A session as a value: each row of its table, and the stories that made the rules.
#include "suite.h"

#include "session_world.h"

// --- every row of the table: what it writes down, and where it leads

static const struct {
    enum session_state from;
    const char *line, *said;
    enum session_state to;
} rows[] = {
    {SESSION_ASKING, "ADMITTED", "ENTER", SESSION_ENTERING},
    {SESSION_ASKING, "DENIED 4002", "SETTLED", SESSION_REFUSED},
    {SESSION_ASKING, "ENDED", "", SESSION_GONE},
    {SESSION_ENTERING, "ROW 100", "ATTACH ASK_NEWS", SESSION_ATTACHING},
    {SESSION_ENTERING, "ROW 100 took 7", "TELL_REPLACED(7) ATTACH ASK_NEWS", SESSION_ATTACHING},
    {SESSION_ENTERING, "ROW 100 took 7 overtaken", "TELL_CHANGED(7) SETTLED", SESSION_REFUSED},
    {SESSION_ENTERING, "ROW refused 4103", "SETTLED", SESSION_REFUSED},
    {SESSION_ENTERING, "ROW none", "EXPECT_ROW SETTLED", SESSION_REFUSED},
    {SESSION_ENTERING, "ROW 100 took 7 gone", "DROP_ROW TELL_CHANGED(7)", SESSION_GONE},
    {SESSION_ENTERING, "ROW none gone", "EXPECT_ROW", SESSION_GONE},
    {SESSION_ENTERING, "NOTICED 100", "TAKEN_OVER", SESSION_ENTERING},
    {SESSION_ENTERING, "ROW_CHANGED", "", SESSION_ENTERING},
    {SESSION_ENTERING, "ENDED", "", SESSION_LEAVING},
    {SESSION_LEAVING, "ROW 100 took 7", "DROP_ROW TELL_CHANGED(7)", SESSION_GONE},
    {SESSION_LEAVING, "ROW refused 4103", "", SESSION_GONE},
    {SESSION_LEAVING, "ROW none", "EXPECT_ROW", SESSION_GONE},
    {SESSION_LEAVING, "NOTICED 100", "", SESSION_LEAVING},
    {SESSION_LEAVING, "ROW_CHANGED", "", SESSION_LEAVING},
    {SESSION_LEAVING, "ENDED", "", SESSION_LEAVING},
    {SESSION_ATTACHING, "ATTACHED 5", "SETTLED", SESSION_ACCEPTED},
    {SESSION_ATTACHING, "ATTACHED stale", "CONFIRM", SESSION_DOUBTING},
    {SESSION_ATTACHING, "ATTACHED none", "SETTLED", SESSION_REFUSED},
    {SESSION_ATTACHING, "HINTED 6", "", SESSION_ATTACHING},
    {SESSION_ATTACHING, "NOTICED 100", "TAKEN_OVER SETTLED", SESSION_REFUSED},
    {SESSION_ATTACHING, "NOTICED 101", "TAKEN_OVER SETTLED", SESSION_REFUSED},
    {SESSION_ATTACHING, "NOTICED 99", "", SESSION_ATTACHING},
    {SESSION_ATTACHING, "ROW_CHANGED", "", SESSION_ATTACHING},
    {SESSION_ATTACHING, "ENDED", "DROP_ROW", SESSION_GONE},
    {SESSION_DOUBTING, "CONFIRMED rewritten as 101", "ATTACH", SESSION_ATTACHING},
    {SESSION_DOUBTING, "CONFIRMED rewritten as 101 took 7", "TELL_CHANGED(7) ATTACH",
     SESSION_ATTACHING},
    {SESSION_DOUBTING, "CONFIRMED held as 100", "SETTLED", SESSION_REFUSED},
    {SESSION_DOUBTING, "CONFIRMED higher as 200", "SETTLED", SESSION_REFUSED},
    {SESSION_DOUBTING, "CONFIRMED unknown", "SETTLED", SESSION_REFUSED},
    {SESSION_DOUBTING, "CONFIRMED none", "SETTLED", SESSION_REFUSED},
    {SESSION_DOUBTING, "HINTED 6", "", SESSION_DOUBTING},
    {SESSION_DOUBTING, "NOTICED 100", "TAKEN_OVER SETTLED", SESSION_REFUSED},
    {SESSION_DOUBTING, "NOTICED 99", "", SESSION_DOUBTING},
    {SESSION_DOUBTING, "ROW_CHANGED", "", SESSION_DOUBTING},
    {SESSION_DOUBTING, "ENDED", "DROP_ROW EXPECT_ROW", SESSION_GONE},
    {SESSION_ACCEPTED, "TOLD", "SEND_NEWS", SESSION_LIVE},
    {SESSION_ACCEPTED, "HINTED 6", "", SESSION_ACCEPTED},
    {SESSION_ACCEPTED, "NOTICED 100", "TAKEN_OVER SETTLED", SESSION_REFUSED},
    {SESSION_ACCEPTED, "NOTICED 99", "", SESSION_ACCEPTED},
    {SESSION_ACCEPTED, "ROW_CHANGED", "", SESSION_ACCEPTED},
    {SESSION_ACCEPTED, "ENDED", "DROP_ROW", SESSION_GONE},
    {SESSION_REFUSED, "ATTACHED 5", "", SESSION_REFUSED},
    {SESSION_REFUSED, "CONFIRMED held as 100", "", SESSION_REFUSED},
    {SESSION_REFUSED, "NOTICED 100", "", SESSION_REFUSED},
    {SESSION_REFUSED, "ROW_CHANGED", "", SESSION_REFUSED},
    {SESSION_REFUSED, "ENDED", "", SESSION_GONE},
    {SESSION_LIVE, "HINTED 6", "LOAD", SESSION_LIVE},
    {SESSION_LIVE, "HINTED 5", "", SESSION_LIVE},
    {SESSION_LIVE, "HINTED 1 epoch 8", "LOAD", SESSION_LIVE},
    {SESSION_LIVE, "LOADED none", "RETRY", SESSION_LIVE},
    {SESSION_LIVE, "LOADED unread", "", SESSION_LIVE},
    {SESSION_LIVE, "LOADED other", "", SESSION_LIVE},
    {SESSION_LIVE, "LOADED reset 3 head 4", "SAY_RESET(0) SAVE LOAD", SESSION_LIVE},
    {SESSION_LIVE, "LOADED head 9", "RETRY", SESSION_LIVE},
    {SESSION_LIVE, "LOADED head 9 begun", "LOAD", SESSION_LIVE},
    {SESSION_LIVE, "SAVED", "", SESSION_LIVE},
    {SESSION_LIVE, "ATTACHED 5", "", SESSION_LIVE},
    {SESSION_LIVE, "CONFIRMED held as 100", "SEND_NEWS", SESSION_LIVE},
    {SESSION_LIVE, "CONFIRMED rewritten as 101 took 7", "ARRIVE TELL_CHANGED(7) SAVE SEND_NEWS",
     SESSION_LIVE},
    {SESSION_LIVE, "CONFIRMED higher as 200", "CONFIRM_SOON", SESSION_LIVE},
    {SESSION_LIVE, "CONFIRMED unknown", "CONFIRM_SOON", SESSION_LIVE},
    {SESSION_LIVE, "CONFIRMED none", "CONFIRM_SOON", SESSION_LIVE},
    {SESSION_LIVE, "NOTICED 100", "TAKEN_OVER OVER(4001)", SESSION_LIVE},
    {SESSION_LIVE, "NOTICED 100 code 4003", "OVER(4003)", SESSION_LIVE},
    {SESSION_LIVE, "NOTICED 101", "TAKEN_OVER OVER(4001)", SESSION_LIVE}, // ours is not above
    {SESSION_LIVE, "NOTICED 99", "", SESSION_LIVE},
    {SESSION_LIVE, "ROW_CHANGED", "CONFIRM_SOON CONFIRM", SESSION_LIVE},
    {SESSION_LIVE, "CONFIRM_DUE", "CONFIRM", SESSION_LIVE},
    {SESSION_LIVE, "READY", "SEND_NEWS", SESSION_LIVE},
    {SESSION_LIVE, "WAITED", "SEND_NEWS", SESSION_LIVE},
    {SESSION_LIVE, "PONGED", "", SESSION_LIVE},
    {SESSION_LIVE, "ATTEMPTED", "SEND_NEWS", SESSION_LIVE},
    {SESSION_LIVE, "NEWS_UNREAD", "RETRY", SESSION_LIVE},
    {SESSION_LIVE, "LOST", "SAVE_LAST", SESSION_AWAY},
    {SESSION_LIVE, "RESUMED", "", SESSION_LIVE},
    {SESSION_LIVE, "WANTS inbox", "", SESSION_LIVE},
    {SESSION_LIVE, "ENDED", "SAVE_LAST DROP_ROW", SESSION_GONE},
    {SESSION_AWAY, "HINTED 6", "", SESSION_AWAY},
    {SESSION_AWAY, "LOADED none", "RETRY", SESSION_AWAY},
    {SESSION_AWAY, "SAVED", "", SESSION_AWAY},
    {SESSION_AWAY, "ATTACHED 5", "", SESSION_AWAY},
    {SESSION_AWAY, "CONFIRMED held as 100", "SEND_NEWS", SESSION_AWAY},
    {SESSION_AWAY, "NOTICED 100", "TAKEN_OVER OVER(4001)", SESSION_AWAY},
    {SESSION_AWAY, "NOTICED 100 code 4003", "OVER(4003)", SESSION_AWAY},
    {SESSION_AWAY, "ROW_CHANGED", "CONFIRM_SOON CONFIRM", SESSION_AWAY},
    {SESSION_AWAY, "CONFIRM_DUE", "CONFIRM", SESSION_AWAY},
    {SESSION_AWAY, "READY", "SEND_NEWS", SESSION_AWAY},
    {SESSION_AWAY, "WAITED", "SEND_NEWS", SESSION_AWAY},
    {SESSION_AWAY, "ATTEMPTED", "SEND_NEWS", SESSION_AWAY},
    {SESSION_AWAY, "NEWS_UNREAD", "RETRY", SESSION_AWAY},
    {SESSION_AWAY, "RESUMED", "", SESSION_LIVE},
    {SESSION_AWAY, "ENDED", "SAVE_LAST DROP_ROW", SESSION_GONE},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

// In the state that the row begins with, and where it answers a question, that has been asked.
static void stand_before(int i) {
    bool is_confirmed = event_of(rows[i].line) == EVENT_CONFIRMED;
    bool is_refused = is_confirmed && rows[i].from == SESSION_REFUSED;
    reach(is_refused ? SESSION_DOUBTING : rows[i].from);
    if (is_refused)
        told("NOTICED 100");
    else if (is_confirmed && rows[i].from != SESSION_DOUBTING)
        told("CONFIRM_DUE");
}

START_TEST(test_every_row) {
    for (int i = 0; i < ROWS; i++) {
        stand_before(i);
        told(rows[i].line);
        ck_assert_msg(was_named, "%s: %s is not named", session_state_name(rows[i].from),
                      rows[i].line);
        ck_assert_msg(strcmp(buf_cstr(&text), rows[i].said) == 0, "%s: %s: '%s', not '%s'",
                      session_state_name(rows[i].from), rows[i].line, buf_cstr(&text),
                      rows[i].said);
        ck_assert_msg(s.state == rows[i].to, "%s: %s: to %s", session_state_name(rows[i].from),
                      rows[i].line, session_state_name(s.state));
    }
}
END_TEST

static bool is_listed(int state, int event) {
    for (int i = 0; i < ROWS; i++)
        if ((int)rows[i].from == state && (int)event_of(rows[i].line) == event)
            return true;
    return false;
}

static void names_of(unsigned states, struct buf *out) {
    for (int i = 0; i < SESSION_STATE_COUNT; i++)
        if (states & 1u << i)
            buf_printf(out, " %s", session_state_name((enum session_state)i));
}

// Each step of the session's table leads wherever it says, by one of the rows above, and nowhere
// else: a state that no row reaches is named for nothing.
START_TEST(test_every_target) {
    unsigned led[SESSION_STATE_COUNT][SESSION_EVENT_COUNT] = {{0}};
    for (int i = 0; i < ROWS; i++) {
        stand_before(i);
        told(rows[i].line);
        led[rows[i].from][event_of(rows[i].line)] |= 1u << s.state;
    }
    for (int state = 0; state < SESSION_STATE_COUNT; state++)
        for (int event = 0; event < SESSION_EVENT_COUNT; event++) {
            struct buf where = {0}, named = {0};
            names_of(led[state][event], &where);
            names_of(session_leads_to((enum session_state)state, (enum session_event_kind)event),
                     &named);
            ck_assert_msg(strcmp(buf_cstr(&where), buf_cstr(&named)) == 0,
                          "%s, %s: led to%s; the table names%s",
                          session_state_name((enum session_state)state),
                          session_event_name((enum session_event_kind)event), buf_cstr(&where),
                          buf_cstr(&named));
            buf_free(&where);
            buf_free(&named);
        }
}
END_TEST

// What the table does not name changes nothing.
START_TEST(test_nothing_else) {
    for (int state = 0; state < SESSION_STATE_COUNT; state++)
        for (int event = 0; event < SESSION_EVENT_COUNT; event++) {
            if (is_listed(state, event))
                continue;
            reach((enum session_state)state);
            struct session before = s;
            told(session_event_name((enum session_event_kind)event));
            ck_assert_msg(!was_named, "%s names %s", session_state_name((enum session_state)state),
                          session_event_name((enum session_event_kind)event));
            ck_assert_mem_eq(&before, &s, sizeof(s));
            ck_assert_uint_eq(effects.count, 0);
        }
}
END_TEST

// --- stories

// A hint between the row and the positions is not forgotten: append, then find; register, then
// load.
START_TEST(test_hint_during_login) {
    reach(SESSION_ATTACHING);
    told("HINTED 7");
    told("ATTACHED 5 head 5");
    said("SETTLED");
    told("TOLD");
    said("LOAD SEND_NEWS");
}
END_TEST

// It was of another log than the one that the saver knows: the log is read, whatever was heard.
START_TEST(test_hint_of_another_log_during_login) {
    reach(SESSION_ATTACHING);
    told("HINTED 7 epoch 8");
    told("ATTACHED 5 head 5");
    told("TOLD");
    said("LOAD SEND_NEWS");
    env.heads.answered = 5;
    ck_assert(!session_becomes_synced(&s, &env)); // what became of the log is not known yet
    told("LOADED head 5");
    ck_assert(session_becomes_synced(&s, &env));
}
END_TEST

// While the log is read something leaves it: what was read before that is read again, whatever it
// has; what was read behind it is not, nor what comes when nothing more is heard of.
START_TEST(test_change_during_load) {
    reach(SESSION_LIVE);
    told("HINTED 7 change 3"); // heard of before the load is asked
    said("LOAD");
    ck_assert_uint_eq(s.change, 0);
    told("HINTED 8 change 5");
    said("");
    told("HINTED 8 change 4");
    ck_assert_uint_eq(s.change, 5);
    told("LOADED old");
    said("LOAD");
    ck_assert_uint_eq(s.change, 0);
    told("LOADED head 8");
    told("HINTED 9 change 6 epoch 8");
    ck_assert_uint_eq(s.change, 0); // of another log
}
END_TEST

// Replaced while it logs in: told by the same answer, and its row goes with it.
START_TEST(test_replaced_before_the_row_was_known) {
    reach(SESSION_ENTERING);
    told("NOTICED 100");
    told("ROW 100");
    said("SETTLED");
    is_now(SESSION_REFUSED);
    ck_assert_uint_eq(s.refusal.code, 4001);
    told("ENDED");
    said(""); // the row is another's already
    reach(SESSION_ACCEPTED);
    told("NOTICED 100");
    ck_assert_uint_eq(s.refusal.code, 4001);
    told("ENDED");
    said("DROP_ROW");
}
END_TEST

// A notice with another code, as of a kick: its client is told that one, nobody counts a takeover,
// and the row, which is still its own, goes with it.
START_TEST(test_kicked) {
    reach(SESSION_ENTERING);
    told("NOTICED 100 code 4003");
    said("");
    told("ROW 100");
    said("SETTLED");
    ck_assert_uint_eq(s.refusal.code, 4003);
    told("ENDED");
    said("DROP_ROW");
    reach(SESSION_ENTERING);
    told("NOTICED 99 code 4003"); // of a session that was there before
    told("ROW 100");
    said("ATTACH ASK_NEWS");
    reach(SESSION_ACCEPTED);
    told("NOTICED 100 code 4003");
    said("SETTLED");
    ck_assert_uint_eq(s.refusal.code, 4003);
    told("ENDED");
    said("DROP_ROW");
}
END_TEST

// An answer that comes after the refusal is heard out, and the row that it may have written is
// looked for.
START_TEST(test_refused_while_doubting) {
    reach(SESSION_DOUBTING);
    told("NOTICED 100");
    is_now(SESSION_REFUSED);
    told("CONFIRMED rewritten as 101");
    said("");
    told("ENDED");
    said("DROP_ROW");
    reach(SESSION_DOUBTING);
    told("NOTICED 100");
    told("CONFIRMED none");
    told("ENDED");
    said("DROP_ROW EXPECT_ROW");
}
END_TEST

// Told that its row may be another's before it was live: asked as soon as it is.
START_TEST(test_row_changed_during_login) {
    static const enum session_state states[] = {SESSION_ENTERING, SESSION_ATTACHING,
                                                SESSION_ACCEPTED};
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        reach(states[i]);
        told("ROW_CHANGED");
        if (states[i] == SESSION_ENTERING)
            told("ROW 100");
        if (states[i] != SESSION_ACCEPTED)
            told("ATTACHED 5");
        told("TOLD");
        said("CONFIRM CONFIRM_SOON SEND_NEWS");
    }
}
END_TEST

// A hint from after the row was written is no part of what the login waits for.
START_TEST(test_hint_is_no_target) {
    reach(SESSION_ATTACHING);
    told("HINTED 7");
    told("ATTACHED 5 head 5");
    told("TOLD");
    env.heads.answered = 5;
    ck_assert(session_becomes_synced(&s, &env));
}
END_TEST

// Deliveries name a session from its row on until it is refused: what comes then is for nobody.
START_TEST(test_is_here) {
    reach(SESSION_ENTERING);
    ck_assert(!session_is_here(&s, 0));
    told("ROW 100");
    ck_assert(session_is_here(&s, 100));
    ck_assert(!session_is_here(&s, 99));
    told("NOTICED 100");
    is_now(SESSION_REFUSED);
    ck_assert(!session_is_here(&s, 100));
}
END_TEST

// Another room may tell of one takeover several times.
START_TEST(test_taken_over_once) {
    reach(SESSION_ENTERING);
    ck_assert_uint_eq(s.fence.login_order, 1); // the later of two logins here is the newer one
    told("NOTICED 100");
    said("TAKEN_OVER");
    told("NOTICED 100");
    said("");
}
END_TEST

// Ours again while the login went on, by an answer of a later round than the login's.
START_TEST(test_doubt_over_a_lost_lease) {
    reach(SESSION_ATTACHING);
    lease_lost(&lease);
    told("ATTACHED stale");
    told("CONFIRMED rewritten as 101");
    told("ATTACHED 5 head 9");
    told("TOLD");
    said("LOAD SEND_NEWS");
}
END_TEST

// The lease was lost and is held again, and the pass that confirms all live sessions has been,
// while it logged in: it asks as soon as it is live. While the lease is void the next pass is still
// to come.
START_TEST(test_pass_missed_while_logging_in) {
    reach(SESSION_ATTACHING);
    lease_lost(&lease);
    told("ATTACHED 5");
    told("TOLD");
    said("CONFIRM SEND_NEWS");
    reach(SESSION_ATTACHING);
    lease_confirm_again(&lease); // the index was lost
    told("ATTACHED 5");
    told("TOLD");
    said("CONFIRM SEND_NEWS");
    reach(SESSION_ATTACHING);
    lease_lost(&lease);
    lease.is_held = false;
    told("ATTACHED 5");
    told("TOLD");
    said("SEND_NEWS");
}
END_TEST

// Each by the state that it leads to, also when that is the same; what no state names is no step.
START_TEST(test_steps_are_counted) {
    static const uint64_t expected[SESSION_STATE_COUNT] = {
        [SESSION_LIVE] = 2, [SESSION_AWAY] = 1, [SESSION_GONE] = 1};
    uint64_t steps[SESSION_STATE_COUNT] = {0};
    reach(SESSION_ACCEPTED);
    env.steps = steps;
    told("TOLD");
    told("READY");
    told("ADMITTED");
    told("LOST");
    told("ENDED");
    ck_assert_mem_eq(steps, expected, sizeof(steps));
    env.steps = NULL;
}
END_TEST

RUN_TESTS("session", test_steps_are_counted, test_every_row, test_nothing_else, test_every_target,
          test_hint_during_login, test_change_during_load, test_hint_of_another_log_during_login,
          test_replaced_before_the_row_was_known, test_kicked, test_refused_while_doubting,
          test_row_changed_during_login, test_hint_is_no_target, test_is_here, test_taken_over_once,
          test_doubt_over_a_lost_lease, test_pass_missed_while_logging_in)
