// Heads that could not be told to a room: the newest for each session, tried again every second
// while the room is in the directory; and the pace of pushes of each product.
#include "center_internal.h"

enum { HINTS_PER_ROOM_MAX = 100000, HINT_RETRY_MS = 1000, HINTS_PER_TURN = 5000 };

struct hint {
    UT_hash_handle hh;
    struct {
        uint64_t generation, slot; // no padding: it is hashed
    } session;
    uint64_t epoch, seq;
    uint32_t product;
};

struct hint_room {
    UT_hash_handle hh;
    uint64_t incarnation;
    struct hint *hints; // owned
};

static void on_told(void *arg, int error, const Hawser__Internal__DeliverReply *reply) {
    (void)arg; // lost once more: the room asks for heads by itself
    (void)error;
    (void)reply;
}

static void tell(struct center *c, struct hint_room *room, struct rpc_link *link) {
    struct hint *h, *next;
    int left = HINTS_PER_TURN;
    HASH_ITER(hh, room->hints, h, next) {
        Hawser__Internal__DeliverRequest request = HAWSER__INTERNAL__DELIVER_REQUEST__INIT;
        if (left-- == 0)
            return;
        request.incarnation = room->incarnation;
        request.slot = h->session.slot;
        request.generation = h->session.generation;
        request.product = h->product;
        request.epoch = h->epoch;
        request.seq = h->seq;
        room_deliver(peer_by(c->cluster, link), &request, on_told, c);
        HASH_DEL(room->hints, h);
        free(h);
    }
}

static void room_free(struct center *c, struct hint_room *room) {
    struct hint *h, *next;
    HASH_ITER(hh, room->hints, h, next) {
        HASH_DEL(room->hints, h);
        free(h);
    }
    HASH_DEL(c->hints, room);
    free(room);
}

static void try_again(struct timer *t) {
    struct center *c = container_of(t, struct center, hint_timer);
    struct hint_room *room, *next;
    HASH_ITER(hh, c->hints, room, next) {
        struct rpc_link *link = cluster_peer(c->cluster, room->incarnation);
        if (link && rpc_link_is_up(link))
            tell(c, room, link);
        if (!link || !room->hints)
            room_free(c, room);
    }
    if (c->hints)
        loop_arm(c->loop, &c->hint_timer, HINT_RETRY_MS, try_again);
}

void hint_keep(struct center *c, const Hawser__Internal__SessionRow *row, uint32_t product,
               uint64_t epoch, uint64_t seq) {
    struct hint_room *room = NULL;
    struct hint *h = NULL, key = {.session = {row->generation, row->slot}};
    HASH_FIND(hh, c->hints, &row->incarnation, sizeof(row->incarnation), room);
    if (!room) {
        room = hw_calloc(1, sizeof(*room));
        room->incarnation = row->incarnation;
        HASH_ADD(hh, c->hints, incarnation, sizeof(room->incarnation), room);
    }
    HASH_FIND(hh, room->hints, &key.session, sizeof(key.session), h);
    if (!h && HASH_COUNT(room->hints) >= HINTS_PER_ROOM_MAX) {
        c->count.hints_dropped++;
        return;
    }
    if (!h) {
        h = hw_calloc(1, sizeof(*h));
        h->session = key.session;
        HASH_ADD(hh, room->hints, session, sizeof(h->session), h);
        c->count.hints_kept++;
    }
    h->product = product;
    if (h->epoch != epoch || h->seq < seq) {
        h->epoch = epoch;
        h->seq = seq;
    }
    if (!timer_is_armed(&c->hint_timer))
        loop_arm(c->loop, &c->hint_timer, HINT_RETRY_MS, try_again);
}

void hints_member_gone(struct center *c, uint64_t incarnation) {
    struct hint_room *room = NULL;
    HASH_FIND(hh, c->hints, &incarnation, sizeof(incarnation), room);
    if (room)
        room_free(c, room);
}

void hints_free(struct center *c) {
    struct hint_room *room, *next;
    HASH_ITER(hh, c->hints, room, next)
        room_free(c, room);
    loop_disarm(c->loop, &c->hint_timer);
}

// --- push_per_s: a bucket of one second's pushes for each product that has a limit

struct rate {
    UT_hash_handle hh;
    uint32_t product;
    uint64_t milli_tokens, filled_ms;
};

bool rate_take(struct center *c, const struct product *product, uint64_t targets,
               struct problem *p) {
    uint64_t per_s = product->limits.push_per_s, now = loop_now_ms(c->loop);
    uint64_t full = per_s * 1000, cost = targets * 1000;
    struct rate *r = NULL;
    if (per_s == 0)
        return true;
    HASH_FIND(hh, c->rates, &product->number, sizeof(product->number), r);
    if (!r) {
        r = hw_calloc(1, sizeof(*r));
        r->product = product->number;
        r->milli_tokens = full;
        r->filled_ms = now;
        HASH_ADD(hh, c->rates, product, sizeof(r->product), r);
    }
    r->milli_tokens += (now - r->filled_ms) * per_s;
    r->milli_tokens = r->milli_tokens < full ? r->milli_tokens : full;
    r->filled_ms = now;
    if (r->milli_tokens >= cost || (cost > full && r->milli_tokens == full)) {
        r->milli_tokens -= cost < r->milli_tokens ? cost : r->milli_tokens;
        return true;
    }
    return problem_set(p, PROBLEM_rate_limited, NULL, "more than %llu pushes a second",
                       (unsigned long long)per_s);
}

void rates_free(struct center *c) {
    struct rate *r, *next;
    HASH_ITER(hh, c->rates, r, next) {
        HASH_DEL(c->rates, r);
        free(r);
    }
}
