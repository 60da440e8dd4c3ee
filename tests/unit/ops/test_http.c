// The HTTP server over real loopback sockets in one loop: what clients do right is answered in
// order, what they do wrong is refused and ends, and nothing that they hold back holds the server.
#include "suite.h"

#include <errno.h>
#include <unistd.h>

#include "addr.h"
#include "http.h"

enum { BIG = 4 * 1024 * 1024, LATER_MAX = 8 };

static struct os *os;
static struct loop *loop;
static struct metrics *metrics;
static struct http_server *server;
static struct http_request *later[LATER_MAX]; // what the handler keeps
static int later_count, handled, bodies_over;
static char big[BIG];

// --- a handler: the path says what it does

static void respond_text(struct http_request *r, int status, const char *text, size_t len) {
    http_respond(r, &(struct http_response){.status = status,
                                            .content_type = "text/plain",
                                            .body = text,
                                            .body_len = len,
                                            .headers = {{"X-Method", r->method}}});
}

static void on_body(void *arg, struct http_request *r) {
    (void)arg;
    if (r)
        respond_text(r, 200, (const char *)r->body, r->body_len);
    else
        bodies_over++;
}

static void on_request(void *arg, struct http_request *r) {
    (void)arg;
    handled++;
    bool has_key = strcmp(r->path, "/key") == 0;
    bool has_product = strncmp(r->path, "/product/", 9) == 0;
    if (has_key)
        http_trust(r);
    if (has_product)
        http_charge(r, (uint32_t)(r->path[9] - '0'));
    if (has_key || has_product || strcmp(r->path, "/echo") == 0)
        http_read_body(r, on_body, NULL);
    else if (strcmp(r->path, "/later") == 0 && later_count < LATER_MAX && http_may_wait(r))
        later[later_count++] = r;
    else if (strcmp(r->path, "/later") == 0)
        respond_text(r, 503, "full", 4);
    else if (strcmp(r->path, "/refused") == 0)
        respond_text(r, 401, "no", 2);
    else if (strcmp(r->path, "/big") == 0)
        respond_text(r, 200, big, BIG);
    else
        respond_text(r, 200, r->query, strlen(r->query));
}

static void respond_later(void) {
    for (int i = 0; i < later_count; i++)
        respond_text(later[i], 200, "late", 4);
    later_count = 0;
}

static void setup(const struct http_limits *limits) {
    os = os_new();
    loop = loop_new(os);
    metrics = metrics_new("test");
    struct http_options o = {.loop = loop,
                             .host = "127.0.0.1",
                             .limits = limits ? *limits : http_limits_default,
                             .handler = on_request};
    o.limits.body_bytes_max =
        o.limits.body_bytes_max < 4097 ? 1024 * 1024 : o.limits.body_bytes_max;
    ck_assert_int_eq(http_server_new(&o, &server), 0);
    http_server_count(server, metrics, false);
}

static void teardown(void) {
    metrics_free(metrics);
    http_server_free(server);
    respond_later();
    loop_step(loop, 0);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}

static unsigned long metric(const char *name) {
    char line[80];
    struct buf text = BUF_EMPTY;
    snprintf(line, sizeof(line), "\nhawser_test_http_%s ", name);
    metrics_print(metrics, &text);
    const char *at = strstr(buf_cstr(&text), line);
    ck_assert_msg(at != NULL, "no metric %s", name);
    unsigned long value = strtoul(at + strlen(line), NULL, 10);
    buf_free(&text);
    return value;
}

// --- clients

static int dial(void) {
    struct sock_addr to;
    ck_assert_int_eq(sock_addr_parse("127.0.0.1", http_server_port(server), &to), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to.storage, to.len), 0);
    return fd;
}

