// A payload tells when it was due; what a client sees of a PUSH is what protobuf-c unpacks of it,
// and bytes that are none are refused, also when a field is cut anywhere.
#include "suite.h"

#include "frame.h"
#include "payload.h"

START_TEST(test_due) {
    char text[PAYLOAD_MIN];
    uint64_t due_us = 0;
    payload_put(text, sizeof(text), UINT64_C(0x0123456789abcdef));
    ck_assert(payload_due((uint8_t *)text, sizeof(text), &due_us));
    ck_assert_uint_eq(due_us, UINT64_C(0x0123456789abcdef));
    ck_assert(!payload_due((uint8_t *)text, 19, &due_us));
    text[5] = '.';
    ck_assert(!payload_due((uint8_t *)text, sizeof(text), &due_us));
    ck_assert(!payload_due((const uint8_t *)"something else, as long as this", 31, &due_us));
}
END_TEST

static void make_push(struct buf *out, uint64_t due_us) {
    char payload[300], id[] = "0123456789abcdef012345";
    payload_put(payload, sizeof(payload), due_us);
    Hawser__V1__Push push = HAWSER__V1__PUSH__INIT;
    push.product = 70000;
    push.stream = HAWSER__V1__STREAM__NEWS;
    push.seq = UINT64_C(1) << 60;
    push.id = id;
    push.payload.data = (uint8_t *)payload;
    push.payload.len = sizeof(payload);
    push.sent_ms = 1700000000000;
    frame_put(out, FRAME_PUSH, &push.base);
}

START_TEST(test_push) {
    struct buf frame = BUF_EMPTY;
    struct push_seen p;
    uint64_t due_us = 0;
    make_push(&frame, 7);
    const uint8_t *body = frame.data + FRAME_HEADER_BYTES;
    size_t len = frame.len - FRAME_HEADER_BYTES;
    ck_assert(push_see(body, len, &p));
    ck_assert_uint_eq(p.product, 70000);
    ck_assert_uint_eq(p.stream, 1);
    ck_assert_uint_eq(p.seq, UINT64_C(1) << 60);
    ck_assert_uint_eq(p.payload_len, 300);
    ck_assert(payload_due(p.payload, p.payload_len, &due_us));
    ck_assert_uint_eq(due_us, 7);
    ck_assert(payload_restamp(frame.data, frame.len, 8));
    ck_assert(push_see(body, len, &p) && payload_due(p.payload, p.payload_len, &due_us));
    ck_assert_uint_eq(due_us, 8);
    buf_free(&frame);
}
END_TEST

// A cut between two fields is a message, too: anything else is none.
START_TEST(test_cut) {
    struct buf frame = BUF_EMPTY;
    struct push_seen p;
    make_push(&frame, 7);
    for (size_t len = 0; len < frame.len - FRAME_HEADER_BYTES; len++) {
        struct frame f = {FRAME_PUSH, frame.data + FRAME_HEADER_BYTES, len};
        uint8_t *copy = hw_memdup(f.body, len); // so that a sanitizer sees a read beyond it
        ProtobufCMessage *m = frame_decode(&f, NULL);
        ck_assert_int_eq(push_see(copy, len, &p), m != NULL);
        if (m)
            protobuf_c_message_free_unpacked(m, NULL);
        free(copy);
    }
    buf_free(&frame);
}
END_TEST

START_TEST(test_spoiled) {
    struct push_seen p;
    static const uint8_t group[] = {0x0b}, long_varint[] = {8,    0xff, 0xff, 0xff, 0xff, 0xff,
                                                            0xff, 0xff, 0xff, 0xff, 0xff, 1};
    static const uint8_t long_bytes[] = {0x2a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1};
    ck_assert(!push_see(group, sizeof(group), &p));
    ck_assert(!push_see(long_varint, sizeof(long_varint), &p));
    ck_assert(!push_see(long_bytes, sizeof(long_bytes), &p));
}
END_TEST

RUN_TESTS("payload", test_due, test_push, test_cut, test_spoiled)
