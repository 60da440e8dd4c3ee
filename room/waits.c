#include "room_internal.h"

enum { RETRY_MS = 500 };

static bool waited_long(void *room, uint64_t row_slot) {
    struct room_binding *b = room_binding_of_row_slot(room, row_slot);
    if (b)
        room_binding_tell_kind(b, EVENT_WAITED);
    return false;
}

// What is added meanwhile waits its own time.
static void retry_all(struct timer *t) {
    struct room *r = container_of(t, struct room, waits.timer);
    handles_take(&r->waits.list, waited_long, r);
}

void room_binding_retry_later(struct room_binding *b) {
    struct room *r = binding_room(b);
    handles_add(&r->waits.list, room_binding_row_slot(b));
    if (!timer_is_armed(&r->waits.timer))
        loop_arm(r->loop, &r->waits.timer, RETRY_MS, retry_all);
}

void waits_deinit(struct room *r) {
    loop_disarm(r->loop, &r->waits.timer);
    handles_deinit(&r->waits.list);
}
