// A voice's bytes: made once for all who share them, with what is of the moment in a copy for one.
#include "second_voice.h"

// A voice in whose bytes something is of the moment: a message has "." before its payload, or ","
// for who wants it once, or "*" when it is sent again, and behind it how many seconds it has left.
// A gap is "-", for who wants gaps.
static unsigned made;
static bool wants_gaps;

static char seconds_left(uint64_t expires_ms, uint64_t store_ms) {
    return expires_ms ? (char)('0' + (expires_ms - store_ms) / 1000) : ' ';
}

static void precise_put_message(struct buf *out, const struct stream_range *at,
                                const Hawser__Internal__StoredMessage *m) {
    made++;
    buf_printf(out, "%c%s%c", at->is_once ? ',' : '.', (const char *)m->payload.data,
               seconds_left(m->expires_ms, at->store_ms));
}

static void precise_touch_up(const struct room_binding *b, uint8_t *frame,
                             const struct frame_moment *m) {
    ck_assert_ptr_eq(b, binding);
    frame[0] = m->is_again ? '*' : '.';
    frame[m->len - 1] = (uint8_t)seconds_left(m->expires_ms, m->store_ms);
}

static void precise_put_gap(struct buf *out, const struct room_binding *b,
                            const struct stream_range *at, enum gap_reason reason) {
    (void)at;
    (void)reason;
    if (b && wants_gaps)
        buf_append(out, "-", 1);
}

static const struct voice precise = {.name = "precise",
                                     .stream = {CONN_STREAM_CALLS, .keep_max = 16},
                                     .ack_limits = {.messages = 3, .bytes = 1000},
                                     .take = tiny_take,
                                     .say_synced = tiny_say_synced,
                                     .put_message = precise_put_message,
                                     .put_gap = precise_put_gap,
                                     .touch_up = precise_touch_up};

// What is not acknowledged goes out again.
static void send_again(void) {
    room_binding_tell_kind(binding, EVENT_LOST);
    struct session_event resumed = {.kind = EVENT_RESUMED};
    resumed.of.resumed.limits = &conn_voice(bed.conn)->ack_limits;
    room_binding_tell(binding, &resumed);
    room_binding_tell_kind(binding, EVENT_READY);
    turn_loop();
}

static void store_clock_goes(uint64_t to_ms) {
    bed.room.clock =
        (struct store_clock){.loop = bed.room.loop,
                             .offset_ms = (int64_t)to_ms - (int64_t)loop_now_ms(bed.room.loop),
                             .is_known = true};
}

static void append_gap(uint64_t first, uint64_t last) {
    Hawser__Internal__LoadEntry e = HAWSER__INTERNAL__LOAD_ENTRY__INIT;
    struct buf frame = BUF_EMPTY;
    struct news_entry entry;
    e.seq = first;
    e.last = last;
    for (struct voice_news *v = news()->by_voice; v < news()->by_voice + VOICE_NEWS; v++) {
        if (!v->log)
            continue;
        news_encode(v, &e, &frame, &entry);
        news_window_add(&v->window, &entry, frame.data);
    }
    buf_free(&frame);
}

// What all share is made once; that it is sent again is told to each.
START_TEST(test_news_sent_again) {
    begin_live(&precise);
    made = 0;
    broadcast(1, "a");
    broadcast(2, "b");
    client_gets("!.a .b ");
    client_says("1");
    send_again();
    broadcast(3, "c");
    client_gets("*b !.c ");
    ck_assert_uint_eq(made, 3);
    end();
}
END_TEST

// What was for others and is for it now, since it has other tags, was not sent to it before.
START_TEST(test_news_of_other_tags) {
    char red[] = "red", blue[] = "blue";
    begin_live(&precise);
    room_binding_name(binding, "ann", "red\0");
    broadcast_to(blue, 1, "a");
    broadcast_to(red, 2, "b");
    broadcast_to(blue, 3, "c");
    client_gets("!.b ");
    ck_assert_uint_eq(news()->sums.sent, 1);
    struct bind_terms terms = {.tags = memcpy(hw_malloc(6), "blue\0", 6)};
    login_take_terms(binding, &terms);
    send_again();
    client_gets(".a .c !");
    ck_assert_uint_eq(news()->sums.sent, 3);
    client_says("3");
    ck_assert_uint_eq(news()->sums.acked, 2);
    end();
}
END_TEST

// What was told as a gap, since it was too large, goes out for the first time to who takes more.
START_TEST(test_news_of_other_limits) {
    static const struct ack_limits wide = {.messages = 3, .bytes = 1000};
    struct voice narrow = precise;
    narrow.ack_limits.frame_bytes = 4;
    begin_live(&narrow);
    broadcast(1, "abc");
    broadcast(2, "b");
    client_gets("!.b ");
    narrow.ack_limits = wide;
    send_again();
    client_gets(".abc *b !");
    ck_assert_uint_eq(news()->sums.sent, 2);
    end();
}
END_TEST

START_TEST(test_inbox_sent_again) {
    Hawser__Internal__LoadEntry entry = HAWSER__INTERNAL__LOAD_ENTRY__INIT, *list[1] = {&entry};
    Hawser__Internal__LoadReply reply = HAWSER__INTERNAL__LOAD_REPLY__INIT;
    begin_live(&precise);
    ck_assert(inbox_deliver(binding, &(struct session_hint){{EPOCH, 1}, 0}, message("i")));
    send_again();
    ck_assert_uint_eq(written[EFFECT_LOAD], 1);
    entry.seq = reply.head = 1;
    entry.message = message("i");
    reply.epoch = EPOCH;
    reply.n_entry = 1;
    reply.entry = list;
    inbox_loaded(binding, &reply);
    turn_loop();
    client_gets("!.i *i !");
    end();
}
END_TEST

