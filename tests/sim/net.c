// The network and the sockets of all nodes: TCP as an application sees it. Bytes of one direction
// stay in order; connections are slow, chopped, cut, reset and refused as the seed has it. A cut
// holds bytes back, as retransmission would, until it heals.
#include <assert.h>
#include <errno.h>
#include <limits.h>

#include "addr.h"
#include "buf.h"
#include "crypto.h"
#include "world.h"

enum {
    BACKLOG_MAX = 4096,
    SYN_RETRY_US = 1000000,
    SYN_TRIES = 8,
    CUT_RETRY_US = 100000,
    SLOW_US = 100000
};

enum socket_kind { SOCKET_LISTENER, SOCKET_CONNECTION };

struct segment {
    struct segment *next;
    uint64_t at_us;
    size_t len;
    bool fin;
    uint8_t data[];
};

struct sim_socket {
    struct world *world;
    int node, fd; // fd -1: closed by its owner
    uint32_t run; // of the node
    enum socket_kind kind;
    int references; // owner, peer, and events under way
    uint64_t key;
    uint32_t watched, ready; // OS_ bits
    bool edge, is_watched, is_connected, is_connecting, got_fin, sent_fin;
    int error; // of the connection, negative
    uint16_t port;
    struct sim_socket *peer; // counted
    // what comes in
    struct buf in;
    size_t in_at;
    // what is on its way to the peer
    struct segment *out, **out_end;
    size_t unsent;
    uint64_t last_at_us;
    bool delivering, is_lost; // lost: some of it came when nobody was there any more
    // of a listener
    struct sim_socket *backlog[64];
    int backlog_len;
    // of a connection being made
    uint32_t to_address;
    uint16_t to_port;
    int syn_tries;
};

// --- life of a socket

static void unref(struct sim_socket *s) {
    if (--s->references > 0)
        return;
    while (s->out) {
        struct segment *seg = s->out;
        s->out = seg->next;
        free(seg);
    }
    buf_free(&s->in);
    free(s);
}

static struct sim_socket *socket_new(struct world *w, int node, enum socket_kind kind) {
    struct os *os = &w->nodes[node].os;
    struct sim_socket *s = hw_calloc(1, sizeof(*s));
    s->world = w;
    s->node = node;
    s->run = w->nodes[node].run;
    s->kind = kind;
    s->references = 1;
    s->out_end = &s->out;
    int fd = 0;
    while (fd < os->socket_count && os->sockets[fd])
        fd++;
    if (fd == os->socket_count) {
        os->socket_count = os->socket_count ? os->socket_count * 2 : 16;
        os->sockets = hw_realloc(os->sockets, (size_t)os->socket_count * sizeof(os->sockets[0]));
        memset(os->sockets + fd, 0, (size_t)(os->socket_count - fd) * sizeof(os->sockets[0]));
    }
    os->sockets[fd] = s;
    s->fd = fd;
    return s;
}

static struct sim_socket *at_fd(struct os *os, int fd) {
    assert(fd >= 0 && fd < os->socket_count && os->sockets[fd]);
    return os->sockets[fd];
}

static void make_ready(struct sim_socket *s, uint32_t events) {
    s->ready |= events;
    if (!s->is_watched || s->fd < 0)
        return;
    struct os *os = &s->world->nodes[s->node].os;
    os->ready_first = s->fd < os->ready_first ? s->fd : os->ready_first;
    os->ready_end = s->fd >= os->ready_end ? s->fd + 1 : os->ready_end;
    node_wake(s->world, s->node);
}

static uint64_t delay_us(struct world *w) {
    uint64_t d = world_between(w, w->delay_us_min, w->delay_us_max);
    return world_chance(w, w->slow_permille) ? d * 20 : d;
}

static bool is_cut(const struct world *w, int from, int to) {
    return w->cut_until_us[from][to] > w->now_us;
}

// --- breaking

static void break_socket(struct sim_socket *s, int error) {
    if (s->fd < 0 || s->error)
        return;
    s->error = error;
    s->is_connecting = false;
    make_ready(s, OS_READABLE | OS_WRITABLE | OS_HANGUP);
}

