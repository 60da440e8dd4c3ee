// The products of a room: each that has sessions here, or had some lately, with what is known of
// its news. One that was deleted goes as soon as nobody holds it, one without sessions a while
// later: with it goes its memory.
#include "close_codes.h"
#include "room_internal.h"
#include <assert.h>

enum {
    PRODUCT_KEPT_MS = 15000, // without sessions
};

struct room_product *product_find_here(struct room *r, uint32_t number) {
    struct room_product *p = NULL;
    HASH_FIND(hh, r->products, &number, sizeof(number), p);
    return p;
}

static struct room_product *product_get(struct room *r, const struct product *from) {
    struct room_product *p = product_find_here(r, from->number);
    if (p)
        return p;
    p = hw_calloc(1, sizeof(*p));
    p->room = r;
    p->number = from->number;
    p->turn = ++r->product_turns;
    memcpy(p->name, from->name, sizeof(p->name));
    p->lives_end = &p->lives;
    news_log_init(&p->news, p, FEED_NEWS);
    HASH_ADD(hh, r->products, number, sizeof(p->number), p);
    return p;
}

void product_hold(struct room_binding *b, const struct product *from) {
    assert(!b->product);
    b->product = product_get(b->conn->room, from);
    b->product->holders++;
    b->conn->room->holders++;
}

void product_let_go(struct room_binding *b) {
    if (!b->product)
        return;
    b->product->holders--;
    b->conn->room->holders--;
    b->product->held_ms = loop_now_ms(b->product->room->loop);
    b->product = NULL;
}

void product_enter(struct room_binding *b) {
    struct room_product *p = b->product;
    b->prev = NULL;
    b->next = p->bindings;
    if (b->next)
        b->next->prev = b;
    p->bindings = b;
    p->session_count++;
    p->room->live_sessions++;
}

void product_leave(struct room_binding *b) {
    struct room_product *p = b->product;
    news_leaves(b);
    *(b->prev ? &b->prev->next : &p->bindings) = b->next;
    if (b->next)
        b->next->prev = b->prev;
    p->session_count--;
    p->room->live_sessions--;
}

void product_free_here(struct room_product *p) {
    job_stop(&p->live_job);
    news_log_free(p);
    news_lives_free(p);
    HASH_DEL(p->room->products, p);
    free(p);
}

static void end_sessions(struct room_product *p) {
    static const struct session_refusal closed = {CLOSE_PRODUCT_CLOSED, 0, "the product is closed"};
    while (p->bindings)
        conn_binding_over(p->bindings, &closed);
}

void product_deleted(struct room *r, uint32_t number) {
    struct room_product *p = product_find_here(r, number);
    if (!p)
        return;
    p->is_deleted = true;
    end_sessions(p);
}

static bool is_over(const struct room_product *p) {
    uint64_t now = loop_now_ms(p->room->loop);
    bool is_due = p->is_deleted || p->held_ms + PRODUCT_KEPT_MS <= now;
    return p->holders == 0 && is_due && news_log_is_done(p);
}

// Those whose login was under way when their product was deleted are ended here.
static void tick(struct room_product *p) {
    if (p->is_deleted)
        end_sessions(p);
    news_log_tick(p);
    news_blocks_tick(&p->news.window.older, loop_now_ms(p->room->loop));
    if (is_over(p))
        product_free_here(p);
}

void products_tick(struct room *r) {
    struct room_product *p, *next;
    HASH_ITER(hh, r->products, p, next)
        tick(p);
    r->product_count = HASH_COUNT(r->products);
    r->window_bytes = 0;
    for (p = r->products; p; p = p->hh.next)
        r->window_bytes += news_window_bytes(&p->news.window);
}

// --- calls for a product

struct product_call *product_call_new(struct room_product *p, uint64_t ticket) {
    struct product_call *call = hw_malloc(sizeof(*call));
    *call = (struct product_call){p->room, p->turn, ticket, p->number};
    return call;
}

struct room_product *product_call_over(struct product_call *call) {
    struct room_product *p =
        call->room->is_stopping ? NULL : product_find_here(call->room, call->product);
    if (p && p->turn != call->turn)
        p = NULL;
    free(call);
    return p;
}
