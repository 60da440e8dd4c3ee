// Who is let in. A room has connections_max places, and a connection takes one when a token of its
// Hello is found right: until then it keeps nobody out. Where all are taken it may resume a session
// that is here, takes the place of one that lingers, or is told that the room is full, with an end
// that it can read.
#include "close_codes.h"
#include "room_internal.h"

static void places_login_over(struct timer *t);

static void arm_until(struct conn *c, uint64_t end_ms) {
    uint64_t now_ms = loop_now_ms(conn_room(c)->loop);
    loop_arm(conn_room(c)->loop, &conn_transit(c)->timer, end_ms > now_ms ? end_ms - now_ms : 0,
             places_login_over);
}

bool conn_may_take_place(const struct conn *c) {
    const struct places *p = &conn_room(c)->places;
    bool has_connection = c->has_place || p->taken < p->connections_max;
    return p->lingering_count > 0 || (has_connection && p->holders < p->sessions_max);
}

bool conn_take_place(struct conn *c) {
    struct room *r = conn_room(c);
    struct places *p = &r->places;
    while (p->holders >= p->sessions_max && conn_give_way(r))
        continue;
    if (p->holders >= p->sessions_max ||
        (!c->has_place && p->taken == p->connections_max && !conn_give_way(r)))
        return false;
    if (!c->has_place) // its login has the time that any has
        arm_until(c, conn_transit(c)->login_by_ms);
    p->taken += !c->has_place;
    c->has_place = true;
    return true;
}

bool conn_give_way(struct room *r) {
    const struct transit *first = TAILQ_FIRST(&r->places.lingering);
    if (!first)
        return false;
    r->places.gave_way++;
    conn_end(first->conn);
    return true;
}

void conn_refuse(struct conn *c) {
    conn_close(c, CLOSE_TRY_ANOTHER, ROOM_FULL_TEXT, 0);
}

static void places_login_over(struct timer *t) {
    struct conn *c = container_of(t, struct transit, timer)->conn;
    if (!c->has_place && conn_room(c)->places.taken == conn_room(c)->places.connections_max)
        conn_refuse(c);
    else if (c->state == CONN_LOGIN)
        conn_close(c, CLOSE_BUSY, "the login took too long", BUSY_RETRY_MS);
    else
        conn_close(c, CLOSE_NO_ANSWER, "no Hello", 0);
}

// It has less time where others may need what it holds: where there would be no place for it.
void conn_comes_in(struct conn *c, uint64_t accepted_ms) {
    const struct places *p = &conn_room(c)->places;
    bool is_full = p->taken + p->strangers_count > p->connections_max; // with itself
    conn_transit(c)->login_by_ms = accepted_ms + LOGIN_MS;
    arm_until(c, accepted_ms + (is_full ? FULL_HELLO_MS : LOGIN_MS));
}

// At once, so that the slot is free: the door calls this outside of anything that goes on here.
bool conn_stranger_gives_way(void *room, uint64_t silent_since_ms) {
    struct room *r = room;
    uint32_t now_ms = (uint32_t)loop_now_ms(r->loop);
    const struct transit *first = TAILQ_FIRST(&r->places.strangers);
    if (!first || loop_now_ms(r->loop) - (now_ms - first->conn->heard_ms) > silent_since_ms)
        return false;
    r->places.strangers_displaced++;
    conn_end(first->conn);
    effects_settle(&r->effects); // what its login leaves to be done names it
    conn_reap(r);
    return true;
}

// Those that linger give way: they are no load.
uint32_t places_load(const struct room *r) {
    const struct places *p = &r->places;
    return (uint32_t)((uint64_t)(p->taken - p->lingering_count) * LOAD_FULL / p->connections_max);
}

void places_tick(struct room *r) {
    bool is_full = places_load(r) >= LOAD_FULL;
    if (is_full == r->places.is_full_told)
        return;
    r->places.is_full_told = is_full;
    part_announce(r->env->part);
}