static void arrive_reset(void *arg) {
    struct sim_socket *s = arg; // counted; the one that is told
    struct sim_socket *from = s->peer;
    int from_node = from ? from->node : s->node;
    if (s->fd >= 0 && is_cut(s->world, from_node, s->node)) {
        world_at(s->world, CUT_RETRY_US, arrive_reset, s);
        return;
    }
    break_socket(s, -ECONNRESET);
    unref(s);
}

static void send_reset(struct sim_socket *to) {
    to->references++;
    world_at(to->world, delay_us(to->world), arrive_reset, to);
}

// --- bytes on their way

static void deliver(void *arg);

static void schedule(struct sim_socket *s) {
    struct world *w = s->world;
    if (s->delivering || !s->out)
        return;
    s->delivering = true;
    s->references++;
    world_at(w, s->out->at_us > w->now_us ? s->out->at_us - w->now_us : 0, deliver, s);
}

static void take_in(struct sim_socket *to, const struct segment *seg) {
    if (seg->fin)
        to->got_fin = true;
    else
        buf_append(&to->in, seg->data, seg->len);
    make_ready(to, OS_READABLE | (seg->fin ? OS_HANGUP : 0));
}

static void deliver(void *arg) {
    struct sim_socket *s = arg, *to = s->peer;
    struct world *w = s->world;
    bool was_full = s->unsent >= w->send_buffer;
    s->delivering = false;
    if (!to || to->fd < 0 || to->error) { // nobody there any more
        if (s->fd >= 0 && !s->error && to && to->fd < 0 && s->out && !s->out->fin)
            send_reset(s);
        s->is_lost = s->is_lost || s->unsent > 0;
        s->unsent = 0;
        unref(s);
        return;
    }
    if (is_cut(w, s->node, to->node)) {
        s->delivering = true;
        world_at(w, CUT_RETRY_US, deliver, s);
        return;
    }
    while (s->out && s->out->at_us <= w->now_us && to->in.len - to->in_at < w->receive_buffer) {
        struct segment *seg = s->out;
        s->out = seg->next;
        if (!s->out)
            s->out_end = &s->out;
        s->unsent -= seg->len;
        take_in(to, seg);
        free(seg);
    }
    if (was_full && s->unsent < w->send_buffer)
        make_ready(s, OS_WRITABLE);
    if (s->out && s->out->at_us > w->now_us)
        schedule(s); // else the reader takes some first
    unref(s);
}

static void put_segment(struct sim_socket *s, const uint8_t *data, size_t len, bool fin) {
    struct world *w = s->world;
    struct segment *seg = hw_malloc(sizeof(*seg) + len);
    uint64_t at = w->now_us + delay_us(w);
    *seg =
        (struct segment){.at_us = at > s->last_at_us ? at : s->last_at_us, .len = len, .fin = fin};
    if (len)
        memcpy(seg->data, data, len);
    s->last_at_us = seg->at_us;
    *s->out_end = seg;
    s->out_end = &seg->next;
    s->unsent += len;
    schedule(s);
}

// --- connecting

static struct sim_socket *listener_at(struct world *w, uint32_t address, uint16_t port,
                                      int *ret_node) {
    for (int i = 0; i < w->node_count; i++) {
        struct os *os = &w->nodes[i].os;
        if (w->nodes[i].address != address)
            continue;
        *ret_node = i;
        for (int fd = 0; fd < os->socket_count; fd++)
            if (os->sockets[fd] && os->sockets[fd]->kind == SOCKET_LISTENER &&
                os->sockets[fd]->port == port)
                return os->sockets[fd];
    }
    return NULL;
}

static void arrive_refusal(void *arg) {
    struct sim_socket *s = arg;
    break_socket(s, -ECONNREFUSED);
    unref(s);
}

static void arrive_connected(void *arg) {
    struct sim_socket *s = arg;
    if (s->fd >= 0 && !s->error) {
        s->is_connecting = false;
        s->is_connected = true;
        make_ready(s, OS_WRITABLE);
    }
    unref(s);
}

