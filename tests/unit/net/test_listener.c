// Listeners when descriptors run out, with the limit of the test's own process set low: a crowd at
// the clients' door leaves the other doors open, and all is well again as soon as it has gone.
#include "suite.h"

#include <sys/resource.h>
#include <unistd.h>

#include "addr.h"
#include "loop.h"
#include "stream.h"

enum { LIMIT = 128, DOORS = 3, CROWD = 100 };

static struct os *os;
static struct loop *loop;
static struct listener *listeners[DOORS];
static int welcomed[DOORS], living;

struct visitor {
    struct stream *stream;
    bool has_word, is_over;
};

static size_t drop_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    (void)owner;
    (void)s;
    (void)data;
    return len;
}

static void on_gone(void *owner, struct stream *s, int error) {
    (void)owner;
    (void)s;
    (void)error;
    living--;
}

static const struct stream_ops host_ops = {.on_data = drop_data, .on_closed = on_gone};

static void on_accept(void *arg, struct stream *s) {
    int *count = arg;
    ++*count;
    living++;
    stream_set_owner(s, &host_ops, NULL);
    stream_send(s, "hello", 5);
}

static size_t on_word(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    struct visitor *v = owner;
    (void)s;
    (void)data;
    v->has_word = true;
    return len;
}

static void on_over(void *owner, struct stream *s, int error) {
    struct visitor *v = owner;
    (void)s;
    (void)error;
    v->is_over = true;
}

static const struct stream_ops visitor_ops = {.on_data = on_word, .on_closed = on_over};

// Goes to a door and waits until it is let in or turned away.
static bool is_let_in(struct visitor *v, enum door_kind door) {
    struct sock_addr to;
    int error = 0;
    *v = (struct visitor){0};
    ck_assert_int_eq(sock_addr_parse("127.0.0.1", listener_port(listeners[door]), &to), 0);
    v->stream = stream_connect(loop, &to, &visitor_ops, v, &error);
    ck_assert_ptr_nonnull(v->stream);
    while (!v->has_word && !v->is_over)
        loop_step(loop, -1);
    return v->has_word && !v->is_over;
}

static void setup(void) {
    struct rlimit limit = {.rlim_cur = LIMIT, .rlim_max = LIMIT};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    os = os_new();
    loop = loop_new(os);
    for (int i = 0; i < DOORS; i++) {
        ck_assert_int_eq(listener_new(loop, (struct listen_at){"127.0.0.1", 0, 0}, on_accept,
                                      &welcomed[i], &listeners[i]),
                         0);
        listener_set_door(listeners[i], (enum door_kind)i);
    }
}

static void leave(struct visitor *v) {
    if (!v->is_over)
        stream_end(v->stream, 0);
    while (!v->is_over)
        loop_step(loop, -1);
}

static void teardown(void) {
    while (living > 0)
        loop_step(loop, -1);
    for (int i = 0; i < DOORS; i++)
        listener_free(listeners[i]);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}

START_TEST(test_a_crowd_shuts_no_other_door) {
    static struct visitor crowd[CROWD], daemon, ops;
    int count = 0;
    setup();
    while (count < CROWD && is_let_in(&crowd[count], DOOR_CLIENTS))
        count++;
    ck_assert_int_gt(count, 10);
    ck_assert_int_lt(count, CROWD);
    ck_assert(is_let_in(&daemon, DOOR_DAEMONS));
    ck_assert(is_let_in(&ops, DOOR_OPS));
    ck_assert_uint_ge(*loop_accepts_refused(loop), 1);
    leave(&crowd[0]);
    while (living > count + 1)
        loop_step(loop, -1);
    for (int i = 1; i < count; i++)
        leave(&crowd[i]);
    while (living > 2)
        loop_step(loop, -1);
    ck_assert(is_let_in(&crowd[0], DOOR_CLIENTS));
    leave(&crowd[0]);
    leave(&daemon);
    leave(&ops);
    teardown();
}
END_TEST

// Not even the descriptors kept back are there: the backlog waits and is served when one is free.
START_TEST(test_the_last_descriptor_comes_back) {
    static struct visitor v;
    int held[LIMIT], count = 0;
    setup();
    while (count < LIMIT && (held[count] = dup(0)) >= 0)
        count++;
    close(held[--count]); // the visitor's own end
    struct sock_addr to;
    int error = 0;
    ck_assert_int_eq(sock_addr_parse("127.0.0.1", listener_port(listeners[DOOR_OPS]), &to), 0);
    v.stream = stream_connect(loop, &to, &visitor_ops, &v, &error);
    ck_assert_ptr_nonnull(v.stream);
    while (*loop_accepts_refused(loop) == 0)
        loop_step(loop, -1);
    ck_assert(!v.has_word);
    while (count > 0)
        close(held[--count]);
    uint64_t from = os_now_ms(os);
    while (!v.has_word)
        loop_step(loop, -1);
    ck_assert_uint_lt(os_now_ms(os) - from, 1000);
    leave(&v);
    teardown();
}
END_TEST

START_TEST(test_shares) {
    static const uint32_t limits[] = {16, 64, 120, 256, 1024, 4096, 20000, 1 << 20};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        uint32_t limit = limits[i];
        ck_assert_uint_lt(descriptors_for_clients(limit), descriptors_ceiling(limit, DOOR_CLIENTS));
        ck_assert_uint_lt(descriptors_ceiling(limit, DOOR_CLIENTS),
                          descriptors_ceiling(limit, DOOR_DAEMONS));
        ck_assert_uint_lt(descriptors_ceiling(limit, DOOR_DAEMONS),
                          descriptors_ceiling(limit, DOOR_OPS));
        ck_assert_uint_lt(descriptors_ceiling(limit, DOOR_OPS), limit);
    }
    ck_assert_uint_eq(descriptors_for_clients(120), 60);
    ck_assert_uint_eq(descriptors_for_clients(1), 1);
}
END_TEST

RUN_TESTS("listener", test_a_crowd_shuts_no_other_door, test_the_last_descriptor_comes_back,
          test_shares)
