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

void room_drain_within(struct room *r, uint32_t within_ms) {
    if (r->is_draining)
        return;
    r->is_draining = true;
    listener_free(r->listener);
    r->listener = NULL;
    part_announce(r->env->part);
    for (uint32_t i = 0; i < r->conns.high_water; i++) {
        struct conn *c = slab_at(&r->conns, i);
        if (c && c->state == CONN_OPEN)
            conn_voice(c)->say_go_away(c, within_ms * 8 / 10,
                                       "draining"); // the rest is for stragglers
        else if (c && c->state != CONN_CLOSING)
            conn_close(c, CLOSE_DRAINING, "draining", 0);
    }
    loop_arm(r->loop, &r->drain_timer, within_ms * 9 / 10, close_rest);
}
