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
    {SESSION_DOUBTING, "ROW_CHANGED", "", SESSION_DOUBTING},
    {SESSION_DOUBTING, "ENDED", "DROP_ROW EXPECT_ROW", SESSION_GONE},
    {SESSION_ACCEPTED, "TOLD", "SEND_NEWS", SESSION_LIVE},
    {SESSION_ACCEPTED, "HINTED 6", "", SESSION_ACCEPTED},
    {SESSION_ACCEPTED, "NOTICED 100", "TAKEN_OVER SETTLED", SESSION_REFUSED},
    {SESSION_ACCEPTED, "ROW_CHANGED", "", SESSION_ACCEPTED},
    {SESSION_ACCEPTED, "ENDED", "DROP_ROW", SESSION_GONE},
    {SESSION_REFUSED, "ATTACHED 5", "", SESSION_REFUSED},
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
    {SESSION_LIVE, "CONFIRMED rewritten as 101 took 7", "ASK_HEAD TELL_CHANGED(7) SAVE SEND_NEWS",
     SESSION_LIVE},
    {SESSION_LIVE, "CONFIRMED higher as 200", "CONFIRM_SOON", SESSION_LIVE},
    {SESSION_LIVE, "CONFIRMED unknown", "CONFIRM_SOON", SESSION_LIVE},
    {SESSION_LIVE, "CONFIRMED none", "CONFIRM_SOON", SESSION_LIVE},
    {SESSION_LIVE, "NOTICED 100", "TAKEN_OVER OVER(4001)", SESSION_LIVE},
    {SESSION_LIVE, "NOTICED 99", "", SESSION_LIVE},
    {SESSION_LIVE, "ROW_CHANGED", "CONFIRM_SOON CONFIRM", SESSION_LIVE},
    {SESSION_LIVE, "CONFIRM_DUE", "CONFIRM", SESSION_LIVE},
    {SESSION_LIVE, "READY", "SEND_NEWS", SESSION_LIVE},
    {SESSION_LIVE, "WAITED", "SEND_NEWS", SESSION_LIVE},
    {SESSION_LIVE, "PONGED", "", SESSION_LIVE},
    {SESSION_LIVE, "NEWS_UNREAD", "RETRY", SESSION_LIVE},
    {SESSION_LIVE, "LOST", "SAVE_LAST", SESSION_AWAY},
    {SESSION_LIVE, "RESUMED", "", SESSION_LIVE},
    {SESSION_LIVE, "ENDED", "SAVE_LAST DROP_ROW", SESSION_GONE},
    {SESSION_AWAY, "HINTED 6", "", SESSION_AWAY},
    {SESSION_AWAY, "LOADED none", "RETRY", SESSION_AWAY},
    {SESSION_AWAY, "SAVED", "", SESSION_AWAY},
    {SESSION_AWAY, "ATTACHED 5", "", SESSION_AWAY},
    {SESSION_AWAY, "CONFIRMED held as 100", "SEND_NEWS", SESSION_AWAY},
    {SESSION_AWAY, "NOTICED 100", "TAKEN_OVER OVER(4001)", SESSION_AWAY},
    {SESSION_AWAY, "ROW_CHANGED", "CONFIRM_SOON CONFIRM", SESSION_AWAY},
    {SESSION_AWAY, "CONFIRM_DUE", "CONFIRM", SESSION_AWAY},
    {SESSION_AWAY, "READY", "SEND_NEWS", SESSION_AWAY},
    {SESSION_AWAY, "WAITED", "SEND_NEWS", SESSION_AWAY},
    {SESSION_AWAY, "NEWS_UNREAD", "RETRY", SESSION_AWAY},
    {SESSION_AWAY, "RESUMED", "", SESSION_LIVE},
    {SESSION_AWAY, "ENDED", "SAVE_LAST DROP_ROW", SESSION_GONE},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static bool is_confirmed_of(int i) {
    return event_of(rows[i].line) == EVENT_CONFIRMED && rows[i].from != SESSION_DOUBTING;
}

