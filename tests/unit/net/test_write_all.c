// Writes to many descriptors at once: each is answered as it would be alone, with the kernel's ring
// and where there is none. And to many streams at once: what goes out by itself is not taken.
#include "suite.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "addr.h"
#include "buf.h"
#include "loop.h"
#include "stream.h"

enum { PAIRS = 6 };

static struct os *os;
static int ours[PAIRS], theirs[PAIRS];
static const char said[] = "all that there is to say";

// No ring can be made: there is no descriptor left for it.
static void without_ring(void) {
    int next = dup(0);
    ck_assert_int_ge(next, 0);
    close(next);
    const struct rlimit none = {(rlim_t)next, (rlim_t)next};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void begin(bool has_ring) {
    os = os_new();
    for (int i = 0; i < PAIRS; i++) {
        int pair[2];
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
                         0);
        ours[i] = pair[0];
        theirs[i] = pair[1];
    }
    if (!has_ring)
        without_ring();
}

static void end(void) {
    for (int i = 0; i < PAIRS; i++) {
        close(ours[i]);
        if (theirs[i] >= 0)
            close(theirs[i]);
    }
    os_free(os);
}

static struct os_write write_of(int i) {
    return (struct os_write){.fd = ours[i], .data = said, .len = sizeof(said)};
}

static void got(int i, const char *expected, size_t len) {
    char in[4 * sizeof(said)];
    ck_assert_int_eq(recv(theirs[i], in, sizeof(in), 0), (ssize_t)len);
    ck_assert_mem_eq(in, expected, len);
}

// One that takes nothing, one that takes a part, one whose peer is gone, between two that take all;
// and one descriptor twice: in order.
START_TEST(test_each_is_answered) {
    begin(_i == 0);
    static uint8_t large[4 << 20];
    ck_assert_int_gt(send(ours[1], large, sizeof(large), 0), 0);
    while (send(ours[1], large, 1, 0) == 1)
        ;
    close(theirs[3]);
    theirs[3] = -1;
    struct os_write all[] = {write_of(0), write_of(1), write_of(2),
                             write_of(3), write_of(4), {.fd = ours[0], .data = "!", .len = 1}};
    all[2].data = large;
    all[2].len = sizeof(large);
    os_write_all(os, all, 6);
    ck_assert_int_eq(all[0].took, (ssize_t)sizeof(said));
    ck_assert_int_eq(all[1].took, -EAGAIN);
    ck_assert(all[2].took > 0 && all[2].took < (ssize_t)sizeof(large));
    ck_assert_int_eq(all[3].took, -EPIPE);
    ck_assert_int_eq(all[4].took, (ssize_t)sizeof(said));
    ck_assert_int_eq(all[5].took, 1);
    got(0, "all that there is to say\0!", sizeof(said) + 1);
    got(4, said, sizeof(said));
    end();
}
END_TEST

START_TEST(test_as_many_as_there_may_be) {
    begin(_i == 0);
    for (int round = 0; round < 3; round++) {
        struct os_write all[OS_WRITES_MAX];
        for (int i = 0; i < OS_WRITES_MAX; i++)
            all[i] = write_of(i % 5);
        os_write_all(os, all, OS_WRITES_MAX);
        for (int i = 0; i < OS_WRITES_MAX; i++)
            ck_assert_int_eq(all[i].took, (ssize_t)sizeof(said));
        char in[OS_WRITES_MAX * sizeof(said)];
        for (int i = 0; i < 5; i++)
            ck_assert_int_eq(recv(theirs[i], in, sizeof(in), 0),
                             (ssize_t)(sizeof(said) * (i == 0 ? 4 : 3)));
        os_write_all(os, all, 0);
    }
    end();
}
END_TEST

// --- streams

static struct loop *loop;
static struct stream *accepted[PAIRS], *clients[PAIRS];
static int accepted_count, connected, writable, closed;
static size_t read_bytes;

