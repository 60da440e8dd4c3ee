#include "door.h"

#include <assert.h>

// Those that lie lower come first. Plain bytes need no row, and there is no other kind so far.
const struct opening door_transports[] = {{.bytes = NULL}};

struct door_waiter {
    struct newcomer newcomer;
    TAILQ_ENTRY(door_waiter) entry;
    struct timer deadline;
    const struct opening *transports; // these may still come to lie over its stream
};

static struct door *door_of(const struct door_waiter *w) {
    return container_of(slab_of(w), struct door, waiters);
}

static void waiter_free(struct door_waiter *w) {
    struct door *d = door_of(w);
    loop_disarm(d->options.loop, &w->deadline);
    TAILQ_REMOVE(&d->waiting, w, entry);
    --*d->options.connections;
    slab_give(w);
}

static void turn_away(struct door_waiter *w) {
    stream_abandon(w->newcomer.stream);
    waiter_free(w);
}

// --- first bytes

static void let_in(struct door_waiter *w, const struct opening *protocol) {
    struct newcomer n = w->newcomer;
    const struct door_options *o = &door_of(w)->options;
    waiter_free(w);
    o->let_in(o->arg, &n, protocol);
}

static bool put_over(struct door_waiter *w, const struct opening *row, const uint8_t *data,
                     size_t len) {
    const struct transport_kind *kind = row->leads_to;
    struct transport *t = kind->begin(&door_of(w)->options, data, len);
    if (!t)
        return false;
    w->transports = row + 1;
    stream_set_transport(w->newcomer.stream, t);
    return true;
}

static size_t waiter_on_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    struct door_waiter *w = owner;
    const struct opening *row = NULL;
    (void)s;
    enum opening_parsed transport = opening_parse(w->transports, data, len, &row);
    if (transport == OPENING_KNOWN && put_over(w, row, data, len))
        return len;
    enum opening_parsed protocol = opening_parse(door_of(w)->options.protocols, data, len, &row);
    if (transport == OPENING_MORE || protocol == OPENING_MORE)
        return 0;
    if (protocol == OPENING_KNOWN) {
        let_in(w, row);
        return row->consumed;
    }
    ++*door_of(w)->options.unknown;
    turn_away(w);
    return len;
}

// A transport that could not go on (a handshake that failed) is as unknown here as other bytes.
static void waiter_on_closed(void *owner, struct stream *s, int error) {
    struct door_waiter *w = owner;
    const struct door_options *o = &door_of(w)->options;
    (void)s;
    *o->unknown += error != 0 && w->transports != o->transports;
    waiter_free(w);
}

static const struct stream_ops waiter_ops = {
    .on_data = waiter_on_data, .on_closed = waiter_on_closed, .keep_max = OPENING_MAX};

// --- coming

static void first_bytes_late(struct timer *t) {
    struct door_waiter *w = container_of(t, struct door_waiter, deadline);
    ++*door_of(w)->options.silent;
    turn_away(w);
}

static bool displace_one(struct door *d) {
    const struct door_options *o = &d->options;
    struct door_waiter *first = TAILQ_FIRST(&d->waiting);
    if (o->give_way && o->give_way(o->arg, first ? first->newcomer.accepted_ms : UINT64_MAX))
        return true;
    if (first)
        turn_away(first);
    return first != NULL;
}

void door_take(struct door *d, struct stream *s, uint64_t came_ms, uint64_t wait_ms) {
    const struct door_options *o = &d->options;
    if (*o->connections >= o->connections_max) {
        ++*o->displaced;
        if (!displace_one(d)) {
            stream_end(s, -HW_EFULL);
            return;
        }
    }
    struct door_waiter *w = slab_take(&d->waiters);
    assert(w); // it is one of connections_max
    w->newcomer = (struct newcomer){s, loop_now_ms(o->loop), came_ms};
    w->transports = o->transports;
    TAILQ_INSERT_TAIL(&d->waiting, w, entry);
    ++*o->connections;
    stream_set_owner(s, &waiter_ops, w);
    loop_arm(o->loop, &w->deadline, wait_ms, first_bytes_late);
}

void door_hurry(struct door *d, uint64_t within_ms) {
    struct loop *l = d->options.loop;
    struct door_waiter *w;
    TAILQ_FOREACH(w, &d->waiting, entry)
        if (w->deadline.due_ms > loop_now_ms(l) + within_ms)
            loop_arm(l, &w->deadline, within_ms, first_bytes_late);
}

// --- life

void door_init(struct door *d, const struct door_options *o) {
    d->options = *o;
    TAILQ_INIT(&d->waiting);
    slab_init(&d->waiters, sizeof(struct door_waiter), (uint32_t)o->connections_max);
}

void door_deinit(struct door *d) {
    while (!TAILQ_EMPTY(&d->waiting))
        turn_away(TAILQ_FIRST(&d->waiting));
    slab_deinit(&d->waiters);
}