// Who wants messages once gets as many as there are: what is sent counts as handled, and never goes
// out again. Its bytes are others.
START_TEST(test_news_once) {
    static const uint8_t once[FEEDS] = {[FEED_NEWS] = FEED_WANTED_ONCE};
    begin(&precise);
    log_in(once, 0, 0);
    made = 0;
    for (uint64_t seq = 1; seq <= 5; seq++)
        broadcast(seq, "a");
    client_gets("!,a ,a ,a ,a ,a ");
    const struct feed *f = &room_binding_session(binding)->feed[FEED_NEWS];
    ck_assert_uint_eq(f->acked, 5);
    ck_assert_uint_eq(news()->sums.sent, 5);
    ck_assert_uint_eq(news()->sums.acked, 5);
    append_gap(6, 7);
    news_walk(news());
    turn_loop();
    ck_assert_uint_eq(f->acked, 7);
    send_again();
    client_gets("!");
    hello_got_wants(binding, all);
    broadcast(8, "b");
    client_gets(".b ");
    ck_assert_uint_eq(f->acked, 7);
    end();
    begin_live(&precise);
    hello_got_wants(binding, once);
    broadcast(1, "a");
    client_gets("!,a ");
    end();
}
END_TEST

START_TEST(test_inbox_once) {
    static const uint8_t once[FEEDS] = {[FEED_INBOX] = FEED_WANTED_ONCE};
    begin_live(&precise);
    hello_got_wants(binding, once);
    for (uint64_t seq = 1; seq <= 5; seq++)
        ck_assert(inbox_deliver(binding, &(struct session_hint){{EPOCH, seq}, 0}, message("i")));
    turn_loop();
    client_gets("!,i ,i ,i ,i ,i ");
    ck_assert_uint_eq(room_binding_session(binding)->feed[FEED_INBOX].acked, 5);
    ck_assert_uint_eq(written[EFFECT_SAVE], 1); // it is not answered here
    end();
}
END_TEST

// What it is told of it is true when it goes out, not when the bytes were made.
START_TEST(test_how_long_a_message_is_good) {
    begin(&precise);
    store_clock_goes(10100);
    log_in(all, 0, 0);
    made = 0;
    Hawser__Internal__StoredMessage m = *message("a");
    m.expires_ms = 17200;
    hello_got_wants(binding, no_news);
    news_heard(news(), (struct stream_position){EPOCH, 1}, &m);
    broadcast(2, "b");
    store_clock_goes(13100);
    hello_got_wants(binding, all);
    turn_loop();
    client_gets("!.a4.b !"); // and not 7
    ck_assert_uint_eq(made, 2);
    end();
}
END_TEST

// What a client does not take is passed with its gap, of a log, of the inbox, and live.
START_TEST(test_too_large_for_it) {
    struct voice narrow = precise;
    narrow.ack_limits.frame_bytes = 4;
    begin(&narrow);
    wants_gaps = true;
    log_in(all, 0, 0);
    broadcast(1, "abc");
    broadcast(2, "b");
    client_gets("!-.b ");
    ck_assert_uint_eq(feed_in_flight(&room_binding_session(binding)->feed[FEED_NEWS]), 1);
    ck_assert(inbox_deliver(binding, &(struct session_hint){{EPOCH, 1}, 0}, message("ijk")));
    ck_assert(inbox_deliver(binding, &(struct session_hint){{EPOCH, 2}, 0}, message("ij")));
    client_gets("-.ij ");
    ck_assert_uint_eq(feed_in_flight(&room_binding_session(binding)->feed[FEED_INBOX]), 1);
    Hawser__Internal__StoredMessage *live = message("liv");
    live->class_ = HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_LIVE;
    ck_assert(!inbox_deliver(binding, &(struct session_hint){{0, 0}, 0}, live));
    ck_assert_uint_eq(bed.room.count.delivery.passing_dropped, 1);
    struct session_env env;
    room_binding_env(binding, &env);
    ck_assert(!room_binding_can_send_in(binding, &env, 5));
    ck_assert(room_binding_can_send_in(binding, &env, 4));
    wants_gaps = false;
    end();
}
END_TEST

// A gap of the log is for who wants gaps; for others it is passed and counted.
START_TEST(test_gaps_for_who_wants_them) {
    for (int i = 0; i < 2; i++) {
        wants_gaps = i == 1;
        begin_live(&precise);
        append_gap(1, 2);
        broadcast(3, "c");
        client_gets(wants_gaps ? "!-.c " : "!.c ");
        ck_assert_uint_eq(bed.room.count.delivery.gaps, 1);
        ck_assert_uint_eq(room_binding_session(binding)->feed[FEED_NEWS].sent, 3);
        end();
    }
}
END_TEST

RUN_TESTS("a voice's bytes", test_too_large_for_it, test_news_sent_again, test_news_of_other_tags,
          test_news_of_other_limits, test_inbox_sent_again, test_news_once, test_inbox_once,
          test_how_long_a_message_is_good, test_gaps_for_who_wants_them)
