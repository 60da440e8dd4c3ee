#include "stores.h"

#include "../../register/memory_internal.h"

#include "buf.h"
#include "message.h"

enum { CALL_LIMIT_US = 3000000, DEVICES_MAX = 64 };

struct journal { // of a store: what was done, and when
    struct journal *next;
    uint64_t at_us;
    int64_t step_ms; // of its clock then
    int method;
    ProtobufCMessage *request;
};

struct proxy_call;

// One of the two: the registers' or the savers'.
struct half {
    bool is_logs;
    struct os os; // no node, no sockets
    struct loop *loop;
    union {
        struct register_store *index;
        struct saver_store *logs;
    } store; // owned
    uint64_t seed, run;
    struct journal *journal, **journal_end;
};

struct stores {
    struct world *world;
    struct half index, logs;
    uint64_t stalled_until_us;
    bool is_deaf;             // stalled: it does later what it is sent meanwhile
    ProtobufCMessage *answer; // of stores_ask_saver
    uint64_t throttled_us[DEVICES_MAX];
};

static struct half *half_of(struct stores *s, bool is_logs) {
    return is_logs ? &s->logs : &s->index;
}

static void half_call(struct half *h, int method, const ProtobufCMessage *request,
                      register_done_fn *done, void *arg) {
    loop_step(h->loop, 0); // what time has ended
    if (h->is_logs)
        h->store.logs->ops->call(h->store.logs, method, request, done, arg);
    else
        h->store.index->ops->call(h->store.index, method, request, done, arg);
    loop_step(h->loop, 0);
}

// --- one run's view of a store

struct proxy { // either of the two tables first
    union {
        struct register_store index;
        struct saver_store logs;
    } store;
    struct stores *stores;
    struct proxy_call *calls; // whose owner has not heard yet
    int node;
    bool is_logs;
};

struct proxy_call {
    struct proxy_call *next, *prev;
    struct proxy *proxy; // NULL: its run is over
    struct stores *stores;
    int node, method, error;
    bool is_logs;
    ProtobufCMessage *request, *reply; // owned
    register_done_fn *done;            // the same type as saver_done_fn
    void *arg;
};

static void call_free(struct proxy_call *c) {
    protobuf_c_message_free_unpacked(c->request, NULL);
    if (c->reply)
        protobuf_c_message_free_unpacked(c->reply, NULL);
    free(c);
}

static void detach(struct proxy_call *c) {
    struct proxy *p = c->proxy;
    if (!p)
        return;
    *(c->prev ? &c->prev->next : &p->calls) = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->proxy = NULL;
}

static void call_over(void *arg) {
    struct proxy_call *c = arg;
    if (c->proxy) {
        detach(c);
        c->done(c->arg, c->error, c->error ? NULL : c->reply);
    }
    call_free(c);
}

static void call_dropped(void *arg) {
    call_free(arg);
}

static void answer(void *arg) {
    struct proxy_call *c = arg;
    if (c->proxy) // its node runs this in its next step, or never
        node_defer(c->stores->world, c->node, call_over, call_dropped, c);
    else
        call_free(c);
}

// --- steps

static void took_reply(void *arg, int error, const ProtobufCMessage *reply) {
    struct proxy_call *c = arg;
    c->error = error;
    c->reply = reply ? message_copy(reply) : NULL;
}

static void took_nothing(void *arg, int error, const ProtobufCMessage *reply) {
    (void)arg;
    (void)error;
    (void)reply;
}

// Questions change nothing, but a log that is read for the first time is made then: a replay must
// meet it in the same order.
static bool changes(bool is_logs, int method) {
    static const int questions[2][4] = {{HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_WATCH,
                                         HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_CATALOG_GET,
                                         HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_FIND,
                                         HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_ONLINE},
                                        {HAWSER__INTERNAL__SAVER_METHOD__SAVER_STATS,
                                         HAWSER__INTERNAL__SAVER_METHOD__SAVER_USER,
                                         HAWSER__INTERNAL__SAVER_METHOD__SAVER_CLOCK}};
    for (int i = 0; i < 4; i++)
        if (questions[is_logs][i] == method)
            return false;
    return true;
}

// The request is the journal's from then on.
static void journal_add(struct half *h, uint64_t now_us, const struct proxy_call *c) {
    struct journal *j = hw_calloc(1, sizeof(*j));
    j->at_us = now_us;
    j->step_ms = h->os.step_ms;
    j->method = c->method;
    j->request = c->request;
    *h->journal_end = j;
    h->journal_end = &j->next;
}

