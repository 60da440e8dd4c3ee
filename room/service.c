// What other daemons call at a room.
#include "room_internal.h"
#include "serve.h"
#include "stored.h"

ROOM_METHODS(SERVE)

static void room_on_deliver(void *self, const Hawser__Internal__DeliverRequest *d,
                            struct rpc_call *call) {
    struct room *r = self;
    Hawser__Internal__DeliverReply reply = HAWSER__INTERNAL__DELIVER_REPLY__INIT;
    const struct session_hint hint = {{d->epoch, d->seq}, d->change};
    effects_settle(&r->effects);
    struct room_binding *b = inbox_delivered_to(r, d);
    if (!b) {
        r->count.delivery.not_here++;
        rpc_fail(call, -HW_ENOTHERE);
        return;
    }
    if (room_binding_is_entered(b))
        reply.sent = inbox_deliver(b, &hint, d->message);
    else if (!message_is_live(d->message))
        room_binding_tell(b, &(struct session_event){.kind = EVENT_HINTED, .of.hint = hint});
    room_deliver_reply(call, &reply);
}

static void room_on_news(void *self, const Hawser__Internal__NewsRequest *n,
                         struct rpc_call *call) {
    Hawser__Internal__NewsReply reply = HAWSER__INTERNAL__NEWS_REPLY__INIT;
    struct room_product *p = product_find_here(self, n->product);
    if (p && message_is_live(n->message)) {
        news_pass_on(p, n->message, call);
        return;
    }
    reply.sessions = p ? p->session_count : 0;
    if (p) {
        struct broadcasts *log = product_log(p, FEED_NEWS);
        bool is_known_good = news_change_heard(log, n->epoch, n->change);
        news_heard(log, (struct stream_position){n->epoch, n->seq},
                   is_known_good ? n->message : NULL);
    }
    room_news_reply(call, &reply);
}

static void room_on_replaced(void *self, const Hawser__Internal__ReplacedRequest *n,
                             struct rpc_call *call) {
    Hawser__Internal__ReplacedReply reply = HAWSER__INTERNAL__REPLACED_REPLY__INIT;
    notice_got(self, n);
    room_replaced_reply(call, &reply);
}

static void room_on_confirm_row(void *self, const Hawser__Internal__ConfirmRowRequest *q,
                                struct rpc_call *call) {
    struct room *r = self;
    Hawser__Internal__ConfirmRowReply reply = HAWSER__INTERNAL__CONFIRM_ROW_REPLY__INIT;
    if (q->incarnation == r->env->incarnation) // to confirm it once more harms nobody
        notice_changed(r, &(struct session_row){q->incarnation, q->slot, 0});
    room_confirm_row_reply(call, &reply);
}

static void room_on_drain(void *self, const Hawser__Internal__DrainRequest *d,
                          struct rpc_call *call) {
    Hawser__Internal__DrainReply reply = HAWSER__INTERNAL__DRAIN_REPLY__INIT;
    room_drain_within(self, d->within_ms);
    room_drain_reply(call, &reply);
}

const struct rpc_method room_methods[] = {ROOM_METHODS(SERVED){0}};
