// A feed held against a plain oracle that remembers every message in flight, and runs of frames.
#include "suite.h"

#include <stdlib.h>
#include <string.h>

#include "frame_run.h"

enum {
    EPOCH = 9,
    STEPS = 200000,
    SEQS = 4096,
    ACK_WINDOW_MESSAGES = 32,
    ACK_WINDOW_BYTES = 256 * 1024
};
static const struct ack_limits limits = {ACK_WINDOW_MESSAGES, ACK_WINDOW_BYTES, 0, false};
// Of other voices, or of clients that say their own.
static const struct ack_limits others[] = {{1, 1, 0, false},
                                           {1, 60000, 0, false},
                                           {2, 100, 0, false},
                                           {7, 30000, 0, false},
                                           {500, 2000000, 0, false}};

static uint32_t sizes[SEQS]; // of messages in flight; 0: a gap, or acked
static uint64_t random_state = 42;

static uint32_t draw(uint32_t below) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static void begin(struct feed *f, uint64_t after) {
    feed_init(f, &limits);
    feed_start(f, (struct stream_position){EPOCH, after});
}

static void flying(const struct feed *f, uint32_t *ret_messages, uint32_t *ret_bytes) {
    *ret_messages = *ret_bytes = 0;
    for (uint64_t seq = f->acked + 1; seq <= f->sent; seq++) {
        *ret_messages += sizes[seq % SEQS] ? 1 : 0;
        *ret_bytes += sizes[seq % SEQS];
    }
}

static void send_one(struct feed *f) {
    uint32_t size = draw(4) ? 1 + draw(20000) : 0;
    if (!feed_is_open(f))
        return;
    sizes[(f->sent + 1) % SEQS] = size;
    feed_sent(f, f->sent + 1, size, size > 0);
}

// Never more in flight than the window allows, and never shut for good: once all is acked it is
// whole again, and a half that is acked opens it.
static void check_against_oracle(const struct ack_limits *l, int steps) {
    struct feed f;
    memset(sizes, 0, sizeof(sizes));
    feed_init(&f, l);
    feed_start(&f, (struct stream_position){EPOCH, 0});
    for (int i = 0; i < steps; i++) {
        uint32_t messages, bytes, left;
        if (draw(3))
            send_one(&f);
        else if (f.sent > f.acked)
            ck_assert_int_eq(
                feed_acked(&f,
                           (struct stream_position){EPOCH, f.acked + 1 +
                                                               draw((uint32_t)(f.sent - f.acked))},
                           &left),
                FEED_ACKED);
        flying(&f, &messages, &bytes);
        ck_assert_uint_le(messages, l->messages);
        ck_assert_uint_ge(l->messages - feed_messages_left(&f), messages);
        ck_assert_uint_le(bytes, l->bytes + 20000);
        ck_assert(f.acked <= f.sent && f.sent <= f.heard);
        if (f.sent == f.acked)
            ck_assert(feed_messages_left(&f) == l->messages && feed_bytes_left(&f) == l->bytes);
    }
}

START_TEST(test_window_against_oracle) {
    check_against_oracle(&limits, STEPS);
}
END_TEST

START_TEST(test_other_windows_against_oracle) {
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        check_against_oracle(&others[i], STEPS / 20);
}
END_TEST

START_TEST(test_half_an_ack_opens) {
    struct feed f;
    uint32_t left;
    begin(&f, 0);
    while (feed_is_open(&f))
        feed_sent(&f, f.sent + 1, 10, true);
    ck_assert_uint_eq(f.sent, ACK_WINDOW_MESSAGES);
    ck_assert_int_eq(
        feed_acked(&f, (struct stream_position){EPOCH, ACK_WINDOW_MESSAGES / 2}, &left),
        FEED_ACKED);
    ck_assert_uint_eq(left, ACK_WINDOW_MESSAGES / 2);
    ck_assert_uint_eq(feed_messages_left(&f), ACK_WINDOW_MESSAGES / 2);
}
END_TEST

// Large messages shut it before there are many: the last one may pass the bound, no further one.
START_TEST(test_bytes_shut_it) {
    struct feed f;
    uint32_t left;
    begin(&f, 0);
    feed_sent(&f, 1, ACK_WINDOW_BYTES - 1, true);
    ck_assert_uint_eq(feed_bytes_left(&f), 1);
    ck_assert(feed_is_open(&f));
    feed_sent(&f, 2, 100, true);
    ck_assert_uint_eq(feed_bytes_left(&f), 0);
    ck_assert(!feed_is_open(&f));
    ck_assert(!feed_takes(&f, (struct stream_position){EPOCH, 3}));
    ck_assert_int_eq(feed_acked(&f, (struct stream_position){EPOCH, 2}, &left), FEED_ACKED);
    ck_assert_uint_eq(feed_bytes_left(&f), ACK_WINDOW_BYTES);
}
END_TEST

