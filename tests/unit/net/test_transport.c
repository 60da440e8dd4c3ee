// A stream over a transport of another kind: one table, and neither the stream nor its owner knows
// of it. The first kind here veils each byte; it gives few of them to the socket at a time, and
// reads more of them than it hands out. The second one has records, as TLS: it takes a whole one
// and keeps what the socket did not take. One lies over the other, too.
#include "suite.h"

#include "addr.h"
#include "buf.h"
#include "bytes.h"
#include "loop.h"
#include "stream.h"
#include "veil.h"

enum { VEIL = 0x5a };

// --- records

enum { RECORD_BYTES = 8 * 1024 * 1024, BOX_VEIL = 0x33 }; // more than sockets take at once
struct box {
    struct transport base;
    uint8_t kept[RECORD_BYTES];
    size_t len, at;
    bool ends;
};

static ssize_t box_read(struct transport *t, struct wire w, void *out, size_t len) {
    ssize_t got = t->below->ops->read(t->below, w, out, len);
    for (ssize_t i = 0; i < got; i++)
        ((uint8_t *)out)[i] ^= BOX_VEIL;
    return got;
}

static int box_flush(struct transport *t, struct wire w) {
    struct box *b = (struct box *)t;
    while (b->at < b->len) {
        struct iovec rest = {b->kept + b->at, b->len - b->at};
        ssize_t took = t->below->ops->writev(t->below, w, &rest, 1);
        if (took < 0)
            return (int)took;
        b->at += (size_t)took;
    }
    if (b->ends)
        t->below->ops->shut(t->below, w, 0);
    return 0;
}

// Its last record is the code.
static void box_shut(struct transport *t, struct wire w, uint32_t code) {
    struct box *b = (struct box *)t;
    be32_put(b->kept, code);
    b->at = 0;
    b->len = code != 0 ? 4 : 0;
    b->ends = true;
    (void)box_flush(t, w);
}

static ssize_t box_writev(struct transport *t, struct wire w, const struct iovec *iov, int count) {
    struct box *b = (struct box *)t;
    ssize_t taken = 0;
    int error = box_flush(t, w);
    for (int i = 0; i < count && error == 0; i++)
        for (size_t from = 0; from < iov[i].iov_len && error == 0; from += b->len) {
            size_t left = iov[i].iov_len - from;
            b->at = 0;
            b->len = left < RECORD_BYTES ? left : RECORD_BYTES;
            for (size_t k = 0; k < b->len; k++)
                b->kept[k] = ((const uint8_t *)iov[i].iov_base)[from + k] ^ BOX_VEIL;
            taken += (ssize_t)b->len;
            error = box_flush(t, w);
        }
    return taken > 0 ? taken : error;
}

static void box_free(struct transport *t) {
    transports_freed++;
    free(t);
}

static const struct transport_ops box_ops = {.read = box_read,
                                             .writev = box_writev,
                                             .flush = box_flush,
                                             .shut = box_shut,
                                             .unsent = veil_unsent,
                                             .free = box_free};

static struct transport *box_new(void) {
    struct box *b = hw_calloc(1, sizeof(*b));
    b->base.ops = &box_ops;
    transports_made++;
    return &b->base;
}

// Plain bytes, but that it counts how often it is asked.
static int reads;

static ssize_t counting_read(struct transport *t, struct wire w, void *out, size_t len) {
    (void)t;
    reads++;
    return os_read(w.os, w.fd, out, len);
}

static const struct transport_ops counting_ops = {
    .read = counting_read, .short_read_is_last = true, .shut = veil_shut, .unsent = veil_unsent};
static struct transport counting = {.ops = &counting_ops};

static struct os *os;
static struct loop *loop;
static bool serves_veiled, serves_counting;
static int layers = -1; // 0 a box, 1 a box over a veil, 2 a veil over a box; -1 neither
static struct buf received;
static int closed, connected, last_error;

static size_t on_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    (void)owner;
    (void)s;
    buf_append(&received, data, len);
    return len;
}

static void on_connected(void *owner, struct stream *s) {
    (void)owner;
    (void)s;
    connected++;
}

static void on_closed(void *owner, struct stream *s, int error) {
    (void)owner;
    (void)s;
    closed++;
    last_error = error;
}

static const struct stream_ops ops = {
    .on_connected = on_connected, .on_data = on_data, .on_closed = on_closed};

static void set_layers(struct stream *s) {
    if (layers == 1)
        stream_set_transport(s, veil_new(VEIL, NULL, 0));
    if (layers >= 0)
        stream_set_transport(s, box_new());
    if (layers == 2)
        stream_set_transport(s, veil_new(VEIL, NULL, 0));
}

static void on_accept(void *arg, struct stream *s) {
    (void)arg;
    stream_set_owner(s, &ops, NULL);
    set_layers(s);
    if (serves_veiled)
        stream_set_transport(s, veil_new(VEIL, NULL, 0));
    if (serves_counting)
        stream_set_transport(s, &counting);
}