static void arrive_syn(void *arg) {
    struct sim_socket *s = arg;
    struct world *w = s->world;
    int node = s->node;
    struct sim_socket *listener = listener_at(w, s->to_address, s->to_port, &node);
    if (s->fd < 0) { // given up meanwhile
        unref(s);
        return;
    }
    if (is_cut(w, s->node, node) || is_cut(w, node, s->node)) {
        if (++s->syn_tries < SYN_TRIES) {
            world_at(w, SYN_RETRY_US, arrive_syn, s);
        } else {
            break_socket(s, -ETIMEDOUT);
            unref(s);
        }
        return;
    }
    if (!listener || listener->backlog_len == 64) {
        world_at(w, delay_us(w), arrive_refusal, s);
        return;
    }
    struct sim_socket *other = socket_new(w, node, SOCKET_CONNECTION);
    other->is_connected = true;
    other->to_address = w->nodes[s->node].address;
    other->to_port = s->port;
    other->peer = s;
    s->references++;
    s->peer = other;
    other->references++;
    listener->backlog[listener->backlog_len++] = other;
    make_ready(listener, OS_READABLE);
    world_at(w, delay_us(w), arrive_connected, s);
}

int os_connect(struct os *os, const struct sock_addr *to) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)&to->storage;
    struct sim_socket *s = socket_new(os->world, os->node, SOCKET_CONNECTION);
    s->to_address = ntohl(in->sin_addr.s_addr);
    s->to_port = ntohs(in->sin_port);
    s->port = os->next_port++;
    s->is_connecting = true;
    s->references++;
    world_at(os->world, delay_us(os->world), arrive_syn, s);
    return s->fd;
}

int os_connect_result(struct os *os, int fd) {
    return at_fd(os, fd)->error;
}

int os_listen(struct os *os, const struct sock_addr *at, struct sock_addr *ret_bound) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)&at->storage;
    uint16_t port = ntohs(in->sin_port);
    int node;
    if (port == 0)
        port = os->next_port++;
    if (listener_at(os->world, os->world->nodes[os->node].address, port, &node))
        return -EADDRINUSE;
    struct sim_socket *s = socket_new(os->world, os->node, SOCKET_LISTENER);
    s->port = port;
    *ret_bound = *at;
    ((struct sockaddr_in *)&ret_bound->storage)->sin_port = htons(port);
    return s->fd;
}

static void fill_address(struct sock_addr *out, uint32_t address, uint16_t port) {
    struct sockaddr_in *in = (struct sockaddr_in *)&out->storage;
    *out = (struct sock_addr){.len = sizeof(*in)};
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(address);
    in->sin_port = htons(port);
}

int os_accept(struct os *os, int fd, struct sock_addr *ret_peer) {
    struct sim_socket *s = at_fd(os, fd);
    if (s->backlog_len == 0)
        return -EAGAIN;
    struct sim_socket *taken = s->backlog[0];
    memmove(&s->backlog[0], &s->backlog[1], (size_t)(--s->backlog_len) * sizeof(s->backlog[0]));
    fill_address(ret_peer, taken->to_address, taken->to_port);
    return taken->fd;
}

// --- reading and writing

static void read_on(void *arg) {
    struct sim_socket *s = arg;
    if (s->fd >= 0)
        make_ready(s, OS_READABLE);
    unref(s);
}

// What a slow node may still read of so many bytes; none: it is woken when the next share begins.
static size_t slow_share(struct sim_socket *s, size_t wanted) {
    struct world *w = s->world;
    struct node *n = &w->nodes[s->node];
    if (n->slow_until_us <= w->now_us)
        return wanted;
    if (w->now_us >= n->slow_since_us + SLOW_US) {
        n->slow_since_us = w->now_us;
        n->slow_left = n->slow_bytes;
    }
    if (n->slow_left == 0) {
        s->references++;
        world_at(w, n->slow_since_us + SLOW_US - w->now_us, read_on, s);
        return 0;
    }
    size_t share = wanted < n->slow_left ? wanted : n->slow_left;
    n->slow_left -= (uint32_t)share;
    return share;
}

