// Who sleeps, and who gets up. Before each step of the other tests of sessions whoever may sleep
// does (session_world.h); here are those that may not.
#include "suite.h"

#include "session_world.h"

static struct session_rest rest;

// Live and synced: the news were read up to 7, of which 5 is acknowledged, and the rest passed
// over.
static void reach_rest(void) {
    uint32_t messages;
    reach(SESSION_LIVE);
    env.heads.answered = 5;
    ck_assert(session_becomes_synced(&s, &env));
    feed_sent(&s.feed[FEED_NEWS], 5, 10, true);
    feed_sent(&s.feed[FEED_NEWS], 7, 0, false);
    ck_assert_int_eq(session_acked(&s, FEED_NEWS, (struct stream_position){EPOCH, 5}, &messages),
                     FEED_ACKED);
    ck_assert(session_lies_down(&s, &rest));
}

START_TEST(test_it_gets_up_as_it_lay_down) {
    struct session up;
    reach_rest();
    session_gets_up(&rest, &up);
    ck_assert_int_eq(up.state, SESSION_LIVE);
    ck_assert(up.is_synced && up.is_resumed == s.is_resumed);
    ck_assert_uint_eq(up.fence.generation, s.fence.generation);
    ck_assert_uint_eq(up.fence.confirmed_round, s.fence.confirmed_round);
    for (int i = 0; i < FEEDS_SERVED; i++) {
        const struct feed *f = &up.feed[i], *before = &s.feed[i];
        ck_assert_uint_eq(f->epoch, before->epoch);
        ck_assert_uint_eq(f->acked, before->acked);
        ck_assert_uint_eq(f->sent, before->sent);
        ck_assert_uint_eq(f->heard, before->heard);
        ck_assert_uint_eq(f->saved, before->saved);
        ck_assert_uint_eq(feed_in_flight(f), 0);
        ck_assert_ptr_eq(f->limits, before->limits);
    }
    ck_assert_uint_eq(up.feed[FEED_NEWS].sent, 7);
    ck_assert_uint_eq(up.feed[FEED_NEWS].acked, 5);
    ck_assert(session_rest_can_send(&rest, &env) && session_can_send(&up, &env));
    lease_lost(&lease);
    ck_assert(!session_rest_can_send(&rest, &env) && !session_can_send(&up, &env));
}
END_TEST

START_TEST(test_level) {
    uint8_t bytes[SESSION_REST_BYTES_MAX];
    reach_rest();
    (void)session_rest_pack(&rest, &usual, bytes);
    ck_assert(session_rest_is_level(bytes, &usual, FEED_NEWS, &(struct stream_position){EPOCH, 7}));
    ck_assert(
        !session_rest_is_level(bytes, &usual, FEED_NEWS, &(struct stream_position){EPOCH, 8}));
    ck_assert(!session_rest_is_level(bytes, &usual, FEED_NEWS,
                                     &(struct stream_position){OTHER_EPOCH, 7}));
}
END_TEST

static void has_heard(void) {
    feed_hear(&s.feed[FEED_INBOX], s.feed[FEED_INBOX].sent + 1);
}
static void has_sent(void) {
    feed_sent(&s.feed[FEED_NEWS], 8, 10, true);
}
static void is_unsaved(void) {
    uint64_t next = s.feed[FEED_INBOX].sent + 1;
    uint32_t messages;
    feed_sent(&s.feed[FEED_INBOX], next, 10, true);
    (void)session_acked(&s, FEED_INBOX, (struct stream_position){EPOCH, next}, &messages);
}
static void is_far_behind(void) {
    s.feed[FEED_NEWS].saved = s.feed[FEED_NEWS].acked;
    s.feed[FEED_NEWS].acked += UINT64_C(1) << 32;
    s.feed[FEED_NEWS].sent = s.feed[FEED_NEWS].heard = s.feed[FEED_NEWS].shown =
        s.feed[FEED_NEWS].acked;
}
static void is_rewound(void) {
    s.feed[FEED_NEWS].shown++;
}
static void has_no_target(void) {
    s.feed[FEED_NEWS].target = FEED_NO_TARGET;
}
static void is_not_synced(void) {
    s.is_synced = false;
}
static void is_away(void) {
    told("LOST");
}
static void is_confirming(void) {
    told("CONFIRM_DUE");
}
static void is_superseded(void) {
    told("CONFIRM_DUE");
    told("CONFIRMED higher as 200");
}
static void is_stale(void) {
    fence_saver_knows_higher(&s.fence);
}
static void is_loading(void) {
    told("HINTED 1 epoch 8");
}
static void is_retrying(void) {
    told("NEWS_UNREAD");
}
static void is_to_be_attached(void) {
    s.saving.attach_again = true;
}
static void is_asked(void) {
    s.stream[FEED_NEWS].is_asked = true;
}
static void is_shut_asked(void) {
    s.unacked.is_shut_asked = true;
}
static void has_a_notice(void) {
    s.fence.noticed = 90;
}

