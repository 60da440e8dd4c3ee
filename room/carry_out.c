// What sessions have written down is done here, one after the other. What comes of it are further
// steps, which only add to the queue. A binding whose session is gone is freed here, after its last
// step's effects, and then the connections that have nothing any more.
#include "close_codes.h"
#include "room_internal.h"

static void carry_out_login_over(struct room_binding *b) {
    struct room *r = binding_room(b);
    r->count.session.login_failures += room_binding_state(b) == SESSION_REFUSED ? 1 : 0;
    hello_answered(b);
}

static void carry_out_over(struct room_binding *b, const struct session_refusal *refusal) {
    if (refusal->code == CLOSE_REPLACED) {
        binding_room(b)->count.session.takeovers++;
        replaced_note(b);
    }
    conn_binding_over(b, refusal);
}

static void carry_out(struct room_binding *b, const struct session_effect *e) {
    struct room *r = binding_room(b);
    switch (e->kind) {
    case EFFECT_ENTER:
        ask_enter(b);
        break;
    case EFFECT_ATTACH:
        ask_attach(b);
        break;
    case EFFECT_CONFIRM:
        ask_row(b);
        break;
    case EFFECT_LOAD:
        ask_load(b);
        break;
    case EFFECT_ARRIVE:
        ask_arrival(b);
        break;
    case EFFECT_ASK_NEWS:
        news_heads_ask(b->product);
        break;
    case EFFECT_SAVE:
        ask_save(b);
        break;
    case EFFECT_SAVE_LAST:
        acks_save_last(b);
        break;
    case EFFECT_RETRY:
        room_binding_retry_later(b);
        break;
    case EFFECT_CONFIRM_SOON:
        passes_want_confirmations(&r->passes);
        break;
    case EFFECT_SETTLED:
        carry_out_login_over(b);
        break;
    case EFFECT_OVER:
        carry_out_over(b, &e->of.refusal);
        break;
    case EFFECT_ATTEMPT:
        ask_attempt(b, e);
        break;
    case EFFECT_RESENT:
        r->count.delivery.resends++;
        break;
    case EFFECT_ACKED:
        acks_count(b, e->of.acked.stream, e->of.acked.messages);
        break;
    case EFFECT_SAY_RESET:
        room_binding_say_reset(b, e->of.reset.stream, e->of.reset.reason);
        break;
    case EFFECT_SEND_NEWS:
        news_send(b);
        break;
    case EFFECT_TAKEN_OVER:
        ask_count_takeover(b);
        break;
    case EFFECT_TELL_REPLACED:
        notice_replaced(b, &e->of.row);
        break;
    case EFFECT_TELL_CHANGED:
        notice_changed(r, &e->of.row);
        break;
    case EFFECT_DROP_ROW:
        orphan_drop(b);
        break;
    case EFFECT_EXPECT_ROW:
        orphan_expect(b);
        break;
    case SESSION_EFFECT_COUNT:
        break;
    }
}

// Of a session that is gone its row, positions, sums and counters are left to see to; its client
// is not there any more.
static bool outlives_it(enum session_effect_kind kind) {
    static const bool kinds[SESSION_EFFECT_COUNT] = {
        [EFFECT_SAVE_LAST] = true,  [EFFECT_ATTEMPT] = true,       [EFFECT_RESENT] = true,
        [EFFECT_ACKED] = true,      [EFFECT_TAKEN_OVER] = true,    [EFFECT_DROP_ROW] = true,
        [EFFECT_EXPECT_ROW] = true, [EFFECT_TELL_REPLACED] = true, [EFFECT_TELL_CHANGED] = true};
    return kinds[kind];
}

static void free_binding(struct room_binding *b) {
    struct conn *c = b->conn;
    bool was_awaited = b->was_awaited;
    room_binding_free(b);
    conn_binding_freed(c, was_awaited);
}

static void take_item(struct room_binding *b, const struct effects_item *item) {
    switch (item->kind) {
    case EFFECTS_DO:
        if (room_binding_state(b) != SESSION_GONE || outlives_it(item->effect.kind))
            carry_out(b, &item->effect);
        break;
    case EFFECTS_STEP_OVER:
        if (room_binding_is_entered(b))
            room_binding_sent(b);
        break;
    case EFFECTS_SESSION_OVER:
        free_binding(b);
        break;
    }
}

void carry_out_all(struct effects *q) {
    struct room *r = container_of(q, struct room, effects);
    struct effects_item item;
    q->is_running = true;
    while (effects_take(q, &item)) {
        struct room_binding *b = slab_find(&r->bindings, item.slot, item.turn);
        if (b) // else it is over for longer than this was written down
            take_item(b, &item);
    }
    q->is_running = false;
    admission_all_asked(&r->questions.logins);
    conn_reap(r);
    if (!r->is_stopping)
        news_older_ask(r);
}
