// What a voice may say of its sessions that Hawser's says otherwise: another ack window, no resume
// bytes, streams that its client leaves out, a login that begins at the ends.
#include "second_voice.h"

START_TEST(test_its_own_ack_window) {
    begin_live(&tiny);
    client_gets("!");
    broadcast(1, "a");
    broadcast(2, "b");
    broadcast(3, "c");
    client_gets("ab"); // two at most are unacknowledged
    client_says("1");
    client_gets("c");
    end();
}
END_TEST

START_TEST(test_a_window_of_one) {
    static const struct voice slow = {.name = "slow",
                                      .stream = {CONN_STREAM_CALLS, .keep_max = 16},
                                      .ack_limits = {.messages = 1, .bytes = 1},
                                      .take = tiny_take,
                                      .say_synced = tiny_say_synced,
                                      .put_message = tiny_put_message};
    begin_live(&slow);
    broadcast(1, "a");
    broadcast(2, "b");
    client_gets("!a");
    client_says("1");
    client_gets("b");
    end();
}
END_TEST

// A client that takes two messages at a time takes them of all streams together.
START_TEST(test_one_window_of_all_streams) {
    struct voice together = tiny;
    together.ack_limits.are_together = true;
    begin_live(&together);
    ck_assert(inbox_deliver(binding, &(struct session_hint){{EPOCH, 1}, 0}, message("i")));
    broadcast(1, "a");
    broadcast(2, "b");
    client_gets("!ia");
    ck_assert(!inbox_deliver(binding, &(struct session_hint){{EPOCH, 2}, 0}, message("j")));
    ck_assert(ack_got(binding, FEED_INBOX, (struct stream_position){EPOCH, 1}));
    room_binding_go_on(binding);
    turn_loop();
    client_gets("b"); // an ack of one stream opens the other
    client_says("2");
    ck_assert_uint_eq(feed_messages_left(&room_binding_session(binding)->feed[FEED_INBOX]), 2);
    end();
    begin_live(&together);
    for (uint64_t seq = 1; seq <= 2; seq++)
        ck_assert(inbox_deliver(binding, &(struct session_hint){{EPOCH, seq}, 0}, message("j")));
    broadcast(1, "c");
    client_gets("!jj");
    end();
}
END_TEST

// Its client is told whether the cluster knew it, unless it begins at the ends anyway.
START_TEST(test_known_and_clean) {
    struct voice greeting = tiny;
    greeting.say_welcome = tiny_say_known;
    for (int i = 0; i < 4; i++) {
        saver_knows = i & 1;
        begins_clean = i & 2;
        begin_live(&greeting);
        client_gets(i == 1 ? "k!" : "n!");
        ck_assert_uint_eq(written[EFFECT_SAVE_LAST], begins_clean);
        end();
    }
    saver_knows = begins_clean = false;
}
END_TEST

// A client may say a size of its own, and which streams it wants.
START_TEST(test_what_a_bind_says) {
    static const struct ack_limits own = {.messages = 1, .bytes = 50};
    struct bind_request bind = {.token = "none", .glance_fault = "no token", .is_have_good = true};
    begin(&tiny);
    struct room_binding *b = login_begin(bed.conn, &bind);
    ck_assert_uint_eq(feed_messages_left(&room_binding_session(b)->feed[FEED_NEWS]), 2);
    ck_assert(!room_binding_leaves_out(b, FEED_NEWS));
    conn_end(bed.conn);
    turn_loop();
    close(client);
    bed_conn(&bed, &tiny);
    connect_client();
    bed_open(&bed);
    bind.limits = &own;
    bind.wanted[FEED_NEWS] = FEED_LEFT_OUT;
    bind.is_clean = true;
    b = login_begin(bed.conn, &bind);
    ck_assert_uint_eq(feed_messages_left(&room_binding_session(b)->feed[FEED_NEWS]), 1);
    ck_assert_uint_eq(feed_bytes_left(&room_binding_session(b)->feed[FEED_INBOX]), 50);
    ck_assert(room_binding_session(b)->is_clean);
    ck_assert(room_binding_leaves_out(b, FEED_NEWS) && !room_binding_leaves_out(b, FEED_INBOX));
    end();
}
END_TEST

