// Heads and chunks of HTTP requests: whole, every prefix, byte by byte, every byte spoiled, against
// an unmapped page; and a table of what is refused, with the rule that refuses it.
#include "suite.h"

#include <sys/mman.h>
#include <unistd.h>

#include "buf.h"
#include "http_parse.h"

static const char whole[] = "POST /v1/products/p%2f?after=x&limit=2 HTTP/1.1\r\n"
                            "Host: center:7300\r\n"
                            "authorization:Bearer  a key \t\r\n"
                            "X-Empty:\r\n"
                            "Connection: keep-alive\r\n"
                            "Idempotency-Key: k\xc3\xa4\r\n"
                            "Expect: 100-Continue\r\n"
                            "Content-Length: 0012\r\n\r\n";
enum { WHOLE = sizeof(whole) - 1 };

// The input ends at an unmapped page, so that reading past it would crash.
static uint8_t *at_page_end(const void *data, size_t len, uint8_t **ret_map) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(map, MAP_FAILED);
    ck_assert_int_eq(mprotect(map + page, page, PROT_NONE), 0);
    *ret_map = map;
    return memcpy(map + page - len, data, len);
}

static void unmap(uint8_t *map) {
    munmap(map, 2 * (size_t)sysconf(_SC_PAGESIZE));
}

static void check_whole(const struct http_head *h) {
    ck_assert_str_eq(h->method, "POST");
    ck_assert_str_eq(h->path, "/v1/products/p%2f");
    ck_assert_str_eq(h->query, "after=x&limit=2");
    ck_assert_str_eq(h->fields[HTTP_FIELD_HOST], "center:7300");
    ck_assert_str_eq(h->fields[HTTP_FIELD_AUTHORIZATION], "Bearer  a key");
    ck_assert_str_eq(h->fields[HTTP_FIELD_IDEMPOTENCY_KEY], "k\xc3\xa4");
    ck_assert_ptr_null(h->fields[HTTP_FIELD_IF_MATCH]);
    ck_assert_uint_eq(h->content_length, 12);
    ck_assert(h->keeps_alive && h->expects_continue && !h->is_chunked);
}

START_TEST(test_every_prefix) {
    for (size_t len = 0; len <= WHOLE; len++) {
        uint8_t *map = NULL, *data = at_page_end(whole, len, &map);
        struct http_head h = {0};
        size_t used = 0;
        enum http_parsed parsed = http_head_read(&h, data, len, &used);
        ck_assert_int_eq(parsed, len < WHOLE ? HTTP_PARSED_MORE : HTTP_PARSED_OK);
        ck_assert_uint_eq(used, len < WHOLE ? 0 : WHOLE);
        unmap(map); // what it holds is its own
        if (parsed == HTTP_PARSED_OK)
            check_whole(&h);
        http_head_reset(&h);
    }
}
END_TEST

// With the next request behind it, of which nothing is taken.
START_TEST(test_byte_by_byte) {
    struct buf b = BUF_EMPTY;
    struct http_head h = {0};
    size_t used = 0;
    buf_append_str(&b, whole);
    buf_append_str(&b, "body and more\r\n\r\n");
    for (size_t len = 1; len < WHOLE; len++)
        ck_assert_int_eq(http_head_read(&h, b.data, len, &used), HTTP_PARSED_MORE);
    ck_assert_int_eq(http_head_read(&h, b.data, b.len, &used), HTTP_PARSED_OK);
    ck_assert_uint_eq(used, WHOLE);
    check_whole(&h);
    http_head_reset(&h);
    buf_free(&b);
}
END_TEST

// Whatever one byte becomes, it answers and reads nothing outside; and no control byte goes
// through.
START_TEST(test_spoiled) {
    for (size_t at = 0; at < WHOLE; at++)
        for (int value = 0; value < 256; value++) {
            uint8_t *map = NULL, *data = NULL;
            char text[WHOLE];
            memcpy(text, whole, WHOLE);
            text[at] = (char)value;
            bool is_control = value < ' ' && value != '\t' && value != whole[at];
            if (value % 32 == 0)
                data = at_page_end(text, WHOLE, &map);
            struct http_head h = {0};
            size_t used = 0;
            enum http_parsed parsed =
                http_head_read(&h, data ? data : (uint8_t *)text, WHOLE, &used);
            if (is_control)
                ck_assert_msg(parsed != HTTP_PARSED_OK, "byte %zu may be %d", at, value);
            http_head_reset(&h);
            if (map)
                unmap(map);
        }
}
END_TEST

