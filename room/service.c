// What other daemons call at a room.
#include "room_internal.h"

static void on_deliver(void *self, struct rpc_call *call, const uint8_t *body, size_t len) {
    struct room *r = self;
    Hawser__Internal__DeliverReply reply = HAWSER__INTERNAL__DELIVER_REPLY__INIT;
    Hawser__Internal__DeliverRequest *d =
        hawser__internal__deliver_request__unpack(&r->arena.allocator, len, body);
    struct session *s = d && d->incarnation == r->env->incarnation
                            ? session_by_row(r, d->slot, d->generation)
                            : NULL;
    bool is_here = s && !s->has_failed && s->state != SESSION_LEAVING;
    if (!d) {
        rpc_fail(call, -HW_EMALFORMED);
    } else if (!is_here) {
        r->count.not_here++;
        rpc_fail(call, -HW_ENOTHERE);
    } else {
        if (s->state == SESSION_LIVE) {
            reply.sent = inbox_deliver(s, d);
        } else if (d->seq != 0 && s->state == SESSION_ATTACHED) {
            inbox_head_seen(s, d->epoch, d->seq);
        } else if (d->seq != 0) { // its positions are still being asked for
            s->inbox.heard =
                s->inbox.epoch == d->epoch && s->inbox.heard > d->seq ? s->inbox.heard : d->seq;
            s->inbox.epoch = d->epoch;
        }
        rpc_reply(call, &reply.base);
    }
    arena_reset(&r->arena);
}

static void on_news(void *self, struct rpc_call *call, const uint8_t *body, size_t len) {
    struct room *r = self;
    Hawser__Internal__NewsReply reply = HAWSER__INTERNAL__NEWS_REPLY__INIT;
    Hawser__Internal__NewsRequest *n =
        hawser__internal__news_request__unpack(&r->arena.allocator, len, body);
    struct room_product *p = n ? product_find_here(r, n->product) : NULL;
    if (!n) {
        rpc_fail(call, -HW_EMALFORMED);
    } else if (p && n->seq == 0 && n->message) {
        news_live(p, n->message, call);
    } else {
        reply.sessions = p ? p->session_count : 0;
        if (p && n->seq != 0)
            news_heard(p, n->epoch, n->seq, n->message);
        rpc_reply(call, &reply.base);
    }
    arena_reset(&r->arena);
}

static void on_replaced(void *self, struct rpc_call *call, const uint8_t *body, size_t len) {
    struct room *r = self;
    Hawser__Internal__ReplacedReply reply = HAWSER__INTERNAL__REPLACED_REPLY__INIT;
    Hawser__Internal__ReplacedRequest *n =
        hawser__internal__replaced_request__unpack(NULL, len, body);
    if (!n) {
        rpc_fail(call, -HW_EMALFORMED);
        return;
    }
    if (n->incarnation == r->env->incarnation)
        session_replaced(r, n->slot, n->generation, n->code ? n->code : 4001,
                         *n->reason ? n->reason : REPLACED_TEXT);
    rpc_reply(call, &reply.base);
    hawser__internal__replaced_request__free_unpacked(n, NULL);
}

static void on_confirm_row(void *self, struct rpc_call *call, const uint8_t *body, size_t len) {
    struct room *r = self;
    Hawser__Internal__ConfirmRowReply reply = HAWSER__INTERNAL__CONFIRM_ROW_REPLY__INIT;
    Hawser__Internal__ConfirmRowRequest *q =
        hawser__internal__confirm_row_request__unpack(&r->arena.allocator, len, body);
    struct session *s =
        q && q->incarnation == r->env->incarnation ? session_at_place(r, q->slot) : NULL;
    if (!q) {
        rpc_fail(call, -HW_EMALFORMED);
    } else {
        if (s) // whatever its generation: to confirm it once more harms nobody
            session_row_has_changed(s);
        rpc_reply(call, &reply.base);
    }
    arena_reset(&r->arena);
}

static void on_stats(void *self, struct rpc_call *call, const uint8_t *body, size_t len) {
    struct room *r = self;
    Hawser__Internal__RoomStatsReply reply = HAWSER__INTERNAL__ROOM_STATS_REPLY__INIT;
    struct room_product *p;
    (void)body;
    (void)len;
    reply.connections = r->count.connections;
    reply.product = arena_calloc(&r->arena, HASH_COUNT(r->products), sizeof(reply.product[0]));
    for (p = r->products; p; p = p->hh.next) {
        Hawser__Internal__ProductSessions *one = arena_alloc(&r->arena, sizeof(*one));
        hawser__internal__product_sessions__init(one);
        one->product = p->number;
        one->sessions = p->session_count;
        reply.product[reply.n_product++] = one;
    }
    rpc_reply(call, &reply.base);
    arena_reset(&r->arena);
}

static void on_drain(void *self, struct rpc_call *call, const uint8_t *body, size_t len) {
    struct room *r = self;
    Hawser__Internal__DrainReply reply = HAWSER__INTERNAL__DRAIN_REPLY__INIT;
    Hawser__Internal__DrainRequest *d = hawser__internal__drain_request__unpack(NULL, len, body);
    if (!d) {
        rpc_fail(call, -HW_EMALFORMED);
        return;
    }
    room_drain_within(r, d->within_ms);
    rpc_reply(call, &reply.base);
    hawser__internal__drain_request__free_unpacked(d, NULL);
}

const struct rpc_method room_methods[] = {
    {HAWSER__INTERNAL__ROOM_METHOD__ROOM_DELIVER, on_deliver, RPC_CENTER | RPC_COORDINATOR},
    {HAWSER__INTERNAL__ROOM_METHOD__ROOM_NEWS, on_news, RPC_CENTER | RPC_COORDINATOR},
    {HAWSER__INTERNAL__ROOM_METHOD__ROOM_REPLACED, on_replaced, RPC_ROOM | RPC_CENTER},
    {HAWSER__INTERNAL__ROOM_METHOD__ROOM_DRAIN, on_drain, RPC_CENTER},
    {HAWSER__INTERNAL__ROOM_METHOD__ROOM_STATS, on_stats, RPC_CENTER},
    {HAWSER__INTERNAL__ROOM_METHOD__ROOM_CONFIRM_ROW, on_confirm_row, RPC_ROOM},
    {0, NULL, 0},
};
