// The first bytes of a visitor, over loopback: they are read as a room's door reads them, in
// however many pieces they come, and a connection that opens with others is ended and counted.
#include "suite.h"

#include "addr.h"
#include "dispatcher.h"
#include "frame.h"
#include "stream.h"

static struct os *os;
static struct loop *loop;
static struct config *config;
static struct daemon *dispatcher;
static struct {
    struct stream *stream;
    bool is_connected, is_closed;
    struct buf got;
} visitor;

static void on_connected(void *owner, struct stream *s) {
    (void)owner;
    (void)s;
    visitor.is_connected = true;
}
static size_t on_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    (void)owner;
    (void)s;
    buf_append(&visitor.got, data, len);
    return len;
}
static void on_closed(void *owner, struct stream *s, int error) {
    (void)owner;
    (void)s;
    (void)error;
    visitor.is_closed = true;
}
static const struct stream_ops ops = {
    .on_connected = on_connected, .on_data = on_data, .on_closed = on_closed};

static bool no_line(void *arg, const char *line, size_t len) {
    (void)arg;
    (void)line;
    (void)len;
    return true;
}

static void set(const char *key, const char *value) {
    struct buf error = BUF_EMPTY;
    ck_assert_msg(config_set(config, key, value, &error) == 0, "%s", buf_cstr(&error));
    buf_free(&error);
}

#define WAIT_FOR(condition)                                                                        \
    while (!(condition))                                                                           \
    loop_step(loop, -1)

static void visit(void) {
    struct sock_addr to;
    int error = 0;
    visitor.is_connected = visitor.is_closed = false;
    buf_reset(&visitor.got);
    ck_assert_int_eq(sock_addr_parse("127.0.0.1", daemon_port(dispatcher, "dispatcher"), &to), 0);
    visitor.stream = stream_connect(loop, &to, &ops, NULL, &error);
    ck_assert_ptr_nonnull(visitor.stream);
    WAIT_FOR(visitor.is_connected);
}

static void setup(void) {
    struct buf error = BUF_EMPTY;
    os = os_new();
    loop = loop_new(os);
    config = config_default();
    set("cluster.secrets", "a-secret-of-this-test-0123456789");
    set("cluster.registers", "127.0.0.1:1");
    set("dispatcher.listen", "127.0.0.1:0");
    set("dispatcher.http_listen", "127.0.0.1:0");
    struct daemon_options o = {
        .role = &dispatcher_role, .loop = loop, .config = config, .log_sink = no_line};
    ck_assert_msg(daemon_new(&o, &error, &dispatcher) == 0, "%s", buf_cstr(&error));
    visit();
}

static void teardown(void) {
    if (!visitor.is_closed)
        stream_end(visitor.stream, 0);
    daemon_free(dispatcher);
    config_free(config);
    buf_free(&visitor.got);
    loop_step(loop, 0);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}

static bool metric_is(const char *line) {
    struct buf text = BUF_EMPTY;
    metrics_print(daemon_env(dispatcher)->metrics, &text);
    bool is = strstr(buf_cstr(&text), line) != NULL;
    buf_free(&text);
    return is;
}

START_TEST(test_the_preface_in_pieces) {
    setup();
    struct buf locate = BUF_EMPTY;
    Hawser__V1__Locate ask = HAWSER__V1__LOCATE__INIT;
    buf_append_str(&locate, FRAME_PREFACE);
    frame_put(&locate, FRAME_LOCATE, &ask.base);
    for (size_t i = 0; i < locate.len; i++) {
        stream_send(visitor.stream, locate.data + i, 1);
        loop_step(loop, 0);
    }
    WAIT_FOR(visitor.got.len > 0);
    ck_assert_int_eq(visitor.got.data[0], FRAME_LOCATED);
    ck_assert(metric_is("hawser_dispatcher_protocol_errors_total 0\n"));
    buf_free(&locate);
    teardown();
}
END_TEST

START_TEST(test_other_first_bytes) {
    static const char *const firsts[] = {"GET / HTTP/1.1\r\n\r\n", "X", "HWS2", "HWT"};
    setup();
    for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
        char line[64];
        if (i > 0)
            visit();
        stream_send(visitor.stream, firsts[i], strlen(firsts[i]));
        WAIT_FOR(visitor.is_closed);
        ck_assert_int_eq((int)visitor.got.len, 0);
        snprintf(line, sizeof(line), "hawser_dispatcher_protocol_errors_total %zu\n", i + 1);
        ck_assert(metric_is(line));
    }
    teardown();
}
END_TEST

RUN_TESTS("visitor", test_the_preface_in_pieces, test_other_first_bytes)