#define GET "GET / HTTP/1.1\r\n"
#define HOST GET "Host: h\r\n"
#define REFUSED(text, fault)                                                                       \
    { text, sizeof(text) - 1, HTTP_FAULT_##fault }

static const struct {
    const char *text;
    size_t len;
    enum http_fault fault;
} refused[] = {
    REFUSED("GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n", NUL),
    REFUSED(HOST "X: a\0b\r\n\r\n", NUL),
    REFUSED(HOST "X\0: a\r\n\r\n", NUL),
    REFUSED(HOST "X: a\x01\r\n\r\n", CONTROL),
    REFUSED(HOST "X: a\x7f\r\n\r\n", CONTROL),
    REFUSED("GET / HTTP/1.1\nHost: h\r\n\r\n", LINE_END),
    REFUSED(GET "Host: h\n\r\n", LINE_END),
    REFUSED(HOST "\n", LINE_END),
    REFUSED(HOST "X: a\rb\r\n\r\n", LINE_END),
    REFUSED(HOST "X: a\r\r\n\r\n", LINE_END),
    REFUSED(HOST "\rX: a\r\n\r\n", LINE_END),
    REFUSED(HOST "X: a\r\n b\r\n\r\n", FOLD),
    REFUSED(HOST "X: a\r\n\tb\r\n\r\n", FOLD),
    REFUSED(GET " Host: h\r\n\r\n", FOLD),
    REFUSED("\r\n\r\n" HOST "\r\n", REQUEST_LINE),
    REFUSED("GET /\r\n\r\n", REQUEST_LINE),
    REFUSED("GET\r\n\r\n", REQUEST_LINE),
    REFUSED("GET  / HTTP/1.1\r\nHost: h\r\n\r\n", REQUEST_LINE),
    REFUSED("GET /  HTTP/1.1\r\nHost: h\r\n\r\n", REQUEST_LINE),
    REFUSED("GET / HTTP/1.1 \r\nHost: h\r\n\r\n", REQUEST_LINE),
    REFUSED(" GET / HTTP/1.1\r\nHost: h\r\n\r\n", REQUEST_LINE),
    REFUSED("GET / http/1.1\r\nHost: h\r\n\r\n", REQUEST_LINE),
    REFUSED("GET / HTTP/1.1.\r\nHost: h\r\n\r\n", REQUEST_LINE),
    REFUSED("G(T / HTTP/1.1\r\nHost: h\r\n\r\n", REQUEST_LINE),
    REFUSED("GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", TARGET),
    REFUSED("GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n", TARGET),
    REFUSED("GET * HTTP/1.1\r\nHost: h\r\n\r\n", TARGET),
    REFUSED("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", TARGET),
    REFUSED("GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", TARGET),
    REFUSED(HOST "Content-Length : 5\r\n\r\n", FIELD_NAME),
    REFUSED(HOST "X Y: 5\r\n\r\n", FIELD_NAME),
    REFUSED(HOST ": 5\r\n\r\n", FIELD_NAME),
    REFUSED(HOST "nothing\r\n\r\n", FIELD_NAME),
    REFUSED(HOST "X\xe4: 5\r\n\r\n", FIELD_NAME),
    REFUSED(GET "\r\n", HOST_MISSING),
    REFUSED(GET "Host: a b\r\n\r\n", HOST),
    REFUSED(GET "Host: a/b\r\n\r\n", HOST),
    REFUSED(GET "Host: a, b\r\n\r\n", HOST),
    REFUSED(HOST "Host: h\r\n\r\n", REPEATED),
    REFUSED("GET / HTTP/1.0\r\nHost: h\r\nhost: h\r\n\r\n", REPEATED),
    REFUSED(HOST "Authorization: a\r\nAuthorization: b\r\n\r\n", REPEATED),
    REFUSED(HOST "Idempotency-Key: a\r\nIdempotency-Key: a\r\n\r\n", REPEATED),
    REFUSED(HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", REPEATED),
    REFUSED(HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", LENGTH),
    REFUSED(HOST "Content-Length: 5, 5\r\n\r\n", LENGTH),
    REFUSED(HOST "Content-Length: +5\r\n\r\n", LENGTH),
    REFUSED(HOST "Content-Length: -5\r\n\r\n", LENGTH),
    REFUSED(HOST "Content-Length: 0x5\r\n\r\n", LENGTH),
    REFUSED(HOST "Content-Length: 5 5\r\n\r\n", LENGTH),
    REFUSED(HOST "Content-Length:\r\n\r\n", LENGTH),
    REFUSED(HOST "Content-Length: 1234567890123456789\r\n\r\n", LENGTH),
    REFUSED(HOST "Content-Length: 99999999999999999999999\r\n\r\n", LENGTH),
    REFUSED(HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", LENGTH),
    REFUSED(HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", LENGTH),
    REFUSED(HOST "Transfer-Encoding: xchunked\r\n\r\n", CODING),
    REFUSED(HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", CODING),
    REFUSED(HOST "Transfer-Encoding: chunked, gzip\r\n\r\n", CODING),
    REFUSED(HOST "Transfer-Encoding: identity\r\n\r\n", CODING),
    REFUSED(HOST "Transfer-Encoding: \"chunked\"\r\n\r\n", CODING),
    REFUSED(HOST "Transfer-Encoding: chunked;q=1\r\n\r\n", CODING),
    REFUSED(HOST "Transfer-Encoding:\r\n\r\n", CODING),
    REFUSED("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", CODING),
    REFUSED("BREW / HTTP/1.1\r\nHost: h\r\n\r\n", METHOD),
    REFUSED("get / HTTP/1.1\r\nHost: h\r\n\r\n", METHOD),
    REFUSED("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VERSION),
    REFUSED("GET / HTTP/1.2\r\nHost: h\r\n\r\n", VERSION),
    REFUSED("GET / HTTP/0.9\r\nHost: h\r\n\r\n", VERSION),
    REFUSED(HOST "Expect: a miracle\r\n\r\n", EXPECT),
};

START_TEST(test_refused) {
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct http_head h = {0};
        size_t used = 0;
        enum http_parsed parsed =
            http_head_read(&h, (const uint8_t *)refused[i].text, refused[i].len, &used);
        ck_assert_msg(parsed == HTTP_PARSED_BAD, "%zu is taken: %s", i, refused[i].text);
        ck_assert_msg(h.fault == refused[i].fault, "%zu is refused by another rule, '%s': %s", i,
                      http_fault_detail(h.fault), refused[i].text);
        http_head_reset(&h);
    }
}
END_TEST

static void check_taken(const char *text, const char *path, const char *query, bool keeps_alive) {
    struct http_head h = {0};
    size_t used = 0;
    ck_assert_msg(http_head_read(&h, (const uint8_t *)text, strlen(text), &used) == HTTP_PARSED_OK,
                  "%s: %s", http_fault_detail(h.fault), text);
    ck_assert_uint_eq(used, strlen(text));
    ck_assert_str_eq(h.path, path);
    ck_assert_str_eq(h.query, query);
    ck_assert_msg(h.keeps_alive == keeps_alive, "%s", text);
    http_head_reset(&h);
}

START_TEST(test_taken) {
    check_taken(HOST "\r\n", "/", "", true);
    check_taken("\r\n" HOST "\r\n", "/", "", true);
    check_taken("GET / HTTP/1.0\r\n\r\n", "/", "", false);
    check_taken(HOST "Connection: x , Close\r\n\r\n", "/", "", false);
    check_taken(HOST "Connection: x\r\nconnection:close\r\n\r\n", "/", "", false);
    check_taken(GET "Host:\r\n\r\n", "/", "", true);
    check_taken(GET "Host: [::1]:7300\r\n\r\n", "/", "", true);
    check_taken(HOST "Transfer-Encoding: Chunked\r\n\r\n", "/", "", true);
    check_taken(HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "/", "", true);
    check_taken("GET http://h:1/a?b HTTP/1.1\r\nHost: other\r\n\r\n", "/a", "b", true);
    check_taken("GET HTTPS://h?b HTTP/1.1\r\nHost: h\r\n\r\n", "/", "b", true);
    check_taken("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "*", "", true);
    check_taken("DELETE /a?b?c HTTP/1.1\r\nHost: h\r\n\r\n", "/a", "b?c", true);
}
END_TEST

// A field without a value hides nothing of what stands behind it.
START_TEST(test_empty_values) {
    static const char *const empty[] = {"Authorization", "Connection",    "Expect",
                                        "If-Match",      "If-None-Match", "Idempotency-Key",
                                        "Host",          "Content-Type",  "X-Unknown"};
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
        for (int chunked = 0; chunked < 2; chunked++) {
            struct buf b = BUF_EMPTY;
            struct http_head h = {0};
            size_t used = 0;
            buf_printf(&b, "POST / HTTP/1.1\r\n%s%s:\r\n%s\r\n",
                       strcmp(empty[i], "Host") ? "Host: h\r\n" : "", empty[i],
                       chunked ? "Transfer-Encoding: chunked\r\n" : "Content-Length: 38\r\n");
            enum http_parsed parsed = http_head_read(&h, b.data, b.len, &used);
            if (strcmp(empty[i], "Expect") == 0) { // which is refused by itself
                ck_assert_int_eq(h.fault, HTTP_FAULT_EXPECT);
            } else {
                ck_assert_int_eq(parsed, HTTP_PARSED_OK);
                ck_assert(chunked ? h.is_chunked : h.content_length == 38);
            }
            http_head_reset(&h);
            buf_free(&b);
        }
}
END_TEST

// --- bounds

static enum http_fault fault_of(struct buf *b) {
    struct http_head h = {0};
    size_t used = 0;
    ck_assert_int_eq(http_head_read(&h, b->data, b->len, &used), HTTP_PARSED_BAD);
    enum http_fault fault = h.fault;
    http_head_reset(&h);
    buf_free(b);
    return fault;
}

static void put_many(struct buf *b, const char *text, size_t count) {
    for (size_t i = 0; i < count; i++)
        buf_append_str(b, text);
}

START_TEST(test_bounds) {
    struct buf b = BUF_EMPTY;
    put_many(&b, "G", HTTP_TARGET_MAX + 65); // a line without end
    ck_assert_int_eq(fault_of(&b), HTTP_FAULT_TARGET_LONG);
    buf_append_str(&b, "GET /");
    put_many(&b, "x", HTTP_TARGET_MAX);
    buf_append_str(&b, " HTTP/1.1\r\nHost: h\r\n\r\n");
    ck_assert_int_eq(fault_of(&b), HTTP_FAULT_TARGET_LONG);
    buf_append_str(&b, HOST "X: ");
    put_many(&b, "x", HTTP_HEAD_MAX);
    ck_assert_int_eq(fault_of(&b), HTTP_FAULT_HEAD_LONG);
    buf_append_str(&b, HOST);
    put_many(&b, "X: x\r\n", HTTP_FIELDS_MAX);
    buf_append_str(&b, "\r\n");
    ck_assert_int_eq(fault_of(&b), HTTP_FAULT_FIELDS);
    buf_append_str(&b, HOST);
    put_many(&b, "X: x\r\n", HTTP_FIELDS_MAX - 1);
    buf_append_str(&b, "\r\n");
    check_taken(buf_cstr(&b), "/", "", true);
    buf_free(&b);
}
END_TEST

// --- chunks

// The whole body, given in pieces of that many bytes; *ret_used bytes were its.
static enum http_parsed read_chunks(const char *text, size_t len, size_t step, struct buf *body,
                                    size_t *ret_used) {
    struct http_chunks c = {0};
    size_t at = 0;
    while (at < len) {
        size_t end = at + step < len ? at + step : len;
        while (at < end && !c.is_over) {
            const uint8_t *piece = NULL;
            size_t used = 0, piece_len = 0;
            enum http_parsed parsed = http_chunks_read(&c, (const uint8_t *)text + at, end - at,
                                                       &used, &piece, &piece_len);
            if (parsed == HTTP_PARSED_BAD)
                return parsed;
            if (piece_len > 0)
                buf_append(body, piece, piece_len);
            at += used;
        }
        if (c.is_over)
            break;
    }
    *ret_used = at;
    return c.is_over ? HTTP_PARSED_OK : HTTP_PARSED_MORE;
}

static const char chunked[] = "5\r\nhello\r\n"
                              "0A;a=\"b\"\r\n, a chunk!\r\n"
                              "0\r\nTrailer: x\r\nY: z\r\n\r\n";
enum { CHUNKED = sizeof(chunked) - 1 };

START_TEST(test_chunks) {
    char *behind = NULL;
    ck_assert_int_gt(asprintf(&behind, "%sGET /", chunked), 0);
    for (size_t step = 1; step <= CHUNKED + 5; step++) {
        struct buf body = BUF_EMPTY;
        size_t used = 0;
        ck_assert_int_eq(read_chunks(behind, CHUNKED + 5, step, &body, &used), HTTP_PARSED_OK);
        ck_assert_uint_eq(used, CHUNKED);
        ck_assert_str_eq(buf_cstr(&body), "hello, a chunk!");
        buf_free(&body);
    }
    free(behind);
    for (size_t len = 0; len < CHUNKED; len++) {
        struct buf body = BUF_EMPTY;
        size_t used = 0;
        uint8_t *map = NULL, *data = at_page_end(chunked, len, &map);
        ck_assert_int_eq(read_chunks((char *)data, len, CHUNKED, &body, &used), HTTP_PARSED_MORE);
        ck_assert_uint_eq(used, len);
        unmap(map);
        buf_free(&body);
    }
}
END_TEST

START_TEST(test_chunks_refused) {
    static const char *const bad[] = {"\r\nhello\r\n",
                                      "x\r\n",
                                      "5\nhello\r\n",
                                      "5\rXhello\r\n",
                                      "5 \r\nhello\r\n",
                                      " 5\r\nhello\r\n",
                                      "5\r\nhelloXX0\r\n\r\n",
                                      "5\r\nhello\n0\r\n\r\n",
                                      "5\r\nhello0\r\n\r\n",
                                      "-5\r\nhello\r\n",
                                      "0x5\r\nhello\r\n",
                                      "1000000000000000\r\n",
                                      ";\r\n",
                                      "5;a\nb\r\nhello\r\n",
                                      "0\r\nA: \x01\r\n\r\n",
                                      "0\r\nA: b\n\r\n",
                                      "0\r\n\rX",
                                      "0\r\nA: b\rX"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf body = BUF_EMPTY;
        size_t used = 0;
        ck_assert_msg(read_chunks(bad[i], strlen(bad[i]), 1000, &body, &used) == HTTP_PARSED_BAD,
                      "taken: %s", bad[i]);
        buf_free(&body);
    }
}
END_TEST

// Framing is bounded by what it frames: one-byte chunks pass, endless extensions and trailers do
// not.
START_TEST(test_chunks_waste) {
    struct buf text = BUF_EMPTY, body = BUF_EMPTY;
    size_t used = 0;
    put_many(&text, "1\r\nx\r\n", 100000);
    ck_assert_int_eq(read_chunks((char *)text.data, text.len, 65536, &body, &used),
                     HTTP_PARSED_MORE);
    ck_assert_uint_eq(body.len, 100000);
    buf_reset(&text);
    put_many(&text, "1;0123456789\r\nx\r\n", 10000);
    ck_assert_int_eq(read_chunks((char *)text.data, text.len, 65536, &body, &used),
                     HTTP_PARSED_BAD);
    buf_reset(&text);
    buf_append_str(&text, "0\r\n");
    put_many(&text, "A: b\r\n", 10000);
    ck_assert_int_eq(read_chunks((char *)text.data, text.len, 65536, &body, &used),
                     HTTP_PARSED_BAD);
    buf_free(&text);
    buf_free(&body);
}
END_TEST

RUN_TESTS("http_parse", test_every_prefix, test_byte_by_byte, test_spoiled, test_refused,
          test_taken, test_empty_values, test_bounds, test_chunks, test_chunks_refused,
          test_chunks_waste)
