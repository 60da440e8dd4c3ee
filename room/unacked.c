// What clients were sent and have not acknowledged: who has something under way stands in a list
// (room_binding_sent puts it there), is looked at twice a second and leaves it when all is
// acknowledged. Who is at rest costs nothing.
#include "room_internal.h"

enum {
    LOOK_TICKS = 5,   // each is looked at once in so many
    LOOKS_MAX = 20000 // a tick: 2 ms
};

// A window that is shut while its bytes are still unsent says nothing of the client. Once they are
// sent, the client is asked, and not again before an Ack has come.
static bool unacked_ask(struct room_binding *b, enum feed_wish wish) {
    struct conn *c = b->conn;
    uint64_t asked_ms = loop_now_ms(conn_room(c)->loop) - conn_pinged_ms(c);
    bool is_due = wish == WISH_PING ? conn_pinged_ms(c) == 0 || asked_ms >= ASK_APART_MS
                                    : !room_binding_session(b)->unacked.is_shut_asked &&
                                          stream_unsent(c->stream) == 0;
    return is_due && conn_ping(c);
}

// false: nothing is under way any more.
static bool unacked_look(struct room_binding *b) {
    uint32_t tick = binding_room(b)->passes.tick_count;
    bool is_at_rest;
    if (room_binding_state(b) != SESSION_LIVE || b->conn->state != CONN_OPEN)
        return false; // what is sent after a resume is watched anew
    struct product_heads heads = room_binding_heads(b);
    if (session_refusal_is_due(room_binding_session(b), &heads, tick))
        room_binding_tell_kind(b, EVENT_PONGED);
    enum feed_wish wish = session_look(room_binding_session(b), &heads, tick, &is_at_rest);
    if (wish != WISH_NOTHING && unacked_ask(b, wish))
        session_pings(room_binding_session(b), &heads, tick);
    return !is_at_rest;
}

static bool stays_watched(void *room, uint64_t row_slot) {
    struct room_binding *b = room_binding_of_row_slot(room, row_slot);
    if (!b)
        return false;
    b->is_watched = unacked_look(b);
    return b->is_watched;
}

void unacked_tick(struct room *r) {
    size_t looks = r->watched.count / LOOK_TICKS + 1;
    handles_look(&r->watched, looks < LOOKS_MAX ? looks : LOOKS_MAX, stays_watched, r);
}
