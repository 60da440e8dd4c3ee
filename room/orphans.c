// Rows that a login left behind whose answer never came: when its last moment is over, the register
// is asked for the user's rows, and one of ours that no session here holds is dropped. Without it
// such a row, written late, would stand above the client's next session for good.
#include "room_internal.h"

enum { ORPHAN_WAIT_MS = CALL_MS + 500, ORPHAN_RETRY_MS = 1000, ORPHAN_TRIES = 60 };

struct orphan {
    struct orphan *next, *prev; // in room.orphans
    struct room *room;
    struct timer timer;
    uint32_t product;
    int tries;
    char *user, *device; // owned
};

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

static void on_dropped(void *arg, int error, const uint8_t *body, size_t len) {
    (void)arg; // at worst the row stays until this run ends
    (void)error;
    (void)body;
    (void)len;
}

static void drop(struct orphan *o, const Hawser__Internal__SessionRow *row) {
    struct room *r = o->room;
    Hawser__Internal__DropRequest request = HAWSER__INTERNAL__DROP_REQUEST__INIT;
    request.product = o->product;
    request.user = o->user;
    request.device = o->device;
    request.incarnation = row->incarnation;
    request.generation = row->generation;
    rpc_call(cluster_register(r->cluster), HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_DROP,
             &request.base, CALL_MS, on_dropped, r);
}

static void look(struct timer *t);

static void on_found(void *arg, int error, const uint8_t *body, size_t len) {
    struct orphan *o = arg;
    struct room *r = o->room;
    Hawser__Internal__FindReply *reply =
        error == 0 ? hawser__internal__find_reply__unpack(NULL, len, body) : NULL;
    for (size_t i = 0; reply && i < reply->n_row; i++) {
        const Hawser__Internal__SessionRow *row = reply->row[i];
        if (row->online && row->incarnation == r->env->incarnation &&
            strcmp(row->device, o->device) == 0 && !session_by_row(r, row->slot, row->generation))
            drop(o, row);
    }
    if (reply)
        hawser__internal__find_reply__free_unpacked(reply, NULL);
    if (reply || r->is_stopping || ++o->tries == ORPHAN_TRIES)
        orphan_free(o);
    else
        loop_arm(r->loop, &o->timer, ORPHAN_RETRY_MS, look);
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
    struct room *r = s->conn->room;
    struct orphan *o = hw_calloc(1, sizeof(*o));
    o->room = r;
    o->product = s->product->number;
    o->user = hw_strdup(s->user);
    o->device = hw_strdup(s->conn->device);
    o->next = r->orphans;
    if (o->next)
        o->next->prev = o;
    r->orphans = o;
    loop_arm(r->loop, &o->timer, ORPHAN_WAIT_MS, look);
}

void orphans_deinit(struct room *r) {
    while (r->orphans)
        orphan_free(r->orphans);
}
