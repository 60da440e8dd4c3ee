#include "worker.h"

#include <sys/socket.h>
#include <unistd.h>

#include "client.h"

enum { SWEEP_MS = 5000, TICK_MS = 1, TOKEN_LIFE_S = 80000 };

// Sessions that are to log in: next..end-1 are still to begin. Without a rate a new one begins when
// one is through; with a rate when it is due.
struct login {
    struct timer tick;
    struct worker *worker;
    uint32_t next, first, end, at_once, waiting; // waiting: begun and not through
    uint64_t rate, due_us;                       // due_us: of the first
};

// Pings, spread evenly.
struct pings {
    struct timer tick;
    struct worker *worker;
    uint32_t next, first, end;
    uint64_t began_us, over_us;
};

static const struct dialect *const dialects[DIALECTS] = {[DIALECT_HAWSER] = &dialect_hawser,
                                                         [DIALECT_FLOOR] = &dialect_floor,
                                                         [DIALECT_REDIS] = &dialect_redis,
                                                         [DIALECT_NATS] = &dialect_nats,
                                                         [DIALECT_MQTT] = &dialect_mqtt};

static struct client *client_at(struct worker *w, uint32_t number) {
    return &w->clients[number - w->first];
}

// --- login

static void login_one(struct login *l, uint64_t due_us) {
    struct client *c = client_at(l->worker, l->next++);
    if (c->state != CLIENT_AWAY || timer_is_armed(&c->again))
        return;
    c->due_us = due_us;
    l->waiting++;
    client_connect(c);
}

static void login_fill(struct login *l) {
    while (l->rate == 0 && l->next < l->end && l->waiting < l->at_once)
        login_one(l, l->due_us);
}

void worker_login_settled(struct worker *w) {
    if (w->login->waiting > 0)
        w->login->waiting--;
    login_fill(w->login);
}

static void login_tick(struct timer *t) {
    struct login *l = container_of(t, struct login, tick);
    uint64_t now_us = loop_clock_us(l->worker->loop);
    while (l->next < l->end) {
        uint64_t due_us = l->due_us + (uint64_t)(l->next - l->first) * 1000000 / l->rate;
        if (due_us > now_us)
            break;
        login_one(l, due_us);
    }
    if (l->next < l->end)
        loop_arm(l->worker->loop, t, TICK_MS, login_tick);
}

static void login_order(struct worker *w, const struct order *o) {
    struct login *l = w->login;
    loop_disarm(w->loop, &l->tick);
    *l = (struct login){.worker = w,
                        .next = o->first,
                        .first = o->first,
                        .end = o->end,
                        .at_once = o->at_once,
                        .rate = o->rate,
                        .due_us = o->due_us};
    if (l->rate > 0)
        login_tick(&l->tick);
    else
        login_fill(l);
}

// --- pings

static void pings_tick(struct timer *t) {
    struct pings *p = container_of(t, struct pings, tick);
    uint64_t passed_us = loop_clock_us(p->worker->loop) - p->began_us;
    uint64_t count = p->end - p->first;
    while (p->next < p->end && (p->next - p->first) * p->over_us <= passed_us * count)
        client_ping(client_at(p->worker, p->next++));
    if (p->next < p->end)
        loop_arm(p->worker->loop, t, TICK_MS, pings_tick);
}

static void pings_begin(struct worker *w, const struct order *o) {
    loop_disarm(w->loop, &w->pings->tick);
    *w->pings = (struct pings){.worker = w,
                               .next = o->first,
                               .first = o->first,
                               .end = o->end,
                               .began_us = loop_clock_us(w->loop),
                               .over_us = o->over_ms * 1000};
    pings_tick(&w->pings->tick);
}

// --- orders

static void counts_reset(struct worker *w) {
    for (int i = 0; i < COUNTS; i++)
        if (i != COUNT_ORDERS && i != COUNT_OPEN && i != COUNT_SYNCED) // how things are
            atomic_store(&w->own->counts[i], 0);
    memset(w->own->lanes, 0, sizeof(w->own->lanes));
}

static void leave_all(struct worker *w, const struct order *o) {
    for (uint32_t i = o->first; i < o->end; i++)
        client_part(client_at(w, i), o->kind == ORDER_LOGOUT);
}

static void carry_order_out(struct worker *w, const struct order *o) {
    w->dialect = dialects[w->share->plan.dialect];
    switch (o->kind) {
    case ORDER_RESET:
        counts_reset(w);
        break;
    case ORDER_LOGIN:
        login_order(w, o);
        break;
    case ORDER_LOGOUT:
    case ORDER_DROP:
        leave_all(w, o);
        break;
    case ORDER_PING:
        pings_begin(w, o);
        break;
    case ORDER_SEND:
        break; // the floor's
    case ORDER_END:
        loop_stop(w->loop);
        break;
    }
    count_add(w->own, COUNT_ORDERS, 1);
}

static void worker_on_order(void *arg, int fd, uint32_t events) {
    struct worker *w = arg;
    struct order o;
    (void)events;
    if (recv(fd, &o, sizeof(o), MSG_DONTWAIT) != (ssize_t)sizeof(o)) {
        loop_stop(w->loop); // the conductor is gone
        return;
    }
    // Only the clients that this worker has.
    uint32_t end = w->first + w->count;
    o.first = o.first < w->first ? w->first : o.first;
    o.end = o.end > end ? end : o.end;
    o.end = o.end < o.first ? o.first : o.end;
    carry_order_out(w, &o);
}

static void sweep(struct timer *t) {
    struct worker *w = container_of(t, struct worker, sweep);
    for (uint32_t i = 0; i < w->count && w->dialect && w->dialect->sweep; i++)
        if (w->clients[i].state == CLIENT_OPEN)
            w->dialect->sweep(&w->clients[i]);
    loop_arm(w->loop, t, SWEEP_MS, sweep);
}

void worker_run(struct share *share, struct worker_place place, int orders) {
    struct os *os = os_new();
    struct worker w = {.share = share,
                       .own = &share->workers[place.index],
                       .loop = loop_new(os),
                       .first = place.first,
                       .count = place.count,
                       .expires_s = os_wall_ms(os) / 1000 + TOKEN_LIFE_S,
                       .clients = hw_calloc(place.count, sizeof(struct client)),
                       .login = hw_calloc(1, sizeof(struct login)),
                       .pings = hw_calloc(1, sizeof(struct pings))};
    for (uint32_t i = 0; i < w.count; i++) {
        w.clients[i].worker = &w;
        w.clients[i].number = w.first + i;
    }
    struct watch *watch = loop_watch(w.loop, orders, OS_READABLE, worker_on_order, &w);
    loop_arm(w.loop, &w.sweep, SWEEP_MS, sweep);
    loop_run(w.loop);
    watch_end(watch);
    loop_disarm(w.loop, &w.sweep);
    loop_disarm(w.loop, &w.login->tick);
    loop_disarm(w.loop, &w.pings->tick);
    for (uint32_t i = 0; w.dialect && i < w.count; i++)
        client_part(&w.clients[i], false);
    loop_free(w.loop);
    os_free(os);
    buf_free(&w.scratch);
    free(w.clients);
    free(w.login);
    free(w.pings);
}
