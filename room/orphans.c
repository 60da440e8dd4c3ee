// Rows on their way out. The row of a session that ended is dropped, and again until the register
// answers: who left would be online for as long as this run lasts. And a login whose answer never
// came, or a confirmation that is done after the drop, may have left a row: the register is asked
// for the user's rows, and one of ours that no session here holds is dropped. Written late, it
// would stand above the client's next session for good; it is looked for several times, since a
// store whose clock went back does steps after their last moment. No more are asked for at once
// than are answered in good time: all sessions of a room may end at once, in all rooms.
#include "room_internal.h"

enum {
    LOOK_AFTER_MS =
        ROW_LAST_MOMENT_MS + 500, // after it was asked for: the last moment to write it is over
    LOOKS = 4,
    AGAIN_MS = 1000,
    FAILURES_MAX = 60
};

struct orphan {
    struct orphan *next, *prev; // in room.orphans
    struct room *room;
    struct timer timer;
    uint64_t generation; // 0 = not known: looked for
    uint64_t asked_ms;
    uint32_t product;
    int looks, failures; // of calls: answered looks, those without an answer
    char *user, *device; // owned
};

// NULL: there are as many as sessions can be. The row stays until the user's next login of the
// device, or the end of this run.
static struct orphan *orphan_new(struct room *r, uint32_t product, const char *user,
                                 const char *device) {
    if (r->orphans.count == r->bindings.slots_max) {
        r->orphans.given_up++;
        return NULL;
    }
    struct orphan *o = hw_calloc(1, sizeof(*o));
    r->orphans.count++;
    o->room = r;
    o->product = product;
    o->user = hw_strdup(user);
    o->device = hw_strdup(device);
    o->next = r->orphans.list;
    if (o->next)
        o->next->prev = o;
    r->orphans.list = o;
    return o;
}

static void orphan_free(struct orphan *o) {
    struct room *r = o->room;
    loop_disarm(r->loop, &o->timer);
    r->orphans.count--;
    *(o->prev ? &o->prev->next : &r->orphans.list) = o->next;
    if (o->next)
        o->next->prev = o->prev;
    free(o->user);
    free(o->device);
    free(o);
}

static void orphans_try_again(struct orphan *o, uint64_t delay_ms, timer_fn *fn) {
    struct room *r = o->room;
    if (o->failures == FAILURES_MAX)
        r->orphans.given_up++;
    if (r->is_stopping || o->failures == FAILURES_MAX)
        orphan_free(o);
    else
        loop_arm(r->loop, &o->timer, delay_ms, fn);
}

// Whether the register is asked now. Else its time comes again: that is no failure.
static bool may_ask(struct orphan *o, timer_fn *fn) {
    struct room *r = o->room;
    if (admission_left(&r->orphans.asks) == 0) {
        loop_arm(r->loop, &o->timer, AGAIN_MS, fn);
        return false;
    }
    o->asked_ms = loop_now_ms(r->loop);
    admission_asked(&r->orphans.asks);
    return true;
}

static void orphan_answered(struct orphan *o, int error) {
    struct room *r = o->room;
    admission_answered(&r->orphans.asks, o->asked_ms, loop_now_ms(r->loop), error == 0);
    o->failures += error != 0;
}

// --- a row that is known

static void orphans_drop(struct orphan *o);

static void drop_again(struct timer *t) {
    orphans_drop(container_of(t, struct orphan, timer));
}

static void on_dropped(void *arg, int error, const Hawser__Internal__DropReply *reply) {
    struct orphan *o = arg;
    (void)reply;
    orphan_answered(o, error);
    if (error == 0)
        orphan_free(o);
    else
        orphans_try_again(o, AGAIN_MS, drop_again);
}

static void orphans_drop(struct orphan *o) {
    struct room *r = o->room;
    Hawser__Internal__DropRequest request = HAWSER__INTERNAL__DROP_REQUEST__INIT;
    if (!may_ask(o, drop_again))
        return;
    request.product = o->product;
    request.user = o->user;
    request.device = o->device;
    request.incarnation = r->env->incarnation;
    request.generation = o->generation;
    register_drop(register_of(r->cluster), &request, on_dropped, o);
}

static void drop_row(struct orphan *o, uint64_t generation) {
    if (!o)
        return;
    o->generation = generation;
    orphans_drop(o);
}

void orphan_drop(const struct room_binding *b) {
    drop_row(orphan_new(binding_room(b), b->product->number, room_binding_user(b), b->conn->device),
             room_binding_generation(b));
}

// --- a row that may come

static void look(struct timer *t);

static void drop_found(struct orphan *o, const Hawser__Internal__SessionRow *row) {
    struct room *r = o->room;
    // Whether it is online or not: none of ours is while our lease is void.
    if (row->incarnation != r->env->incarnation || strcmp(row->device, o->device) != 0 ||
        room_binding_of_row_slot(r, row->slot))
        return;
    drop_row(orphan_new(r, o->product, o->user, o->device), row->generation);
}

static void orphans_on_found(void *arg, int error, const Hawser__Internal__FindReply *reply) {
    struct orphan *o = arg;
    orphan_answered(o, error);
    for (size_t i = 0; reply && i < reply->n_row; i++)
        drop_found(o, reply->row[i]);
    o->looks += error == 0;
    if (o->looks == LOOKS)
        orphan_free(o);
    else
        orphans_try_again(o, error == 0 ? LOOK_AFTER_MS : AGAIN_MS, look);
}

static void look(struct timer *t) {
    struct orphan *o = container_of(t, struct orphan, timer);
    struct room *r = o->room;
    Hawser__Internal__FindRequest request = HAWSER__INTERNAL__FIND_REQUEST__INIT;
    if (!may_ask(o, look))
        return;
    request.product = o->product;
    request.user = o->user;
    register_find(register_of(r->cluster), &request, orphans_on_found, o);
}

void orphan_expect(const struct room_binding *b) {
    struct room *r = binding_room(b);
    struct orphan *o = orphan_new(r, b->product->number, room_binding_user(b), b->conn->device);
    uint64_t now_ms = loop_wall_ms(r->loop);
    uint64_t asked_ms = room_binding_since_ms(b),
             since_ms = now_ms > asked_ms ? now_ms - asked_ms : 0;
    if (o)
        loop_arm(r->loop, &o->timer, since_ms < LOOK_AFTER_MS ? LOOK_AFTER_MS - since_ms : 0, look);
}

void orphans_deinit(struct room *r) {
    while (r->orphans.list)
        orphan_free(r->orphans.list);
}
