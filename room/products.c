// The products of a room: each that has sessions here, or had some lately, with what is known of
// its news, and who is in it.
#include "room_internal.h"
#include <assert.h>

struct room_product *product_find_here(struct room *r, uint32_t number) {
    struct room_product *p = NULL;
    HASH_FIND(hh, r->products.table, &number, sizeof(number), p);
    return p;
}

static void begin_voice(struct broadcasts *log, const struct voice *voice, bool is_once) {
    struct voice_news *v = &log->by_voice[voice_news_index(voice->index, is_once)];
    if (v->log)
        return;
    v->log = log;
    v->voice = voice;
    v->is_once = is_once;
    news_window_init(&v->window, &log->product->room->products.window_limits,
                     &log->product->room->products.older);
    if (log->known)
        news_window_start(&v->window, log->known->epoch, log->known->head, NULL);
    else
        log->known = &v->window;
}

static struct room_product *product_get(struct room *r, const struct product *from) {
    struct room_product *p = product_find_here(r, from->number);
    if (p)
        return p;
    p = hw_calloc(1, sizeof(*p));
    p->room = r;
    p->number = from->number;
    p->turn = ++r->products.turns;
    memcpy(p->name, from->name, sizeof(p->name));
    p->passing_end = &p->passing;
    for (int i = 0; i < LOGS; i++) {
        p->log[i].product = p;
        p->log[i].stream = (enum feed_stream)(FEED_NEWS + i);
    }
    HASH_ADD(hh, r->products.table, number, sizeof(p->number), p);
    return p;
}

void product_hold(struct room_binding *b, const struct product *from) {
    assert(!b->product);
    b->product = product_get(binding_room(b), from);
    for (int i = 0; i < LOGS; i++)
        begin_voice(&b->product->log[i], conn_voice(b->conn), false);
    b->product->holders++;
}

void product_keeps_for(struct room_binding *b, const struct session *s) {
    for (int i = 0; i < LOGS; i++) {
        struct broadcasts *log = &b->product->log[i];
        if (session_wants_once(s, log->stream))
            begin_voice(log, conn_voice(b->conn), true);
    }
}

void product_let_go(struct room_binding *b) {
    if (!b->product)
        return;
    b->product->holders--;
    b->product->held_ms = loop_now_ms(b->product->room->loop);
    b->product = NULL;
}

void product_enter(struct room_binding *b) {
    struct room_product *p = b->product;
    b->next = NULL;
    b->prev = p->last_binding;
    *(b->prev ? &b->prev->next : &p->bindings) = b;
    p->last_binding = b;
    p->session_count++;
    p->room->products.sessions++;
}

// Walks that have come to it go on with the next. It stands in the list no more.
static void leave_walks(const struct room_binding *b) {
    struct room_product *p = b->product;
    for (int i = 0; i < LOGS; i++) {
        struct broadcasts *log = &p->log[i];
        if (log->walk_until == b)
            log->walk_until = b->next;
        if (log->walk_at == b)
            broadcasts_walk_on(log, b);
    }
    for (struct passing *w = p->passing; w; w = w->next)
        if (w->at == b)
            w->at = b->next;
}

void product_leave(struct room_binding *b) {
    struct room_product *p = b->product;
    *(b->prev ? &b->prev->next : &p->bindings) = b->next;
    *(b->next ? &b->next->prev : &p->last_binding) = b->prev;
    leave_walks(b);
    p->session_count--;
    p->room->products.sessions--;
}

// --- calls for a product

struct product_call *product_call_new(const struct room_product *p) {
    struct product_call *call = hw_malloc(sizeof(*call));
    *call = (struct product_call){.room = p->room, .turn = p->turn, .product = p->number};
    return call;
}

struct product_call *log_call_new(const struct broadcasts *log, uint64_t ticket) {
    struct product_call *call = product_call_new(log->product);
    call->stream = log->stream;
    call->ticket = ticket;
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

struct broadcasts *log_call_over(struct product_call *call) {
    enum feed_stream stream = call->stream;
    struct room_product *p = product_call_over(call);
    return p ? product_log(p, stream) : NULL;
}
