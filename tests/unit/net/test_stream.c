// Streams over real loopback sockets in one loop: bytes arrive whole and in order however they are
// cut, nothing is kept at rest, limits hold, and everything is gone at the end.
#include "suite.h"

#include <errno.h>
#include <unistd.h>

#include "addr.h"
#include "buf.h"
#include "loop.h"
#include "stream.h"

static struct os *os;
static struct loop *loop;
static struct listener *listener;
static struct stream *served; // the accepted end
static struct buf received;   // what the accepted end consumed
static size_t take_at_most;   // per call: 0 = all
static size_t wait_for;       // consumes only when this much is there
static bool pauses;           // after each call
static int server_error, client_error;
static bool server_closed, client_closed, client_connected;
static int client_unsent; // when it closed
static int client_writable;

static size_t on_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    (void)owner;
    if (len < wait_for)
        return 0;
    size_t take = take_at_most && take_at_most < len ? take_at_most : len;
    buf_append(&received, data, take);
    if (pauses)
        stream_pause(s);
    return take;
}

static void on_server_closed(void *owner, struct stream *s, int error) {
    (void)owner;
    (void)s;
    server_closed = true;
    server_error = error;
    served = NULL;
}

static const struct stream_ops server_ops = {
    .on_data = on_data, .on_closed = on_server_closed, .keep_max = 1000};

static void on_accept(void *arg, struct stream *s) {
    (void)arg;
    served = s;
    stream_set_owner(s, &server_ops, NULL);
}

static void on_connected(void *owner, struct stream *s) {
    (void)owner;
    (void)s;
    client_connected = true;
}

static size_t client_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    (void)owner;
    (void)s;
    (void)data;
    return len;
}

static void on_writable(void *owner, struct stream *s) {
    (void)owner;
    (void)s;
    client_writable++;
}

static void on_client_closed(void *owner, struct stream *s, int error) {
    (void)owner;
    client_unsent = stream_unsent(s);
    client_closed = true;
    client_error = error;
}

static const struct stream_ops client_ops = {.on_connected = on_connected,
                                             .on_data = client_data,
                                             .on_writable = on_writable,
                                             .on_closed = on_client_closed};

static struct stream *setup(void) {
    os = os_new();
    loop = loop_new(os);
    ck_assert_int_eq(
        listener_new(loop, (struct listen_at){"127.0.0.1", 0, 0}, on_accept, NULL, &listener), 0);
    struct sock_addr to;
    int error = 0;
    ck_assert_int_eq(sock_addr_parse("127.0.0.1", listener_port(listener), &to), 0);
    struct stream *client = stream_connect(loop, &to, &client_ops, NULL, &error);
    ck_assert_ptr_nonnull(client);
    while (!served || !client_connected)
        loop_step(loop, -1);
    return client;
}

static void teardown(void) {
    if (served)
        stream_end(served, 0);
    while (!server_closed || !client_closed)
        loop_step(loop, -1);
    listener_free(listener);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
    buf_free(&received);
}

START_TEST(test_byte_by_byte) {
    struct stream *client = setup();
    take_at_most = 3;
    wait_for = 7; // the rest of less than 7 stays and is presented again with more
    for (int i = 0; i < 21; i++) {
        stream_send(client, &(char){(char)('a' + i)}, 1);
        loop_step(loop, 0);
    }
    stream_end(client, 0);
    while (!server_closed)
        loop_step(loop, -1);
    ck_assert_uint_eq(received.len % 3, 0);
    ck_assert_mem_eq(received.data, "abcdefghijklmnopqrstu", received.len);
    ck_assert_int_eq(server_error, 0);
    teardown();
}
END_TEST