START_TEST(test_every_row) {
    for (int i = 0; i < ROWS; i++) {
        reach(rows[i].from);
        if (is_confirmed_of(i))
            told("CONFIRM_DUE");
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
    // its answer is still on its way when a session is refused: only a story reaches it
    return state == SESSION_REFUSED && event == EVENT_CONFIRMED;
}

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
    ck_assert(!session_becomes_synced(&s, &env));
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

// The saver's head is what the login waits for; news, a head that was asked for after it began.
START_TEST(test_synced) {
    reach(SESSION_ATTACHING);
    told("ATTACHED 5 head 6");
    told("TOLD");
    said("LOAD SEND_NEWS");
    ck_assert(!session_becomes_synced(&s, &env));
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    told("LOADED head 6 begun");
    said("");
    ck_assert(!session_becomes_synced(&s, &env)); // round 5 is not answered
    env.news.answered = 5;
    env.news.heard = 3;
    ck_assert(!session_becomes_synced(&s, &env)); // news up to 3 are not sent
    feed_sent(&s.feed[FEED_NEWS], 3, 10, true);
    ck_assert(session_becomes_synced(&s, &env));
    ck_assert(!session_becomes_synced(&s, &env)); // once
}
END_TEST

// The positions were of other logs: told before anything else.
START_TEST(test_resets_come_first) {
    reach(SESSION_ATTACHING);
    told("ATTACHED 5 head 9 reset news-too");
    told("TOLD");
    said("SAY_RESET(0) SAY_RESET(1) LOAD SEND_NEWS");
}
END_TEST

// One load at a time; what the client cannot take now is read when it can.
START_TEST(test_one_load) {
    reach(SESSION_LIVE);
    told("HINTED 9");
    said("LOAD");
    told("HINTED 10");
    said("");
    env.socket_takes = false;
    told("LOADED unread");
    said("");
    env.socket_takes = true;
    told("READY");
    said("LOAD SEND_NEWS");
    told("LOADED none");
    said("RETRY");
    told("READY");
    said("SEND_NEWS");
    told("WAITED");
    said("LOAD SEND_NEWS");
}
END_TEST

// Another log was heard of while the old one was read: it is read once more.
START_TEST(test_load_of_an_old_log) {
    reach(SESSION_LIVE);
    told("HINTED 9");
    told("HINTED 2 epoch 8");
    told("LOADED head 5");
    said("LOAD");
    told("LOADED reset 1 head 1");
    said("SAY_RESET(0) SAVE");
    ck_assert_uint_eq(s.feed[FEED_INBOX].epoch, OTHER_EPOCH);
}
END_TEST

// That there is another log is not forgotten while the client takes nothing.
START_TEST(test_another_log_while_the_client_reads_nothing) {
    reach(SESSION_LIVE);
    told("HINTED 2 epoch 8");
    said("LOAD");
    env.socket_takes = false;
    told("LOADED unread");
    env.socket_takes = true;
    told("READY");
    said("LOAD SEND_NEWS"); // though nothing was heard of in the log that it has
    ck_assert(!session_becomes_synced(&s, &env));
}
END_TEST

// What was on its way to the saver when the log became another one is a position of the old log.
START_TEST(test_saved_of_an_old_log) {
    uint32_t messages;
    reach(SESSION_LIVE);
    feed_sent(&s.feed[FEED_INBOX], 9, 10, true);
    (void)session_acked(&s, FEED_INBOX, (struct place){EPOCH, 9}, &messages);
    told("READY");
    (void)session_begins_save(&s);
    told("HINTED 4 epoch 8");
    told("LOADED reset 3 head 4");
    said("SAY_RESET(0) LOAD"); // one SAVE at a time
    told("SAVED");
    said("SAVE");
    ck_assert(session_begins_save(&s)); // the device must be known there
    ck_assert_uint_eq(s.feed[FEED_INBOX].saved, 3);
    told("ATTACHED 3 epoch 8");
    said("");
    feed_sent(&s.feed[FEED_INBOX], 4, 10, true);
    (void)session_acked(&s, FEED_INBOX, (struct place){OTHER_EPOCH, 4}, &messages);
    told("READY");
    said("SAVE SEND_NEWS");
}
END_TEST

// Heard of more than the log has: a store went back.
START_TEST(test_heard_of_more_than_there_is) {
    reach(SESSION_LIVE);
    told("HINTED 9");
    told("LOADED head 5");
    said("");
    ck_assert(!feed_is_behind(&s.feed[FEED_INBOX]));
}
END_TEST

// One SAVE at a time; what is acked meanwhile goes with the next.
START_TEST(test_saves) {
    uint32_t messages;
    reach(SESSION_LIVE);
    feed_sent(&s.feed[FEED_INBOX], 8, 10, true);
    ck_assert_int_eq(session_acked(&s, FEED_INBOX, (struct place){EPOCH, 7}, &messages),
                     FEED_ACKED);
    told("READY");
    said("SAVE SEND_NEWS");
    ck_assert(!session_begins_save(&s));
    ck_assert_int_eq(session_acked(&s, FEED_INBOX, (struct place){EPOCH, 8}, &messages),
                     FEED_ACKED);
    told("READY");
    said("SEND_NEWS");
    told("SAVED");
    said("SAVE");
    ck_assert(!session_begins_save(&s));
    told("SAVED none");
    said("RETRY");
    told("WAITED");
    said("SAVE SEND_NEWS");
    told("SAVED");
    said("");
}
END_TEST

// The saver lost the device, or took the position under a generation that is no longer ours.
START_TEST(test_attached_again) {
    reach(SESSION_LIVE);
    (void)session_begins_save(&s);
    told("SAVED unknown");
    said("SAVE");
    ck_assert(session_begins_save(&s));
    told("ATTACHED 5");
    said("");
    told("SAVED unknown");
    ck_assert(session_begins_save(&s));
    told("ATTACHED 5 epoch 8");
    said("LOAD RETRY");
    reach(SESSION_LIVE);
    (void)session_begins_save(&s);
    told("SAVED unknown");
    ck_assert(session_begins_save(&s));
    told("CONFIRM_DUE");
    told("CONFIRMED rewritten as 101");
    told("ATTACHED 5");
    said("SAVE"); // once more, by 101
    ck_assert(session_begins_save(&s));
}
END_TEST

// The saver knows a higher generation: nothing is saved until the register says whose the row is.
START_TEST(test_stale_at_the_saver) {
    uint32_t messages;
    reach(SESSION_LIVE);
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    (void)session_acked(&s, FEED_INBOX, (struct place){EPOCH, 6}, &messages);
    told("READY");
    (void)session_begins_save(&s);
    told("SAVED stale");
    said("CONFIRM_SOON CONFIRM");
    told("READY");
    said("SEND_NEWS");
    told("CONFIRMED rewritten as 101");
    said("ASK_HEAD SAVE SEND_NEWS");
}
END_TEST

// A higher row ends it only after more than a lease's time in which the register answered.
START_TEST(test_superseded) {
    reach(SESSION_LIVE);
    for (int answers = 0; answers < 5; answers++) {
        told("CONFIRM_DUE");
        told("CONFIRMED higher as 200");
        said("CONFIRM_SOON");
        env.now_ms += 60000; // counts as 2.5 s: nobody else was heard either
    }
    told("CONFIRM_DUE");
    told("CONFIRMED higher as 200");
    said("OVER(4001)");
}
END_TEST

// Ours, but below what the saver knows: come again, not stop for good.
START_TEST(test_too_low) {
    reach(SESSION_LIVE);
    (void)session_begins_save(&s);
    told("SAVED stale");
    for (int answers = 0; answers < 5; answers++) {
        told("CONFIRMED held as 100");
        said("CONFIRM_SOON");
        env.now_ms += 2500;
        told("CONFIRM_DUE");
    }
    told("CONFIRMED held as 100");
    said("OVER(4101)");
}
END_TEST

// While the lease is void nothing is sent, and what was missed is asked for when the row is sure.
START_TEST(test_void_lease) {
    reach(SESSION_LIVE);
    lease.is_held = false;
    told("HINTED 6");
    said("");
    lease_lost(&lease);
    told("CONFIRM_DUE"); // asked while it is void: counts for no round
    lease.is_held = true;
    told("CONFIRMED held as 100");
    said("ASK_HEAD SEND_NEWS");
    ck_assert(!session_can_send(&s, &env));
    told("CONFIRM_DUE");
    told("CONFIRMED held as 100");
    said("ASK_HEAD LOAD SEND_NEWS");
    ck_assert(session_can_send(&s, &env));
}
END_TEST

// What was in flight when the connection was lost is sent again, behind what the client has.
START_TEST(test_resumed) {
    reach(SESSION_LIVE);
    feed_sent(&s.feed[FEED_INBOX], 9, 10, true);
    told("LOST");
    struct session_have have = {.given = {true}, .at = {{EPOCH, 10}}};
    ck_assert(!session_can_resume(&s, &have));
    have.at[0].seq = 7;
    ck_assert(session_can_resume(&s, &have));
    told("RESUMED have 7");
    said("SAVE");
    told("READY");
    said("LOAD SEND_NEWS");
    ck_assert_uint_eq(s.feed[FEED_INBOX].sent, 7);
    ck_assert(!session_becomes_synced(&s, &env));
}
END_TEST

// A head that its login waits for is waited for still; and a Ping of the lost connection is no
// question any more.
START_TEST(test_resumed_before_the_heads) {
    bool is_at_rest;
    reach(SESSION_LIVE);
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    (void)session_look(&s, &env, 1000, &is_at_rest);
    session_pings(&s, &env, 1300);
    told("LOST");
    told("RESUMED have 6");
    said("SAVE");
    feed_sent(&s.feed[FEED_INBOX], 7, 10, true);
    told("PONGED");
    said("");
    ck_assert(!session_becomes_synced(&s, &env)); // round 5 is not answered
    env.news.answered = 5;
    ck_assert(session_becomes_synced(&s, &env));
}
END_TEST

// Unacknowledged for 30 s brings a Ping, and only its answer the message again, with Synced.
START_TEST(test_resent_after_a_ping) {
    bool is_at_rest;
    uint32_t messages;
    reach(SESSION_LIVE);
    env.news.answered = 5;
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    feed_sent(&s.feed[FEED_INBOX], 7, 10, true);
    ck_assert(session_becomes_synced(&s, &env));
    ck_assert_int_eq(session_look(&s, &env, 1000, &is_at_rest), WISH_NOTHING);
    ck_assert(!is_at_rest);
    ck_assert_int_eq(session_look(&s, &env, 1299, &is_at_rest), WISH_NOTHING);
    ck_assert_int_eq(session_look(&s, &env, 1300, &is_at_rest), WISH_PING);
    session_pings(&s, &env, 1300);
    ck_assert_int_eq(session_acked(&s, FEED_INBOX, (struct place){EPOCH, 6}, &messages),
                     FEED_ACKED);
    told("PONGED");
    said("RESENT SAVE LOAD SEND_NEWS");
    ck_assert_uint_eq(s.feed[FEED_INBOX].sent, 6);
    ck_assert(!session_becomes_synced(&s, &env));
    // acknowledged before it was sent again: it was shown once
    ck_assert_int_eq(session_acked(&s, FEED_INBOX, (struct place){EPOCH, 7}, &messages),
                     FEED_ACKED);
    ck_assert(session_becomes_synced(&s, &env));
    told("PONGED");
    said("");
}
END_TEST

// A window that is shut for a second while something waits brings a Ping, which resends nothing.
START_TEST(test_ping_for_a_shut_window) {
    bool is_at_rest;
    reach(SESSION_LIVE);
    feed_hear(&s.feed[FEED_INBOX], 100);
    while (feed_is_open(&s.feed[FEED_INBOX]))
        feed_sent(&s.feed[FEED_INBOX], s.feed[FEED_INBOX].sent + 1, 10, true);
    ck_assert_int_eq(session_look(&s, &env, 1000, &is_at_rest), WISH_NOTHING);
    ck_assert_int_eq(session_look(&s, &env, 1010, &is_at_rest), WISH_PING_IF_READ);
    session_pings(&s, &env, 1010);
    told("PONGED");
    said("");
}
END_TEST

// News of another log: from what the room has of it, told once.
START_TEST(test_news_of_another_log) {
    bool reset;
    reach(SESSION_LIVE);
    ck_assert(!session_news_ready(&s, &env, 0, &reset)); // its login's round of heads is out
    env.news.answered = 5;
    ck_assert(session_news_ready(&s, &env, 0, &reset) && !reset);
    env.news.epoch = OTHER_EPOCH;
    ck_assert(session_news_ready(&s, &env, 12, &reset) && reset);
    ck_assert_uint_eq(s.feed[FEED_NEWS].sent, 12);
    ck_assert(session_news_ready(&s, &env, 12, &reset) && !reset);
}
END_TEST

RUN_TESTS("session", test_every_row, test_nothing_else, test_hint_during_login,
          test_hint_of_another_log_during_login, test_replaced_before_the_row_was_known,
          test_refused_while_doubting, test_synced, test_resets_come_first, test_one_load,
          test_load_of_an_old_log, test_another_log_while_the_client_reads_nothing,
          test_saved_of_an_old_log, test_heard_of_more_than_there_is, test_saves,
          test_attached_again, test_stale_at_the_saver, test_superseded, test_too_low,
          test_void_lease, test_resumed, test_resumed_before_the_heads, test_resent_after_a_ping,
          test_ping_for_a_shut_window, test_news_of_another_log)