static unsigned device_index(const char *device) {
    return (unsigned)strtoul(device + strcspn(device, "0123456789"), NULL, 10) % DEVICES_MAX;
}

uint64_t stores_throttled_us(const struct stores *s, const char *device) {
    return s->throttled_us[device_index(device)];
}

// The steps that decide who holds a session, in the trace.
static void note_step(const struct proxy_call *c) {
    struct world *w = c->stores->world;
    const char *who = w->nodes[c->node].name;
    if (c->is_logs || !c->reply)
        return;
    if (c->method == HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_LOGIN) {
        const Hawser__Internal__LoginRequest *q = (Hawser__Internal__LoginRequest *)c->request;
        const Hawser__Internal__LoginReply *a = (Hawser__Internal__LoginReply *)c->reply;
        world_note(w, who, "login of %s at %s slot %llx: generation %llu refused %u", q->device,
                   q->room, (unsigned long long)q->slot, (unsigned long long)a->generation,
                   a->refused);
        if (a->refused == 4103)
            c->stores->throttled_us[device_index(q->device)] = w->now_us;
    } else if (c->method == HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_CONFIRM) {
        const Hawser__Internal__ConfirmRequest *q = (Hawser__Internal__ConfirmRequest *)c->request;
        const Hawser__Internal__ConfirmReply *a = (Hawser__Internal__ConfirmReply *)c->reply;
        if (a->outcome != HAWSER__INTERNAL__CONFIRMED__CONFIRMED_HELD)
            world_note(w, who, "confirmation of %s at %s, generation %llu: outcome %d, %llu",
                       q->device, q->room, (unsigned long long)q->generation, (int)a->outcome,
                       (unsigned long long)a->generation);
    } else if (c->method == HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_DROP) {
        const Hawser__Internal__DropRequest *q = (Hawser__Internal__DropRequest *)c->request;
        const Hawser__Internal__DropReply *a = (Hawser__Internal__DropReply *)c->reply;
        world_note(w, who, "drop of %s, generation %llu: %s", q->device,
                   (unsigned long long)q->generation, a->dropped ? "done" : "not its row");
    }
}

static void step(struct proxy_call *c) {
    struct stores *s = c->stores;
    struct half *h = half_of(s, c->is_logs);
    bool is_kept = changes(c->is_logs, c->method);
    if (is_kept)
        journal_add(h, s->world->now_us, c);
    half_call(h, c->method, c->request, took_reply, c);
    note_step(c);
    if (is_kept)
        c->request = NULL;
}

static void step_late(void *arg) {
    struct proxy_call *c = arg;
    step(c);
    call_free(c);
}

// While it is stalled nobody hears. Half of what was sent is done all the same, or all of it, late.
static void execute(void *arg) {
    struct proxy_call *c = arg;
    struct stores *s = c->stores;
    struct world *w = s->world;
    uint64_t wait = world_between(w, w->delay_us_min, w->delay_us_max / 4 + w->delay_us_min);
    if (s->stalled_until_us <= w->now_us) {
        step(c);
        world_at(w, wait, answer, c);
        return;
    }
    if (s->is_deaf) {
        struct proxy_call *late = hw_calloc(1, sizeof(*late));
        *late = (struct proxy_call){.stores = s,
                                    .node = c->node,
                                    .method = c->method,
                                    .is_logs = c->is_logs,
                                    .request = message_copy(c->request)};
        world_at(w, s->stalled_until_us - w->now_us, step_late, late);
    } else if (world_chance(w, 500)) {
        step(c);
    }
    if (c->reply)
        protobuf_c_message_free_unpacked(c->reply, NULL);
    c->reply = NULL;
    c->error = -HW_EOUTCOME;
    world_at(w, CALL_LIMIT_US, answer, c);
}

static void proxy_call(struct proxy *p, int method, const ProtobufCMessage *request,
                       register_done_fn *done, void *arg) {
    struct proxy_call *c = hw_calloc(1, sizeof(*c));
    struct world *w = p->stores->world;
    *c = (struct proxy_call){.next = p->calls,
                             .proxy = p,
                             .stores = p->stores,
                             .node = p->node,
                             .method = method,
                             .is_logs = p->is_logs,
                             .request = message_copy(request),
                             .done = done,
                             .arg = arg};
    if (c->next)
        c->next->prev = c;
    p->calls = c;
    world_at(w, world_between(w, w->delay_us_min, w->delay_us_max / 4 + w->delay_us_min), execute,
             c);
}