void net_slow(struct world *w, int node, uint32_t bytes_per_100ms, uint64_t until_us) {
    struct node *n = &w->nodes[node];
    n->slow_until_us = until_us;
    n->slow_bytes = n->slow_left = bytes_per_100ms;
    n->slow_since_us = w->now_us;
}

ssize_t os_read(struct os *os, int fd, void *out, size_t len) {
    struct sim_socket *s = at_fd(os, fd);
    size_t there = s->in.len - s->in_at;
    if (there == 0)
        return s->error ? s->error : s->got_fin ? 0 : -EAGAIN;
    // All that has come, as from the kernel, but for who is slow: a piece that is left over would
    // seem to have come later than it did. Bytes come in pieces because writes are short.
    size_t take = slow_share(s, there < len ? there : len);
    if (take == 0)
        return -EAGAIN;
    if (take < there && take < len)
        make_ready(s, OS_READABLE); // the rest is read when its share begins
    memcpy(out, s->in.data + s->in_at, take);
    s->in_at += take;
    if (s->in_at == s->in.len) {
        buf_free(&s->in);
        s->in_at = 0;
    }
    if (s->peer)
        schedule(s->peer); // there is room now
    return (ssize_t)take;
}

ssize_t os_writev(struct os *os, int fd, const struct iovec *iov, int count) {
    struct sim_socket *s = at_fd(os, fd);
    struct world *w = os->world;
    struct buf all = BUF_EMPTY;
    if (s->error)
        return s->error;
    if (s->sent_fin)
        return -EPIPE;
    size_t room = s->unsent < w->send_buffer ? w->send_buffer - s->unsent : 0;
    if (room == 0 || s->is_connecting)
        return -EAGAIN;
    for (int i = 0; i < count; i++)
        if (iov[i].iov_len)
            buf_append(&all, iov[i].iov_base, iov[i].iov_len);
    size_t take = all.len < room ? all.len : room;
    if (take > 1 && world_chance(w, w->chop_permille))
        take = 1 + rng_below(&w->rng, take - 1);
    if (!os->is_dead)
        put_segment(s, all.data, take, false);
    w->bytes += take;
    if (take < all.len && s->unsent < w->send_buffer)
        make_ready(s, OS_WRITABLE); // a short write: the kernel takes the rest later
    buf_free(&all);
    return (ssize_t)take;
}

void os_write_all(struct os *os, struct os_write *writes, int count) {
    for (struct os_write *w = writes; w < writes + count; w++) {
        struct iovec iov = {.iov_base = (void *)(uintptr_t)w->data, .iov_len = w->len};
        w->took = os_writev(os, w->fd, &iov, 1);
    }
}

void os_peer(struct os *os, int fd, struct sock_addr *ret_peer) {
    struct sim_socket *s = at_fd(os, fd);
    *ret_peer = (struct sock_addr){0};
    if (s->is_connected)
        fill_address(ret_peer, s->to_address, s->to_port);
}

bool os_peer_is_gone(struct os *os, int fd) {
    const struct sim_socket *s = at_fd(os, fd);
    return s->error || s->got_fin;
}

void os_shutdown_write(struct os *os, int fd) {
    struct sim_socket *s = at_fd(os, fd);
    if (s->sent_fin || s->error || os->is_dead)
        return;
    s->sent_fin = true;
    put_segment(s, NULL, 0, true);
}

static void close_socket(struct os *os, struct sim_socket *s, bool silently) {
    os->sockets[s->fd] = NULL;
    for (int i = 0; i < s->backlog_len; i++)
        close_socket(os, s->backlog[i], true);
    s->backlog_len = 0;
    bool unread = s->in.len > s->in_at;
    if (s->peer && !s->error) {
        if (silently || unread)
            send_reset(s->peer);
        else if (!s->sent_fin)
            put_segment(s, NULL, 0, true);
    }
    s->fd = -1;
    if (silently || unread)
        s->error = s->error ? s->error : -ECONNRESET;
    struct sim_socket *peer = s->peer;
    if (peer && peer->fd < 0) { // both are closed: what is under way finds nobody
        s->peer = peer->peer = NULL;
        s->references--; // the peer's; the owner's is still there
        unref(peer);
    }
    unref(s);
}