// Synced does not wait for it, and it is where it was: nothing of it goes out.
START_TEST(test_news_left_out) {
    begin(&tiny);
    log_in(no_news, 3, 5);
    client_gets("!");
    broadcast(4, "d");
    client_gets("");
    ck_assert_uint_eq(room_binding_session(binding)->feed[FEED_NEWS].sent, 3);
    ck_assert(inbox_deliver(binding, &(struct session_hint){{EPOCH, 1}, 0}, message("i")));
    client_gets("i");
    end();
}
END_TEST

// Neither what is pushed nor what is live, and the log is not read for it.
START_TEST(test_inbox_left_out) {
    static const uint8_t no_inbox[FEEDS] = {[FEED_INBOX] = FEED_LEFT_OUT};
    begin(&tiny);
    log_in(no_inbox, 0, 0);
    ck_assert(!inbox_deliver(binding, &(struct session_hint){{EPOCH, 1}, 0}, message("i")));
    ck_assert(!inbox_deliver(binding, &(struct session_hint){{EPOCH, 0}, 0}, message("l")));
    turn_loop();
    broadcast(1, "a");
    client_gets("!a");
    ck_assert_uint_eq(written[EFFECT_LOAD], 0);
    end();
}
END_TEST

// What is wanted no more stays where it is, and goes on there when it is wanted again.
START_TEST(test_other_streams_are_wanted) {
    begin(&tiny);
    log_in(no_news, 0, 0);
    broadcast(1, "a");
    broadcast(2, "b");
    client_gets("!");
    hello_got_wants(binding, all);
    turn_loop();
    client_gets("ab!");
    client_says("1");
    hello_got_wants(binding, no_news);
    broadcast(3, "c");
    ck_assert_uint_eq(room_binding_session(binding)->feed[FEED_NEWS].sent, 2);
    client_says("2");
    client_gets("");
    hello_got_wants(binding, all);
    turn_loop();
    client_gets("c!");
    end();
}
END_TEST

// Its session does not linger. Who comes again by the token goes on behind what was acknowledged.
START_TEST(test_no_resume_bytes) {
    begin_live(&tiny);
    broadcast(1, "a");
    broadcast(2, "b");
    client_says("1");
    client_gets("!ab");
    close(client);
    turn_loop();
    ck_assert_uint_eq(bed.room.count.conn.connections, 0);
    ck_assert_uint_eq(written[EFFECT_SAVE_LAST], 1);
    ck_assert_uint_eq(written[EFFECT_DROP_ROW], 1);
    bed_conn(&bed, &tiny);
    connect_client();
    bed_open(&bed);
    log_in(all, 1, 2);
    client_gets("b!");
    end();
}
END_TEST

START_TEST(test_resume_bytes) {
    struct voice lingering = tiny;
    lingering.lingers = LINGERS_BY_BYTES;
    begin_live(&lingering);
    close(client);
    turn_loop();
    ck_assert_int_eq(bed.conn->state, CONN_LINGERING);
    ck_assert_int_eq(room_binding_state(binding), SESSION_AWAY);
    end();
}
END_TEST

// A delivery is for a session by its run, its slot, its generation and its product: who errs in one
// of them is told that it is not here.
START_TEST(test_whom_a_delivery_is_for) {
    begin_live(&tiny);
    struct room *r = &bed.room;
    Hawser__Internal__DeliverRequest d = HAWSER__INTERNAL__DELIVER_REQUEST__INIT;
    d.incarnation = bed.env.incarnation = 5;
    d.slot = room_binding_row_slot(binding);
    d.generation = GENERATION;
    d.product = PRODUCT;
    ck_assert_ptr_eq(inbox_delivered_to(r, &d), binding);
    d.incarnation++;
    ck_assert_ptr_null(inbox_delivered_to(r, &d));
    d.incarnation--;
    d.slot++;
    ck_assert_ptr_null(inbox_delivered_to(r, &d));
    d.slot--;
    d.generation++;
    ck_assert_ptr_null(inbox_delivered_to(r, &d));
    d.generation--;
    d.product++;
    ck_assert_ptr_null(inbox_delivered_to(r, &d));
    end();
}
END_TEST

RUN_TESTS("a second voice", test_its_own_ack_window, test_a_window_of_one,
          test_one_window_of_all_streams, test_known_and_clean, test_what_a_bind_says,
          test_news_left_out, test_inbox_left_out, test_other_streams_are_wanted,
          test_no_resume_bytes, test_resume_bytes, test_whom_a_delivery_is_for)
