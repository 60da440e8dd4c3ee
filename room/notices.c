// Notices to rooms, this one too, that a session was replaced by a login here, or that its row has
// changed: the login that had taken it has ended, or one that came before was given it. Repeated
// for a while. They come from the room that has the new session, not from the register: a login
// step that was held up and is done when nobody waits for it any more ends nobody's session.
#include "room_internal.h"

enum { NOTICE_MS = 2000, NOTICE_RETRY_MS = 200, NOTICE_TRIES = 20 };

struct notice {
    struct notice *next, *prev; // in room.notices
    struct room *room;
    Hawser__Internal__ReplacedRequest replaced; // by_generation 0: to be confirmed
    struct timer retry;
    int tries;
};

static void notice_free(struct notice *n) {
    struct room *r = n->room;
    loop_disarm(r->loop, &n->retry);
    *(n->prev ? &n->prev->next : &r->notices) = n->next;
    if (n->next)
        n->next->prev = n->prev;
    free(n);
}

static void tell(struct timer *t);

// Also to a room that the directory does not have: we may have slept while it came. One that misses
// every notice hears of it at its next confirmation.
static void on_told(void *arg, int error, const uint8_t *body, size_t len) {
    struct notice *n = arg;
    struct room *r = n->room;
    (void)body;
    (void)len;
    if (error == 0 || r->is_stopping || ++n->tries == NOTICE_TRIES)
        notice_free(n);
    else
        loop_arm(r->loop, &n->retry, NOTICE_RETRY_MS, tell);
}

static void tell(struct timer *t) {
    struct notice *n = container_of(t, struct notice, retry);
    struct cluster *cluster = n->room->cluster;
    struct rpc_link *room = cluster_peer(cluster, n->replaced.incarnation);
    Hawser__Internal__ConfirmRowRequest confirm = HAWSER__INTERNAL__CONFIRM_ROW_REQUEST__INIT;
    confirm.incarnation = n->replaced.incarnation;
    confirm.slot = n->replaced.slot;
    if (n->replaced.by_generation == 0)
        cluster_call(cluster, room, HAWSER__INTERNAL__ROOM_METHOD__ROOM_CONFIRM_ROW, &confirm.base,
                     NOTICE_MS, on_told, n);
    else
        cluster_call(cluster, room, HAWSER__INTERNAL__ROOM_METHOD__ROOM_REPLACED, &n->replaced.base,
                     NOTICE_MS, on_told, n);
}

static void notice_new(struct room *r, const Hawser__Internal__SessionRow *row,
                       uint64_t by_generation) {
    struct notice *n = hw_calloc(1, sizeof(*n));
    n->room = r;
    hawser__internal__replaced_request__init(&n->replaced);
    n->replaced.incarnation = row->incarnation;
    n->replaced.slot = row->slot;
    n->replaced.generation = row->generation;
    n->replaced.by_generation = by_generation;
    n->replaced.code = 4001;
    n->next = r->notices;
    if (n->next)
        n->next->prev = n;
    r->notices = n;
    tell(&n->retry);
}

void notice_replaced(struct room *r, const Hawser__Internal__SessionRow *row,
                     uint64_t by_generation) {
    if (row->incarnation == r->env->incarnation)
        session_replaced(r, row->slot, row->generation, 4001, REPLACED_TEXT);
    else
        notice_new(r, row, by_generation);
}

void notice_confirm_row(struct room *r, const Hawser__Internal__SessionRow *row) {
    struct session *own =
        row->incarnation == r->env->incarnation ? session_at_place(r, row->slot) : NULL;
    if (own)
        session_row_has_changed(own);
    else if (row->incarnation != r->env->incarnation)
        notice_new(r, row, 0);
}

void notices_deinit(struct room *r) {
    while (r->notices)
        notice_free(r->notices);
}
