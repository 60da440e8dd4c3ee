// Attempts of a session: when what a client did not acknowledge counts as had, and what waits for
// the saver's answer.
#include "suite.h"

#include "session_world.h"

// The answer to a Ping says that what went out before the Ping was had, and nothing of what went
// out behind it.
START_TEST(test_attempt_of_what_the_ping_followed) {
    bool is_at_rest;
    uint32_t messages;
    reach(SESSION_LIVE);
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    (void)session_look(&s, &env.heads, 1000, &is_at_rest);
    session_pings(&s, &env.heads, 1300);
    feed_sent(&s.feed[FEED_INBOX], 7, 10, true);
    told("PONGED");
    said("ATTEMPT(5-6) RESENT SEND_NEWS");
    told("ATTEMPTED");
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    told("LOADED head 7 begun");
    said("LOAD");
    told("LOADED unread");
    (void)session_look(&s, &env.heads, 2000, &is_at_rest);
    session_pings(&s, &env.heads, 2300);
    feed_sent(&s.feed[FEED_INBOX], 7, 10, true);
    (void)session_acked(&s, FEED_INBOX, (struct stream_position){EPOCH, 6}, &messages);
    told("PONGED");
    said("RESENT SAVE LOAD SEND_NEWS"); // 7 was not asked for
}
END_TEST

// Nothing goes out again before the saver has answered: the message may be parked by then.
START_TEST(test_nothing_again_before_the_answer) {
    bool is_at_rest;
    reach(SESSION_LIVE);
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    (void)session_look(&s, &env.heads, 1000, &is_at_rest);
    session_pings(&s, &env.heads, 1300);
    told("PONGED");
    told("HINTED 7");
    said("");
    told("READY");
    said("SEND_NEWS");
    told("LOST");
    said("SAVE_LAST");
    told("RESUMED");
    said("");
    told("ATTEMPTED");
    said("LOAD SEND_NEWS");
}
END_TEST

// A connection that ends is an attempt, if its client had all that was sent: when it is lost, when
// its session ends, when another connection takes its place. Once, though the session ends later.
START_TEST(test_attempt_of_a_lost_connection) {
    uint32_t messages;
    reach(SESSION_LIVE);
    env.peer_had_all = true;
    told("LOST");
    said("SAVE_LAST"); // nothing was in flight
    told("RESUMED");
    feed_sent(&s.feed[FEED_INBOX], 7, 10, true);
    told("LOST");
    said("SAVE_LAST ATTEMPT(5-7)");
    told("RESUMED");
    said("");
    feed_sent(&s.feed[FEED_INBOX], 7, 10, true);
    told("RESUMED have 6"); // before it was known to be lost
    said("ATTEMPT(6-7) SAVE");
    feed_sent(&s.feed[FEED_INBOX], 7, 10, true);
    env.peer_had_all = false;
    told("LOST");
    said("SAVE_LAST");
    env.peer_had_all = true;
    told("ENDED");
    said("SAVE_LAST DROP_ROW");
    reach(SESSION_LIVE);
    env.peer_had_all = true;
    feed_sent(&s.feed[FEED_INBOX], 7, 10, true);
    (void)session_acked(&s, FEED_INBOX, (struct stream_position){EPOCH, 6}, &messages);
    told("ENDED");
    said("SAVE_LAST ATTEMPT(6-7) DROP_ROW");
}
END_TEST

// What its client refuses was had, and goes out again without a Ping, when it was in flight for as
// long as brings one. An ack of it after all settles it.
START_TEST(test_refused) {
    uint32_t messages;
    struct stream_position at = {EPOCH, 6};
    reach(SESSION_LIVE);
    ck_assert(!session_refused(&s, FEED_INBOX, at));
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    ck_assert(session_refused(&s, FEED_INBOX, at));
    ck_assert(!session_refusal_is_due(&s, &env.heads, 1000));
    ck_assert(!session_refusal_is_due(&s, &env.heads, 1299));
    ck_assert(session_refusal_is_due(&s, &env.heads, 1300));
    told("PONGED");
    said("ATTEMPT(5-6) RESENT SEND_NEWS");
    told("ATTEMPTED");
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    ck_assert(!session_refusal_is_due(&s, &env.heads, 2000));
    ck_assert(!session_refusal_is_due(&s, &env.heads, 2300)); // it is not refused again
    ck_assert(session_refused(&s, FEED_INBOX, at));
    (void)session_acked(&s, FEED_INBOX, at, &messages);
    feed_sent(&s.feed[FEED_INBOX], 7, 10, true);
    ck_assert(!session_refusal_is_due(&s, &env.heads, 3000));
    ck_assert(!session_refusal_is_due(&s, &env.heads, 3300));
}
END_TEST

RUN_TESTS("session_attempts", test_attempt_of_what_the_ping_followed,
          test_nothing_again_before_the_answer, test_attempt_of_a_lost_connection, test_refused)
