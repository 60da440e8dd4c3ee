// The client frame codec, four ways: whole, every prefix, every byte spoiled, and against an
// unmapped page; and the golden vectors.
#include "suite.h"

#include <sys/mman.h>
#include <unistd.h>

#include "bytes.h"
#include "frame.h"

static void put_push(struct buf *b, const char *content_type) {
    Hawser__V1__Push push = HAWSER__V1__PUSH__INIT;
    push.product = 7;
    push.seq = 3;
    push.id = (char *)(uintptr_t) "0abc";
    push.payload = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t) "pay\0load", .len = 8};
    push.content_type = (char *)(uintptr_t)content_type;
    frame_put(b, FRAME_PUSH, &push.base);
}

// The input ends at an unmapped page, so that reading past it would crash.
static uint8_t *at_page_end(const uint8_t *data, size_t len, uint8_t **ret_map) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(map, MAP_FAILED);
    ck_assert_int_eq(mprotect(map + page, page, PROT_NONE), 0);
    *ret_map = map;
    return memcpy(map + page - len, data, len);
}

START_TEST(test_every_prefix) {
    struct buf b = BUF_EMPTY;
    put_push(&b, "text/plain");
    for (size_t len = 0; len <= b.len; len++) {
        uint8_t *map = NULL, *data = at_page_end(b.data, len, &map);
        struct frame f = {0};
        size_t used = 0;
        enum frame_parsed parsed = frame_parse(data, len, FRAME_BODY_MAX, &f, &used);
        ck_assert_int_eq(parsed, len < b.len ? FRAME_MORE : FRAME_OK);
        if (parsed == FRAME_OK) {
            ck_assert_uint_eq(used, b.len);
            Hawser__V1__Push *push = (Hawser__V1__Push *)frame_decode(&f, NULL);
            ck_assert_ptr_nonnull(push);
            ck_assert_mem_eq(push->payload.data, "pay\0load", 8);
            hawser__v1__push__free_unpacked(push, NULL);
        }
        munmap(map, 2 * (size_t)sysconf(_SC_PAGESIZE));
    }
    buf_free(&b);
}
END_TEST

// Whatever one byte becomes, the codec answers and reads nothing outside.
START_TEST(test_spoiled) {
    struct buf b = BUF_EMPTY;
    put_push(&b, "text/plain");
    for (size_t at = 0; at < b.len; at++) {
        for (int value = 0; value < 256; value++) {
            uint8_t kept = b.data[at];
            b.data[at] = (uint8_t)value;
            struct frame f = {0};
            size_t used = 0;
            if (frame_parse(b.data, b.len, FRAME_BODY_MAX, &f, &used) == FRAME_OK) {
                ProtobufCMessage *m = frame_decode(&f, NULL);
                if (m)
                    protobuf_c_message_free_unpacked(m, NULL);
            }
            b.data[at] = kept;
        }
    }
    buf_free(&b);
}
END_TEST

START_TEST(test_limits_and_types) {
    static const uint8_t large[] = {1, 0, 0x10, 0x01};
    struct frame f = {0};
    size_t used = 0;
    ck_assert_int_eq(frame_parse(large, 4, FRAME_BODY_BEFORE_WELCOME_MAX, &f, &used),
                     FRAME_TOO_LARGE);
    ck_assert_uint_eq(f.type, FRAME_HELLO);
    ck_assert_int_eq(frame_parse(large, 4, FRAME_BODY_MAX, &f, &used), FRAME_MORE);
    ck_assert_str_eq(frame_type_name(67), "PUSH");
    ck_assert_ptr_null(frame_type_name(99));
    ck_assert(frame_type_is_from(FRAME_PING, FROM_CLIENT) &&
              frame_type_is_from(FRAME_PING, FROM_ROOM));
    ck_assert(!frame_type_is_from(FRAME_PUSH, FROM_CLIENT) &&
              !frame_type_is_from(200, FROM_CLIENT));
}
END_TEST

// protobuf-c does not look at UTF-8; the codec does, also in nested messages.
START_TEST(test_strings_must_be_utf8) {
    struct buf b = BUF_EMPTY;
    put_push(&b, "\xff");
    struct frame f = {0};
    size_t used = 0;
    ck_assert_int_eq(frame_parse(b.data, b.len, FRAME_BODY_MAX, &f, &used), FRAME_OK);
    ck_assert_ptr_null(frame_decode(&f, NULL));
    buf_reset(&b);
    Hawser__V1__Bind bind = HAWSER__V1__BIND__INIT, *binds[] = {&bind};
    char *tags[] = {(char *)(uintptr_t) "\xc3("};
    bind.tags = tags;
    bind.n_tags = 1;
    Hawser__V1__Hello hello = HAWSER__V1__HELLO__INIT;
    hello.bind = binds;
    hello.n_bind = 1;
    frame_put(&b, FRAME_HELLO, &hello.base);
    ck_assert_int_eq(frame_parse(b.data, b.len, FRAME_BODY_MAX, &f, &used), FRAME_OK);
    ck_assert_ptr_null(frame_decode(&f, NULL));
    buf_free(&b);
}
END_TEST

// A text with a NUL in it is not one: what stands behind it would be lost.
START_TEST(test_strings_must_not_hold_nul) {
    static const uint8_t hello[] = {0x0a, 3, 'a', 0, 'b'};         // device
    static const uint8_t bind[] = {0x32, 5, 0x0a, 3, 'a', 0, 'b'}; // bind.token
    static const uint8_t push[] = {0x2a, 3, 'a', 0, 'b'};          // payload: bytes may hold it
    const struct frame frames[] = {{FRAME_HELLO, hello, sizeof(hello)},
                                   {FRAME_HELLO, bind, sizeof(bind)},
                                   {FRAME_PUSH, push, sizeof(push)}};
    for (int i = 0; i < 3; i++) {
        ProtobufCMessage *m = frame_decode(&frames[i], NULL);
        ck_assert_int_eq(m != NULL, i == 2);
        if (m)
            protobuf_c_message_free_unpacked(m, NULL);
    }
}
END_TEST

// tests/vectors/frames.txt: `NAME hex` a line, written by an independent codec. Each decodes and
// packs to the same bytes again.
START_TEST(test_golden_vectors) {
    FILE *file = fopen(VECTORS_DIR "/frames.txt", "r");
    ck_assert_ptr_nonnull(file);
    char name[32], hex[4096];
    int count = 0;
    while (fscanf(file, "%31s %4095s", name, hex) == 2) {
        uint8_t bytes[2048];
        size_t len = strlen(hex) / 2, used = 0;
        ck_assert(hex_decode(hex, strlen(hex), bytes, len));
        struct frame f = {0};
        ck_assert_int_eq(frame_parse(bytes, len, FRAME_BODY_MAX, &f, &used), FRAME_OK);
        ck_assert_uint_eq(used, len);
        ck_assert_str_eq(frame_type_name(f.type), name);
        ProtobufCMessage *m = frame_decode(&f, NULL);
        ck_assert_ptr_nonnull(m);
        struct buf again = BUF_EMPTY;
        frame_put(&again, (enum frame_type)f.type, m);
        ck_assert_msg(again.len == len && memcmp(again.data, bytes, len) == 0, "%s", name);
        protobuf_c_message_free_unpacked(m, NULL);
        buf_free(&again);
        count++;
    }
    fclose(file);
    ck_assert_int_ge(count, 19);
}
END_TEST

RUN_TESTS("frame", test_every_prefix, test_spoiled, test_limits_and_types,
          test_strings_must_be_utf8, test_strings_must_not_hold_nul, test_golden_vectors)
