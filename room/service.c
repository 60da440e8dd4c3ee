// What other daemons call at a room.
#include "room_internal.h"

static void on_deliver(void *self, struct rpc_call *call, const uint8_t *body, size_t len) {
    struct room *r = self;
    Hawser__Internal__DeliverReply reply = HAWSER__INTERNAL__DELIVER_REPLY__INIT;
    Hawser__Internal__DeliverRequest *d =
        hawser__internal__deliver_request__unpack(&r->arena.allocator, len, body);
    effects_settle(&r->effects);
    struct room_binding *b =
        d && d->incarnation == r->env->incarnation ? room_binding_at_place(r, d->slot) : NULL;
    if (!d) {
        rpc_fail(call, -HW_EMALFORMED);
    } else if (!b || !session_is_here(&b->session, d->generation)) {
        r->count.not_here++;
        rpc_fail(call, -HW_ENOTHERE);
    } else {
        struct place at = {d->epoch, d->seq};
        if (session_is_entered(&b->session))
            reply.sent = inbox_deliver(b, &at, d->message);
        else if (at.seq != 0)
            room_binding_tell(b, &(struct session_event){.kind = EVENT_HINTED, .of.place = at});
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
            news_heard(&p->news, (struct place){n->epoch, n->seq}, n->message);
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
    notice_got(r, n);
    rpc_reply(call, &reply.base);
    hawser__internal__replaced_request__free_unpacked(n, NULL);
}

static void on_confirm_row(void *self, struct rpc_call *call, const uint8_t *body, size_t len) {
    struct room *r = self;
    Hawser__Internal__ConfirmRowReply reply = HAWSER__INTERNAL__CONFIRM_ROW_REPLY__INIT;
    Hawser__Internal__ConfirmRowRequest *q =
        hawser__internal__confirm_row_request__unpack(&r->arena.allocator, len, body);
    if (!q) {
        rpc_fail(call, -HW_EMALFORMED);
    } else {
        if (q->incarnation == r->env->incarnation) // to confirm it once more harms nobody
            notice_changed(r, &(struct session_row){q->incarnation, q->slot, 0});
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
