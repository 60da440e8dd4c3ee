#include "stores.h"

#include "../../register/memory_internal.h"

#include "buf.h"
#include "message.h"

enum { CALL_LIMIT_US = 3000000, DEVICES_MAX = 64 };

struct journal { // of the savers' store: what was done, and when
    struct journal *next;
    uint64_t at_us;
    int method;
    ProtobufCMessage *request;
};

struct proxy_call;

struct stores {
    struct world *world;
    struct os os, index_os;         // of the stores: no node, no sockets
    struct loop *loop, *index_loop; // of the logs, of the index
    struct register_store *index;   // owned
    struct saver_store *logs;       // owned
    uint64_t logs_seed, logs_run, stalled_until_us;
    struct journal *journal, **journal_end;
    ProtobufCMessage *answer; // of stores_ask_saver
    uint64_t throttled_us[DEVICES_MAX];
};

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

// A log that is read for the first time is made then: a replay must meet it in the same order.
static bool changes(int method) {
    return method != HAWSER__INTERNAL__SAVER_METHOD__SAVER_STATS &&
           method != HAWSER__INTERNAL__SAVER_METHOD__SAVER_USER &&
           method != HAWSER__INTERNAL__SAVER_METHOD__SAVER_CLOCK;
}

static void journal_add(struct stores *s, const struct proxy_call *c) {
    struct journal *j = hw_calloc(1, sizeof(*j));
    j->at_us = s->world->now_us;
    j->method = c->method;
    j->request = message_copy(c->request);
    *s->journal_end = j;
    s->journal_end = &j->next;
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
        world_note(w, who, "login of %s at %s slot %u: generation %llu refused %u", q->device,
                   q->room, q->slot, (unsigned long long)a->generation, a->refused);
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
    loop_step(c->is_logs ? s->loop : s->index_loop, 0); // what time has ended
    if (c->is_logs) {
        if (changes(c->method))
            journal_add(s, c);
        s->logs->ops->call(s->logs, c->method, c->request, took_reply, c);
    } else {
        s->index->ops->call(s->index, c->method, c->request, took_reply, c);
    }
    loop_step(c->is_logs ? s->loop : s->index_loop, 0);
    note_step(c);
}

// While it is stalled nobody hears; half of what was sent is done all the same.
static void execute(void *arg) {
    struct proxy_call *c = arg;
    struct stores *s = c->stores;
    struct world *w = s->world;
    uint64_t wait = world_between(w, w->delay_us_min, w->delay_us_max / 4 + w->delay_us_min);
    if (s->stalled_until_us > w->now_us) {
        if (world_chance(w, 500))
            step(c);
        if (c->reply)
            protobuf_c_message_free_unpacked(c->reply, NULL);
        c->reply = NULL;
        c->error = -HW_EOUTCOME;
        wait = CALL_LIMIT_US;
    } else {
        step(c);
    }
    world_at(w, wait, answer, c);
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

static const struct register_store_ops index_ops = {index_call, index_down, index_free};
static const struct saver_store_ops logs_ops = {logs_call, logs_down, logs_free};

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

void stores_stall(struct stores *s, uint64_t until_us) {
    if (until_us > s->stalled_until_us)
        s->stalled_until_us = until_us;
    world_note(s->world, "store", "stands still");
}

void stores_step_clock(struct stores *s, int64_t step_ms) {
    s->index_os.step_ms = step_ms;
    world_note(s->world, "store", "has its clock at %+lld ms", (long long)step_ms);
}

static void logs_new(struct stores *s) {
    rng_init(loop_rng(s->loop), s->logs_seed); // a replay draws the same epochs
    s->logs = saver_store_memory(s->loop);
}

static void journal_free(struct journal **at) {
    while (*at) {
        struct journal *j = *at;
        *at = j->next;
        protobuf_c_message_free_unpacked(j->request, NULL);
        free(j);
    }
}

void stores_empty_logs(struct stores *s) {
    s->logs->ops->free(s->logs);
    journal_free(&s->journal);
    s->journal_end = &s->journal;
    s->logs_seed = rng_u64(&s->world->rng);
    logs_new(s);
    world_note(s->world, "store", "has lost every log");
}

// The steps that were done until then are done again, at their own times; the rest never happened.
void stores_lose_tail(struct stores *s, uint64_t since_us) {
    uint64_t now_us = s->world->now_us;
    s->logs->ops->free(s->logs);
    loop_step(s->loop, 0);
    struct journal **at = &s->journal;
    uint64_t first_us = *at ? (*at)->at_us : now_us;
    s->world->now_us = first_us;
    loop_free(s->loop);
    s->loop = loop_new(&s->os);
    logs_new(s);
    for (; *at && (*at)->at_us < since_us; at = &(*at)->next) {
        s->world->now_us = (*at)->at_us;
        loop_step(s->loop, 0);
        s->logs->ops->call(s->logs, (*at)->method, (*at)->request, took_nothing, NULL);
        loop_step(s->loop, 0);
    }
    journal_free(at);
    s->journal_end = at;
    s->world->now_us = now_us;
    loop_step(s->loop, 0);
    rng_init(loop_rng(s->loop), rng_u64(&s->world->rng)); // what is made anew is another log
    s->logs_run++;
    for (uint64_t i = 0; i < s->logs_run; i++)
        saver_store_memory_next_run(s->logs);
    world_note(s->world, "store", "has lost what was done in its last %llu ms",
               (unsigned long long)((now_us - since_us) / 1000));
}

// --- life

struct stores *stores_new(struct world *w) {
    struct stores *s = hw_calloc(1, sizeof(*s));
    s->world = w;
    s->os = (struct os){.world = w, .node = -1};
    s->os.deferred_end = &s->os.deferred;
    s->loop = loop_new(&s->os);
    s->index_os = s->os;
    s->index_os.deferred_end = &s->index_os.deferred;
    s->index_loop = loop_new(&s->index_os);
    s->index = register_store_memory(s->index_loop);
    s->journal_end = &s->journal;
    s->logs_seed = rng_u64(&w->rng);
    logs_new(s);
    return s;
}

void stores_free(struct stores *s) {
    s->index->ops->free(s->index);
    s->logs->ops->free(s->logs);
    journal_free(&s->journal);
    loop_step(s->loop, 0);
    loop_step(s->index_loop, 0);
    loop_free(s->loop);
    loop_free(s->index_loop);
    free(s);
}

bool stores_lease_is_held(struct stores *s, uint64_t incarnation) {
    loop_step(s->index_loop, 0);
    return register_memory_is_live((struct memory_store *)s->index, incarnation);
}

static void keep_answer(void *arg, int error, const ProtobufCMessage *reply) {
    struct stores *s = arg;
    s->answer = error == 0 ? message_copy(reply) : NULL;
}

ProtobufCMessage *stores_ask_saver(struct stores *s, int method, const ProtobufCMessage *request) {
    loop_step(s->loop, 0);
    s->answer = NULL;
    s->logs->ops->call(s->logs, method, request, keep_answer, s);
    loop_step(s->loop, 0);
    return s->answer;
}

ProtobufCMessage *stores_ask_register(struct stores *s, int method,
                                      const ProtobufCMessage *request) {
    loop_step(s->index_loop, 0);
    s->answer = NULL;
    s->index->ops->call(s->index, method, request, keep_answer, s);
    loop_step(s->index_loop, 0);
    return s->answer;
}
