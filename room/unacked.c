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
    bool is_due = wish == WISH_PING
                      ? conn_pinged_ms(c) == 0 || asked_ms >= ASK_APART_MS
                      : !room_binding_session(b)->is_shut_asked && stream_unsent(c->stream) == 0;
    return is_due && conn_ping(c);
}

// false: nothing is under way any more.
static bool look_at(struct room_binding *b) {
    uint32_t tick = binding_room(b)->tick_count;
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

void unacked_tick(struct room *r) {
    struct handles *w = &r->watched;
    size_t looks = w->count / LOOK_TICKS + 1;
    for (looks = looks < LOOKS_MAX ? looks : LOOKS_MAX; looks > 0 && w->count > 0; looks--) {
        if (r->watched_at >= w->count)
            r->watched_at = 0;
        struct handle *h = &w->list[r->watched_at];
        struct room_binding *b = room_binding_find(r, h->slot, h->turn);
        if (b && look_at(b)) {
            r->watched_at++;
            continue;
        }
        if (b)
            b->is_watched = false;
        *h = w->list[--w->count];
    }
    handles_fit(w);
}
