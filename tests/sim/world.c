#include "world.h"

#include <assert.h>
#include <stdarg.h>

#include "buf.h"
#include "crypto.h"

// --- the event queue: a binary heap by (time, order of adding)

static bool before(const struct world_event *a, const struct world_event *b) {
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void world_at(struct world *w, uint64_t after_us, world_fn *fn, void *arg) {
    if (w->heap_len == w->heap_capacity) {
        w->heap_capacity = w->heap_capacity ? w->heap_capacity * 2 : 1024;
        w->heap = hw_realloc(w->heap, w->heap_capacity * sizeof(w->heap[0]));
    }
    struct world_event e = {w->now_us + after_us, w->order++, fn, arg};
    size_t i = w->heap_len++;
    for (; i > 0 && before(&e, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = e;
}

static struct world_event pop(struct world *w) {
    struct world_event top = w->heap[0], last = w->heap[--w->heap_len];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < w->heap_len) {
        if (child + 1 < w->heap_len && before(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!before(&w->heap[child], &last))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return top;
}

// --- chance

uint64_t world_between(struct world *w, uint64_t low, uint64_t high) {
    return low + rng_below(&w->rng, high - low + 1);
}

uint64_t world_chance(struct world *w, uint32_t permille) {
    return rng_below(&w->rng, 1000) < permille;
}

uint64_t world_ms(const struct world *w) {
    return w->now_us / 1000;
}

void world_note(struct world *w, const char *who, const char *format, ...) {
    static const uint8_t key[16] = "hawser sim trace";
    char text[512];
    va_list args;
    int n = snprintf(text, sizeof(text), "%llu %s ", (unsigned long long)w->now_us, who);
    va_start(args, format);
    n += vsnprintf(text + n, sizeof(text) - (size_t)n, format, args);
    va_end(args);
    if (n >= (int)sizeof(text))
        n = sizeof(text) - 1;
    uint8_t mix[8];
    memcpy(mix, &w->hash, 8);
    w->hash = siphash(key, text, (size_t)n) ^ (siphash(key, mix, 8) * 3);
    if (w->trace)
        printf("%9.3f %s\n", (double)(w->now_us - (uint64_t)START_MS * 1000) / 1e6,
               text + strcspn(text, " ") + 1);
}

void world_init(struct world *w, uint64_t seed) {
    *w = (struct world){.seed = seed, .now_us = (uint64_t)START_MS * 1000};
    rng_init(&w->rng, seed);
    w->delay_us_min = (uint32_t)world_between(w, 20, 500);
    w->delay_us_max = w->delay_us_min + (uint32_t)world_between(w, 100, 20000);
    w->slow_permille = (uint32_t)world_between(w, 0, 20);
    w->send_buffer = (uint32_t)world_between(w, 2, 64) * 1024;
    w->receive_buffer = (uint32_t)world_between(w, 2, 64) * 1024;
    w->chop_permille = (uint32_t)world_between(w, 0, 200);
}

void world_deinit(struct world *w) {
    free(w->heap);
    w->heap = NULL;
}

// --- nodes

int node_add(struct world *w, const char *name) {
    int i = w->node_count++;
    assert(i < NODES_MAX);
    struct node *n = &w->nodes[i];
    *n = (struct node){
        .address = 0x0a000001u + (uint32_t)i, .due_us = UINT64_MAX, .event_us = UINT64_MAX};
    snprintf(n->name, sizeof(n->name), "%s", name);
    n->os = (struct os){.world = w, .node = i, .next_port = 20000};
    n->os.deferred_end = &n->os.deferred;
    return i;
}

void node_address(const struct world *w, int node, char *out, size_t len) {
    uint32_t a = w->nodes[node].address;
    snprintf(out, len, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

static void at_due(void *arg);

// The event for it comes no later than that.
static void set_due(struct world *w, int node, uint64_t due_us) {
    struct node *n = &w->nodes[node];
    uint64_t bit = UINT64_C(1) << (node % 64);
    n->due_us = due_us;
    if (due_us <= w->now_us) {
        w->due[node / 64] |= bit;
        return;
    }
    w->due[node / 64] &= ~bit;
    if (due_us < n->event_us) {
        n->event_us = due_us;
        world_at(w, due_us - w->now_us, at_due, n);
    }
}

static void at_due(void *arg) {
    struct node *n = arg;
    if (n->event_us <= n->os.world->now_us)
        n->event_us = UINT64_MAX; // else there is another one, before this
    if (n->due_us != UINT64_MAX)
        set_due(n->os.world, n->os.node, n->due_us);
}

struct loop *node_boot(struct world *w, int node) {
    struct node *n = &w->nodes[node];
    assert(!n->loop);
    n->os.is_dead = false;
    n->run++;
    n->is_frozen = false;
    n->loop = loop_new(&n->os);
    node_wake(w, node);
    world_note(w, n->name, "starts");
    return n->loop;
}

struct deferred {
    struct deferred *next;
    world_fn *fn, *dropped;
    void *arg;
};

static void drop_deferred(struct os *os) {
    while (os->deferred) {
        struct deferred *d = os->deferred;
        os->deferred = d->next;
        if (d->dropped)
            d->dropped(d->arg);
        free(d);
    }
    os->deferred_end = &os->deferred;
}

int node_halt(struct world *w, int node, bool kill) {
    struct node *n = &w->nodes[node];
    drop_deferred(&n->os);
    loop_step(n->loop, 0); // what was ended is finished
    net_close_all(&n->os, kill);
    drop_deferred(&n->os);
    int left = loop_free(n->loop);
    n->loop = NULL;
    set_due(w, node, UINT64_MAX);
    world_note(w, n->name, kill ? "is killed" : "ends");
    return left;
}

void node_freeze(struct world *w, int node, bool frozen) {
    struct node *n = &w->nodes[node];
    if (n->is_frozen == frozen || !n->loop)
        return;
    n->is_frozen = frozen;
    world_note(w, n->name, frozen ? "freezes" : "thaws");
    set_due(w, node, UINT64_MAX);
    if (!frozen)
        node_wake(w, node);
}

void node_wake(struct world *w, int node) {
    struct node *n = &w->nodes[node];
    n->is_ready = true;
    if (n->loop && !n->is_frozen)
        set_due(w, node, w->now_us);
}

void node_defer(struct world *w, int node, world_fn *fn, world_fn *dropped, void *arg) {
    struct os *os = &w->nodes[node].os;
    struct deferred *d = hw_calloc(1, sizeof(*d));
    *d = (struct deferred){.fn = fn, .dropped = dropped, .arg = arg};
    *os->deferred_end = d;
    os->deferred_end = &d->next;
    node_wake(w, node);
}

void world_cut(struct world *w, int from, int to, uint64_t until_us) {
    if (w->cut_until_us[from][to] < until_us)
        w->cut_until_us[from][to] = until_us;
}

// --- time goes on

static void step_node(struct world *w, int i) {
    struct node *n = &w->nodes[i];
    n->is_ready = false;
    n->os.spent_us = 0;
    w->steps++;
    loop_step(n->loop, 0);
    if (!n->loop)
        return;
    uint64_t due_ms = loop_next_due_ms(n->loop);
    uint64_t due_us = n->is_ready || n->os.deferred ? w->now_us
                      : due_ms > UINT64_MAX / 1000  ? UINT64_MAX
                                                    : due_ms * 1000;
    set_due(w, i, due_us > w->now_us ? due_us : w->now_us);
    if (w->stepped)
        w->stepped(w->stepped_arg, i);
}

// The first node that is due from there on, or node_count.
static int next_due(const struct world *w, int from) {
    for (int word = from / 64; word < NODES_MAX / 64; word++) {
        uint64_t due = word == from / 64 ? w->due[word] >> from % 64 << from % 64 : w->due[word];
        if (due)
            return word * 64 + __builtin_ctzll(due);
    }
    return w->node_count;
}

// All nodes that are due now, beginning with any of them.
static void step_due(struct world *w) {
    int first = (int)rng_below(&w->rng, (uint64_t)w->node_count);
    for (int i = next_due(w, first); i < w->node_count; i = next_due(w, i + 1))
        step_node(w, i);
    for (int i = next_due(w, 0); i < first; i = next_due(w, i + 1))
        step_node(w, i);
}

void world_run(struct world *w, uint64_t until_us) {
    for (;;) {
        uint64_t next = next_due(w, 0) < w->node_count ? w->now_us
                        : w->heap_len                  ? w->heap[0].at_us
                                                       : UINT64_MAX;
        if (next > until_us)
            break;
        // A step takes a moment: whoever is due at once again comes after what else is due then.
        w->now_us = next > w->now_us ? next : w->now_us;
        while (w->heap_len && w->heap[0].at_us <= w->now_us) {
            struct world_event e = pop(w);
            e.fn(e.arg);
        }
        if (next_due(w, 0) == w->node_count)
            continue;
        step_due(w);
        w->now_us += 1 + rng_below(&w->rng, 20);
    }
    if (w->now_us < until_us)
        w->now_us = until_us;
}

// --- what the loop asks of its os besides sockets

struct os *os_new(void) {
    abort(); // nodes are made by node_add
}

void os_free(struct os *os) {
    (void)os;
}

uint64_t os_now_us(struct os *os) {
    os->spent_us += rng_below(&os->world->rng, 3000); // work takes time: budgets run out
    return os->world->now_us + os->spent_us;
}

uint64_t os_now_ms(struct os *os) {
    return (uint64_t)((int64_t)(os->world->now_us / 1000) + os->step_ms);
}

uint64_t os_wall_ms(struct os *os) {
    return (uint64_t)((int64_t)WALL_MS * 1000 + (int64_t)(os->world->now_us / 1000) +
                      os->wall_step_ms);
}

uint64_t os_random(struct os *os) {
    return rng_u64(&os->world->rng);
}

uint32_t os_descriptors(const struct os *os) {
    (void)os;
    return 1 << 20; // more than any run makes
}

int os_wait(struct os *os, struct os_event *events, int max, int timeout_ms) {
    (void)timeout_ms; // the world knows when this node has something to do
    struct deferred *list = os->deferred;
    os->deferred = NULL;
    os->deferred_end = &os->deferred;
    while (list) {
        struct deferred *d = list;
        list = d->next;
        d->fn(d->arg);
        free(d);
    }
    return net_wait(os, events, max);
}

void os_wake(struct os *os) {
    node_wake(os->world, os->node);
}

int os_fd(struct os *os) {
    (void)os;
    return -1;
}

void os_signals(struct os *os, os_signal_fn *handler, void *arg) {
    (void)os; // nobody sends signals here
    (void)handler;
    (void)arg;
}
