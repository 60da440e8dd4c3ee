// Hawser's voice: each frame that a client may send, in each state of its connection, reaches what
// it is for or ends the connection with the code of what is wrong; so do sizes and bodies.
#include "conn_bed.h"

#include "close_codes.h"
#include "frame.h"

static struct conn_bed bed;
static struct voice voice; // Hawser's, which counts what becomes of Binds
static unsigned bound_count;

static void count_bound(struct conn *c, const struct bound *bound) {
    bound_count++;
    voice_hawser.say_bound(c, bound);
}

static size_t take(const void *data, size_t len) {
    return voice_hawser.take(bed.conn, data, len);
}

// A frame of this type with so many bytes of 0xFF, which no message decodes from, or with none.
static size_t take_frame(int type, size_t len) {
    static uint8_t bytes[FRAME_HEADER_BYTES + FRAME_BODY_MAX];
    memset(bytes, 0xFF, sizeof(bytes));
    frame_put_header(bytes, (enum frame_type)type, len);
    return take(bytes, FRAME_HEADER_BYTES + len);
}

static void begin_in(enum conn_state state) {
    voice = voice_hawser;
    voice.say_bound = count_bound;
    bound_count = 0;
    bed_begin(&bed, &voice);
    bed.conn->state = (uint8_t)state;
}

enum { GOES_ON, ENDS = 1, MALFORMED = CLOSE_MALFORMED, UNEXPECTED = CLOSE_UNEXPECTED };

// Empty bodies: what each comes to where it is allowed says that its handler was reached.
static const struct {
    int type, in_hello, in_login, in_open;
} rows[] = {
    {FRAME_HELLO, MALFORMED, UNEXPECTED, UNEXPECTED}, // no device
    {FRAME_PING, UNEXPECTED, UNEXPECTED, GOES_ON},
    {FRAME_PONG, UNEXPECTED, UNEXPECTED, GOES_ON},
    {FRAME_ACK, UNEXPECTED, UNEXPECTED, GOES_ON},
    {FRAME_BIND, UNEXPECTED, UNEXPECTED, GOES_ON},
    {FRAME_UNBIND, UNEXPECTED, UNEXPECTED, ENDS},        // nothing is bound
    {FRAME_UPSTREAM, UNEXPECTED, UNEXPECTED, MALFORMED}, // no id
    {FRAME_BYE, UNEXPECTED, ENDS, ENDS},
    {FRAME_LOCATE, UNEXPECTED, UNEXPECTED, UNEXPECTED},
    {FRAME_PUSH, UNEXPECTED, UNEXPECTED, UNEXPECTED}, // the room's own
    {250, UNEXPECTED, UNEXPECTED, GOES_ON},           // of a newer client
};

static void check_frame(int type, enum conn_state state, int expected) {
    begin_in(state);
    ck_assert_uint_eq(take_frame(type, 0), FRAME_HEADER_BYTES);
    ck_assert_msg((bed.conn->state == CONN_CLOSING) == (expected != GOES_ON),
                  "type %d in state %d: state %d", type, (int)state, bed.conn->state);
    ck_assert_msg(bed.code == (expected > ENDS ? expected : 0), "type %d in state %d: code %d",
                  type, (int)state, bed.code);
    ck_assert_uint_eq(bed.room.count.delivery.acks, type == FRAME_ACK && expected == GOES_ON);
    ck_assert_uint_eq(bound_count, type == FRAME_BIND && expected == GOES_ON);
    bed_end(&bed);
}

START_TEST(test_each_frame_in_each_state) {
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_frame(rows[i].type, CONN_HELLO, rows[i].in_hello);
        check_frame(rows[i].type, CONN_LOGIN, rows[i].in_login);
        check_frame(rows[i].type, CONN_OPEN, rows[i].in_open);
    }
}
END_TEST

