// A session as a value, from its Welcome on: delivery, acks, loss and resume. The rows of its table
// are in test_session.c, whose the row is in test_session_row.c.
#include "suite.h"

#include "session_world.h"

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
    env.heads.answered = 5;
    env.heads.log[0].heard = 3;
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

// Of a stream that the client does not know of, it is not told.
START_TEST(test_no_reset_of_what_is_left_out) {
    reach(SESSION_ATTACHING);
    s.stream[FEED_NEWS].wanted = FEED_LEFT_OUT;
    told("ATTACHED 5 reset news-too");
    told("TOLD");
    said("SAY_RESET(0) SEND_NEWS");
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
    told("NEWS_UNREAD");
    said(""); // one wait at a time
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

// A login whose log turns out to be another one waits for what is in that.
START_TEST(test_synced_behind_a_reset) {
    reach(SESSION_LIVE);
    env.heads.answered = 5;
    told("HINTED 4 epoch 8");
    told("LOADED reset 3 head 4");
    said("SAY_RESET(0) SAVE LOAD");
    ck_assert(!session_becomes_synced(&s, &env));
    feed_sent(&s.feed[FEED_INBOX], 4, 10, true);
    ck_assert(session_becomes_synced(&s, &env));
}
END_TEST

// That there is another log is not forgotten while the client takes nothing.
START_TEST(test_another_log_while_the_client_reads_nothing) {
    reach(SESSION_LIVE);
    env.heads.answered = 5;
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

// Heard of more than the log has: a store went back.
START_TEST(test_heard_of_more_than_there_is) {
    reach(SESSION_LIVE);
    told("HINTED 9");
    told("LOADED head 5");
    said("");
    ck_assert(!feed_is_behind(&s.feed[FEED_INBOX]));
}
END_TEST

// What was in flight when the connection was lost is sent again, behind what the client has.
START_TEST(test_resumed) {
    reach(SESSION_LIVE);
    feed_sent(&s.feed[FEED_INBOX], 9, 10, true);
    env.heads.answered = 5;
    ck_assert(session_becomes_synced(&s, &env));
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
    feed_sent(&s.feed[FEED_INBOX], 9, 10, true);
    ck_assert(session_becomes_synced(&s, &env)); // once more
}
END_TEST

// What a client says that it has, when it comes back or when it has logged in elsewhere, is an ack:
// the sums count it.
START_TEST(test_have_is_an_ack) {
    reach(SESSION_LIVE);
    env.heads.answered = 5;
    for (uint64_t seq = 1; seq <= 4; seq++)
        feed_sent(&s.feed[FEED_NEWS], seq, 10, true);
    told("LOST");
    told("RESUMED have 5 news 3");
    said("ACKED(1:3)");
    ck_assert_uint_eq(s.feed[FEED_NEWS].sent, 3);
    feed_sent(&s.feed[FEED_NEWS], 4, 10, true);
    told("LOST");
    told("NOTICED 100 news 4");
    said("ACKED(1:1) TAKEN_OVER OVER(4001)");
    told("NOTICED 100 news 4"); // once
    said("TAKEN_OVER OVER(4001)");
}
END_TEST

// An Ack of one that is level with all there is leads to nothing; each other reason to go on does.
START_TEST(test_has_to_go_on) {
    uint32_t messages;
    reach(SESSION_LIVE);
    env.heads.answered = 5;
    env.heads.log[0].heard = env.heads.log[0].head = 4;
    ck_assert(session_has_to_go_on(&s, &env.heads)); // it is not synced
    feed_sent(&s.feed[FEED_NEWS], 4, 10, true);
    ck_assert(session_becomes_synced(&s, &env));
    (void)session_acked(&s, FEED_NEWS, (struct stream_position){EPOCH, 4}, &messages);
    ck_assert(!session_has_to_go_on(&s, &env.heads));
    env.heads.log[0].heard = 5;
    ck_assert(session_has_to_go_on(&s, &env.heads));
    env.heads.log[0].heard = 4;
    env.heads.log[0].epoch = OTHER_EPOCH;
    ck_assert(session_has_to_go_on(&s, &env.heads));
    env.heads.log[0].epoch = EPOCH;
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    ck_assert(!session_has_to_go_on(&s, &env.heads));
    (void)session_acked(&s, FEED_INBOX, (struct stream_position){EPOCH, 6}, &messages);
    ck_assert(session_has_to_go_on(&s, &env.heads)); // to be saved
    s.feed[FEED_INBOX].saved = 6;
    ck_assert(!session_has_to_go_on(&s, &env.heads));
    feed_hear(&s.feed[FEED_INBOX], 7);
    ck_assert(session_has_to_go_on(&s, &env.heads));
}
END_TEST

// A position counts as saved when the saver has answered for it, and not for another log's.
START_TEST(test_saved_last) {
    uint32_t messages;
    struct session_have at, later;
    reach(SESSION_LIVE);
    ck_assert_uint_eq(session_unsaved(&s, &at), 0);
    feed_sent(&s.feed[FEED_NEWS], 4, 10, true);
    (void)session_acked(&s, FEED_NEWS, (struct stream_position){EPOCH, 3}, &messages);
    ck_assert_uint_eq(session_unsaved(&s, &at), 1);
    ck_assert(at.given[FEED_NEWS] && at.at[FEED_NEWS].seq == 3);
    ck_assert_uint_eq(session_unsaved(&s, &later), 1); // no answer yet
    (void)session_acked(&s, FEED_NEWS, (struct stream_position){EPOCH, 4}, &messages);
    session_saved_last(&s, &at);
    ck_assert_uint_eq(session_unsaved(&s, &later), 1); // 4
    session_saved_last(&s, &later);
    session_saved_last(&s, &at); // an old answer
    ck_assert_uint_eq(session_unsaved(&s, &at), 0);
    feed_start(&s.feed[FEED_NEWS], (struct stream_position){OTHER_EPOCH, 1});
    feed_sent(&s.feed[FEED_NEWS], 2, 10, true);
    (void)session_acked(&s, FEED_NEWS, (struct stream_position){OTHER_EPOCH, 2}, &messages);
    session_saved_last(&s, &later);
    ck_assert_uint_eq(session_unsaved(&s, &at), 1);
}
END_TEST

// A head that its login waits for is waited for still; and a Ping of the lost connection is no
// question any more.
START_TEST(test_resumed_before_the_heads) {
    bool is_at_rest;
    reach(SESSION_LIVE);
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    (void)session_look(&s, &env.heads, 1000, &is_at_rest);
    session_pings(&s, &env.heads, 1300);
    told("LOST");
    told("RESUMED have 6");
    said("ACKED(0:1) SAVE");
    feed_sent(&s.feed[FEED_INBOX], 7, 10, true);
    told("PONGED");
    said("");
    ck_assert(!session_becomes_synced(&s, &env)); // round 5 is not answered
    env.heads.answered = 5;
    ck_assert(session_becomes_synced(&s, &env));
}
END_TEST

// Unacknowledged for 30 s brings a Ping, and only its answer the message again, with Synced.
START_TEST(test_resent_after_a_ping) {
    bool is_at_rest;
    uint32_t messages;
    reach(SESSION_LIVE);
    env.heads.answered = 5;
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    feed_sent(&s.feed[FEED_INBOX], 7, 10, true);
    ck_assert(session_becomes_synced(&s, &env));
    ck_assert_int_eq(session_look(&s, &env.heads, 1000, &is_at_rest), WISH_NOTHING);
    ck_assert(!is_at_rest);
    ck_assert_int_eq(session_look(&s, &env.heads, 1299, &is_at_rest), WISH_NOTHING);
    ck_assert_int_eq(session_look(&s, &env.heads, 1300, &is_at_rest), WISH_PING);
    session_pings(&s, &env.heads, 1300);
    ck_assert_int_eq(session_acked(&s, FEED_INBOX, (struct stream_position){EPOCH, 6}, &messages),
                     FEED_ACKED);
    told("PONGED");
    said("ATTEMPT(6-7) RESENT SAVE SEND_NEWS");
    ck_assert_uint_eq(s.feed[FEED_INBOX].sent, 6);
    told("ATTEMPTED");
    said("LOAD SEND_NEWS");
    ck_assert(!session_becomes_synced(&s, &env));
    // acknowledged before it was sent again: it was shown once
    ck_assert_int_eq(session_acked(&s, FEED_INBOX, (struct stream_position){EPOCH, 7}, &messages),
                     FEED_ACKED);
    ck_assert(session_becomes_synced(&s, &env));
    told("PONGED");
    said("");
}
END_TEST

// One Ping has one answer: what went again after it is not asked for by a second one.
START_TEST(test_ponged_twice) {
    bool is_at_rest;
    reach(SESSION_LIVE);
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    (void)session_look(&s, &env.heads, 1000, &is_at_rest);
    session_pings(&s, &env.heads, 1300);
    told("PONGED");
    said("ATTEMPT(5-6) RESENT SEND_NEWS");
    told("ATTEMPTED");
    said("LOAD SEND_NEWS");
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    told("PONGED");
    said("");
    ck_assert_uint_eq(s.feed[FEED_INBOX].sent, 6);
}
END_TEST

// A window that is shut for a second while something waits brings a Ping, which resends nothing.
START_TEST(test_ping_for_a_shut_window) {
    bool is_at_rest;
    reach(SESSION_LIVE);
    feed_hear(&s.feed[FEED_INBOX], 100);
    while (feed_is_open(&s.feed[FEED_INBOX]))
        feed_sent(&s.feed[FEED_INBOX], s.feed[FEED_INBOX].sent + 1, 10, true);
    ck_assert_int_eq(session_look(&s, &env.heads, 1000, &is_at_rest), WISH_NOTHING);
    ck_assert_int_eq(session_look(&s, &env.heads, 1010, &is_at_rest), WISH_PING_IF_READ);
    session_pings(&s, &env.heads, 1010);
    told("PONGED");
    said("");
    ck_assert(s.unacked.is_shut_asked); // it is not asked again for the same
    uint32_t messages;
    (void)session_acked(&s, FEED_INBOX, (struct stream_position){EPOCH, 6}, &messages);
    ck_assert(!s.unacked.is_shut_asked);
    session_pings(&s, &env.heads, 1010);
    told("LOST");
    told("RESUMED");
    ck_assert(!s.unacked.is_shut_asked); // the Ping was of the lost connection
}
END_TEST

static enum log_ready log_ready(uint64_t base) {
    return session_log_ready(&s, &env, FEED_NEWS, base);
}

// News of another log: from what the room has of it, told once.
START_TEST(test_news_of_another_log) {
    reach(SESSION_LIVE);
    ck_assert_int_eq(log_ready(0), LOG_NOT_READY); // its login's question for heads is out
    env.heads.answered = 5;
    ck_assert_int_eq(log_ready(0), LOG_READY);
    env.heads.log[0].epoch = OTHER_EPOCH;
    ck_assert_int_eq(log_ready(12), LOG_RESET);
    ck_assert_uint_eq(s.feed[FEED_NEWS].sent, 12);
    ck_assert_int_eq(log_ready(12), LOG_READY);
}
END_TEST

// What is there of the other log is what Synced waits for.
START_TEST(test_synced_with_another_log) {
    reach(SESSION_LIVE);
    told("HINTED 6");
    s.feed[FEED_INBOX].target = 6;
    env.heads.answered = 5;
    env.heads.log[0].heard = 0;
    ck_assert(!session_becomes_synced(&s, &env));
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    env.heads.log[0].epoch = OTHER_EPOCH;
    env.heads.log[0].heard = 20;
    ck_assert_int_eq(log_ready(12), LOG_RESET);
    ck_assert(!session_becomes_synced(&s, &env));
    feed_sent(&s.feed[FEED_NEWS], 20, 10, true);
    ck_assert(session_becomes_synced(&s, &env));
}
END_TEST

// What it has of the old log is no seq of the other one, whose head of now Synced waits for.
START_TEST(test_resumed_with_another_log) {
    reach(SESSION_LIVE);
    env.heads.answered = 5;
    feed_sent(&s.feed[FEED_NEWS], 20, 10, true);
    ck_assert(session_becomes_synced(&s, &env));
    env.heads.log[0].epoch = OTHER_EPOCH;
    env.heads.log[0].heard = 20;
    told("LOST");
    told("RESUMED have 5 news 20");
    ck_assert(!session_becomes_synced(&s, &env)); // its 20 are of the old one
    env.heads.log[0].heard = 21;
    ck_assert(!session_becomes_synced(&s, &env));
    ck_assert_int_eq(log_ready(12), LOG_RESET);
    feed_sent(&s.feed[FEED_NEWS], 20, 10, true);
    ck_assert(!session_becomes_synced(&s, &env));
    feed_sent(&s.feed[FEED_NEWS], 21, 10, true);
    ck_assert(session_becomes_synced(&s, &env));
}
END_TEST

// A stream that is left out is heard of, and nothing more. It goes on where it was when it is
// wanted again, and Synced comes once more behind what is there of it.
START_TEST(test_other_streams_are_wanted) {
    reach(SESSION_LIVE);
    env.heads.answered = 5;
    ck_assert(session_becomes_synced(&s, &env));
    told("WANTS bulk");
    said("");
    told("HINTED 7");
    said("");
    env.heads.log[0].heard = 3;
    ck_assert_int_eq(log_ready(0), LOG_NOT_READY);
    ck_assert(!session_becomes_synced(&s, &env)); // nothing is waited for
    told("WANTS bulk news inbox");
    said("LOAD SEND_NEWS");
    ck_assert_uint_eq(s.feed[FEED_INBOX].sent, 5);
    ck_assert_int_eq(log_ready(0), LOG_READY);
    feed_sent(&s.feed[FEED_INBOX], 7, 10, true);
    told("LOADED head 7 begun");
    ck_assert(!session_becomes_synced(&s, &env));
    feed_sent(&s.feed[FEED_NEWS], 3, 10, true);
    ck_assert(session_becomes_synced(&s, &env));
    told("WANTS bulk news inbox");
    said(""); // as before
}
END_TEST

// It begins at the end of each stream: what waited is handled, and no position is another log's.
// The saver is told at once.
START_TEST(test_clean) {
    struct session_have at;
    reach(SESSION_ATTACHING);
    s.is_clean = true;
    told("HINTED 9");
    told("ATTACHED 5 head 8 news-head 4 reset news-too known");
    ck_assert(!s.is_known); // it does not go on where it was
    told("TOLD");
    said("SAVE_LAST SAVE LOAD SEND_NEWS"); // 9 came later
    ck_assert_uint_eq(s.feed[FEED_INBOX].sent, 8);
    ck_assert_uint_eq(session_unsaved(&s, &at), 2);
    ck_assert_uint_eq(at.at[FEED_INBOX].seq, 8);
    ck_assert_uint_eq(at.at[FEED_NEWS].seq, 4);
}
END_TEST

START_TEST(test_known) {
    reach(SESSION_ATTACHING);
    told("ATTACHED 5 known");
    ck_assert(s.is_known);
    reach(SESSION_ATTACHING);
    told("ATTACHED 5");
    ck_assert(!s.is_known);
}
END_TEST

// A client that comes back may take less than before.
START_TEST(test_resumed_with_other_limits) {
    reach(SESSION_AWAY);
    told("RESUMED slow");
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    ck_assert(!feed_is_open(&s.feed[FEED_INBOX]));
}
END_TEST

// What was sent of a stream that is wanted once is handled; of others it is in flight.
START_TEST(test_wanted_once) {
    reach(SESSION_LIVE);
    s.stream[FEED_NEWS].wanted = FEED_WANTED_ONCE;
    feed_sent(&s.feed[FEED_NEWS], 1, 10, true);
    feed_sent(&s.feed[FEED_NEWS], 4, 10, false);
    feed_sent(&s.feed[FEED_NEWS], 5, 10, true);
    ck_assert_uint_eq(session_handled_sent(&s, FEED_NEWS), 2);
    ck_assert_uint_eq(session_handled_sent(&s, FEED_NEWS), 0);
    ck_assert_uint_eq(s.feed[FEED_NEWS].acked, 5);
    ck_assert(session_is_at_rest(&s));
}
END_TEST

// Its log became another one meanwhile: the client learns it when it wants the stream, once.
START_TEST(test_a_reset_waits_until_its_stream_is_wanted) {
    reach(SESSION_LIVE);
    env.heads.answered = 5;
    ck_assert(session_becomes_synced(&s, &env));
    told("WANTS news");
    told("HINTED 1 epoch 8");
    said("LOAD");
    told("LOADED reset 3 head 4");
    said("SAVE");
    told("WANTS news inbox");
    said("SAY_RESET(0) LOAD SEND_NEWS");
    told("WANTS news");
    told("WANTS news inbox");
    said("SEND_NEWS");
}
END_TEST

RUN_TESTS("session_live", test_clean, test_known, test_resumed_with_other_limits,
          test_other_streams_are_wanted, test_wanted_once,
          test_a_reset_waits_until_its_stream_is_wanted, test_synced, test_resets_come_first,
          test_no_reset_of_what_is_left_out, test_one_load, test_synced_behind_a_reset,
          test_load_of_an_old_log, test_another_log_while_the_client_reads_nothing,
          test_heard_of_more_than_there_is, test_ponged_twice, test_resumed_with_another_log,
          test_resumed, test_have_is_an_ack, test_saved_last, test_has_to_go_on,
          test_resumed_before_the_heads, test_resent_after_a_ping, test_ping_for_a_shut_window,
          test_news_of_another_log, test_synced_with_another_log)
