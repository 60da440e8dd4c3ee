// What a session saves of its inbox: one position at a time, under the generation that it has, and
// what the saver's answers mean.
#include "suite.h"

#include "session_world.h"

// What was on its way to the saver when the log became another one is a position of the old log.
START_TEST(test_saved_of_an_old_log) {
    uint32_t messages;
    reach(SESSION_LIVE);
    feed_sent(&s.feed[FEED_INBOX], 9, 10, true);
    (void)session_acked(&s, FEED_INBOX, (struct stream_position){EPOCH, 9}, &messages);
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
    (void)session_acked(&s, FEED_INBOX, (struct stream_position){OTHER_EPOCH, 4}, &messages);
    told("READY");
    said("SAVE SEND_NEWS");
}
END_TEST

// One SAVE at a time; what is acked meanwhile goes with the next.
START_TEST(test_saves) {
    uint32_t messages;
    reach(SESSION_LIVE);
    feed_sent(&s.feed[FEED_INBOX], 8, 10, true);
    ck_assert_int_eq(session_acked(&s, FEED_INBOX, (struct stream_position){EPOCH, 7}, &messages),
                     FEED_ACKED);
    told("READY");
    said("SAVE SEND_NEWS");
    ck_assert(!session_begins_save(&s));
    ck_assert_int_eq(session_acked(&s, FEED_INBOX, (struct stream_position){EPOCH, 8}, &messages),
                     FEED_ACKED);
    told("READY");
    said("SEND_NEWS");
    told("SAVED");
    said("SAVE");
    ck_assert(!session_begins_save(&s));
    told("SAVED none");
    said("RETRY");
    told("READY");
    said("SEND_NEWS"); // not before the wait is over
    told("WAITED");
    said("SAVE SEND_NEWS");
    told("SAVED");
    said("");
}
END_TEST

static void handles(uint64_t seq) {
    uint32_t messages;
    feed_sent(&s.feed[FEED_INBOX], seq, 10, true);
    ck_assert_int_eq(session_acked(&s, FEED_INBOX, (struct stream_position){EPOCH, seq}, &messages),
                     FEED_ACKED);
}

// What the saver answers for is what was on its way, neither what was acked meanwhile nor less than
// it has answered for otherwise.
START_TEST(test_what_is_saved) {
    const struct feed *f = &s.feed[FEED_INBOX];
    reach(SESSION_LIVE);
    handles(6);
    told("READY");
    ck_assert(!session_begins_save(&s));
    struct session_have last = {.given = {true}, .at = {{EPOCH, 7}}};
    handles(7);
    session_saved_last(&s, &last);
    told("SAVED");
    said("");
    ck_assert_uint_eq(f->saved, 7);
    handles(8);
    told("READY");
    ck_assert(!session_begins_save(&s));
    told("SAVED unknown");
    said("SAVE");
    ck_assert(session_begins_save(&s));
    handles(9);
    told("ATTACHED 5");
    said("SAVE");
    ck_assert_uint_eq(f->saved, 8);
    ck_assert(!session_begins_save(&s));
    told("SAVED");
    said("");
    ck_assert_uint_eq(f->saved, 9);
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

// The register gave the row anew while a position was on its way under the generation before: what
// the saver says of that one means nothing for the new one, whatever it is.
START_TEST(test_saved_under_the_generation_before) {
    static const char *const answers[] = {"SAVED", "SAVED stale", "SAVED unknown", "SAVED none"};
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        uint32_t messages;
        reach(SESSION_LIVE);
        feed_sent(&s.feed[FEED_INBOX], 6, 10, true);
        (void)session_acked(&s, FEED_INBOX, (struct stream_position){EPOCH, 6}, &messages);
        told("READY");
        said("SAVE SEND_NEWS");
        ck_assert(!session_begins_save(&s));
        told("CONFIRM_DUE");
        told("CONFIRMED rewritten as 101");
        told(answers[i]);
        said("SAVE"); // by 101
        ck_assert(!s.fence.is_stale);
        ck_assert_uint_eq(s.feed[FEED_INBOX].saved, 5);
        ck_assert(session_begins_save(&s)); // which the saver must learn first
    }
}
END_TEST

RUN_TESTS("session_saves", test_saved_of_an_old_log, test_saves, test_what_is_saved,
          test_attached_again, test_saved_under_the_generation_before)
