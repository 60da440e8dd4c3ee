// What a room asks of register, saver and other rooms: how often, with what, and who goes on by the
// answer.
#include "peers.h"

#define ASKED_HEADS (&hawser__internal__product_heads_request__descriptor)
#define ASKED_ACK (&hawser__internal__ack_request__descriptor)
#define ASKED_ATTACH (&hawser__internal__attach_request__descriptor)
#define ASKED_LOAD (&hawser__internal__load_request__descriptor)
#define ASKED_FIND (&hawser__internal__find_request__descriptor)
#define ASKED_DROP (&hawser__internal__drop_request__descriptor)
#define ASKED_CONFIRM (&hawser__internal__confirm_row_request__descriptor)

static void say_reset(struct room_binding *b, enum feed_stream stream, const char *reason) {
    (void)stream;
    (void)reason;
    stream_send(b->conn->stream, "R", 1);
}

static const struct voice resetting = {.name = "resetting",
                                       .stream = {CONN_STREAM_CALLS, .keep_max = 16},
                                       .ack_limits = {.messages = 2, .bytes = 1000},
                                       .take = tiny_take,
                                       .say_reset = say_reset,
                                       .say_close = tiny_say_no_close,
                                       .say_synced = tiny_say_synced,
                                       .put_message = tiny_put_message};

static void heads_are(uint64_t epoch, uint64_t head) {
    Hawser__Internal__ProductHeadsReply reply = HAWSER__INTERNAL__PRODUCT_HEADS_REPLY__INIT;
    Hawser__Internal__HeadReply news_head = HAWSER__INTERNAL__HEAD_REPLY__INIT;
    news_head.epoch = epoch;
    news_head.head = head;
    reply.news = &news_head;
    answer(asked(ASKED_HEADS), &reply.base);
}

static void broadcast_in(uint64_t epoch, uint64_t seq, const char *payload) {
    news_heard(news(), (struct stream_position){epoch, seq}, message(payload));
    turn_loop();
}

// A reader waits for a block of a log that is another one by then: the block never comes, and the
// reader goes on in the new log.
START_TEST(test_a_reader_of_a_log_that_starts_again) {
    begin_among_peers(&resetting);
    bed.room.products.window_limits.entries = 4;
    log_in_among_peers();
    for (uint64_t seq = 1; seq <= 8; seq++)
        broadcast(seq, "a");
    client_gets("!aa");
    client_says("2");
    ck_assert(binding->waits_for_block[0]);
    (void)asked(ASKED_LOAD);
    broadcast_in(EPOCH + 1, 1, "b"); // which is how the room hears of it
    heads_are(EPOCH + 1, 1);
    ck_assert(!binding->waits_for_block[0]);
    broadcast_in(EPOCH + 1, 2, "c");
    client_gets("Rc");
    end_among_peers();
}
END_TEST

// Heads are asked for one question at a time. A login that comes while one is under way needs an
// answer to a later one.
START_TEST(test_heads_are_asked_once_more) {
    begin_live_among_peers(&tiny);
    struct room_product *p = binding->product;
    uint64_t asked_before = p->heads_asked;
    news_heads_ask(p);
    news_heads_ask(p);
    news_heads_ask(p);
    ck_assert_uint_eq(times_asked(ASKED_HEADS), 1);
    heads_are(EPOCH, 0);
    ck_assert_uint_eq(times_asked(ASKED_HEADS), 2);
    heads_are(EPOCH, 0);
    ck_assert_uint_eq(times_asked(ASKED_HEADS), 2);
    ck_assert_uint_eq(p->heads_answered, asked_before + 2);
    end_among_peers();
}
END_TEST

static const Hawser__Internal__AckRequest *asked_ack(void) {
    return (const Hawser__Internal__AckRequest *)asked(ASKED_ACK)->request;
}