// A Welcome says what it is given, also of a Bind that was refused.
START_TEST(test_welcome) {
    struct welcome welcome = {.bound_count = 1, .spread_ms = 7};
    struct frame f;
    size_t used = 0;
    welcome.bound[0] =
        (struct bound){.code = CLOSE_TOKEN_REFUSED, .reason = "no such key", .name = "demo"};
    memset(welcome.resume, 0xAB, sizeof(welcome.resume));
    begin_in(CONN_OPEN);
    voice.say_welcome(bed.conn, &welcome);
    const struct buf *said = &bed.room.scratch.frame;
    ck_assert_int_eq(frame_parse(said->data, said->len, FRAME_BODY_MAX, &f, &used), FRAME_OK);
    Hawser__V1__Welcome *m = (Hawser__V1__Welcome *)frame_decode(&f, NULL);
    ck_assert_ptr_nonnull(m);
    ck_assert_uint_eq(m->n_bound, 1);
    ck_assert_uint_eq(m->bound[0]->error, CLOSE_TOKEN_REFUSED);
    ck_assert_str_eq(m->bound[0]->reason, "no such key");
    ck_assert_str_eq(m->bound[0]->name, "demo");
    ck_assert_mem_eq(m->resume.data, welcome.resume, RESUME_BYTES);
    ck_assert_uint_eq(m->spread_ms, 7);
    ck_assert_uint_eq(m->heartbeat_s, 60);
    hawser__v1__welcome__free_unpacked(m, NULL);
    bed_end(&bed);
}
END_TEST

// A Ping's wish is granted, and the client counts as heard.
START_TEST(test_ping) {
    static const uint8_t ping[] = {FRAME_PING, 0, 0, 2, 0x10, 30}; // heartbeat_s = 30
    begin_in(CONN_OPEN);
    bed.conn->is_asked = true;
    ck_assert_uint_eq(take(ping, sizeof(ping)), sizeof(ping));
    ck_assert_uint_eq(bed.conn->heartbeat_ms, 30000);
    ck_assert(!bed.conn->is_asked);
    bed_end(&bed);
}
END_TEST

START_TEST(test_a_body_that_does_not_decode) {
    begin_in(CONN_OPEN);
    (void)take_frame(FRAME_ACK, 3);
    ck_assert_int_eq(bed.code, CLOSE_MALFORMED);
    ck_assert_uint_eq(bed.room.count.delivery.acks, 0);
    bed_end(&bed);
}
END_TEST

// The header alone decides; the largest body that is allowed is waited for.
START_TEST(test_sizes) {
    static const struct {
        enum conn_state state;
        size_t body_max;
    } cases[] = {{CONN_HELLO, FRAME_BODY_BEFORE_WELCOME_MAX},
                 {CONN_LOGIN, FRAME_BODY_BEFORE_WELCOME_MAX},
                 {CONN_OPEN, FRAME_BODY_MAX}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t header[FRAME_HEADER_BYTES];
        begin_in(cases[i].state);
        frame_put_header(header, FRAME_ACK, cases[i].body_max);
        ck_assert_uint_eq(take(header, sizeof(header)), 0);
        ck_assert_int_eq(bed.code, 0);
        frame_put_header(header, FRAME_ACK, cases[i].body_max + 1);
        ck_assert_uint_eq(take(header, sizeof(header)), sizeof(header));
        ck_assert_int_eq(bed.code, CLOSE_TOO_LARGE);
        ck_assert_uint_le(FRAME_HEADER_BYTES + cases[i].body_max, voice_hawser.stream.keep_max);
        bed_end(&bed);
    }
}
END_TEST

// Whole frames are taken, the beginning of another stays, and nothing behind an end is looked at.
START_TEST(test_several_at_once) {
    static const uint8_t acks[] = {FRAME_ACK, 0, 0, 0, FRAME_ACK, 0, 0, 0, FRAME_ACK, 0};
    static const uint8_t bye_ack[] = {FRAME_BYE, 0, 0, 0, FRAME_ACK, 0, 0, 0};
    begin_in(CONN_OPEN);
    ck_assert_uint_eq(take(acks, sizeof(acks)), 8);
    ck_assert_uint_eq(bed.room.count.delivery.acks, 2);
    ck_assert_uint_eq(take(bye_ack, sizeof(bye_ack)), sizeof(bye_ack));
    ck_assert_uint_eq(bed.room.count.delivery.acks, 2);
    bed_end(&bed);
}
END_TEST

RUN_TESTS("Hawser's voice", test_each_frame_in_each_state, test_welcome, test_ping,
          test_a_body_that_does_not_decode, test_sizes, test_several_at_once)
