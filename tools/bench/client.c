#include "client.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "payload.h"

enum { READ_BYTES = 64 * 1024, KEPT_MAX = 128 * 1024 };
// As the SDK waits where no dispatcher says otherwise.
enum { BACKOFF_BASE_MS = 1000, BACKOFF_SHIFT_MAX = 5 };

static struct os *os_of(const struct client *c) {
    return loop_os(c->worker->loop);
}

// --- the end of a connection

static void client_close(struct client *c) {
    if (!c->watch)
        return;
    watch_end(c->watch);
    c->watch = NULL;
    os_close(os_of(c), c->fd);
    buf_free(&c->kept);
    buf_free(&c->unsent);
    if (c->state == CLIENT_OPEN)
        count_add(c->worker->own, COUNT_OPEN, UINT64_MAX); // one less
    if (c->state == CLIENT_OPEN && c->is_synced)
        count_add(c->worker->own, COUNT_SYNCED, UINT64_MAX);
    c->state = CLIENT_AWAY;
    c->is_synced = false;
    c->pinged_us = 0;
}

void client_part(struct client *c, bool in_order) {
    loop_disarm(c->worker->loop, &c->again);
    bool was_asking = c->state == CLIENT_CONNECTING || c->state == CLIENT_ASKED;
    if (c->watch && in_order && c->worker->dialect->part)
        c->worker->dialect->part(c);
    if (c->watch && !in_order) {
        const struct linger reset = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    }
    client_close(c);
    if (was_asking)
        worker_login_settled(c->worker);
}

static void on_again(struct timer *t) {
    struct client *c = container_of(t, struct client, again);
    client_connect(c);
}

// A login that comes behind a loss is due now, and spread as rooms wish.
void client_come_again(struct client *c, uint64_t after_ms) {
    struct worker *w = c->worker;
    bool was_open = c->state == CLIENT_OPEN;
    uint64_t window_ms = was_open ? w->spread_ms : (uint64_t)BACKOFF_BASE_MS << c->failures;
    count_add(w->own, was_open ? COUNT_BROKEN : COUNT_REFUSED, 1);
    if (was_open)
        c->due_us = loop_clock_us(w->loop);
    else if (c->failures < BACKOFF_SHIFT_MAX)
        c->failures++;
    client_close(c);
    loop_arm(w->loop, &c->again, after_ms + rng_below(loop_rng(w->loop), window_ms + 1), on_again);
}

// --- bytes out

static void unsent_flush(struct client *c) {
    struct iovec iov = {.iov_base = c->unsent.data, .iov_len = c->unsent.len};
    ssize_t took = c->unsent.len > 0 ? os_writev(os_of(c), c->fd, &iov, 1) : 0;
    if (took > 0)
        buf_consume(&c->unsent, (size_t)took);
    if (c->unsent.len == 0) {
        buf_free(&c->unsent);
        watch_set(c->watch, OS_READABLE);
    }
}

void client_send(struct client *c, const void *data, size_t len) {
    ssize_t took = 0;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    c->said_ms = loop_now_ms(c->worker->loop);
    if (c->unsent.len == 0)
        took = os_writev(os_of(c), c->fd, &iov, 1);
    size_t taken = took > 0 ? (size_t)took : 0; // an error shows again when it is read from
    if (taken == len)
        return;
    buf_append(&c->unsent, (const uint8_t *)data + taken, len - taken);
    watch_set(c->watch, OS_READABLE | OS_WRITABLE);
}

// --- bytes in

// What is left over is kept, and comes again with what follows.
static void take_bytes(struct client *c, const uint8_t *data, size_t len) {
    const struct dialect *d = c->worker->dialect;
    if (c->kept.len == 0) {
        size_t used = d->on_data(c, data, len);
        if (c->watch && used < len)
            buf_append(&c->kept, data + used, len - used);
        return;
    }
    buf_append(&c->kept, data, len);
    size_t used = d->on_data(c, c->kept.data, c->kept.len);
    if (!c->watch)
        return;
    buf_consume(&c->kept, used);
    if (c->kept.len == 0)
        buf_free(&c->kept);
}

static void client_read(struct client *c) {
    static uint8_t bytes[READ_BYTES];
    ssize_t got = os_read(os_of(c), c->fd, bytes, sizeof(bytes));
    if (got == -EAGAIN || got == -EINTR)
        return;
    c->worker->now_us = loop_clock_us(c->worker->loop);
    if (got <= 0 || c->kept.len > KEPT_MAX)
        client_come_again(c, 0);
    else
        take_bytes(c, bytes, (size_t)got);
}

static void client_on_event(void *arg, int fd, uint32_t events) {
    struct client *c = arg;
    if (c->state == CLIENT_CONNECTING && (events & OS_WRITABLE)) {
        if (os_connect_result(os_of(c), fd) != 0) {
            client_come_again(c, 0);
            return;
        }
        c->state = CLIENT_ASKED;
        watch_set(c->watch, OS_READABLE);
        c->worker->dialect->greet(c);
        return;
    }
    if (events & OS_WRITABLE)
        unsent_flush(c);
    if (c->watch && (events & OS_READABLE))
        client_read(c);
}

// --- coming

void client_connect(struct client *c) {
    struct worker *w = c->worker;
    const struct plan *plan = &w->share->plan;
    struct sock_addr to;
    int fd = sock_addr_parse("127.0.0.1", plan->ports[c->number % plan->port_count], &to);
    if (fd == 0)
        fd = os_connect(os_of(c), &to);
    if (fd < 0) { // no port or no descriptor is free just now
        client_come_again(c, 0);
        return;
    }
    c->fd = fd;
    c->state = CLIENT_CONNECTING;
    c->watch = loop_watch(w->loop, fd, OS_READABLE | OS_WRITABLE, client_on_event, c);
}

void client_is_open(struct client *c) {
    struct worker *w = c->worker;
    c->state = CLIENT_OPEN;
    c->failures = 0;
    memset(c->unacked, 0, sizeof(c->unacked));
    count_add(w->own, COUNT_OPEN, 1);
    count_add(w->own, COUNT_LOGINS, 1);
    lane_add(w->own, LANE_LOGIN, c->due_us, w->now_us);
    worker_login_settled(w);
}

void client_is_synced(struct client *c) {
    if (c->is_synced)
        return;
    c->is_synced = true;
    count_add(c->worker->own, COUNT_SYNCED, 1);
    lane_add(c->worker->own, LANE_SYNCED, c->due_us, c->worker->now_us);
}

void client_got(struct client *c, enum lane lane, const uint8_t *payload, size_t len) {
    struct worker_share *own = c->worker->own;
    uint64_t due_us;
    count_add(own, lane == LANE_INBOX ? COUNT_INBOX : COUNT_NEWS, 1);
    if (payload_due(payload, len, &due_us))
        lane_add(own, lane, due_us, c->worker->now_us);
}

// --- pings

void client_ping(struct client *c) {
    if (c->state != CLIENT_OPEN)
        return;
    c->pinged_us = loop_clock_us(c->worker->loop);
    c->worker->dialect->ping(c);
}

void client_got_pong(struct client *c) {
    if (c->pinged_us == 0)
        return;
    count_add(c->worker->own, COUNT_PONGS, 1);
    lane_add(c->worker->own, LANE_PING, c->pinged_us, c->worker->now_us);
    c->pinged_us = 0;
}
