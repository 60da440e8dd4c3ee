#include "hints.h"

enum { HINTS_PER_ROOM_MAX = 100000, HINT_RETRY_MS = 1000, HINTS_AT_ONCE = 5000 };

struct hint {
    UT_hash_handle hh;
    struct {
        uint64_t generation, slot; // no padding: it is hashed
    } session;
    struct hinted about;
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

static void hints_tell(struct center *c, struct hint_room *room, struct rpc_link *link) {
    struct hint *h, *next;
    int left = HINTS_AT_ONCE;
    HASH_ITER(hh, room->hints, h, next) {
        Hawser__Internal__DeliverRequest request = HAWSER__INTERNAL__DELIVER_REQUEST__INIT;
        if (left-- == 0)
            return;
        request.incarnation = room->incarnation;
        request.slot = h->session.slot;
        request.generation = h->session.generation;
        request.product = h->about.product;
        request.epoch = h->about.epoch;
        request.seq = h->about.seq;
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

static void tell_again(struct timer *t) {
    struct center *c = container_of(t, struct center, hint_timer);
    struct hint_room *room, *next;
    HASH_ITER(hh, c->hints, room, next) {
        struct rpc_link *link = cluster_peer(c->cluster, room->incarnation);
        if (link && rpc_link_is_up(link))
            hints_tell(c, room, link);
        if (!link || !room->hints)
            room_free(c, room);
    }
    if (c->hints)
        loop_arm(c->loop, &c->hint_timer, HINT_RETRY_MS, tell_again);
}

static struct hint_room *room_get(struct center *c, uint64_t incarnation) {
    struct hint_room *room = NULL;
    HASH_FIND(hh, c->hints, &incarnation, sizeof(incarnation), room);
    if (room)
        return room;
    room = hw_calloc(1, sizeof(*room));
    room->incarnation = incarnation;
    HASH_ADD(hh, c->hints, incarnation, sizeof(room->incarnation), room);
    return room;
}

void hint_keep(struct center *c, const struct hint_session *session, const struct hinted *h) {
    struct hint_room *room = room_get(c, session->incarnation);
    struct hint *kept = NULL, key = {.session = {session->generation, session->slot}};
    HASH_FIND(hh, room->hints, &key.session, sizeof(key.session), kept);
    if (!kept && HASH_COUNT(room->hints) >= HINTS_PER_ROOM_MAX) {
        c->count.hints_dropped++;
        return;
    }
    if (!kept) {
        kept = hw_calloc(1, sizeof(*kept));
        kept->session = key.session;
        HASH_ADD(hh, room->hints, session, sizeof(kept->session), kept);
        c->count.hints_kept++;
    }
    if (kept->about.epoch != h->epoch || kept->about.seq < h->seq)
        kept->about = *h;
    if (!timer_is_armed(&c->hint_timer))
        loop_arm(c->loop, &c->hint_timer, HINT_RETRY_MS, tell_again);
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
