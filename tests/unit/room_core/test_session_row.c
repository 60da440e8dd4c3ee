// A session as a value: whose the row is, and what may be sent meanwhile.
#include "suite.h"

#include "session_world.h"

// The saver knows a higher generation: nothing is saved until the register says whose the row is.
START_TEST(test_stale_at_the_saver) {
    uint32_t messages;
    reach(SESSION_LIVE);
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    (void)session_acked(&s, FEED_INBOX, (struct stream_position){EPOCH, 6}, &messages);
    told("READY");
    (void)session_begins_save(&s);
    told("SAVED stale");
    said("CONFIRM_SOON CONFIRM");
    told("READY");
    said("SEND_NEWS");
    told("CONFIRMED rewritten as 101");
    said("ARRIVE SAVE SEND_NEWS");
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

// Its time begins again with another generation, and after a time that was void: the room that has
// the higher row has had no chance then to say whether it keeps it.
START_TEST(test_superseded_anew) {
    static const char *const between[] = {"CONFIRMED higher as 300", "CONFIRMED unknown",
                                          "CONFIRMED held as 100"};
    for (size_t i = 0; i < sizeof(between) / sizeof(between[0]); i++) {
        reach(SESSION_LIVE);
        for (int answers = 0; answers < 9; answers++) {
            told("CONFIRM_DUE");
            told(answers == 4 ? between[i] : "CONFIRMED higher as 200");
            ck_assert_msg(effects.list[0].kind != EFFECT_OVER, "%s", between[i]);
            env.now_ms += FENCE_APART_MS;
        }
    }
}
END_TEST

// Asked again soon: what is not decided, and what was confirmed in an earlier round.
START_TEST(test_needs_confirmation) {
    reach(SESSION_LIVE);
    ck_assert(!fence_needs_confirmation(&s.fence, &lease));
    told("ROW_CHANGED");
    ck_assert(fence_needs_confirmation(&s.fence, &lease));
    told("CONFIRMED held as 100");
    ck_assert(!fence_needs_confirmation(&s.fence, &lease));
    told("CONFIRM_DUE");
    told("CONFIRMED higher as 200");
    ck_assert(fence_needs_confirmation(&s.fence, &lease));
    reach(SESSION_LIVE);
    lease_confirm_again(&lease);
    ck_assert(fence_needs_confirmation(&s.fence, &lease));
    ck_assert(session_can_send(&s, &env)); // meanwhile
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
    said("ARRIVE SEND_NEWS");
    ck_assert(!session_can_send(&s, &env));
    told("CONFIRM_DUE");
    told("CONFIRMED held as 100");
    said("ARRIVE LOAD SEND_NEWS");
    ck_assert(session_can_send(&s, &env));
}
END_TEST

// Only the first confirmation after the lease was lost is followed by an arrival: its row was void.
// One in the round that all must be confirmed in finds nothing new.
START_TEST(test_plain_confirmation) {
    reach(SESSION_LIVE);
    lease_lost(&lease);
    told("CONFIRM_DUE");
    told("CONFIRMED held as 100");
    said("ARRIVE SEND_NEWS");
    ck_assert_uint_eq(s.fence.confirmed_round, lease.required);
    told("CONFIRM_DUE");
    told("CONFIRMED held as 100");
    said("SEND_NEWS");
}
END_TEST

// Of the newer login's positions those in broadcast logs count. The inbox's goes to the saver with
// that login: as an ack of this session it would be another's word for what is in flight here.
START_TEST(test_noticed_positions) {
    reach(SESSION_LIVE);
    feed_start(&s.feed[FEED_NEWS], (struct stream_position){EPOCH, 6});
    feed_sent(&s.feed[FEED_NEWS], 7, 10, true);
    feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
    told("NOTICED 100 have 6 news 7");
    said("ACKED(1:1) TAKEN_OVER OVER(4001)");
    ck_assert_uint_eq(s.feed[FEED_INBOX].acked, 5);
    ck_assert_uint_eq(s.feed[FEED_NEWS].acked, 7);
}
END_TEST

// A confirmation without an answer may have written the row anew: the next one that finds it held
// is followed by an arrival, once.
START_TEST(test_unanswered) {
    reach(SESSION_LIVE);
    told("CONFIRM_DUE");
    told("CONFIRMED none");
    said("CONFIRM_SOON");
    told("CONFIRM_DUE");
    told("CONFIRMED held as 100");
    said("ARRIVE SEND_NEWS");
    told("CONFIRM_DUE");
    told("CONFIRMED held as 100");
    said("SEND_NEWS");
}
END_TEST

// An answer to what was asked before the lease was lost says nothing of the time since.
START_TEST(test_answer_of_before_the_lease_was_lost) {
    reach(SESSION_LIVE);
    told("CONFIRM_DUE");
    lease_lost(&lease);
    told("CONFIRM_DUE");
    told("CONFIRMED held as 100");
    ck_assert(!session_can_send(&s, &env));
    told("CONFIRMED held as 100");
    ck_assert(session_can_send(&s, &env));
}
END_TEST

RUN_TESTS("session_row", test_plain_confirmation, test_noticed_positions, test_unanswered,
          test_stale_at_the_saver, test_superseded, test_superseded_anew, test_needs_confirmation,
          test_too_low, test_void_lease, test_answer_of_before_the_lease_was_lost)