// Half of the bytes are free again with an ack of the first half's last message.
START_TEST(test_half_an_ack_frees_bytes) {
    struct feed f;
    uint32_t left;
    begin(&f, 0);
    feed_sent(&f, 1, ACK_WINDOW_BYTES / 2, true);
    feed_sent(&f, 2, ACK_WINDOW_BYTES / 2, true);
    ck_assert(!feed_is_open(&f));
    ck_assert_int_eq(feed_acked(&f, (struct stream_position){EPOCH, 1}, &left), FEED_ACKED);
    ck_assert_uint_eq(feed_bytes_left(&f), ACK_WINDOW_BYTES / 2);
}
END_TEST

// Where others' messages lie between, seqs say nothing: the halves are counted.
START_TEST(test_half_an_ack_between_gaps) {
    struct feed f;
    uint32_t left;
    begin(&f, 0);
    while (feed_is_open(&f)) {
        feed_sent(&f, f.sent + 1, 0, false);
        feed_sent(&f, f.sent + 1, 10, true);
    }
    ck_assert_uint_eq(f.sent, 2 * ACK_WINDOW_MESSAGES);
    ck_assert_int_eq(feed_acked(&f, (struct stream_position){EPOCH, ACK_WINDOW_MESSAGES}, &left),
                     FEED_ACKED);
    ck_assert_uint_eq(left, ACK_WINDOW_MESSAGES / 2);
}
END_TEST

START_TEST(test_acks) {
    struct feed f;
    uint32_t left;
    begin(&f, 5);
    feed_sent(&f, 8, 10, true);
    ck_assert_int_eq(feed_acked(&f, (struct stream_position){EPOCH, 9}, &left), FEED_ACK_ABOVE);
    ck_assert_int_eq(feed_acked(&f, (struct stream_position){EPOCH + 1, 9}, &left), FEED_ACK_OLD);
    ck_assert_int_eq(feed_acked(&f, (struct stream_position){EPOCH, 5}, &left), FEED_ACK_OLD);
    ck_assert_int_eq(feed_acked(&f, (struct stream_position){EPOCH, 8}, &left), FEED_ACKED);
    ck_assert_uint_eq(f.acked, 8);
}
END_TEST

// What was in flight goes out again; what was heard of is not forgotten.
START_TEST(test_rewind) {
    struct feed f;
    begin(&f, 5);
    feed_hear(&f, 12);
    feed_sent(&f, 9, 10, true);
    ck_assert(!feed_can_resume(&f, (struct stream_position){EPOCH, 4}));
    ck_assert(!feed_can_resume(&f, (struct stream_position){EPOCH, 10}));
    ck_assert(!feed_can_resume(&f, (struct stream_position){EPOCH + 1, 7}));
    ck_assert(feed_can_resume(&f, (struct stream_position){EPOCH, 7}));
    feed_rewind(&f, 7);
    ck_assert_uint_eq(f.sent, 7);
    ck_assert_uint_eq(f.heard, 12);
    ck_assert(feed_takes(&f, (struct stream_position){EPOCH, 8}));
    ck_assert(!feed_takes(&f, (struct stream_position){EPOCH, 9}));
    ck_assert(!feed_takes(&f, (struct stream_position){EPOCH + 1, 8}));
}
END_TEST

// What was shown once may be acknowledged before it was all sent again.
START_TEST(test_ack_of_what_is_sent_again) {
    struct feed f;
    uint32_t left;
    begin(&f, 5);
    feed_sent(&f, 6, 10, true);
    feed_sent(&f, 8, 10, true);
    feed_rewind(&f, 5);
    feed_sent(&f, 6, 10, true);
    ck_assert_int_eq(feed_acked(&f, (struct stream_position){EPOCH, 8}, &left), FEED_ACKED);
    ck_assert_uint_eq(f.sent, 8);
    ck_assert(feed_is_at_rest(&f));
}
END_TEST

// A run has places for a window of messages with a gap before each, and two more.
START_TEST(test_run_of_gaps) {
    struct feed f;
    struct frame_run run;
    begin(&f, 0);
    frame_run_begin(&run, &f);
    for (uint64_t seq = 1; seq <= FRAME_RUN_MAX; seq++) {
        ck_assert_int_eq(frame_run_fit(&run, seq, seq, false), RUN_NEXT);
        frame_run_add(&run, seq, (uint32_t)seq * 10, false);
    }
    ck_assert_int_eq(frame_run_fit(&run, FRAME_RUN_MAX + 1, FRAME_RUN_MAX + 1, false), RUN_ENDS);
}
END_TEST