static struct listener *listener;

// A client that is connected to a peer.
static struct stream *begin(void) {
    struct sock_addr to;
    int error = 0;
    os = os_new();
    loop = loop_new(os);
    closed = connected = transports_made = transports_freed = reads = 0;
    received = BUF_EMPTY;
    ck_assert_int_eq(
        listener_new(loop, (struct listen_at){"127.0.0.1", 0, 0}, on_accept, NULL, &listener), 0);
    ck_assert_int_eq(sock_addr_parse("127.0.0.1", listener_port(listener), &to), 0);
    struct stream *client = stream_connect(loop, &to, &ops, NULL, &error);
    ck_assert_ptr_nonnull(client);
    while (!connected)
        loop_step(loop, -1);
    return client;
}

static void end(struct stream *client, uint32_t code) {
    stream_end_after_flush(client, 60000, code);
    while (closed < 2)
        loop_step(loop, -1);
    ck_assert_int_eq(last_error, 0);
    listener_free(listener);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}

// A veiled client writes `len` bytes and ends; what its peer got is in `received`.
static void converse(const uint8_t *data, size_t len) {
    struct stream *client = begin();
    stream_set_transport(client, veil_new(VEIL, NULL, 0));
    stream_send(client, data, len);
    end(client, 0);
}

static void say_and_await(struct stream *client, const char *said) {
    size_t before = received.len;
    stream_send(client, said, strlen(said));
    while (received.len < before + strlen(said))
        loop_step(loop, -1);
}

// What lies on the socket is the transport's; the owner wrote something else.
START_TEST(test_the_wire) {
    static const uint8_t said[] = "plain text", veiled[] = {'p' ^ VEIL, 'l' ^ VEIL};
    serves_veiled = false;
    converse(said, sizeof(said));
    ck_assert_uint_eq(received.len, sizeof(said));
    ck_assert_mem_eq(received.data, veiled, sizeof(veiled));
    ck_assert_int_eq(transports_freed, 1);
    buf_free(&received);
}
END_TEST

// What a transport says itself at the end comes behind all that its owner wrote, and with the
// owner's reason.
START_TEST(test_words_at_the_end) {
    serves_veiled = false;
    struct stream *client = begin();
    stream_set_transport(client, box_new());
    stream_send(client, "plain text", 10);
    end(client, 4001);
    ck_assert_uint_eq(received.len, 14);
    ck_assert_uint_eq(be32_get(received.data + 10), 4001);
    buf_free(&received);
}
END_TEST

// Both ends: all bytes come whole and in order, however few are taken at a time, and the end too.
START_TEST(test_both_ends) {
    enum { LEN = 300000 };
    uint8_t *data = hw_malloc(LEN);
    for (size_t i = 0; i < LEN; i++)
        data[i] = (uint8_t)(i * 31 >> 3);
    serves_veiled = true;
    converse(data, LEN);
    ck_assert_uint_eq(received.len, LEN);
    ck_assert_mem_eq(received.data, data, LEN);
    ck_assert_int_eq(transports_freed, 2);
    buf_free(&received);
    free(data);
}
END_TEST

// Of a kind whose short read is the last, each arrival costs one read; what comes behind it, and
// the end that comes with the last bytes, are read all the same.
START_TEST(test_a_short_read_is_the_last) {
    serves_veiled = false;
    serves_counting = true;
    struct stream *client = begin();
    say_and_await(client, "first");
    int before = reads;
    say_and_await(client, "second");
    say_and_await(client, "third");
    ck_assert_int_eq(reads, before + 2);
    stream_send(client, "last", 4);
    end(client, 0);
    serves_counting = false;
    ck_assert_uint_eq(received.len, strlen("firstsecondthirdlast"));
    buf_free(&received);
}
END_TEST

// One that keeps a record which it took is asked again when the socket takes more, though its owner
// has nothing more to say; and it may lie over or under another one.
START_TEST(test_records) {
    enum { LEN = RECORD_BYTES };
    uint8_t *data = hw_malloc(LEN);
    for (size_t i = 0; i < LEN; i++)
        data[i] = (uint8_t)(i * 31 >> 3);
    for (int order = 0; order < 3; order++) {
        layers = order;
        struct stream *client = begin();
        set_layers(client);
        stream_send(client, data, LEN);
        while (received.len < LEN)
            loop_step(loop, -1);
        end(client, 0);
        ck_assert_uint_eq(received.len, LEN);
        ck_assert_mem_eq(received.data, data, LEN);
        ck_assert_int_eq(transports_freed, order == 0 ? 2 : 4);
        buf_free(&received);
    }
    layers = -1;
    free(data);
}
END_TEST

RUN_TESTS("transport", test_records, test_the_wire, test_words_at_the_end, test_both_ends,
          test_a_short_read_is_the_last)
