// The whole client over real sockets: the public functions against a tiny room with a loop of the
// test's. Log in, receive, acknowledge, lose the connection, come back, say good-bye.
#include "suite.h"

#include <errno.h>
#include <poll.h>

#include "addr.h"
#include "client_shell.h"
#include "fake_room.h"
#include "hawser.h"
#include "stream.h"

static struct os *os;
static struct loop *loop;
static struct listener *listener;
static struct stream *served; // the newest connection
static int hellos, acks, byes, messages;
static uint64_t acked, had; // inbox positions in the last Ack and Hello
static bool preface_seen;

// --- the room

static void send_buf(struct stream *s, struct buf *b) {
    stream_send(s, b->data, b->len);
    buf_free(b);
}

static void on_hello(struct stream *s, const Hawser__V1__Hello *m) {
    hellos++;
    ck_assert_uint_eq(m->n_bind, 1);
    had = m->bind[0]->n_have > 0 ? m->bind[0]->have[0]->seq : 0;
    struct bound_frame bound;
    bound_fill(&bound, 1, "chat", "ann", (uint64_t)hellos, had);
    Hawser__V1__Bound *list[1] = {&bound.m};
    Hawser__V1__Welcome welcome = HAWSER__V1__WELCOME__INIT;
    welcome.bound = list;
    welcome.n_bound = 1;
    struct buf out = BUF_EMPTY;
    frame_put(&out, FRAME_WELCOME, (const ProtobufCMessage *)&welcome);
    put_push(&out, 1, HAWSER__V1__STREAM__INBOX, had + 1, "", "hello");
    send_buf(s, &out);
}

static void on_room_frame(struct stream *s, const struct frame *f) {
    void *m = frame_decode(f, NULL);
    ck_assert_ptr_nonnull(m);
    if (f->type == FRAME_HELLO)
        on_hello(s, m);
    if (f->type == FRAME_BYE)
        byes++;
    if (f->type == FRAME_ACK) {
        acks++;
        acked = ((const Hawser__V1__Ack *)m)->upto[0]->seq;
    }
    protobuf_c_message_free_unpacked(m, NULL);
}

static size_t on_room_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    (void)owner;
    size_t used = 0, frame_len = 0;
    if (!preface_seen) {
        if (len < FRAME_PREFACE_BYTES)
            return 0;
        ck_assert_mem_eq(data, FRAME_PREFACE, FRAME_PREFACE_BYTES);
        preface_seen = true;
        used = FRAME_PREFACE_BYTES;
    }
    struct frame f;
    while (frame_parse(data + used, len - used, FRAME_BODY_MAX, &f, &frame_len) == FRAME_OK) {
        on_room_frame(s, &f);
        used += frame_len;
    }
    return used;
}

static void on_room_closed(void *owner, struct stream *s, int error) {
    (void)owner;
    (void)error;
    if (served == s)
        served = NULL;
}

static const struct stream_ops room_ops = {
    .on_data = on_room_data, .on_closed = on_room_closed, .keep_max = 65536};

static void on_accept(void *arg, struct stream *s) {
    (void)arg;
    served = s;
    preface_seen = false;
    stream_set_owner(s, &room_ops, NULL);
}

// --- the application

static struct hawser_client *client;
static int stop_after; // messages

static int on_message(void *arg, const struct hawser_message *m) {
    (void)arg;
    messages++;
    ck_assert_str_eq(m->product, "chat");
    ck_assert_str_eq(m->user, "ann");
    ck_assert_uint_eq(m->payload_len, 5);
    ck_assert_mem_eq(m->payload, "hello", 5);
    if (stop_after == messages)
        hawser_stop(client);
    return 0;
}

static char endpoint[64];
static const char *const endpoints[] = {endpoint};
static struct hawser_options options = {
    .rooms = endpoints,
    .room_count = 1,
    .device = "phone",
    .ack_delay_ms = 1,
    .callbacks = {.on_message = on_message},
};
static char error[HAWSER_ERROR_BYTES];

static void setup(const char *host) {
    os = os_new();
    loop = loop_new(os);
    ck_assert_int_eq(
        listener_new(loop, (struct listen_at){"127.0.0.1", 0, 0}, on_accept, NULL, &listener), 0);
    snprintf(endpoint, sizeof(endpoint), "%s:%u", host, listener_port(listener));
}

static void teardown(void) {
    if (served)
        stream_end(served, 0);
    listener_free(listener);
    loop_step(loop, 0);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}

