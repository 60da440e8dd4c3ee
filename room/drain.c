// A room that is to end tells its clients to go elsewhere, and closes those that stay.
#include "close_codes.h"
#include "room_internal.h"

static void close_rest(struct timer *t) {
    struct room *r = container_of(t, struct room, drain_timer);
    for (uint32_t i = 0; i < r->conns.high_water; i++) {
        struct conn *c = slab_at(&r->conns, i);
        if (c)
            conn_close(c, CLOSE_DRAINING, "draining", 0);
    }
}

enum { STRANGERS_MS = 1000 }; // for the first bytes, after which they are told of the drain

static void begin(struct room *r) {
    r->is_draining = true;
    listener_free(r->listener);
    r->listener = NULL;
    part_announce(r->env->part);
}

// Asked again, it can be sooner, and is not later.
void room_drain_within(struct room *r, uint32_t within_ms) {
    uint32_t rest_after_ms = within_ms * 9 / 10;
    if (r->is_draining && r->drain_timer.due_ms <= loop_now_ms(r->loop) + rest_after_ms)
        return;
    if (!r->is_draining)
        begin(r);
    door_hurry(&r->door, rest_after_ms < STRANGERS_MS ? rest_after_ms : STRANGERS_MS);
    log_event(r->env->log, LOG_INFO, "clients sent away", "within_ms=%u", within_ms);
    for (uint32_t i = 0; i < r->conns.high_water; i++) {
        struct conn *c = slab_at(&r->conns, i);
        if (c && c->state == CONN_OPEN)
            conn_voice(c)->say_go_away(c, within_ms * 8 / 10,
                                       "draining"); // the rest is for stragglers
        else if (c && c->state != CONN_CLOSING)
            conn_close(c, CLOSE_DRAINING, "draining", 0);
    }
    loop_arm(r->loop, &r->drain_timer, rest_after_ms, close_rest);
}
