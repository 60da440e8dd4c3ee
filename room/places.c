// Who is let in. A room has connections_max places; whoever comes beyond them is a visitor: it may
// resume a session that is here, takes the place of one that lingers once its token is found right,
// or is told that the room is full, with an end that it can read.
#include "close_codes.h"
#include "room_internal.h"

static void places_login_over(struct timer *t);

bool conn_may_take_place(const struct conn *c) {
    const struct room *r = conn_room(c);
    bool has_connection = c->has_place || r->places < r->connections_max;
    return r->lingering_count > 0 || (has_connection && r->holders < r->sessions_max);
}

bool conn_take_place(struct conn *c) {
    struct room *r = conn_room(c);
    while (r->holders >= r->sessions_max && conn_give_way(r))
        continue;
    if (r->holders >= r->sessions_max ||
        (!c->has_place && r->places == r->connections_max && !conn_give_way(r)))
        return false;
    if (!c->has_place) // its login has the time that any has
        loop_arm(r->loop, &conn_transit(c)->timer, LOGIN_MS, places_login_over);
    r->places += !c->has_place;
    c->has_place = true;
    return true;
}

bool conn_give_way(struct room *r) {
    const struct transit *first = TAILQ_FIRST(&r->lingering);
    if (!first)
        return false;
    r->count.gave_way++;
    conn_end(first->conn);
    return true;
}

void conn_refuse(struct conn *c) {
    conn_close(c, CLOSE_TRY_ANOTHER, ROOM_FULL_TEXT, 0);
}

static void places_login_over(struct timer *t) {
    struct conn *c = container_of(t, struct transit, timer)->conn;
    if (!c->has_place)
        conn_refuse(c);
    else if (c->state == CONN_LOGIN)
        conn_close(c, CLOSE_BUSY, "the login took too long", BUSY_RETRY_MS);
    else
        conn_close(c, CLOSE_NO_ANSWER, "no Hello", 0);
}

void conn_begin_visit(struct conn *c, uint64_t accepted_ms) {
    struct room *r = conn_room(c);
    c->has_place = r->places < r->connections_max;
    r->places += c->has_place;
    uint64_t end_ms = accepted_ms + (c->has_place ? LOGIN_MS : VISIT_MS),
             now_ms = loop_now_ms(r->loop);
    loop_arm(r->loop, &conn_transit(c)->timer, end_ms > now_ms ? end_ms - now_ms : 0,
             places_login_over);
}

// Those that linger give way: they are no load.
uint32_t places_load(const struct room *r) {
    return (uint32_t)((uint64_t)(r->places - r->lingering_count) * LOAD_FULL / r->connections_max);
}

void places_tick(struct room *r) {
    bool is_full = places_load(r) >= LOAD_FULL;
    if (is_full == r->is_full_told)
        return;
    r->is_full_told = is_full;
    part_announce(r->env->part);
}
