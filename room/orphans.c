// Rows on their way out. The row of a session that ended is dropped, and again until the register
// answers: who left would be online for as long as this run lasts. And a login whose answer never
// came may have left a row: the register is asked for the user's rows, and one of ours that no
// session here holds is dropped. Written late, it would stand above the client's next session for
// good; it is looked for several times, since a store whose clock went back does late steps too.
#include "room_internal.h"

enum {
    LOOK_AFTER_MS = CALL_MS + 500, // when the last moment of a login step is over
    LOOKS = 4,
    DROP_RETRY_MS = 1000,
    DROP_TRIES = 60
};

struct orphan {
    struct orphan *next, *prev; // in room.orphans
    struct room *room;
    struct timer timer;
    uint64_t generation; // 0 = not known: looked for
    uint32_t product;
    int tries;
    char *user, *device; // owned
};

static struct orphan *orphan_new(struct room *r, uint32_t product, const char *user,
                                 const char *device) {
    struct orphan *o = hw_calloc(1, sizeof(*o));
    o->room = r;
    o->product = product;
    o->user = hw_strdup(user);
    o->device = hw_strdup(device);
    o->next = r->orphans;
    if (o->next)
        o->next->prev = o;
    r->orphans = o;
    return o;
}

static void orphan_free(struct orphan *o) {
    struct room *r = o->room;
    loop_disarm(r->loop, &o->timer);
    *(o->prev ? &o->prev->next : &r->orphans) = o->next;
    if (o->next)
        o->next->prev = o->prev;
    free(o->user);
    free(o->device);
    free(o);
}

// --- a row that is known

static void drop(struct orphan *o);

static void drop_again(struct timer *t) {
    drop(container_of(t, struct orphan, timer));
}

static void on_dropped(void *arg, int error, const uint8_t *body, size_t len) {
    struct orphan *o = arg;
    (void)body;
    (void)len;
    if (error == 0 || o->room->is_stopping || ++o->tries == DROP_TRIES)
        orphan_free(o);
    else
        loop_arm(o->room->loop, &o->timer, DROP_RETRY_MS, drop_again);
}

static void drop(struct orphan *o) {
    struct room *r = o->room;
    Hawser__Internal__DropRequest request = HAWSER__INTERNAL__DROP_REQUEST__INIT;
    request.product = o->product;
    request.user = o->user;
    request.device = o->device;
    request.incarnation = r->env->incarnation;
    request.generation = o->generation;
    rpc_call(cluster_register(r->cluster), HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_DROP,
             &request.base, CALL_MS, on_dropped, o);
}

void orphan_drop(const struct session *s) {
    struct orphan *o = orphan_new(s->conn->room, s->product->number, s->user, s->conn->device);
    o->generation = s->generation;
    drop(o);
}

// --- a row that may come

static void look(struct timer *t);

static void drop_found(struct orphan *o, const Hawser__Internal__SessionRow *row) {
    struct room *r = o->room;
    if (!row->online || row->incarnation != r->env->incarnation ||
        strcmp(row->device, o->device) != 0 || session_by_row(r, row->slot, 0))
        return;
    struct orphan *found = orphan_new(r, o->product, o->user, o->device);
    found->generation = row->generation;
    drop(found);
}

static void on_found(void *arg, int error, const uint8_t *body, size_t len) {
    struct orphan *o = arg;
    struct room *r = o->room;
    Hawser__Internal__FindReply *reply =
        error == 0 ? hawser__internal__find_reply__unpack(NULL, len, body) : NULL;
    for (size_t i = 0; reply && i < reply->n_row; i++)
        drop_found(o, reply->row[i]);
    o->tries += reply != NULL;
    if (reply)
        hawser__internal__find_reply__free_unpacked(reply, NULL);
    if (r->is_stopping || o->tries == LOOKS)
        orphan_free(o);
    else
        loop_arm(r->loop, &o->timer, LOOK_AFTER_MS, look);
}

static void look(struct timer *t) {
    struct orphan *o = container_of(t, struct orphan, timer);
    struct room *r = o->room;
    Hawser__Internal__FindRequest request = HAWSER__INTERNAL__FIND_REQUEST__INIT;
    request.product = o->product;
    request.user = o->user;
    rpc_call(cluster_register(r->cluster), HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_FIND,
             &request.base, CALL_MS, on_found, o);
}

void orphan_expect(const struct session *s) {
    struct orphan *o = orphan_new(s->conn->room, s->product->number, s->user, s->conn->device);
    loop_arm(o->room->loop, &o->timer, LOOK_AFTER_MS, look);
}

void orphans_deinit(struct room *r) {
    while (r->orphans)
        orphan_free(r->orphans);
}
