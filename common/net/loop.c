// The loop's life, and one iteration: who is told of what.
#include "loop_internal.h"

enum {
    EVENTS_PER_STEP = 256,
    CONNECTIONS_MAX = 1 << 20,
    WATCHES_MAX = 1 << 16,
    STOOD_MS = 100, // an iteration that comes so much later than it was to: the loop stood still
};

struct loop *loop_new(struct os *os) {
    struct loop *l = hw_calloc(1, sizeof(*l));
    l->os = os;
    l->now_ms = os_now_ms(os);
    l->wall_ms = os_wall_ms(os);
    l->wheel = wheel_new(l->now_ms);
    rng_init(&l->rng, os_random(os));
    slab_init(&l->watches, sizeof(struct watch), WATCHES_MAX);
    slab_init(&l->streams, stream_bytes, CONNECTIONS_MAX);
    slab_init(&l->listeners, listener_bytes, WATCHES_MAX);
    l->hooks_end = &l->hooks;
    return l;
}

struct report {
    struct loop *loop;
    int count;
};

static void report_timer(void *arg, const struct timer *t) {
    struct report *r = arg;
    const struct timer_origin *origin = loop_origin_of(r->loop, t->fn);
    bool known = origin->fn == t->fn;
    fprintf(stderr, "loop: a timer is still armed, from %s:%d\n", known ? origin->file : "?",
            known ? origin->line : 0);
    r->count++;
}

static int report_leftovers(struct loop *l) {
    struct report r = {.loop = l};
    wheel_each(l->wheel, report_timer, &r);
    for (uint32_t slot = 0; slot < l->watches.high_water; slot++) {
        const struct watch *w = slab_at(&l->watches, slot);
        if (!w)
            continue;
        fprintf(stderr, "loop: a descriptor is still watched, from %s:%d\n", w->file, w->line);
        r.count++;
    }
    uint32_t streams = l->streams.used, listeners = l->listeners.used;
    if (streams + listeners > 0)
        fprintf(stderr, "loop: still open: %u streams, %u listeners\n", streams, listeners);
    if (l->jobs || l->hooks)
        fprintf(stderr, "loop: still scheduled:%s%s\n", l->jobs ? " a job" : "",
                l->hooks ? " a hook" : "");
    return r.count + (int)(streams + listeners) + (l->jobs != NULL) + (l->hooks != NULL);
}

int loop_free(struct loop *l) {
    int leftovers = report_leftovers(l);
    slab_deinit(&l->watches);
    slab_deinit(&l->streams);
    slab_deinit(&l->listeners);
    wheel_free(l->wheel);
    free(l->readable.keys);
    free(l->closing.keys);
    free(l);
    return leftovers;
}

static void dispatch(struct loop *l, const struct os_event *event) {
    uint32_t slot = key_slot(event->key), turn = key_turn(event->key);
    void *found = NULL;
    switch ((enum key_kind)(event->key >> 62)) {
    case KEY_STREAM:
        if ((found = slab_find(&l->streams, slot, turn)))
            stream_on_event(found, event->events);
        break;
    case KEY_LISTENER:
        if ((found = slab_find(&l->listeners, slot, turn)))
            listener_on_event(found);
        break;
    case KEY_WATCH:
        if ((found = slab_find(&l->watches, slot, turn))) {
            struct watch *w = found;
            w->fn(w->arg, w->fd, event->events);
        }
        break;
    }
    if (!found)
        l->stale_events++;
}

// Takes the queue as it is now; what is added meanwhile waits for the next round.
static void run_queue(struct loop *l, struct key_queue *q, void (*f)(struct stream *s)) {
    struct key_queue taken = *q;
    *q = (struct key_queue){0};
    for (size_t i = 0; i < taken.len; i++) {
        struct stream *s = slab_find(&l->streams, key_slot(taken.keys[i]), key_turn(taken.keys[i]));
        if (s)
            f(s);
    }
    free(taken.keys);
}

static void run_jobs(struct loop *l) {
    struct job *first = l->jobs;
    if (!first)
        return;
    // One slice each; the ring moves so that the next iteration begins with another one.
    l->jobs = first->next;
    if (!first->step(first) && first->loop)
        job_stop(first);
}

static void run_hooks(struct loop *l) {
    while (l->hooks) {
        struct hook *h = l->hooks;
        hook_stop(h);
        h->fn(h);
    }
}

static int wait_ms(const struct loop *l, int timeout_ms) {
    if (l->jobs || l->hooks || l->readable.len > 0 || l->closing.len > 0)
        return 0;
    uint64_t due = wheel_next_due_ms(l->wheel);
    if (due == UINT64_MAX)
        return timeout_ms;
    uint64_t now = os_now_ms(l->os);
    uint64_t left = due > now ? due - now : 0;
    int wait = left < INT32_MAX ? (int)left : INT32_MAX;
    return timeout_ms >= 0 && timeout_ms < wait ? timeout_ms : wait;
}

static void take_time(struct loop *l, int waited_ms) {
    uint64_t before = l->now_ms;
    l->now_ms = os_now_ms(l->os);
    uint64_t due = before + (uint64_t)waited_ms;
    if (waited_ms >= 0 && l->now_ms > due + STOOD_MS)
        l->stood_ms += l->now_ms - due;
}

void loop_step(struct loop *l, int timeout_ms) {
    struct os_event events[EVENTS_PER_STEP];
    int wait = wait_ms(l, timeout_ms);
    int count = os_wait(l->os, events, EVENTS_PER_STEP, wait);
    take_time(l, wait);
    l->wall_ms = os_wall_ms(l->os);
    for (int i = 0; i < count; i++)
        dispatch(l, &events[i]);
    run_queue(l, &l->readable, stream_read_more);
    wheel_run(l->wheel, l->now_ms);
    run_jobs(l);
    // Closing tells owners, who may schedule hooks or close more.
    do {
        run_hooks(l);
        run_queue(l, &l->closing, stream_finish);
    } while (l->hooks || l->closing.len > 0);
}

void loop_run(struct loop *l) {
    while (!l->stopping)
        loop_step(l, -1);
}

uint64_t loop_next_due_ms(const struct loop *l) {
    return l->jobs || l->hooks || l->readable.len > 0 || l->closing.len > 0
               ? 0
               : wheel_next_due_ms(l->wheel);
}

void loop_stop(struct loop *l) {
    l->stopping = true;
}