void os_close(struct os *os, int fd) {
    close_socket(os, at_fd(os, fd), os->is_dead);
}

int os_unsent(struct os *os, int fd) {
    const struct sim_socket *s = at_fd(os, fd);
    return (int)s->unsent + s->is_lost;
}

// --- readiness

int os_watch(struct os *os, int fd, uint64_t key, uint32_t events) {
    struct sim_socket *s = at_fd(os, fd);
    s->key = key;
    s->watched = events;
    s->edge = (events & OS_EDGE) != 0;
    s->is_watched = true;
    uint32_t ready = 0;
    if (s->kind == SOCKET_CONNECTION && s->is_connected)
        ready |= OS_WRITABLE;
    if (s->in.len > s->in_at || s->got_fin || s->backlog_len)
        ready |= OS_READABLE;
    if (s->got_fin)
        ready |= OS_HANGUP;
    if (s->error)
        ready |= OS_READABLE | OS_WRITABLE | OS_HANGUP;
    if (ready)
        make_ready(s, ready);
    return 0;
}

int os_rewatch(struct os *os, int fd, uint64_t key, uint32_t events) {
    return os_watch(os, fd, key, events);
}

int os_watch_first(struct os *os, int fd, uint64_t key, uint32_t events) {
    (void)os, (void)fd, (void)key, (void)events; // one wait takes all that are ready
    return 0;
}

void os_unwatch(struct os *os, int fd) {
    at_fd(os, fd)->is_watched = false;
}

int net_wait(struct os *os, struct os_event *events, int max) {
    int count = 0, fd = os->ready_first;
    for (; fd < os->ready_end && count < max; fd++) {
        struct sim_socket *s = os->sockets[fd];
        if (!s || !s->is_watched || !(s->ready & (s->watched | OS_HANGUP)))
            continue;
        events[count++] = (struct os_event){s->key, s->ready & (s->watched | OS_HANGUP)};
        s->ready = 0; // all watches here are edge-triggered
    }
    os->ready_first = fd < os->ready_end ? fd : INT_MAX;
    os->ready_end = fd < os->ready_end ? os->ready_end : 0;
    if (count == max)
        node_wake(os->world, os->node);
    return count;
}

void net_close_all(struct os *os, bool kill) {
    for (int fd = 0; fd < os->socket_count; fd++)
        if (os->sockets[fd])
            close_socket(os, os->sockets[fd], kill);
    free(os->sockets);
    os->sockets = NULL;
    os->socket_count = os->ready_end = 0;
}

void net_reset(struct world *w, int node, int first) {
    struct os *os = &w->nodes[node].os;
    for (int fd = 0; fd < os->socket_count; fd++) {
        struct sim_socket *s = os->sockets[fd];
        if (!s || s->kind != SOCKET_CONNECTION || !s->is_connected ||
            (s->peer ? s->peer->node : 0) < first)
            continue;
        if (s->peer)
            send_reset(s->peer);
        break_socket(s, -ECONNRESET);
    }
}

// --- names

struct os_resolve {
    struct os *os;
    os_resolved_fn *done; // NULL: cancelled
    void *arg;
    struct sock_addr addr;
    int error;
};

static void resolve_dropped(void *arg) {
    free(arg);
}

static void resolved(void *arg) {
    struct os_resolve *r = arg;
    if (r->done)
        r->done(r->arg, r->error, &r->addr, r->error ? 0 : 1);
    free(r);
}

struct os_resolve *os_resolve(struct os *os, const char *host, uint16_t port, os_resolved_fn *done,
                              void *arg) {
    struct os_resolve *r = hw_calloc(1, sizeof(*r));
    *r = (struct os_resolve){.os = os, .done = done, .arg = arg};
    r->error = sock_addr_parse(host, port, &r->addr); // all names are numbers here
    node_defer(os->world, os->node, resolved, resolve_dropped, r);
    return r;
}

void os_resolve_cancel(struct os *os, struct os_resolve *r) {
    (void)os;
    r->done = NULL;
}