// On the room's own loop, as the simulation does it.
START_TEST(test_on_a_shared_loop) {
    setup("127.0.0.1");
    client = hawser_client_new_on(loop, &options, NULL, error, sizeof(error));
    ck_assert_msg(client != NULL, "%s", error);
    ck_assert_int_eq(hawser_bind(client, token_for("chat", "ann"), NULL, 0), 1);
    while (acks < 1)
        loop_step(loop, -1);
    ck_assert_uint_eq(acked, 1);
    ck_assert_int_eq(hawser_status_get(client)->state, HAWSER_ONLINE);
    stream_end(served, 0); // the connection breaks: it comes back by itself, where it was
    while (acks < 2)
        loop_step(loop, -1);
    ck_assert_int_eq(hellos, 2);
    ck_assert_uint_eq(had, 1);
    ck_assert_uint_eq(acked, 2);
    ck_assert_int_eq(messages, 2);
    hawser_stop(client);
    while (!hawser_client_is_done(client) || byes < 1)
        loop_step(loop, -1);
    ck_assert_int_eq(hawser_status_get(client)->state, HAWSER_STOPPED);
    hawser_free(client);
    teardown();
}
END_TEST

// On its own loop, inside somebody's poll loop; the name goes through the resolver; stopped from
// within a callback, started again.
START_TEST(test_on_its_own_loop) {
    setup("localhost");
    client = hawser_new(&options, error, sizeof(error));
    ck_assert_msg(client != NULL, "%s", error);
    ck_assert_int_eq(hawser_bind(client, token_for("chat", "ann"), NULL, 0), 1);
    stop_after = 1;
    int rounds = 0;
    for (;; rounds++) {
        struct pollfd fd = {.fd = hawser_fd(client), .events = POLLIN};
        int wait = hawser_next_wakeup_ms(client);
        ck_assert_int_ge(poll(&fd, 1, wait < 5 ? wait : 5), 0);
        if (!hawser_step(client, 0))
            break;
        loop_step(loop, 0);
    }
    loop_step(loop, 0);
    ck_assert_int_gt(rounds, 1);
    ck_assert_int_eq(messages, 1);
    ck_assert_int_eq(byes, 1);
    ck_assert_uint_eq(acked, 1);
    ck_assert_uint_eq(hawser_run(client), 0); // stopped: returns at once
    stop_after = 2;
    hawser_start(client);
    while (hawser_step(client, 0))
        loop_step(loop, 1);
    loop_step(loop, 0);
    ck_assert_int_eq(byes, 2);
    ck_assert_uint_eq(acked, 2);
    hawser_free(client);
    teardown();
}
END_TEST

// Freed at any moment of a connection: nothing is left in the loop.
START_TEST(test_freed_at_any_moment) {
    setup("127.0.0.1");
    for (int steps = 0; steps < 12; steps++) {
        client = hawser_client_new_on(loop, &options, NULL, error, sizeof(error));
        ck_assert_int_eq(hawser_bind(client, token_for("chat", "ann"), NULL, 0), 1);
        for (int i = 0; i < steps; i++)
            loop_step(loop, 1);
        if (steps % 2)
            hawser_stop(client);
        hawser_free(client);
        for (int i = 0; i < 3; i++)
            loop_step(loop, 1);
    }
    teardown();
}
END_TEST

// Nobody listens: the client says so and tries again later.
START_TEST(test_refused) {
    setup("127.0.0.1");
    listener_free(listener);
    listener = NULL;
    client = hawser_client_new_on(loop, &options, NULL, error, sizeof(error));
    ck_assert_int_eq(hawser_bind(client, token_for("chat", "ann"), NULL, 0), 1);
    while (hawser_status_get(client)->state != HAWSER_OFFLINE)
        loop_step(loop, -1);
    ck_assert_str_eq(hawser_status_get(client)->reason, strerror(ECONNREFUSED));
    ck_assert_uint_ne(hawser_status_get(client)->retry_ms, UINT64_MAX);
    hawser_free(client);
    teardown();
}
END_TEST

START_TEST(test_wrong_options) {
    struct hawser_options o = options;
    o.room_count = 0;
    ck_assert_ptr_null(hawser_new(&o, error, sizeof(error)));
    ck_assert_str_eq(error, "neither a dispatcher nor a room is given");
    o = options;
    snprintf(endpoint, sizeof(endpoint), "room:1");
    o.positions_path = "/no such folder/positions";
    ck_assert_ptr_null(hawser_new(&o, error, sizeof(error)));
    hawser_free(NULL);
}
END_TEST

RUN_TESTS("client", test_on_a_shared_loop, test_on_its_own_loop, test_freed_at_any_moment,
          test_refused, test_wrong_options)