static void index_call(struct register_store *s, int method, const ProtobufCMessage *request,
                       register_done_fn *done, void *arg) {
    proxy_call((struct proxy *)s, method, request, done, arg);
}

static void logs_call(struct saver_store *s, int method, const ProtobufCMessage *request,
                      saver_done_fn *done, void *arg) {
    proxy_call((struct proxy *)s, method, request, done, arg);
}

static void proxy_free(struct proxy *p) {
    while (p->calls) {
        struct proxy_call *c = p->calls;
        detach(c);
        c->done(c->arg, -HW_ECANCELLED, NULL);
    }
    free(p);
}

static void index_free(struct register_store *s) {
    proxy_free((struct proxy *)s);
}

static void logs_free(struct saver_store *s) {
    proxy_free((struct proxy *)s);
}

static const char *index_down(struct register_store *s) {
    (void)s;
    return NULL;
}

static const char *logs_down(struct saver_store *s) {
    (void)s;
    return NULL;
}

static const struct register_store_ops index_ops = {
    .call = index_call, .down_reason = index_down, .free = index_free};
static const struct saver_store_ops logs_ops = {
    .call = logs_call, .down_reason = logs_down, .free = logs_free};

struct register_store *stores_register(struct stores *s, int node) {
    struct proxy *p = hw_calloc(1, sizeof(*p));
    p->stores = s;
    p->node = node;
    p->store.index.ops = &index_ops;
    return &p->store.index;
}

struct saver_store *stores_saver(struct stores *s, int node) {
    struct proxy *p = hw_calloc(1, sizeof(*p));
    p->stores = s;
    p->node = node;
    p->is_logs = true;
    p->store.logs.ops = &logs_ops;
    return &p->store.logs;
}

// --- faults

void stores_stall(struct stores *s, uint64_t until_us, bool is_deaf) {
    if (until_us > s->stalled_until_us)
        s->stalled_until_us = until_us;
    s->is_deaf = is_deaf;
    world_note(s->world, "store", is_deaf ? "hears nothing" : "stands still");
}

void stores_step_clock(struct stores *s, int64_t step_ms) {
    s->index.os.step_ms = s->index.os.wall_step_ms = step_ms; // also of a store that is made anew
    world_note(s->world, "store", "has its clock at %+lld ms", (long long)step_ms);
}

static void half_new(struct half *h) {
    rng_init(loop_rng(h->loop), h->seed); // a replay draws the same epochs
    if (h->is_logs)
        h->store.logs = saver_store_memory(h->loop);
    else
        h->store.index = register_store_memory(h->loop);
}

static void half_free(struct half *h) {
    if (h->is_logs)
        h->store.logs->ops->free(h->store.logs);
    else
        h->store.index->ops->free(h->store.index);
    loop_step(h->loop, 0);
}

static void journal_free(struct journal **at) {
    while (*at) {
        struct journal *j = *at;
        *at = j->next;
        protobuf_c_message_free_unpacked(j->request, NULL);
        free(j);
    }
}

static void half_empty(struct stores *s, struct half *h) {
    half_free(h);
    journal_free(&h->journal);
    h->journal_end = &h->journal;
    h->seed = rng_u64(&s->world->rng);
    half_new(h);
}

void stores_lose_everything(struct stores *s) {
    half_empty(s, &s->index);
    half_empty(s, &s->logs);
    world_note(s->world, "store", "has lost everything");
}

static void next_run(struct half *h) {
    if (h->is_logs)
        saver_store_memory_next_run(h->store.logs);
    else
        register_store_memory_next_run(h->store.index);
}

// The steps that were done until then are done again, at their own times; the rest never happened.
static void half_go_back(struct stores *s, struct half *h, uint64_t since_us) {
    uint64_t now_us = s->world->now_us;
    int64_t step_ms = h->os.step_ms;
    half_free(h);
    struct journal **at = &h->journal;
    s->world->now_us = *at ? (*at)->at_us : now_us;
    loop_free(h->loop);
    h->loop = loop_new(&h->os);
    half_new(h);
    for (; *at && (*at)->at_us < since_us; at = &(*at)->next) {
        s->world->now_us = (*at)->at_us;
        h->os.step_ms = (*at)->step_ms;
        half_call(h, (*at)->method, (*at)->request, took_nothing, NULL);
    }
    journal_free(at);
    h->journal_end = at;
    s->world->now_us = now_us;
    h->os.step_ms = step_ms;
    loop_step(h->loop, 0);
    rng_init(loop_rng(h->loop), rng_u64(&s->world->rng)); // what is made anew is another log
    h->run++;
    for (uint64_t i = 0; i < h->run; i++)
        next_run(h);
}