// A saver that lost the device must know where its client is in each stream.
START_TEST(test_attached_again_with_all_positions) {
    Hawser__Internal__AckReply lost = HAWSER__INTERNAL__ACK_REPLY__INIT;
    begin_live_among_peers(&tiny);
    broadcast(1, "a");
    broadcast(2, "b");
    client_says("2");
    ck_assert(inbox_deliver(binding, &(struct session_hint){{EPOCH, 1}, 0}, message("i")));
    ck_assert(ack_got(binding, FEED_INBOX, (struct stream_position){EPOCH, 1}));
    room_binding_go_on(binding);
    ck_assert_uint_eq(asked_ack()->n_upto, 1);
    lost.unknown = true;
    answer(asked(ASKED_ACK), &lost.base);
    const Hawser__Internal__AttachRequest *q =
        (const Hawser__Internal__AttachRequest *)asked(ASKED_ATTACH)->request;
    ck_assert_uint_eq(q->n_have, FEEDS_SERVED);
    for (size_t i = 0; i < FEEDS_SERVED; i++) {
        ck_assert_uint_eq(q->have[i]->stream, i);
        ck_assert_uint_eq(q->have[i]->epoch, EPOCH);
        ck_assert_uint_eq(q->have[i]->seq, i == FEED_INBOX ? 1 : 2);
    }
    end_among_peers();
}
END_TEST

// The positions of a session are on their way when its client acknowledges more and is lost. They
// are followed by those, and by nothing else.
START_TEST(test_what_was_acknowledged_before_it_was_lost) {
    Hawser__Internal__AckReply saved = HAWSER__INTERNAL__ACK_REPLY__INIT;
    struct voice lingering = tiny;
    lingering.lingers = LINGERS_BY_BYTES;
    begin_live_among_peers(&lingering);
    broadcast(1, "a");
    client_says("1");
    acks_save_last(binding); // as a pass does
    broadcast(2, "b");
    client_says("2");
    close(client);
    turn_loop();
    ck_assert_int_eq(room_binding_state(binding), SESSION_AWAY);
    ck_assert_uint_eq(times_asked(ASKED_ACK), 1);
    ck_assert_uint_eq(asked_ack()->upto[0]->seq, 1);
    answer(asked(ASKED_ACK), &saved.base);
    ck_assert_uint_eq(times_asked(ASKED_ACK), 2);
    ck_assert_uint_eq(asked_ack()->n_upto, 1);
    ck_assert_uint_eq(asked_ack()->upto[0]->stream, FEED_NEWS);
    ck_assert_uint_eq(asked_ack()->upto[0]->seq, 2);
    answer(asked(ASKED_ACK), &saved.base);
    ck_assert_uint_eq(times_asked(ASKED_ACK), 2);
    end_among_peers();
}
END_TEST

static void inbox_is(uint64_t change, const char *payload) {
    Hawser__Internal__LoadReply reply = HAWSER__INTERNAL__LOAD_REPLY__INIT;
    Hawser__Internal__LoadEntry entry = HAWSER__INTERNAL__LOAD_ENTRY__INIT, *list = &entry;
    reply.epoch = EPOCH;
    reply.head = entry.seq = entry.last = 1;
    reply.change = change;
    entry.message = message(payload);
    reply.entry = &list;
    reply.n_entry = 1;
    answer(asked(ASKED_LOAD), &reply.base);
}

// Something left the inbox while it was read: what is read before that does not go out, nor does
// what a center hands over when its place was heard of before.
START_TEST(test_what_left_the_inbox_does_not_go_out) {
    const struct session_hint first = {{EPOCH, 1}, 3}, later = {{EPOCH, 1}, 4};
    begin_live_among_peers(&tiny);
    ck_assert(!inbox_deliver(binding, &first, NULL));
    ck_assert(!inbox_deliver(binding, &later, NULL));
    inbox_is(3, "old");
    client_gets("!");
    ck_assert_uint_eq(times_asked(ASKED_LOAD), 2);
    struct asked *a = asked(ASKED_LOAD);
    rpc_fail(a->call, -HW_ESTORE);
    a->call = NULL;
    peers_settle();
    ck_assert(!inbox_deliver(binding, &first, message("old")));
    time_passes(1500);
    inbox_is(4, "new");
    client_gets("new");
    end_among_peers();
}
END_TEST

static void nobody_is_found(void) {
    Hawser__Internal__FindReply none = HAWSER__INTERNAL__FIND_REPLY__INIT;
    answer(asked(ASKED_FIND), &none.base);
}

// A row that may come late is looked for four times, 3.5 s apart. A look without an answer is none,
// and is made again after a second.
START_TEST(test_a_late_row_is_looked_for) {
    begin_live_among_peers(&tiny);
    binding->of.awake->since_ms = loop_wall_ms(bed.room.loop);
    orphan_expect(binding);
    time_passes(3400);
    ck_assert_uint_eq(times_asked(ASKED_FIND), 0);
    peers_fail = true;
    time_passes(2200);
    ck_assert_uint_eq(times_asked(ASKED_FIND), 3);
    peers_fail = false;
    time_passes(1000);
    for (unsigned look = 1; look <= 4; look++) {
        ck_assert_uint_eq(times_asked(ASKED_FIND), 3 + look);
        nobody_is_found();
        time_passes(3550);
    }
    time_passes(10000);
    ck_assert_uint_eq(times_asked(ASKED_FIND), 3 + 4);
    ck_assert_uint_eq(bed.room.orphans.count, 0);
    end_among_peers();
}
END_TEST