static size_t on_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    (void)owner;
    (void)s;
    (void)data;
    read_bytes += len;
    return len;
}

static void on_connected(void *owner, struct stream *s) {
    (void)owner;
    (void)s;
    connected++;
}

static void on_writable(void *owner, struct stream *s) {
    (void)owner;
    writable += s == clients[2];
}

static void on_closed(void *owner, struct stream *s, int error) {
    (void)owner;
    (void)s;
    (void)error;
    closed++;
}

static const struct stream_ops ops = {.on_connected = on_connected,
                                      .on_data = on_data,
                                      .on_writable = on_writable,
                                      .on_closed = on_closed};

static void on_accept(void *arg, struct stream *s) {
    (void)arg;
    accepted[accepted_count++] = s;
    stream_set_owner(s, &ops, NULL);
}

static struct listener *streams_begin(void) {
    struct listener *listener = NULL;
    struct sock_addr to;
    int error = 0;
    os = os_new();
    loop = loop_new(os);
    ck_assert_int_eq(
        listener_new(loop, (struct listen_at){"127.0.0.1", 0, 0}, on_accept, NULL, &listener), 0);
    ck_assert_int_eq(sock_addr_parse("127.0.0.1", listener_port(listener), &to), 0);
    for (int i = 0; i < 4; i++) {
        clients[i] = stream_connect(loop, &to, &ops, NULL, &error);
        ck_assert_ptr_nonnull(clients[i]);
    }
    while (connected < 4 || accepted_count < 4)
        loop_step(loop, -1);
    return listener;
}

static void streams_end(struct listener *listener) {
    for (int i = 0; i < 4; i++)
        stream_end(clients[i], 0);
    while (closed < 8)
        loop_step(loop, -1);
    listener_free(listener);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}

// One holds bytes already and one is closing: they are not taken. Of what is, each is told how much
// went; whom the kernel took less from is called when it takes more.
START_TEST(test_streams) {
    static uint8_t large[16 << 20];
    struct stream_batch b = {.count = 0};
    struct listener *listener = streams_begin();
    stream_hold(clients[0], "held", 4);
    ck_assert(!stream_batch_add(&b, clients[0], said, sizeof(said)));
    stream_end(accepted[0], 0);
    ck_assert(!stream_batch_add(&b, accepted[0], said, sizeof(said)));
    ck_assert(!stream_batch_add(&b, clients[1], said, 0));
    ck_assert(stream_batch_add(&b, clients[1], said, sizeof(said)));
    ck_assert(stream_batch_add(&b, clients[2], large, sizeof(large)));
    ck_assert(stream_batch_add(&b, clients[3], said, sizeof(said)));
    stream_batch_write(&b);
    ck_assert_uint_eq(b.taken[0], sizeof(said));
    ck_assert(b.taken[1] > 0 && b.taken[1] < sizeof(large));
    ck_assert_uint_eq(b.taken[2], sizeof(said));
    while (writable == 0 || read_bytes < b.taken[0] + b.taken[1] + b.taken[2])
        loop_step(loop, -1);
    ck_assert_int_eq(writable, 1);
    streams_end(listener);
}
END_TEST

START_TEST(test_a_full_batch) {
    struct stream_batch b = {.count = OS_WRITES_MAX};
    struct listener *listener = streams_begin();
    ck_assert(!stream_batch_add(&b, clients[0], said, sizeof(said)));
    b.count = 0;
    stream_batch_write(&b);
    streams_end(listener);
}
END_TEST

int main(void) {
    TCase *test_case = tcase_create("write_all");
    tcase_add_loop_test(test_case, test_each_is_answered, 0,
                        2); // 0: with the ring, if there is one
    tcase_add_loop_test(test_case, test_as_many_as_there_may_be, 0, 2);
    tcase_add_test(test_case, test_streams);
    tcase_add_test(test_case, test_a_full_batch);
    return run_case("write_all", test_case);
}