// Entries of a load that go on where the last one ended, as far as the window goes.
START_TEST(test_run) {
    struct feed f;
    struct frame_run run;
    begin(&f, 5);
    frame_run_begin(&run, &f);
    ck_assert_int_eq(frame_run_fit(&run, 4, 5, true), RUN_KNOWN);
    ck_assert_int_eq(frame_run_fit(&run, 7, 7, true), RUN_ENDS);
    ck_assert_int_eq(frame_run_fit(&run, 4, 6, false), RUN_NEXT); // a gap that began before
    frame_run_add(&run, 6, 20, false);
    for (uint64_t seq = 7; seq < 7 + ACK_WINDOW_MESSAGES; seq++) {
        ck_assert_int_eq(frame_run_fit(&run, seq, seq, true), RUN_NEXT);
        frame_run_add(&run, seq, 20 + (uint32_t)(seq - 6) * 100, true);
    }
    ck_assert_int_eq(frame_run_fit(&run, 7 + ACK_WINDOW_MESSAGES, 7 + ACK_WINDOW_MESSAGES, true),
                     RUN_ENDS);
    ck_assert_int_eq(frame_run_fit(&run, 7 + ACK_WINDOW_MESSAGES, 50, false), RUN_NEXT);
    struct frame_run_sent sent = frame_run_went(&run, 3, &f); // the socket took no more
    ck_assert_uint_eq(sent.messages, 2);
    ck_assert_uint_eq(sent.anew, 2);
    ck_assert_uint_eq(f.sent, 8);
    ck_assert_uint_eq(feed_bytes_left(&f), ACK_WINDOW_BYTES - 200);
}
END_TEST

// What goes out a second time is told apart, for the sums.
START_TEST(test_run_of_what_was_written) {
    struct feed f;
    struct frame_run run;
    begin(&f, 5);
    feed_sent(&f, 6, 10, true);
    feed_sent(&f, 7, 10, true);
    feed_rewind(&f, 5);
    frame_run_begin(&run, &f);
    for (uint64_t seq = 6; seq <= 9; seq++)
        frame_run_add(&run, seq, (uint32_t)(seq - 5) * 10, seq != 9);
    struct frame_run_sent sent = frame_run_went(&run, 4, &f);
    ck_assert_uint_eq(sent.messages, 3);
    ck_assert_uint_eq(sent.anew, 1);
}
END_TEST

// What was passed over goes out for the first time when it is sent, before and behind what was
// written, and once; an ack of it is one of what the client was told.
START_TEST(test_run_of_what_was_passed_over) {
    struct feed f;
    struct frame_run run;
    uint32_t left;
    begin(&f, 5);
    feed_sent(&f, 6, 0, false);
    feed_sent(&f, 7, 10, true);
    feed_sent(&f, 8, 0, false);
    for (int time = 0; time < 2; time++) {
        feed_rewind(&f, 5);
        frame_run_begin(&run, &f);
        for (uint64_t seq = 6; seq <= 8; seq++)
            frame_run_add(&run, seq, (uint32_t)(seq - 5) * 10, true);
        struct frame_run_sent sent = frame_run_went(&run, 3, &f);
        ck_assert_uint_eq(sent.messages, 3);
        ck_assert_uint_eq(sent.anew, time == 0 ? 2 : 0);
    }
    feed_rewind(&f, 5);
    ck_assert_int_eq(feed_acked(&f, (struct stream_position){EPOCH, 8}, &left), FEED_ACKED);
}
END_TEST

// Each is written once at first, however often what lies behind an ack is sent again to whom other
// messages are for; but of what lies more than WRITTEN_KNOWN behind the last that was written only
// who has other tags knows less.
START_TEST(test_written_against_oracle) {
    static bool was[SEQS];
    struct feed f;
    uint32_t left;
    memset(was, 0, sizeof(was));
    begin(&f, 0);
    while (f.sent + 1 < SEQS) {
        uint64_t seq = f.sent + 1;
        ck_assert_int_eq(feed_was_written(&f, seq), was[seq]);
        bool is_for_it = feed_is_open(&f) && draw(3) == 0;
        was[seq] = was[seq] || is_for_it;
        feed_sent(&f, seq, 1, is_for_it);
        if (draw(8) == 0)
            feed_rewind(&f, f.acked);
        if (f.sent > f.acked + 40 || draw(10) == 0)
            (void)feed_acked(&f, (struct stream_position){EPOCH, f.shown - draw(2)}, &left);
    }
}
END_TEST

START_TEST(test_written_long_ago) {
    struct feed f;
    begin(&f, 0);
    feed_sent(&f, 1, 10, true);
    feed_sent(&f, 2 + WRITTEN_KNOWN, 10, true);
    ck_assert(feed_was_written(&f, 1));
    ck_assert(!feed_was_written(&f, 2));
    ck_assert(!feed_was_written(&f, 1 + WRITTEN_KNOWN));
    feed_has_others(&f);
    ck_assert(!feed_was_written(&f, 1));
    ck_assert(feed_was_written(&f, 2 + WRITTEN_KNOWN));
}
END_TEST

RUN_TESTS("feed", test_window_against_oracle, test_other_windows_against_oracle,
          test_half_an_ack_opens, test_bytes_shut_it, test_half_an_ack_frees_bytes,
          test_half_an_ack_between_gaps, test_acks, test_rewind, test_ack_of_what_is_sent_again,
          test_run, test_run_of_gaps, test_run_of_what_was_written,
          test_run_of_what_was_passed_over, test_written_against_oracle, test_written_long_ago)
