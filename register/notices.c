// Notices to rooms that a session of theirs was replaced, repeated for a while. A room that misses
// one for good hears of it at its next confirmation.
#include "buf.h"
#include "register_internal.h"
#include "room.pb-c.h"

enum { NOTICE_MS = 2000, NOTICE_RETRY_MS = 200, NOTICE_TRIES = 20 };

struct notice {
    struct notice *next, *prev; // in registry.notices
    struct registry *registry;
    Hawser__Internal__ReplacedRequest request;
    struct timer retry;
    int tries;
};

static void notice_free(struct notice *n) {
    struct registry *r = n->registry;
    loop_disarm(r->loop, &n->retry);
    *(n->prev ? &n->prev->next : &r->notices) = n->next;
    if (n->next)
        n->next->prev = n->prev;
    free(n);
}

static void tell(struct timer *t);

static void on_told(void *arg, int error, const uint8_t *body, size_t len) {
    struct notice *n = arg;
    (void)body;
    (void)len;
    if (error == 0 || error == -HW_ECANCELLED || ++n->tries == NOTICE_TRIES)
        notice_free(n);
    else
        loop_arm(n->registry->loop, &n->retry, NOTICE_RETRY_MS, tell);
}

static void tell(struct timer *t) {
    struct notice *n = container_of(t, struct notice, retry);
    struct cluster *cluster = part_cluster(n->registry->part);
    cluster_call(cluster, cluster_peer(cluster, n->request.incarnation),
                 HAWSER__INTERNAL__ROOM_METHOD__ROOM_REPLACED, &n->request.base, NOTICE_MS, on_told,
                 n);
}

void notice_send(struct registry *r, const Hawser__Internal__LoginReply *login) {
    struct notice *n = hw_calloc(1, sizeof(*n));
    n->registry = r;
    hawser__internal__replaced_request__init(&n->request);
    n->request.incarnation = login->replaced->incarnation;
    n->request.slot = login->replaced->slot;
    n->request.generation = login->replaced->generation;
    n->request.by_generation = login->generation;
    n->request.code = 4001;
    n->next = r->notices;
    if (n->next)
        n->next->prev = n;
    r->notices = n;
    r->count.takeovers++;
    tell(&n->retry);
}

void notices_free(struct registry *r) {
    while (r->notices)
        notice_free(r->notices);
}
