// A voice whose clients acknowledge message by message, in any order: the position moves over the
// longest run of what went out without a hole. Which messages went out it knows by `went`, and
// keeps in voice_state while there are any.
#include "second_voice.h"

struct single_acks { // of the news
    uint64_t seq[4];
    bool is_acked[4]; // or passed over
    size_t count;
};
static uint64_t went_in; // the log of the run that went last

// What goes out again is in flight once.
static void single_went(struct room_binding *b, enum feed_stream stream,
                        const struct frame_run *run, size_t items) {
    struct transit *t = conn_transit(b->conn);
    ck_assert_int_eq(stream, FEED_NEWS);
    if (!t->voice_state)
        t->voice_state = hw_calloc(1, sizeof(struct single_acks));
    struct single_acks *s = t->voice_state;
    while (s->count > 0 && s->seq[s->count - 1] >= run->items[0].last)
        s->count--;
    went_in = run->epoch;
    for (size_t i = 0; i < items; i++) {
        ck_assert_uint_lt(s->count, 4);
        s->is_acked[s->count] = !run->items[i].counts;
        s->seq[s->count++] = run->items[i].last;
    }
}

static void single_end(struct conn *c) {
    if (!c->transit)
        return;
    free(c->transit->voice_state);
    c->transit->voice_state = NULL;
}

static void single_ack(struct conn *c, uint64_t seq) {
    struct single_acks *s = conn_transit(c)->voice_state;
    size_t done = 0;
    uint64_t upto = 0;
    for (size_t i = 0; i < s->count; i++)
        s->is_acked[i] = s->is_acked[i] || s->seq[i] == seq;
    while (done < s->count && s->is_acked[done])
        upto = s->seq[done++];
    if (done == 0)
        return;
    s->count -= done;
    memmove(s->seq, s->seq + done, s->count * sizeof(s->seq[0]));
    memmove(s->is_acked, s->is_acked + done, s->count * sizeof(s->is_acked[0]));
    if (s->count == 0)
        single_end(c);
    ck_assert(ack_got(c->bindings, FEED_NEWS, (struct stream_position){EPOCH, upto}));
    room_binding_go_on(c->bindings);
}

static size_t single_take(struct conn *c, const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++)
        single_ack(c, (uint64_t)(data[i] - '0'));
    return len;
}

static void single_say_reset(struct room_binding *b, enum feed_stream stream, const char *reason) {
    (void)stream;
    (void)reason;
    stream_send(b->conn->stream, "R", 1);
}

static const struct voice single = {.name = "single",
                                    .stream = {CONN_STREAM_CALLS, .keep_max = 16},
                                    .ack_limits = {.messages = 3, .bytes = 1000},
                                    .end = single_end,
                                    .take = single_take,
                                    .say_reset = single_say_reset,
                                    .say_synced = tiny_say_synced,
                                    .put_message = tiny_put_message,
                                    .went = single_went};

static uint64_t acked(void) {
    return room_binding_session(binding)->feed[FEED_NEWS].acked;
}

// Between two messages one may lie that is for others: it is no hole. Behind the last one, too.
START_TEST(test_in_any_order) {
    char vip[] = "vip";
    begin_live(&single);
    room_binding_name(binding, "ann", NULL);
    broadcast(1, "a");
    broadcast_to(vip, 2, "b");
    broadcast(3, "c");
    broadcast(4, "d");
    broadcast(5, "e");
    client_gets("!acd"); // three are in flight
    client_says("4");
    client_says("3");
    ck_assert_uint_eq(acked(), 0);
    client_gets("");
    client_says("1");
    ck_assert_uint_eq(acked(), 4);
    client_gets("e");
    broadcast_to(vip, 6, "f");
    client_says("5");
    ck_assert_uint_eq(acked(), 6);
    ck_assert_ptr_null(conn_transit(bed.conn)->voice_state);
    end();
}
END_TEST

// An ack that comes late is of the log that its message was in: the new one counts from 1 again.
START_TEST(test_late_ack_after_a_reset) {
    begin_live(&single);
    broadcast(1, "a");
    broadcast(2, "b");
    client_gets("!ab");
    struct stream_position late = {went_in, 2};
    ck_assert_uint_eq(went_in, EPOCH);
    news_window_start(&news()->by_voice[0].window, EPOCH + 1, 0, NULL);
    for (uint64_t seq = 1; seq <= 2; seq++)
        news_heard(news(), (struct stream_position){EPOCH + 1, seq}, message("n"));
    turn_loop();
    client_gets("Rnn");
    ck_assert_uint_eq(went_in, EPOCH + 1);
    ck_assert(ack_got(binding, FEED_NEWS, late));
    ck_assert_uint_eq(acked(), 0);
    end();
}
END_TEST

// A refusal is no ack, and counted once it is of a message in flight.
START_TEST(test_refused) {
    begin_live(&single);
    broadcast(1, "a");
    for (uint64_t seq = 0; seq <= 2; seq++)
        ack_refused(binding, FEED_NEWS, (struct stream_position){EPOCH, seq});
    ack_refused(binding, FEED_NEWS, (struct stream_position){EPOCH + 1, 1});
    ck_assert_uint_eq(bed.room.count.delivery.refused, 1);
    ck_assert_uint_eq(acked(), 0);
    end();
}
END_TEST

RUN_TESTS("single acks", test_in_any_order, test_late_ack_after_a_reset, test_refused)
