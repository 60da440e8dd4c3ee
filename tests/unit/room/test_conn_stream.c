// What becomes of a connection with its stream: when it gives its place, whether it lingers, and
// what is read of it while a Bind is awaited.
#include "second_voice.h"

#include "close_codes.h"

static size_t taken;

static size_t take_and_count(struct conn *c, const uint8_t *data, size_t len) {
    (void)c;
    (void)data;
    taken += len;
    return len;
}

static struct voice counting(enum voice_lingers lingers) {
    struct voice v = tiny;
    v.take = take_and_count;
    v.say_close = tiny_say_no_close;
    v.lingers = lingers;
    taken = 0;
    return v;
}

static void begin_counting(enum voice_lingers lingers) {
    static struct voice v;
    v = counting(lingers);
    begin_live(&v);
}

static void is_over(void) {
    turn_loop();
    ck_assert_uint_eq(bed.room.count.conn.connections, 0);
    bed_conn(&bed, &tiny); // which the end looks for
    end();
}

// Its place is another's at once, not when its last word is out.
START_TEST(test_close_gives_the_place) {
    begin_counting(LINGERS_NOT);
    bed.conn->has_place = true;
    bed.room.places.taken = 1;
    conn_close(bed.conn, CLOSE_BUSY, "a test", 0);
    ck_assert_ptr_nonnull(bed.conn->stream);
    ck_assert_uint_eq(bed.room.places.taken, 0);
    end();
    ck_assert_uint_eq(bed.room.places.taken, 0);
}
END_TEST

START_TEST(test_nobody_lingers_in_a_drain) {
    begin_counting(LINGERS_BY_BYTES);
    bed.room.is_draining = true;
    close(client);
    is_over();
}
END_TEST

// Its session ends by another daemon's word, say: there is nothing to come back to.
START_TEST(test_nobody_lingers_without_a_session) {
    begin_counting(LINGERS_BY_BYTES);
    close(client);
    turn_loop();
    ck_assert_int_eq(bed.conn->state, CONN_LINGERING);
    room_binding_end(binding);
    is_over();
    ck_assert_uint_eq(bed.room.places.lingering_count, 0);
}
END_TEST

// Its Welcome goes out when its client has gone elsewhere. Nobody has the bytes to come back with,
// unless the client has said something behind an earlier one (1).
START_TEST(test_nobody_lingers_unwelcomed) {
    begin_counting(LINGERS_BY_BYTES);
    bed.conn->is_unproven = true;
    if (_i == 1)
        conn_heard(bed.conn);
    close(client);
    stream_send(bed.conn->stream, "welcome", 7);
    turn_loop();
    if (_i == 0)
        ck_assert_uint_eq(bed.room.count.conn.connections, 0);
    else
        ck_assert_int_eq(bed.conn->state, CONN_LINGERING);
    if (_i == 0)
        bed_conn(&bed, &tiny); // which the end looks for
    end();
}
END_TEST

// What the client said while nothing was read of it counts as said when it is read again.
START_TEST(test_a_pause_is_no_silence) {
    begin_counting(LINGERS_NOT);
    conn_pause(bed.conn, true);
    bed.conn->heard_ms -= 80000; // the Bind took so long
    conn_pause(bed.conn, false);
    ck_assert_uint_eq(bed.conn->heard_ms, (uint32_t)loop_now_ms(bed.room.loop));
    end();
}
END_TEST

// That its socket takes bytes again does not mean that the Bind is answered.
START_TEST(test_writable_while_a_bind_is_awaited) {
    begin_counting(LINGERS_NOT);
    conn_transit(bed.conn)->binding = binding;
    conn_pause(bed.conn, true);
    client_says("next");
    conn_on_writable(bed.conn, bed.conn->stream);
    turn_loop();
    ck_assert_uint_eq(taken, 0);
    bed.conn->transit->binding = NULL;
    conn_on_writable(bed.conn, bed.conn->stream);
    turn_loop();
    ck_assert_uint_eq(taken, 4);
    end();
}
END_TEST

static struct farewell last_word;

static void keep_last_word(struct conn *c, const struct farewell *f) {
    (void)c;
    last_word = *f;
}

static void directory_has(uint64_t incarnation, uint32_t load, bool is_draining) {
    Hawser__Internal__MemberEndpoint at = HAWSER__INTERNAL__MEMBER_ENDPOINT__INIT;
    Hawser__Internal__MemberEndpoint *endpoints[1] = {&at};
    Hawser__Internal__Member m = HAWSER__INTERNAL__MEMBER__INIT, *list[1] = {&m};
    Hawser__Internal__WatchReply reply = HAWSER__INTERNAL__WATCH_REPLY__INIT;
    m.role = (char *)(uintptr_t) "room";
    m.incarnation = incarnation;
    m.load = load;
    m.draining = is_draining;
    m.n_endpoint = incarnation == 14 ? 0 : 1; // that one has not said where
    m.endpoint = endpoints;
    reply.n_member = 1;
    reply.member = list;
    directory_apply(&cluster, &reply);
}

// Where a room is full or drains: another one, with the least load; to who names servers only, and
// not at another end.
START_TEST(test_where_to_go) {
    static const struct {
        bool names;
        uint32_t code;
        uint64_t to;
    } cases[] = {{true, CLOSE_DRAINING, 13},
                 {true, CLOSE_TRY_ANOTHER, 13},
                 {true, CLOSE_BUSY, 0},
                 {false, CLOSE_DRAINING, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct voice v = counting(LINGERS_NOT);
        v.say_close = keep_last_word;
        v.names_servers = cases[i].names;
        begin(&v);
        bed.env.incarnation = 11;
        directory_has(11, 0, false);
        directory_has(12, 0, true);
        directory_has(13, 5, false);
        directory_has(14, 0, false);
        directory_has(15, 6, false);
        conn_close(bed.conn, cases[i].code, "a test", 7);
        ck_assert_uint_eq(last_word.code, cases[i].code);
        ck_assert_uint_eq(last_word.retry_after_ms, 7);
        ck_assert_uint_eq(last_word.elsewhere ? last_word.elsewhere->incarnation : 0, cases[i].to);
        end();
        directory_free(&cluster);
    }
}
END_TEST

int main(void) {
    TCase *t = tcase_create("a connection's stream");
    tcase_add_test(t, test_close_gives_the_place);
    tcase_add_test(t, test_nobody_lingers_in_a_drain);
    tcase_add_test(t, test_where_to_go);
    tcase_add_test(t, test_nobody_lingers_without_a_session);
    tcase_add_test(t, test_a_pause_is_no_silence);
    tcase_add_test(t, test_writable_while_a_bind_is_awaited);
    tcase_add_loop_test(t, test_nobody_lingers_unwelcomed, 0, 2);
    return run_case("a connection's stream", t);
}