static int say(const char *text) {
    int fd = dial();
    ck_assert_int_eq(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
    return fd;
}

// Reads on, until that text is there or the server has ended; whether it ended.
static bool hear(int fd, struct buf *heard, const char *until) {
    for (;;) {
        if (until && heard->len > 0 && strstr(buf_cstr(heard), until))
            return false;
        loop_step(loop, 5);
        ssize_t got = recv(fd, buf_reserve(heard, 65536), 65535, MSG_DONTWAIT);
        if (got == 0)
            return true;
        ck_assert_msg(got > 0 || errno == EAGAIN, "%s", strerror(errno));
        heard->len += got > 0 ? (size_t)got : 0;
    }
}

static void hears(int fd, const char *text) {
    struct buf heard = BUF_EMPTY;
    ck_assert_msg(!hear(fd, &heard, text), "ended before '%s': %s", text, buf_cstr(&heard));
    buf_free(&heard);
}

// It hears that answer, and then the end.
static void hears_last(int fd, const char *status, const char *text) {
    struct buf heard = BUF_EMPTY;
    ck_assert(hear(fd, &heard, NULL));
    const char *all = buf_cstr(&heard);
    ck_assert_msg(strncmp(all, "HTTP/1.1 ", 9) == 0 && strncmp(all + 9, status, 3) == 0, "%s", all);
    ck_assert_msg(strstr(all, text) && strstr(all, "\r\nConnection: close\r\n"), "%s", all);
    buf_free(&heard);
    close(fd);
}

static void run_until(int *counter, int value) {
    while (*counter < value)
        loop_step(loop, 5);
}

static void run_until_metric(const char *name, unsigned long value) {
    while (metric(name) != value)
        loop_step(loop, 5);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST(path) "POST " path " HTTP/1.1\r\nHost: h\r\n"

// Pipelined requests are answered in order, whether their handler answers at once or later.
START_TEST(test_pipelining) {
    setup(NULL);
    int fd = say(GET("/now?1") POST("/echo") "Content-Length: 5\r\n\r\nhello" GET("/later") POST(
        "/echo") "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" GET("/now?2"));
    struct buf heard = BUF_EMPTY;
    run_until(&later_count, 1);
    ck_assert(!hear(fd, &heard, "hello"));
    ck_assert_int_eq(handled, 3);
    respond_later();
    ck_assert(!hear(fd, &heard, "\r\n\r\n2"));
    const char *all = buf_cstr(&heard);
    const char *parts[] = {"\r\n\r\n1HTTP", "\r\n\r\nhelloHTTP", "\r\n\r\nlateHTTP",
                           "\r\n\r\nabcHTTP"};
    for (int i = 0; i < 4; i++) {
        all = strstr(all, parts[i]);
        ck_assert_msg(all != NULL, "no %s", parts[i]);
    }
    ck_assert_ptr_null(strstr(buf_cstr(&heard), "Connection: close"));
    buf_free(&heard);
    close(fd);
    teardown();
}
END_TEST

// HEAD is GET to the handler; its answer has the length, and the next answer follows at once.
START_TEST(test_head) {
    setup(NULL);
    int fd = say("HEAD /now?abc HTTP/1.1\r\nHost: h\r\n\r\n" GET("/now?x"));
    struct buf heard = BUF_EMPTY;
    ck_assert(!hear(fd, &heard, "\r\n\r\nx"));
    ck_assert_ptr_nonnull(
        strstr(buf_cstr(&heard), "X-Method: GET\r\nContent-Length: 3\r\n\r\nHTTP"));
    buf_free(&heard);
    close(fd);
    teardown();
}
END_TEST

// 100 Continue comes when the handler asks for the body, and not when it refuses.
START_TEST(test_expect) {
    setup(NULL);
    int fd = say(POST("/echo") "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    hears(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    ck_assert_int_eq(send(fd, "hi", 2, 0), 2);
    hears(fd, "\r\n\r\nhi");
    close(fd);
    hears_last(say(POST("/refused") "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"), "401",
               "\r\n\r\nno");
    teardown();
}
END_TEST

// A refused body is not kept, however much of it comes; the client sees the whole answer.
START_TEST(test_refused_with_body) {
    setup(NULL);
    int fd = say(POST("/refused") "Content-Length: 1000000\r\n\r\n");
    for (int i = 0; i < 15; i++) {
        ck_assert_int_eq(send(fd, big, 65536, 0), 65536);
        loop_step(loop, 0);
        ck_assert_uint_eq(metric("bodies_bytes"), 0);
    }
    hears_last(fd, "401", "\r\n\r\nno");
    ck_assert_int_eq(handled, 1);
    teardown();
}
END_TEST

// What breaks a rule is answered here, and ends.
START_TEST(test_refusals) {
    setup(NULL);
    hears_last(say("GET / HTTP/1.1\r\nHost : h\r\n\r\n"), "400", "\"code\":\"malformed\"");
    hears_last(say("BREW / HTTP/1.1\r\nHost: h\r\n\r\n"), "501", "\"code\":\"method_unknown\"");
    hears_last(say("GET / HTTP/3.0\r\nHost: h\r\n\r\n"), "505", "\"code\":\"version_unknown\"");
    hears_last(say(GET("/now") "\1\r\n"), "200", "400 Bad Request");
    hears_last(say(POST("/echo") "Content-Length: 1048577\r\n\r\n"), "413", "body_too_large");
    hears_last(say(POST("/echo") "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nfffff\r\n"),
               "413", "application/problem+json");
    hears_last(say(POST("/echo") "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX"), "400",
               "Hawser-Request-Id: ");
    ck_assert_int_eq(handled, 3);
    ck_assert_int_eq(bodies_over, 2);
    ck_assert_uint_eq(metric("refused_malformed_total"), 3);
    ck_assert_uint_eq(metric("refused_body_too_large_total"), 2);
    teardown();
}
END_TEST

// A client that has ended its own direction still gets its answers.
START_TEST(test_half_closed) {
    setup(NULL);
    int fd = say(GET("/later") GET("/big"));
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    run_until(&later_count, 1);
    respond_later();
    struct buf heard = BUF_EMPTY;
    ck_assert(hear(fd, &heard, NULL));
    ck_assert_uint_gt(heard.len, BIG);
    buf_free(&heard);
    close(fd);
    teardown();
}
END_TEST

// A client that goes away: its unread body is over, and its request answered to nobody.
START_TEST(test_gone) {
    setup(NULL);
    int fd = say(POST("/echo") "Content-Length: 100\r\n\r\nhalf");
    run_until(&handled, 1);
    ck_assert_uint_gt(metric("bodies_bytes"), 0);
    close(fd);
    run_until(&bodies_over, 1);
    ck_assert_uint_eq(metric("bodies_bytes"), 0);
    fd = say(GET("/later"));
    run_until(&later_count, 1);
    struct linger reset = {.l_onoff = 1};
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(fd);
    loop_step(loop, 5);
    respond_later();
    run_until_metric("connections_count", 0);
    teardown();
}
END_TEST

// While nobody reads the answers nothing more is handled; who does not read at all is ended.
START_TEST(test_unread) {
    struct http_limits l = http_limits_default;
    l.read_ms = 50;
    setup(&l);
    struct buf flood = BUF_EMPTY;
    for (int i = 0; i < 1000; i++)
        buf_append_str(&flood, GET("/big"));
    int fd = dial();
    ck_assert_int_eq(send(fd, flood.data, flood.len, 0), (ssize_t)flood.len);
    run_until_metric("unread_total", 1);
    ck_assert_int_le(handled, 3);
    ck_assert_uint_eq(metric("connections_count"), 0);
    buf_free(&flood);
    close(fd);
    teardown();
}
END_TEST

// Deadlines are absolute: bytes that trickle in do not move them.
START_TEST(test_late) {
    struct http_limits l = http_limits_default;
    l.head_ms = l.body_ms = l.idle_ms = 60;
    setup(&l);
    struct buf heard = BUF_EMPTY;
    int fd = say("GET /now HTTP/1.1\r\nX-Slow: ");
    uint64_t sent_ms = 0;
    while (!strstr(buf_cstr(&heard), "\r\n\r\n{")) {
        if (loop_now_ms(loop) != sent_ms) // a byte a millisecond, however fast the loop turns
            (void)!send(fd, "x", 1, MSG_NOSIGNAL);
        sent_ms = loop_now_ms(loop);
        loop_step(loop, 5);
        ssize_t got = recv(fd, buf_reserve(&heard, 4096), 4095, MSG_DONTWAIT);
        heard.len += got > 0 ? (size_t)got : 0;
    }
    ck_assert_ptr_nonnull(strstr(buf_cstr(&heard), "HTTP/1.1 408 Request Timeout"));
    close(fd);
    buf_free(&heard);
    hears_last(say(POST("/echo") "Content-Length: 100\r\n\r\nhalf"), "408", "request_timeout");
    ck_assert_int_eq(bodies_over, 1);
    fd = say(GET("/now"));
    ck_assert(hear(fd, &heard, NULL)); // a rest, and a connection that says nothing
    close(fd);
    fd = dial();
    ck_assert(hear(fd, &heard, NULL));
    close(fd);
    buf_free(&heard);
    ck_assert_uint_eq(metric("idle_total"), 2);
    teardown();
}
END_TEST

// A connection's first head has its time from the accept, whenever its first byte comes, and later
// heads from that byte: A, which speaks late, ends before B, which came later and says nothing.
START_TEST(test_head_deadline_is_absolute) {
    struct http_limits l = http_limits_default;
    l.head_ms = 1200;
    setup(&l);
    int a = dial(), next = say(GET("/now?1") "G");
    run_until_metric("connections_count", 2);
    uint64_t half_ms = loop_now_ms(loop) + l.head_ms / 2;
    while (loop_now_ms(loop) < half_ms)
        loop_step(loop, 5);
    ck_assert_int_eq(send(a, "G", 1, 0), 1);
    int b = dial();
    hears_last(a, "408", "request_timeout");
    hears_last(next, "200", "408 Request Timeout");
    ck_assert_uint_eq(metric("idle_total"), 0);
    run_until_metric("idle_total", 1);
    close(b);
    teardown();
}
END_TEST

// Over the bound of an address the one at rest for longest gives way, but none with a key.
START_TEST(test_giving_way) {
    struct http_limits l = http_limits_default;
    l.address_max = 3;
    setup(&l);
    struct buf heard = BUF_EMPTY;
    int keyed = say(GET("/key"));
    hears(keyed, "200 OK");
    int busy = say(GET("/later"));
    run_until(&later_count, 1);
    int fds[6];
    for (int i = 0; i < 6; i++)
        fds[i] = say(GET("/now"));
    for (int i = 0; i < 6; i++)
        hears(fds[i], "200 OK"); // all had their time to speak
    while (metric("gave_way_total") < 4) {
        int newcomer = dial();
        loop_step(loop, 20);
        close(newcomer);
    }
    ck_assert(hear(fds[0], &heard, NULL));
    respond_later();
    hears(busy, "late");
    ck_assert_int_eq(send(keyed, GET("/now?still"), strlen(GET("/now?still")), 0),
                     (ssize_t)strlen(GET("/now?still")));
    hears(keyed, "still");
    for (int i = 0; i < 6; i++)
        close(fds[i]);
    close(keyed);
    close(busy);
    buf_free(&heard);
    teardown();
}
END_TEST

// Where all without a key wait for their answers, a newcomer still gets in: it may have one.
START_TEST(test_giving_way_while_waiting) {
    struct http_limits l = http_limits_default;
    l.keyless_max = l.address_max = 2;
    setup(&l);
    int fds[] = {say(GET("/later")), say(GET("/later"))};
    run_until(&later_count, 2);
    int keyed = say(GET("/key"));
    hears(keyed, "200 OK");
    ck_assert_uint_eq(metric("gave_way_total"), 1);
    respond_later();
    struct buf heard = BUF_EMPTY;
    ck_assert(hear(fds[0], &heard, NULL));
    ck_assert_uint_eq(heard.len, 0);
    hears(fds[1], "late");
    close(fds[0]);
    close(fds[1]);
    close(keyed);
    buf_free(&heard);
    teardown();
}
END_TEST

// Requests whose connections gave way while they waited are bounded too: at the bound those who
// would wait as well are answered at once, and those with a key are served as ever.
START_TEST(test_abandoned) {
    struct http_limits l = http_limits_default;
    l.keyless_max = l.address_max = 2;
    setup(&l);
    int fds[8], count = 0;
    for (; count < 3; count++) {
        fds[count] = say(GET("/later"));
        run_until(&later_count, count + 1);
    }
    ck_assert_uint_eq(metric("abandoned_count"), 1);
    struct buf heard = BUF_EMPTY;
    for (; count < 8; count++) { // takes the place of one that waits, or of one before it
        fds[count] = say(GET("/later"));
        ck_assert(!hear(fds[count], &heard, "full"));
        buf_reset(&heard);
    }
    hears_last(say(POST("/echo") "Content-Length: 1\r\n\r\n"), "503", "connections are gone");
    ck_assert_int_eq(bodies_over, 1);
    ck_assert_uint_eq(metric("no_wait_total"), 6);
    ck_assert_uint_le(metric("abandoned_count"), 3);
    int keyed = say(GET("/key") GET("/later") GET("/now?keyed"));
    run_until(&later_count, 4);
    respond_later();
    hears(keyed, "keyed");
    ck_assert_uint_eq(metric("abandoned_count"), 0);
    for (int i = 0; i < count; i++)
        close(fds[i]);
    close(keyed);
    buf_free(&heard);
    teardown();
}
END_TEST

// All bodies together are bounded: who is over it is told to come again.
START_TEST(test_bodies) {
    struct http_limits l = http_limits_default;
    l.bodies_bytes_max = 100000;
    setup(&l);
    int first = say(POST("/echo") "Content-Length: 90001\r\n\r\n");
    ck_assert_int_eq(send(first, big, 60000, 0), 60000);
    while (metric("bodies_bytes") < 60000)
        loop_step(loop, 5);
    int second = say(POST("/echo") "Content-Length: 60000\r\n\r\n");
    ck_assert_int_eq(send(second, big, 60000, 0), 60000);
    hears_last(second, "503", "Retry-After: 1");
    close(first);
    run_until_metric("bodies_bytes", 0);
    teardown();
}
END_TEST

static int post(char product, size_t length, size_t sent) {
    char head[100];
    snprintf(head, sizeof(head), POST("/product/%c") "Content-Length: %zu\r\n\r\n", product,
             length);
    int fd = say(head);
    ck_assert_int_eq(send(fd, big, sent, 0), (ssize_t)sent);
    return fd;
}

// One product's bodies take a quarter of what there is for all, and no more: another product's are
// read meanwhile; and its own again, once it has let some go.
START_TEST(test_bodies_of_one_product) {
    struct http_limits l = http_limits_default;
    l.bodies_bytes_max = 400000;
    l.body_bytes_max = 50000;
    setup(&l);
    int held[] = {post('1', 50000, 49999), post('1', 50000, 49999)};
    while (metric("bodies_bytes") < 99998)
        loop_step(loop, 5);
    hears_last(post('1', 50000, 50000), "429", "Retry-After: 1");
    hears_last(post('1', 100, 100), "429", "\"code\":\"quota_exceeded\"");
    ck_assert_uint_eq(metric("refused_quota_exceeded_total"), 2);
    int other = post('2', 50000, 50000);
    hears(other, "200 OK");
    close(other);
    for (int i = 0; i < 2; i++)
        close(held[i]);
    run_until_metric("bodies_bytes", 0);
    int again = post('1', 50000, 50000);
    hears(again, "200 OK");
    int last = post('2', 50000, 100); // the server ends with it
    run_until_metric("bodies_bytes", 100);
    close(again);
    teardown();
    close(last);
}
END_TEST

// One whole body is always taken, of either kind, and holds no more memory than it has bytes.
START_TEST(test_one_body_of_a_product) {
    struct http_limits l = http_limits_default;
    l.bodies_bytes_max = l.body_bytes_max = 700000;
    setup(&l);
    int fd = post('1', 700000, 699999);
    while (metric("bodies_bytes") < 699999)
        loop_step(loop, 5);
    ck_assert_uint_le(metric("bodies_bytes"), 700000);
    ck_assert_int_eq(send(fd, big, 1, 0), 1);
    hears(fd, "200 OK");
    close(fd);
    fd = say(POST("/product/1") "Transfer-Encoding: chunked\r\n\r\naae60\r\n");
    for (int i = 0; i < 70; i++) {
        ck_assert_int_eq(send(fd, big, 10000, 0), 10000);
        loop_step(loop, 5);
        ck_assert_uint_le(metric("bodies_bytes"), 700000);
    }
    ck_assert_int_eq(send(fd, "\r\n0\r\n\r\n", 7, 0), 7);
    hears(fd, "200 OK");
    close(fd);
    teardown();
}
END_TEST

// The server ends with requests in every phase; what the handler has is answered afterwards.
START_TEST(test_end_in_every_phase) {
    setup(NULL);
    int fds[] = {dial(),
                 say("GET / HT"),
                 say(GET("/later") GET("/now")),
                 say(POST("/echo") "Content-Length: 100\r\n\r\nhalf"),
                 say(GET("/big") GET("/now")),
                 say(POST("/refused") "Content-Length: 100\r\n\r\nhalf"),
                 say(GET("/later"))};
    run_until(&handled, 5);
    close(fds[6]);
    loop_step(loop, 5);
    http_server_free(server);
    server = NULL;
    ck_assert_int_eq(bodies_over, 1);
    loop_step(loop, 0);
    teardown();
    ck_assert_int_eq(handled, 5);
    for (int i = 0; i < 6; i++)
        close(fds[i]);
}
END_TEST

// Behind a drain each answer is its connection's last one.
START_TEST(test_drain) {
    setup(NULL);
    int fd = say(GET("/later") GET("/now"));
    run_until(&later_count, 1);
    http_server_drain(server);
    respond_later();
    hears_last(fd, "200", "late");
    ck_assert_int_eq(handled, 1);
    teardown();
}
END_TEST

RUN_TESTS("http", test_pipelining, test_head, test_expect, test_refused_with_body, test_refusals,
          test_half_closed, test_gone, test_unread, test_late, test_head_deadline_is_absolute,
          test_giving_way, test_giving_way_while_waiting, test_abandoned, test_bodies,
          test_bodies_of_one_product, test_one_body_of_a_product, test_end_in_every_phase,
          test_drain)
