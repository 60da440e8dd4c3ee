// Listeners: each newcomer becomes a stream, as long as there are descriptors to spare for its
// kind.
#include <assert.h>
#include <errno.h>

#include "addr.h"
#include "loop_internal.h"

enum {
    ACCEPT_BUDGET = 256,
    REST_MS = 100 // out of descriptors, also those kept back: the backlog waits this long
};

struct listener {
    struct loop *loop;
    accept_fn *on_accept;
    void *arg;
    struct timer rest;
    enum door_kind door;
    int fd;
    uint16_t port;
};

const size_t listener_bytes = sizeof(struct listener);

static void rested(struct timer *t) {
    listener_on_event(container_of(t, struct listener, rest));
}

// A descriptor's number is how many are in use at least, whoever has them, since the kernel gives
// the lowest free one. Those of streams that close at the end of this iteration still count: who
// comes first beyond the share gets one of theirs, and the rest wait for the next iteration. So an
// owner may displace streams for newcomers. Returns whether to go on.
static bool listener_take(struct listener *ls, int fd) {
    struct loop *l = ls->loop;
    int error = 0;
    struct stream *s = NULL;
    bool is_within = (uint32_t)fd < descriptors_ceiling(os_descriptors(l->os), ls->door);
    bool is_freed_soon = l->closing.len > 0;
    if (is_within || is_freed_soon)
        s = stream_accepted(l, fd, &error);
    else
        os_close(l->os, fd);
    if (!s) {
        l->accepts_refused++;
        return true;
    }
    ls->on_accept(ls->arg, s);
    assert(stream_is_owned(s));
    return is_within;
}

void listener_on_event(struct listener *ls) {
    struct loop *l = ls->loop;
    for (int i = 0; i < ACCEPT_BUDGET; i++) {
        struct sock_addr peer;
        int fd = os_accept(l->os, ls->fd, &peer);
        if (fd == -EAGAIN)
            return;
        if (fd == -ECONNABORTED || fd == -EINTR)
            continue;
        if (fd < 0) {
            l->accepts_refused++;
            loop_arm(l, &ls->rest, REST_MS, rested);
            return;
        }
        if (!listener_take(ls, fd))
            break;
    }
    // More may wait, and an edge comes only with the next new one.
    loop_arm(l, &ls->rest, 0, rested);
}

static int listen_on(struct loop *l, const char *host, uint16_t port, uint16_t *ret_port) {
    struct sock_addr at, bound;
    int error = sock_addr_parse(host, port, &at);
    if (error != 0)
        return error;
    int fd = os_listen(l->os, &at, &bound);
    if (fd >= 0)
        *ret_port = sock_addr_port(&bound);
    return fd;
}

int listener_new(struct loop *l, struct listen_at at, accept_fn *on_accept, void *arg,
                 struct listener **ret_listener) {
    uint16_t port = 0;
    int fd = listen_on(l, at.host, at.first, &port);
    for (uint32_t next = at.first + 1u; fd == -EADDRINUSE && next <= at.last; next++)
        fd = listen_on(l, at.host, (uint16_t)next, &port);
    if (fd < 0)
        return fd;
    struct listener *ls = slab_take(&l->listeners);
    int error =
        ls ? os_watch(l->os, fd, loop_key(KEY_LISTENER, ls), OS_READABLE | OS_EDGE) : -HW_EFULL;
    if (error != 0) {
        if (ls)
            slab_give(ls);
        os_close(l->os, fd);
        return error;
    }
    *ls = (struct listener){.loop = l, .on_accept = on_accept, .arg = arg, .fd = fd, .port = port};
    *ret_listener = ls;
    return 0;
}

void listener_set_door(struct listener *ls, enum door_kind door) {
    ls->door = door;
}

uint16_t listener_port(const struct listener *ls) {
    return ls->port;
}

void listener_free(struct listener *ls) {
    if (!ls)
        return;
    struct loop *l = ls->loop;
    loop_disarm(l, &ls->rest);
    os_unwatch(l->os, ls->fd);
    os_close(l->os, ls->fd);
    slab_give(ls);
}
