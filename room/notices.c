// Notices to other rooms that a session of theirs was replaced by one here, or that this one has
// ended and the row is theirs again; repeated for a while. They come from the room that has the new
// session, not from the register: a login step that was held up and is done when nobody waits for
// it any more ends nobody's session.
#include "room_internal.h"

enum { NOTICE_MS = 2000, NOTICE_RETRY_MS = 200, NOTICE_TRIES = 20 };

struct notice {
    struct notice *next, *prev; // in room.notices
    struct room *room;
    Hawser__Internal__ReplacedRequest replaced;
    bool undone;
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

// A room that left the directory has ended all its sessions; one that misses every notice hears of
// it at its next confirmation.
static void on_told(void *arg, int error, const uint8_t *body, size_t len) {
    struct notice *n = arg;
    struct room *r = n->room;
    (void)body;
    (void)len;
    if (error == 0 || r->is_stopping || ++n->tries == NOTICE_TRIES ||
        !cluster_member_find(r->cluster, n->replaced.incarnation))
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
    if (n->undone)
        cluster_call(cluster, room, HAWSER__INTERNAL__ROOM_METHOD__ROOM_CONFIRM_ROW, &confirm.base,
                     NOTICE_MS, on_told, n);
    else
        cluster_call(cluster, room, HAWSER__INTERNAL__ROOM_METHOD__ROOM_REPLACED, &n->replaced.base,
                     NOTICE_MS, on_told, n);
}

void notice_send(struct room *r, const Hawser__Internal__SessionRow *replaced,
                 uint64_t by_generation, bool undone) {
    struct notice *n = hw_calloc(1, sizeof(*n));
    n->room = r;
    n->undone = undone;
    hawser__internal__replaced_request__init(&n->replaced);
    n->replaced.incarnation = replaced->incarnation;
    n->replaced.slot = replaced->slot;
    n->replaced.generation = replaced->generation;
    n->replaced.by_generation = by_generation;
    n->replaced.code = 4001;
    n->next = r->notices;
    if (n->next)
        n->next->prev = n;
    r->notices = n;
    tell(&n->retry);
}

void notices_deinit(struct room *r) {
    while (r->notices)
        notice_free(r->notices);
}