// One of ours that no session holds is dropped, again until the register answers.
START_TEST(test_a_late_row_is_dropped) {
    Hawser__Internal__FindReply reply = HAWSER__INTERNAL__FIND_REPLY__INIT;
    Hawser__Internal__SessionRow row = HAWSER__INTERNAL__SESSION_ROW__INIT, *rows[1] = {&row};
    Hawser__Internal__DropReply dropped = HAWSER__INTERNAL__DROP_REPLY__INIT;
    begin_live_among_peers(&tiny);
    orphan_expect(binding); // whose last moment is long over
    row.device = bed.conn->device;
    row.incarnation = THIS_ROOM;
    row.slot = UINT64_C(77) << 32;
    row.generation = 200;
    reply.n_row = 1;
    reply.row = rows;
    time_passes(50);
    struct asked *look = asked(ASKED_FIND);
    peers_fail = true;
    answer(look, &reply.base);
    time_passes(2100);
    ck_assert_uint_eq(times_asked(ASKED_DROP), 3);
    peers_fail = false;
    time_passes(1000);
    answer(asked(ASKED_DROP), &dropped.base);
    time_passes(1000);
    ck_assert_uint_eq(times_asked(ASKED_DROP), 4);
    end_among_peers();
}
END_TEST

// All sessions of a room may end at once: no more rows are dropped at once than are answered in
// good time. The others wait, and that is no failure.
START_TEST(test_rows_are_dropped_a_few_at_a_time) {
    Hawser__Internal__DropReply dropped = HAWSER__INTERNAL__DROP_REPLY__INIT;
    begin_live_among_peers(&tiny);
    bed.room.bindings.slots_max = 3;
    bed.room.orphans.asks.at_once = 2;
    for (int i = 0; i < 3; i++)
        orphan_drop(binding);
    time_passes(1500);
    ck_assert_uint_eq(times_asked(ASKED_DROP), 2);
    ck_assert_uint_eq(bed.room.orphans.count, 3);
    answer(asked(ASKED_DROP), &dropped.base);
    time_passes(1000);
    ck_assert_uint_eq(times_asked(ASKED_DROP), 3);
    ck_assert_uint_eq(bed.room.orphans.count, 2);
    end_among_peers();
}
END_TEST

// A Bind that was on its way when its binding was replaced comes within some seconds, and names no
// positions.
START_TEST(test_a_renewal_behind_its_end) {
    begin_live_among_peers(&tiny);
    struct session_have *have = &room_binding_session(binding)->have;
    *have = (struct session_have){0};
    ck_assert(!replaced_before_renewal(binding, PRODUCT));
    replaced_note(binding);
    ck_assert(replaced_before_renewal(binding, PRODUCT));
    ck_assert(!replaced_before_renewal(binding, PRODUCT + 1));
    have->given[FEED_NEWS] = true;
    ck_assert(!replaced_before_renewal(binding, PRODUCT));
    have->given[FEED_NEWS] = false;
    for (int i = 0; i < 1100; i++) // it is bounded: the oldest are forgotten
        replaced_note(binding);
    ck_assert_uint_eq(bed.room.replaced.count, 1000);
    time_passes(9000);
    room_binding_wake(binding);
    ck_assert(replaced_before_renewal(binding, PRODUCT));
    time_passes(1100);
    room_binding_wake(binding);
    ck_assert(!replaced_before_renewal(binding, PRODUCT));
    ck_assert_uint_eq(bed.room.replaced.count, 0);
    end_among_peers();
}
END_TEST

static void row_of_another_room_changed(void) {
    notice_changed(&bed.room, &(struct session_row){OTHER_ROOM, 1, 50});
}

