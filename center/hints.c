#include "hints.h"

enum { HINT_RETRY_MS = 1000, HINTS_AT_ONCE = 5000 };

static void on_told(void *arg, int error, const Hawser__Internal__DeliverReply *reply) {
    (void)arg; // lost once more: the room asks for heads by itself
    (void)error;
    (void)reply;
}

static void hints_tell(struct center *c, struct hint_room *room, struct rpc_link *link) {
    struct hint_session session;
    struct hinted about;
    for (int left = HINTS_AT_ONCE; left > 0 && kept_hints_take(room, &session, &about); left--) {
        Hawser__Internal__DeliverRequest request = HAWSER__INTERNAL__DELIVER_REQUEST__INIT;
        request.incarnation = session.incarnation;
        request.slot = session.slot;
        request.generation = session.generation;
        request.product = about.product;
        request.epoch = about.epoch;
        request.seq = about.seq;
        room_deliver(peer_by(c->cluster, link), &request, on_told, c);
    }
}

static void tell_again(struct timer *t) {
    struct center *c = container_of(t, struct center, hint_timer);
    struct hint_room *room, *next;
    HASH_ITER(hh, c->kept_hints.rooms, room, next) {
        struct rpc_link *link = cluster_peer(c->cluster, room->incarnation);
        if (link && rpc_link_is_up(link))
            hints_tell(c, room, link);
        if (!link || !room->hints)
            kept_hints_forget(&c->kept_hints, room->incarnation);
    }
    if (c->kept_hints.rooms)
        loop_arm(c->loop, &c->hint_timer, HINT_RETRY_MS, tell_again);
}

void hint_keep(struct center *c, const struct hint_session *session, const struct hinted *h) {
    enum hint_fate fate = kept_hints_put(&c->kept_hints, session, h);
    c->count.hints_kept += fate == HINT_OF_NEW_SESSION;
    c->count.hints_dropped += fate == HINT_HAS_NO_PLACE;
    if (!timer_is_armed(&c->hint_timer))
        loop_arm(c->loop, &c->hint_timer, HINT_RETRY_MS, tell_again);
}

void hints_member_gone(struct center *c, uint64_t incarnation) {
    kept_hints_forget(&c->kept_hints, incarnation);
}

void hints_free(struct center *c) {
    kept_hints_deinit(&c->kept_hints);
    loop_disarm(c->loop, &c->hint_timer);
}
