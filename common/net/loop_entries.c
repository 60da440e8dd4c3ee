// What the loop is asked for: its clock, timers, descriptors to watch, jobs and hooks. loop.c does
// it when it is due.
#include "loop_internal.h"

#include <assert.h>

// --- keys

uint64_t loop_key(enum key_kind kind, const void *object) {
    uint64_t turn = slab_turn(object) & INT32_MAX;
    return (uint64_t)kind << 62 | turn << 31 | slab_slot(object);
}

uint32_t key_slot(uint64_t key) {
    return (uint32_t)(key & INT32_MAX);
}

uint32_t key_turn(uint64_t key) {
    return (uint32_t)(key >> 31 & INT32_MAX);
}

void key_queue_add(struct key_queue *q, uint64_t key) {
    if (q->len == q->capacity) {
        q->capacity = q->capacity ? q->capacity * 2 : 64;
        q->keys = hw_realloc(q->keys, q->capacity * sizeof(q->keys[0]));
    }
    q->keys[q->len++] = key;
}

// --- what it knows

struct os *loop_os(struct loop *l) {
    return l->os;
}

struct rng *loop_rng(struct loop *l) {
    return &l->rng;
}

uint64_t loop_now_ms(const struct loop *l) {
    return l->now_ms;
}

uint64_t loop_ran_ms(const struct loop *l) {
    return l->now_ms - l->stood_ms;
}

uint64_t loop_wall_ms(const struct loop *l) {
    return l->wall_ms;
}

uint64_t loop_clock_us(struct loop *l) {
    return os_now_us(l->os);
}

const uint64_t *loop_stale_events(const struct loop *l) {
    return &l->stale_events;
}

const uint64_t *loop_kept_bytes(const struct loop *l) {
    return &l->kept_bytes;
}

const uint64_t *loop_accepts_refused(const struct loop *l) {
    return &l->accepts_refused;
}

// --- timers

struct timer_origin *loop_origin_of(struct loop *l, timer_fn *fn) {
    return &l->origins[((uintptr_t)fn >> 4) % ORIGINS];
}

void loop_arm_at(struct loop *l, struct timer *t, uint64_t after_ms, timer_fn *fn, const char *file,
                 int line) {
    *loop_origin_of(l, fn) = (struct timer_origin){.fn = fn, .file = file, .line = line};
    uint64_t due = after_ms < UINT64_MAX - l->now_ms ? l->now_ms + after_ms : UINT64_MAX;
    wheel_arm(l->wheel, t, due, fn);
}

void loop_disarm(struct loop *l, struct timer *t) {
    wheel_stop(l->wheel, t);
}

// --- descriptors

struct watch *loop_watch_at(struct loop *l, int fd, uint32_t events, watch_fn *fn, void *arg,
                            const char *file, int line) {
    struct watch *w = slab_take(&l->watches);
    assert(w);
    *w = (struct watch){
        .loop = l, .fn = fn, .arg = arg, .file = file, .line = line, .fd = fd, .events = events};
    if (os_watch(l->os, fd, loop_key(KEY_WATCH, w), events) != 0)
        abort(); // a descriptor that cannot be polled is a programmer's error
    return w;
}

void watch_set(struct watch *w, uint32_t events) {
    if (w->events == events)
        return;
    w->events = events;
    if (os_rewatch(w->loop->os, w->fd, loop_key(KEY_WATCH, w), events) != 0)
        abort();
}

void watch_end(struct watch *w) {
    os_unwatch(w->loop->os, w->fd);
    slab_give(w);
}

// --- jobs and hooks

void job_start(struct loop *l, struct job *j, bool (*step)(struct job *j)) {
    if (j->loop)
        return;
    j->loop = l;
    j->step = step;
    if (!l->jobs) {
        l->jobs = j->next = j->prev = j;
        return;
    }
    j->next = l->jobs;
    j->prev = l->jobs->prev;
    j->prev->next = j->next->prev = j;
}

void job_stop(struct job *j) {
    struct loop *l = j->loop;
    if (!l)
        return;
    if (j->next == j) {
        l->jobs = NULL;
    } else {
        j->prev->next = j->next;
        j->next->prev = j->prev;
        if (l->jobs == j)
            l->jobs = j->next;
    }
    j->loop = NULL;
    j->next = j->prev = NULL;
}

void hook_schedule(struct loop *l, struct hook *h, void (*fn)(struct hook *h)) {
    if (h->loop)
        return;
    h->loop = l;
    h->fn = fn;
    h->next = NULL;
    h->prev = l->hooks ? container_of(l->hooks_end, struct hook, next) : NULL;
    *l->hooks_end = h;
    l->hooks_end = &h->next;
}

void hook_stop(struct hook *h) {
    struct loop *l = h->loop;
    if (!l)
        return;
    if (h->next)
        h->next->prev = h->prev;
    else
        l->hooks_end = h->prev ? &h->prev->next : &l->hooks;
    if (h->prev)
        h->prev->next = h->next;
    else
        l->hooks = h->next;
    h->loop = NULL;
    h->next = h->prev = NULL;
}

void loop_on_signal(struct loop *l, os_signal_fn *handler, void *arg) {
    os_signals(l->os, handler, arg);
}
