// How products end: one that was deleted goes as soon as nobody holds it, one without sessions a
// while later: with it goes its memory.
#include "close_codes.h"
#include "room_internal.h"

enum {
    PRODUCT_KEPT_MS = 15000, // without sessions
};

void product_free_here(struct room_product *p) {
    job_stop(&p->passing_job);
    news_logs_free(p);
    news_passing_free(p);
    HASH_DEL(p->room->products.table, p);
    free(p);
}

static void end_sessions(struct room_product *p) {
    static const struct session_refusal closed = {CLOSE_PRODUCT_CLOSED, 0, "the product is closed"};
    for (struct room_binding *b = p->bindings; b; b = b->next)
        room_binding_over(b, &closed);
}

void product_end_here(struct room *r, uint32_t number) {
    struct room_product *p = product_find_here(r, number);
    if (!p)
        return;
    p->is_deleted = true;
    end_sessions(p);
}

static bool is_over(const struct room_product *p) {
    uint64_t now = loop_now_ms(p->room->loop);
    bool is_due = p->is_deleted || p->held_ms + PRODUCT_KEPT_MS <= now;
    return p->holders == 0 && is_due && news_logs_are_done(p);
}

// Those whose login was under way when their product was deleted are ended here.
static void tick(struct room_product *p) {
    if (p->is_deleted)
        end_sessions(p);
    news_logs_tick(p);
    if (is_over(p))
        product_free_here(p);
}

void products_tick(struct room *r) {
    struct room_product *p, *next;
    HASH_ITER(hh, r->products.table, p, next)
        tick(p);
    r->products.count = HASH_COUNT(r->products.table);
    r->products.news_window_bytes = 0;
    for (p = r->products.table; p; p = p->hh.next)
        r->products.news_window_bytes += news_logs_bytes(p);
}