void stores_lose_tail(struct stores *s, uint64_t since_us) {
    half_go_back(s, &s->index, since_us);
    half_go_back(s, &s->logs, since_us);
    world_note(s->world, "store", "has lost what was done in its last %llu ms",
               (unsigned long long)((s->world->now_us - since_us) / 1000));
}

// --- life

static void half_begin(struct stores *s, struct half *h, bool is_logs) {
    h->is_logs = is_logs;
    h->os = (struct os){.world = s->world, .node = -1};
    h->os.deferred_end = &h->os.deferred;
    h->loop = loop_new(&h->os);
    h->journal_end = &h->journal;
    h->seed = rng_u64(&s->world->rng);
    half_new(h);
}

static void half_end(struct half *h) {
    half_free(h);
    journal_free(&h->journal);
    loop_free(h->loop);
}

struct stores *stores_new(struct world *w) {
    struct stores *s = hw_calloc(1, sizeof(*s));
    s->world = w;
    half_begin(s, &s->index, false);
    half_begin(s, &s->logs, true);
    return s;
}

void stores_free(struct stores *s) {
    half_end(&s->index);
    half_end(&s->logs);
    free(s);
}

// --- questions

uint64_t stores_lease_end_us(struct stores *s, uint64_t incarnation) {
    struct memory_store *m = (struct memory_store *)s->index.store.index;
    struct member *e = NULL;
    loop_step(s->index.loop, 0);
    HASH_FIND(hh, m->members, &incarnation, sizeof(incarnation), e);
    return register_memory_is_live(m, incarnation) ? (e->lease_end_ms - m->clock_offset_ms) * 1000
                                                   : 0;
}

static void keep_answer(void *arg, int error, const ProtobufCMessage *reply) {
    struct stores *s = arg;
    s->answer = error == 0 ? message_copy(reply) : NULL;
}

ProtobufCMessage *stores_ask_saver(struct stores *s, int method, const ProtobufCMessage *request) {
    half_call(&s->logs, method, request, keep_answer, s);
    return s->answer;
}

ProtobufCMessage *stores_ask_register(struct stores *s, int method,
                                      const ProtobufCMessage *request) {
    half_call(&s->index, method, request, keep_answer, s);
    return s->answer;
}

uint32_t stores_product(struct stores *s, const char *product) {
    Hawser__Internal__CatalogGetRequest q = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    char key[40];
    uint32_t number = 0;
    snprintf(key, sizeof(key), "product/%s", product);
    q.key = key;
    Hawser__Internal__CatalogGetReply *a = (Hawser__Internal__CatalogGetReply *)stores_ask_register(
        s, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_CATALOG_GET, &q.base);
    Hawser__Internal__Product *p =
        a->entry
            ? hawser__internal__product__unpack(NULL, a->entry->value.len, a->entry->value.data)
            : NULL;
    if (p) {
        number = p->number;
        hawser__internal__product__free_unpacked(p, NULL);
    }
    hawser__internal__catalog_get_reply__free_unpacked(a, NULL);
    return number;
}

uint64_t stores_oldest(struct stores *s, const char *product, const char *user) {
    Hawser__Internal__HeadRequest head = HAWSER__INTERNAL__HEAD_REQUEST__INIT;
    Hawser__Internal__LoadRequest load = HAWSER__INTERNAL__LOAD_REQUEST__INIT;
    head.product = load.product = stores_product(s, product);
    head.user = load.user = (char *)(uintptr_t)user;
    Hawser__Internal__HeadReply *at = (Hawser__Internal__HeadReply *)stores_ask_saver(
        s, HAWSER__INTERNAL__SAVER_METHOD__SAVER_HEAD, &head.base);
    load.epoch = at->epoch;
    load.max_messages = load.max_bytes = 1;
    uint64_t oldest = at->head + 1;
    Hawser__Internal__LoadReply *entries = (Hawser__Internal__LoadReply *)stores_ask_saver(
        s, HAWSER__INTERNAL__SAVER_METHOD__SAVER_LOAD, &load.base);
    for (size_t i = 0; i < entries->n_entry; i++)
        if (entries->entry[i]->message && entries->entry[i]->seq < oldest)
            oldest = entries->entry[i]->seq;
    hawser__internal__head_reply__free_unpacked(at, NULL);
    hawser__internal__load_reply__free_unpacked(entries, NULL);
    return oldest;
}
