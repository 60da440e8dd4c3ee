#include "replaced.h"

#include "room_internal.h"

enum {
    RENEWAL_ON_ITS_WAY_MS = 10000, // longer than a client waits for a pong
    REPLACED_MAX = 1000,           // of a room; the oldest gives way
};

struct replaced_binding {
    struct replaced_binding *next;
    uint64_t until_ms;
    uint32_t conn_slot, conn_turn, product;
    char user[];
};

static void forget_oldest(struct replaced *all) {
    struct replaced_binding *oldest = all->first;
    all->first = oldest->next;
    all->count--;
    free(oldest);
}

static void forget_over(struct room *r) {
    struct replaced *all = &r->replaced;
    while (all->first && all->first->until_ms <= loop_now_ms(r->loop))
        forget_oldest(all);
}

void replaced_note(const struct room_binding *b) {
    struct room *r = binding_room(b);
    struct replaced *all = &r->replaced;
    const char *user = room_binding_user(b);
    size_t bytes = strlen(user) + 1;
    forget_over(r);
    if (all->count == REPLACED_MAX)
        forget_oldest(all);
    struct replaced_binding *n = hw_malloc(sizeof(*n) + bytes);
    *n = (struct replaced_binding){.until_ms = loop_now_ms(r->loop) + RENEWAL_ON_ITS_WAY_MS,
                                   .conn_slot = slab_slot(b->conn),
                                   .conn_turn = slab_turn(b->conn),
                                   .product = b->product->number};
    memcpy(n->user, user, bytes);
    if (!all->first)
        all->end = &all->first;
    *all->end = n;
    all->end = &n->next;
    all->count++;
}

static bool names_positions(const struct room_binding *b) {
    const struct session_have *have = &b->of.awake->session.have;
    for (int i = 0; i < FEEDS; i++)
        if (have->given[i])
            return true;
    return false;
}

bool replaced_before_renewal(const struct room_binding *b, uint32_t product) {
    struct room *r = binding_room(b);
    forget_over(r);
    for (const struct replaced_binding *n = r->replaced.first; n; n = n->next)
        if (n->conn_slot == slab_slot(b->conn) && n->conn_turn == slab_turn(b->conn) &&
            n->product == product && strcmp(n->user, room_binding_user(b)) == 0)
            return !names_positions(b);
    return false;
}

void replaced_deinit(struct room *r) {
    while (r->replaced.first)
        forget_oldest(&r->replaced);
}