// More than the kernel takes: the rest is held, goes out in order, and on_writable comes once it is
// out.
START_TEST(test_held_bytes_go_out_in_order) {
    struct stream *client = setup();
    enum { BYTES = 32 * 1024 * 1024 };
    uint8_t *data = hw_malloc(BYTES);
    for (size_t i = 0; i < BYTES; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    stream_pause(served);
    stream_send(client, data, BYTES);
    ck_assert_uint_gt(stream_held(client), 0);
    ck_assert_uint_eq(stream_write(client, "x", 1), 0);
    stream_resume(served);
    while (received.len < BYTES)
        loop_step(loop, -1);
    ck_assert_mem_eq(received.data, data, BYTES);
    while (client_writable == 0)
        loop_step(loop, -1);
    ck_assert_uint_eq(stream_held(client), 0);
    free(data);
    teardown();
}
END_TEST

// What was left when the stream was paused is presented again at resume, though nothing came since.
START_TEST(test_resume_presents_the_rest) {
    struct stream *client = setup();
    wait_for = 100;
    stream_send(client, "the rest", 8);
    for (int i = 0; i < 10; i++)
        loop_step(loop, 1);
    ck_assert_uint_eq(received.len, 0);
    stream_pause(served);
    wait_for = 1;
    stream_resume(served);
    for (int i = 0; i < 10 && received.len < 8; i++)
        loop_step(loop, 1);
    ck_assert_uint_eq(received.len, 8);
    ck_assert_mem_eq(received.data, "the rest", 8);
    teardown();
}
END_TEST

// What the owner leaves unconsumed is bounded by keep_max.
START_TEST(test_keep_max) {
    struct stream *client = setup();
    wait_for = 100000;
    static const uint8_t data[2000];
    stream_send(client, data, sizeof(data));
    while (!server_closed)
        loop_step(loop, -1);
    ck_assert_int_eq(server_error, -HW_ETOOBIG);
    teardown();
}
END_TEST

// What is left unconsumed counts until it is consumed, or its stream ends.
START_TEST(test_kept_bytes) {
    struct stream *client = setup();
    static const uint8_t data[900];
    ck_assert_uint_eq(*loop_kept_bytes(loop), 0);
    for (int way = 0; way < 2; way++) {
        wait_for = 1000;
        stream_send(client, data, 400);
        while (*loop_kept_bytes(loop) != 400)
            loop_step(loop, -1);
        stream_send(client, data, 500);
        while (*loop_kept_bytes(loop) != 900)
            loop_step(loop, -1);
        ck_assert_uint_eq(stream_kept(served), 900);
        if (way == 0)
            stream_send(client, data, 100);
        else
            stream_end(client, 0);
        while (*loop_kept_bytes(loop) != 0)
            loop_step(loop, -1);
        ck_assert(server_closed == (way == 1));
    }
    teardown();
}
END_TEST

// Who pauses in the middle of what one read brought, to answer it piece by piece, is not over its
// bound, and loses nothing.
START_TEST(test_pause_in_the_middle) {
    struct stream *client = setup();
    enum { BYTES = 200 * 1000 };
    uint8_t *data = hw_malloc(BYTES);
    for (size_t i = 0; i < BYTES; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    take_at_most = 500;
    pauses = true;
    stream_send(client, data, BYTES);
    while (received.len < BYTES) {
        size_t before = received.len;
        ck_assert(!server_closed);
        stream_resume(served);
        loop_step(loop, 0);
        ck_assert_uint_le(received.len - before, 500);
    }
    ck_assert_mem_eq(received.data, data, BYTES);
    free(data);
    teardown();
}
END_TEST

// A last frame gets out before the end, and the peer's end ends the wait.
START_TEST(test_end_after_flush) {
    struct stream *client = setup();
    stream_send(client, "last words", 10);
    stream_end_after_flush(client, 60000, 0);
    while (!client_closed)
        loop_step(loop, -1);
    ck_assert_mem_eq(received.data, "last words", 10);
    ck_assert_int_eq(client_error, 0);
    teardown();
}
END_TEST

// Known at once, though nothing is read.
START_TEST(test_peer_is_gone) {
    struct stream *client = setup();
    stream_pause(served);
    stream_send(client, "unread", 6);
    loop_step(loop, 0);
    ck_assert(!stream_peer_is_gone(served));
    stream_end(client, 0);
    while (!client_closed)
        loop_step(loop, -1);
    ck_assert(stream_peer_is_gone(served));
    teardown();
}
END_TEST

// A refused connection is an error of the stream, not of the process.
START_TEST(test_connect_refused) {
    struct stream *client = setup();
    uint16_t port = listener_port(listener);
    listener_free(listener);
    stream_end(client, 0);
    while (!server_closed || !client_closed)
        loop_step(loop, -1);
    client_closed = false;
    struct sock_addr to;
    int error = 0;
    ck_assert_int_eq(sock_addr_parse("127.0.0.1", port, &to), 0);
    ck_assert_ptr_nonnull(stream_connect(loop, &to, &client_ops, NULL, &error));
    while (!client_closed)
        loop_step(loop, -1);
    ck_assert_int_eq(client_error, -ECONNREFUSED);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}
END_TEST

enum { LAST_WORDS = 16 * 1024 * 1024 };

static size_t say_last_words(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    static uint8_t words[LAST_WORDS];
    (void)owner;
    (void)data;
    stream_send(s, words, sizeof(words));
    stream_end_after_flush(s, 60000, 0);
    return len;
}

static const struct stream_ops half_ops = {
    .on_data = say_last_words, .on_closed = on_server_closed, .keep_max = 1000};

static void on_half_accept(void *arg, struct stream *s) {
    (void)arg;
    stream_set_owner(s, &half_ops, NULL);
}

// A peer that has ended its own direction still gets all the last words, also what the kernel did
// not take at once; and the stream ends when they are out.
START_TEST(test_peer_ends_its_half) {
    static uint8_t block[65536];
    os = os_new();
    loop = loop_new(os);
    ck_assert_int_eq(
        listener_new(loop, (struct listen_at){"127.0.0.1", 0, 0}, on_half_accept, NULL, &listener),
        0);
    struct sock_addr to;
    ck_assert_int_eq(sock_addr_parse("127.0.0.1", listener_port(listener), &to), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to.storage, to.len), 0);
    ck_assert_int_eq(send(fd, "?", 1, 0), 1);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    size_t total = 0;
    ssize_t got = 1;
    while (got != 0) {
        loop_step(loop, 0);
        got = recv(fd, block, sizeof(block), MSG_DONTWAIT);
        ck_assert(got >= 0 || errno == EAGAIN);
        total += got > 0 ? (size_t)got : 0;
    }
    ck_assert_uint_eq(total, LAST_WORDS);
    while (!server_closed)
        loop_step(loop, 0);
    ck_assert_int_eq(server_error, 0);
    close(fd);
    listener_free(listener);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}
END_TEST

struct resolved {
    int error, count;
    bool done;
    struct sock_addr first;
};

static void on_resolved(void *arg, int error, const struct sock_addr *addrs, int count) {
    struct resolved *r = arg;
    *r = (struct resolved){.error = error, .count = count, .done = true};
    if (count > 0)
        r->first = addrs[0];
}

// Names are resolved by a thread and reported in the loop's; a cancelled look-up reports nothing.
START_TEST(test_resolve) {
    os = os_new();
    loop = loop_new(os);
    struct resolved numeric = {0}, cancelled = {0};
    os_resolve_cancel(os, os_resolve(os, "127.0.0.2", 81, on_resolved, &cancelled));
    os_resolve(os, "127.0.0.1", 80, on_resolved, &numeric);
    ck_assert(!numeric.done);
    while (!numeric.done)
        loop_step(loop, -1);
    char text[64];
    ck_assert_int_ge(numeric.count, 1);
    sock_addr_format(&numeric.first, text, sizeof(text));
    ck_assert_str_eq(text, "127.0.0.1:80");
    ck_assert(!cancelled.done);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}
END_TEST

// A stream says at its end, too, whether the peer's kernel has had all.
START_TEST(test_all_had) {
    struct stream *client = setup();
    stream_write(client, "abc", 3);
    while (received.len < 3 || stream_unsent(client) > 0) // its own kernel has heard of that
        loop_step(loop, 1);
    stream_end(client, 0);
    while (!client_closed)
        loop_step(loop, -1);
    ck_assert_int_eq(client_unsent, 0);
    teardown();
}
END_TEST

// It has not where it had no place for all of it, nor where some of it was held.
static void check_not_all_had(size_t held) {
    enum { BYTES = 32 * 1024 * 1024 };
    struct stream *client = setup();
    uint8_t *data = hw_calloc(1, BYTES);
    stream_pause(served);
    stream_write(client, data, BYTES);
    stream_hold(client, data, held);
    free(data);
    ck_assert_int_gt(stream_unsent(client), (int)held);
    stream_end(client, held > 0 ? 0 : -ECONNRESET);
    while (!client_closed)
        loop_step(loop, -1);
    ck_assert_int_gt(client_unsent, (int)held);
    stream_resume(served);
    teardown();
}

START_TEST(test_not_all_had) {
    check_not_all_had(0);
}
END_TEST

START_TEST(test_not_all_had_but_held) {
    check_not_all_had(100);
}
END_TEST

RUN_TESTS("stream", test_byte_by_byte, test_held_bytes_go_out_in_order,
          test_resume_presents_the_rest, test_keep_max, test_kept_bytes, test_pause_in_the_middle,
          test_end_after_flush, test_peer_is_gone, test_connect_refused, test_all_had,
          test_not_all_had, test_not_all_had_but_held, test_peer_ends_its_half, test_resolve)
