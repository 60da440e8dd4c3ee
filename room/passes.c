// The passes over all sessions, a few at every tick: rows confirmed every 60 s, inbox heads asked
// every 30 s, both in a hurry when something was lost, and positions saved every 5 minutes; and one
// over all connections every 2 s: which of them are due soon. A pass is a slot of the slab that
// moves on; nothing is kept per session for it but the round of its last confirmation.
#include "room_internal.h"

enum {
    TICK_MS = 100,
    TICKS_A_SECOND = 1000 / TICK_MS,
    CONFIRM_TICKS = 60 * TICKS_A_SECOND,
    CONFIRM_AGAIN_TICKS = 2 * TICKS_A_SECOND,
    HEADS_TICKS = 30 * TICKS_A_SECOND,
    SAVE_TICKS = 300 * TICKS_A_SECOND,
    LOOK_TICKS = 2 * TICKS_A_SECOND,
    HURRIED_PER_TICK = 2000,
    HEADS_APART_MS = 10000,
};

// --- one session

static void confirm(struct room_binding *b) {
    if (room_binding_is_entered(b))
        room_binding_tell_kind(b, EVENT_CONFIRM_DUE);
}

static void confirm_if_old(struct room_binding *b) {
    if (fence_needs_confirmation(&room_binding_session(b)->fence, &binding_room(b)->lease))
        confirm(b);
}

static void head(struct room_binding *b) {
    if (room_binding_is_entered(b))
        ask_head(b);
}

static void passes_save(struct room_binding *b) {
    if (room_binding_is_entered(b))
        acks_save_last(b);
}

// --- passes

typedef void visit_fn(struct room_binding *b);

static void *next_of(const struct slab *all, struct pass *p) { // NULL: nobody has this slot
    p->at = p->at + 1 < all->high_water ? p->at + 1 : 0;
    return slab_at(all, p->at);
}

static void visit(struct room *r, struct pass *p, uint32_t count, visit_fn *what) {
    for (; count > 0 && r->bindings.high_water > 0; count--) {
        struct room_binding *b = next_of(&r->bindings, p);
        if (b)
            what(b);
    }
}

// So many slots that all are visited once in so many ticks. The rest of a division is kept for the
// next one: a small room does not ask more often than a large one.
static uint32_t pass_share(const struct slab *all, struct pass *p, uint32_t ticks) {
    uint32_t due = p->rest + all->high_water;
    p->rest = due % ticks;
    return due / ticks;
}

static void visit_share(struct room *r, struct pass *p, uint32_t ticks, visit_fn *what) {
    visit(r, p, pass_share(&r->bindings, p, ticks), what);
}

static void look_at_conns(struct room *r) {
    uint32_t count = pass_share(&r->conns, &r->passes.looks, LOOK_TICKS);
    for (; count > 0 && r->conns.high_water > 0; count--) {
        struct conn *c = next_of(&r->conns, &r->passes.looks);
        if (c)
            conn_look(c);
    }
}

// From the first slot: sessions that begin meanwhile need no visit, and must not shift the others.
static void hurry(const struct room *r, struct pass *p) {
    p->at = UINT32_MAX;
    p->hurried = r->bindings.high_water;
}

// No more than are answered in good time: all rooms hurry at once, and what misses its deadline is
// asked again.
static void visit_hurried(struct room *r, struct pass *p, const struct admission *of,
                          visit_fn *what) {
    uint64_t left = admission_left(of);
    uint32_t most = left < HURRIED_PER_TICK ? (uint32_t)left : HURRIED_PER_TICK;
    uint32_t count = p->hurried < most ? p->hurried : most;
    p->hurried -= count;
    visit(r, p, count, what);
}

static void visit_all(struct room *r) {
    uint64_t now = loop_now_ms(r->loop);
    struct passes *p = &r->passes;
    visit_share(r, &p->confirm, CONFIRM_TICKS, confirm);
    visit_share(r, &p->heads, HEADS_TICKS, head);
    visit_share(r, &p->save, SAVE_TICKS, passes_save);
    if (p->heads_wanted && now >= p->hurried_heads_ms + HEADS_APART_MS) {
        p->heads_wanted = p->heads_twice;
        p->heads_twice = false;
        if (r->bindings.high_water > 0) // else nobody is asked, and whoever comes need not wait
            p->hurried_heads_ms = now;
        hurry(r, &p->hurried_heads);
    }
    visit_hurried(r, &p->hurried_heads, &r->questions.heads, head);
    if (p->confirm_again && p->hurried_confirm.hurried == 0 &&
        p->tick_count % CONFIRM_AGAIN_TICKS == 0) {
        p->confirm_again = false;
        hurry(r, &p->hurried_confirm);
    }
    if (cluster_lease_is_held(r->cluster))
        visit_hurried(r, &p->hurried_confirm, &r->questions.confirmations, confirm_if_old);
}

static void passes_tick(struct timer *t) {
    struct room *r = container_of(t, struct room, passes.tick);
    loop_arm(r->loop, &r->passes.tick, TICK_MS, passes_tick);
    r->passes.tick_count++;
    standstill_tick(&r->standstill, loop_now_ms(r->loop));
    unacked_tick(r);
    places_tick(r);
    visit_all(r);
    look_at_conns(r);
    effects_settle(&r->effects); // what a session wrote down may need what it knows
    room_bindings_rest(r);
    if (r->passes.tick_count % TICKS_A_SECOND == 0) {
        ask_arrivals_again(r);
        products_tick(r);
    }
}

// --- what starts them

void passes_begin(struct room *r) {
    loop_arm(r->loop, &r->passes.tick, 0, passes_tick);
}

void passes_end(struct room *r) {
    loop_disarm(r->loop, &r->passes.tick);
}

void passes_confirm_all(struct room *r) {
    lease_confirm_again(&r->lease);
    hurry(r, &r->passes.hurried_confirm);
}

// While the lease is void so are our rows: another login would not name ours. Nothing is sent until
// each is confirmed again.
void passes_on_lease(struct room *r, bool held) {
    log_event(r->env->log, held ? LOG_INFO : LOG_WARN, held ? "lease held" : "lease lost", "%s",
              "");
    if (!held)
        lease_lost(&r->lease);
    hurry(r, &r->passes.hurried_confirm);
    for (struct room_product *p = r->products.table; p && held; p = p->hh.next)
        news_doubt(p);
}