// A notice is told again every 200 ms until its room answers, and 20 times at most.
START_TEST(test_a_notice_is_told_again) {
    Hawser__Internal__ConfirmRowReply reply = HAWSER__INTERNAL__CONFIRM_ROW_REPLY__INIT;
    begin_live_among_peers(&tiny);
    row_of_another_room_changed();
    peers_fail = true;
    time_passes(450);
    ck_assert_uint_eq(times_asked(ASKED_CONFIRM), 3);
    peers_fail = false;
    time_passes(200);
    answer(asked(ASKED_CONFIRM), &reply.base);
    ck_assert_ptr_null(bed.room.notices);
    time_passes(1000);
    ck_assert_uint_eq(times_asked(ASKED_CONFIRM), 4);
    peers_fail = true;
    row_of_another_room_changed();
    time_passes(10000);
    ck_assert_uint_eq(times_asked(ASKED_CONFIRM), 4 + 20);
    ck_assert_ptr_null(bed.room.notices);
    end_among_peers();
}
END_TEST

// What is recalled leaves the news window: who is behind reads the log, and nobody is sent what
// came before the change.
START_TEST(test_news_that_were_recalled) {
    begin_among_peers(&resetting);
    log_in_among_peers();
    for (uint64_t seq = 1; seq <= 3; seq++)
        broadcast(seq, "a");
    client_gets("!aa");
    ck_assert(news_change_heard(news(), EPOCH, 1));
    ck_assert(!news_change_heard(news(), EPOCH, 0)); // it was on its way for long
    client_says("2");
    ck_assert(binding->waits_for_block[0]);
    const Hawser__Internal__LoadRequest *q =
        (const Hawser__Internal__LoadRequest *)asked(ASKED_LOAD)->request;
    ck_assert_uint_le(q->after, 2);
    ck_assert(news_change_heard(news(), EPOCH, 2)); // the answer is older than that
    ck_assert(!binding->waits_for_block[0]);
    end_among_peers();
}
END_TEST

static void hole_is_filled(const char *payload) {
    Hawser__Internal__LoadReply reply = HAWSER__INTERNAL__LOAD_REPLY__INIT;
    Hawser__Internal__LoadEntry entry = HAWSER__INTERNAL__LOAD_ENTRY__INIT, *list[] = {&entry};
    entry.seq = 1;
    entry.message = message(payload);
    reply.epoch = EPOCH;
    reply.head = reply.n_entry = 1;
    reply.entry = list;
    answer(asked(ASKED_LOAD), &reply.base);
}

// A hole was being filled when something was recalled: it is asked for again.
START_TEST(test_a_hole_behind_a_recall) {
    begin_among_peers(&resetting);
    log_in_among_peers();
    client_gets("!");
    news_heard(news(), (struct stream_position){EPOCH, 1}, NULL);
    time_passes(100);
    ck_assert_uint_eq(times_asked(ASKED_LOAD), 1);
    ck_assert(news_change_heard(news(), EPOCH, 1));
    hole_is_filled("recalled");
    time_passes(100);
    ck_assert_uint_eq(news()->known->head, 0);
    ck_assert_uint_eq(times_asked(ASKED_LOAD), 2);
    hole_is_filled("a");
    client_gets("a");
    end_among_peers();
}
END_TEST

// While the lease was void a recall did not wait for this room: what it has, and what it is told,
// counts for nothing before it has asked for heads again.
START_TEST(test_news_behind_a_void_lease) {
    begin_among_peers(&resetting);
    log_in_among_peers();
    for (uint64_t seq = 1; seq <= 3; seq++)
        broadcast(seq, "a");
    client_gets("!aa");
    news_heads_ask(binding->product); // before
    news_doubt(binding->product);
    ck_assert(!news_change_heard(news(), EPOCH, 0));
    heads_are(EPOCH, 3);
    ck_assert(!news_change_heard(news(), EPOCH, 0));
    heads_are(EPOCH, 3);
    ck_assert(news_change_heard(news(), EPOCH, 0));
    client_says("2");
    ck_assert(binding->waits_for_block[0]);
    end_among_peers();
}
END_TEST

RUN_TESTS("what a room asks", test_a_reader_of_a_log_that_starts_again,
          test_heads_are_asked_once_more, test_what_left_the_inbox_does_not_go_out,
          test_attached_again_with_all_positions, test_what_was_acknowledged_before_it_was_lost,
          test_a_late_row_is_looked_for, test_a_late_row_is_dropped,
          test_rows_are_dropped_a_few_at_a_time, test_a_renewal_behind_its_end,
          test_a_notice_is_told_again, test_news_that_were_recalled, test_a_hole_behind_a_recall,
          test_news_behind_a_void_lease)