static void (*const busy[])(void) = {has_heard,         has_sent,      is_unsaved,    is_rewound,
                                     has_no_target,     is_not_synced, is_away,       is_confirming,
                                     is_superseded,     is_stale,      is_loading,    is_retrying,
                                     is_to_be_attached, is_asked,      is_shut_asked, has_a_notice};

START_TEST(test_who_has_something_to_do_stays_awake) {
    for (size_t i = 0; i < sizeof(busy) / sizeof(busy[0]); i++) {
        world_begin();
        reach_rest();
        busy[i]();
        ck_assert_msg(!session_lies_down(&s, &rest), "busy[%zu]", i);
    }
}
END_TEST

// A stream that is left out has no target to be found out.
START_TEST(test_a_stream_that_is_left_out) {
    reach_rest();
    s.stream[FEED_NEWS].wanted = FEED_LEFT_OUT;
    has_no_target();
    ck_assert(session_lies_down(&s, &rest) && rest.wanted[FEED_NEWS] == FEED_LEFT_OUT);
}
END_TEST

// What is packed is what is unpacked, whatever the numbers are; and what most sessions are takes
// few bytes.
START_TEST(test_packed) {
    static const struct ack_limits own = {1, 1, 0, false};
    uint8_t bytes[SESSION_REST_BYTES_MAX];
    struct session_rest most, back;
    reach_rest();
    is_far_behind();
    ck_assert(session_lies_down(&s, &rest));
    for (int i = 0; i < FEEDS; i++)
        rest.feed[i] =
            (struct feed_rest){UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 2, UINT64_MAX - 3};
    rest.fence.generation = 5;
    rest.fence.login_generation = 7; // above it
    rest.fence.login_order = UINT64_MAX;
    rest.fence.asked_round = 0; // below the confirmed one
    rest.fence.confirmed_round = UINT32_MAX;
    rest.limits = &own;
    rest.wanted[FEED_NEWS] = FEED_WANTED_ONCE;
    rest.wanted[FEED_BULK] = FEED_LEFT_OUT;
    size_t packed = session_rest_pack(&rest, &usual, bytes);
    ck_assert_uint_le(packed, sizeof(bytes));
    memset(&back, 0, sizeof(back));
    ck_assert_ptr_eq(session_rest_unpack(bytes, &usual, &back), bytes + packed);
    ck_assert_mem_eq(&back, &rest, sizeof(back));
    reach_rest();
    s.feed[FEED_NEWS].acked = s.feed[FEED_NEWS].saved = s.feed[FEED_NEWS].sent;
    s.fence.generation = s.fence.login_generation = UINT64_C(1) << 41; // a time of today
    ck_assert(session_lies_down(&s, &most));
    ck_assert_uint_le(session_rest_pack(&most, &usual, bytes), 32);
    most.wanted[FEED_INBOX] = FEED_WANTED_ONCE; // and the usual limits
    (void)session_rest_pack(&most, &usual, bytes);
    memset(&back, 0, sizeof(back));
    (void)session_rest_unpack(bytes, &usual, &back);
    ck_assert_mem_eq(&back, &most, sizeof(back));
}
END_TEST

// An idle session sleeps whatever it went through.
START_TEST(test_it_sleeps_again) {
    reach_rest();
    slept = 0;
    told("CONFIRM_DUE");
    told("CONFIRMED held as 100");
    ck_assert(session_lies_down(&s, &rest));
    told("HINTED 0");
    ck_assert_uint_eq(slept, 2);
}
END_TEST

RUN_TESTS("session_rest", test_it_gets_up_as_it_lay_down, test_level,
          test_who_has_something_to_do_stays_awake, test_a_stream_that_is_left_out, test_packed,
          test_it_sleeps_again)
