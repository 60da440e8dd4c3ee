#include "stores.h"

#include "../../register/memory_internal.h"

#include <assert.h>

#include "buf.h"
#include "close_codes.h"
#include "message.h"
#include "redis_history.h"

enum { CALL_LIMIT_US = 3000000, DEVICES_MAX = 64 };

struct journal { // of a store: what was done, and when
    struct journal *next;
    uint64_t at_us;
    int64_t step_ms;           // of its clock then
    uint64_t history;          // of the data then
    ProtobufCMessage *request; // owned
};

struct proxy_call;

// What differs between the registers' store and the savers'.
struct half_kind {
    struct store *(*open)(struct loop *l);
    void (*is_of)(struct store *s, uint64_t history); // NULL: it makes its own with each next one
    void (*next_history)(struct store *s);
    const ProtobufCMessageDescriptor *questions[6]; // ends with NULL
};
static const struct half_kind index_kind = {register_store_memory,
                                            NULL,
                                            register_store_memory_next_history,
                                            {&hawser__internal__watch_request__descriptor,
                                             &hawser__internal__catalog_get_request__descriptor,
                                             &hawser__internal__find_request__descriptor,
                                             &hawser__internal__online_request__descriptor}};
static const struct half_kind logs_kind = {
    saver_store_memory,
    saver_store_memory_is_of,
    NULL,
    {&hawser__internal__stats_request__descriptor, &hawser__internal__user_request__descriptor,
     &hawser__internal__parked_request__descriptor, &hawser__internal__inboxes_request__descriptor,
     &hawser__internal__clock_request__descriptor}};

struct half { // one of the two
    const struct half_kind *kind;
    struct os os; // no node, no sockets
    struct loop *loop;
    struct store *store; // owned
    uint64_t seed;
    struct journal *journal, **journal_end;
};

enum { HISTORIES_MAX = 8 };

struct stores {
    struct world *world;
    struct half index, logs;
    // Two servers, one of which has the data as its primary. Histories are told by their names, and
    // go by the number of their name.
    int primary;
    unsigned promotions, name_count;
    uint8_t names[HISTORIES_MAX][REDIS_HISTORY_BYTES];
    uint64_t history;
    unsigned slept; // fail-overs that a connection hears of only when it is used again
    uint64_t stalled_until_us;
    bool is_deaf;             // stalled: it does later what it is sent meanwhile
    ProtobufCMessage *answer; // of stores_ask_saver
    uint64_t throttled_us[DEVICES_MAX];
    uint64_t park_after_ms; // 0: as DELIVERY says
};

static void half_call(struct half *h, const ProtobufCMessage *request, store_done_fn *done,
                      void *arg) {
    loop_step(h->loop, 0); // what time has ended
    store_call(h->store, request, done, arg);
    loop_step(h->loop, 0);
}

// --- one run's view of a store

struct proxy {
    struct store store; // first
    struct stores *stores;
    struct half *half;
    struct proxy_call *calls; // whose owner has not heard yet
    unsigned slept;           // of stores.slept, what it has heard of
    int node;
};

struct proxy_call {
    struct proxy_call *next, *prev;
    struct proxy *proxy; // NULL: its run is over
    struct stores *stores;
    struct half *half;
    int node, error;
    unsigned slept;                    // as its proxy, when it was sent
    ProtobufCMessage *request, *reply; // owned
    struct store_step *step;           // of the proxy; it completes, unless the run is over
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
        store_step_complete(c->step, c->error, c->reply);
        c->reply = NULL;
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
static bool changes(const struct proxy_call *c) {
    const ProtobufCMessageDescriptor *const *question = c->half->kind->questions;
    for (; *question; question++)
        if (*question == c->request->descriptor)
            return false;
    return true;
}

// The request is the journal's from then on.
static void journal_add(struct half *h, const struct proxy_call *c) {
    struct journal *j = hw_calloc(1, sizeof(*j));
    j->at_us = c->stores->world->now_us;
    j->step_ms = h->os.step_ms;
    j->history = c->stores->history;
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

static void note_login(const struct proxy_call *c, const Hawser__Internal__LoginRequest *q,
                       const Hawser__Internal__LoginReply *a) {
    struct world *w = c->stores->world;
    world_note(w, w->nodes[c->node].name, "login of %s at %s slot %llx: generation %llu refused %u",
               q->device, q->room, (unsigned long long)q->slot, (unsigned long long)a->generation,
               a->refused);
    if (a->refused == CLOSE_RATE_LIMITED)
        c->stores->throttled_us[device_index(q->device)] = w->now_us;
}

static void note_confirmation(const struct proxy_call *c, const Hawser__Internal__ConfirmRequest *q,
                              const Hawser__Internal__ConfirmReply *a) {
    struct world *w = c->stores->world;
    if (a->outcome != HAWSER__INTERNAL__CONFIRMED__CONFIRMED_HELD)
        world_note(w, w->nodes[c->node].name,
                   "confirmation of %s at %s, generation %llu: outcome %d, %llu", q->device,
                   q->room, (unsigned long long)q->generation, (int)a->outcome,
                   (unsigned long long)a->generation);
}

static void note_drop(const struct proxy_call *c, const Hawser__Internal__DropRequest *q,
                      const Hawser__Internal__DropReply *a) {
    struct world *w = c->stores->world;
    world_note(w, w->nodes[c->node].name, "drop of %s, generation %llu: %s", q->device,
               (unsigned long long)q->generation, a->dropped ? "done" : "not its row");
}

static void note_attempt(const struct proxy_call *c, const Hawser__Internal__AttemptRequest *q,
                         const Hawser__Internal__AttemptReply *a) {
    struct world *w = c->stores->world;
    world_note(w, w->nodes[c->node].name, "attempt of %s, %s: behind %llu up to %llu: %s",
               q->device, q->user, (unsigned long long)q->after, (unsigned long long)q->upto,
               a->parked    ? "parked"
               : a->counted ? "counted"
                            : "none");
}

// The steps that decide who holds a session, and what is parked, in the trace.
static void note_step(const struct proxy_call *c) {
    const ProtobufCMessageDescriptor *of = c->request->descriptor;
    if (!c->reply)
        return;
    if (of == &hawser__internal__login_request__descriptor)
        note_login(c, (Hawser__Internal__LoginRequest *)c->request,
                   (Hawser__Internal__LoginReply *)c->reply);
    else if (of == &hawser__internal__confirm_request__descriptor)
        note_confirmation(c, (Hawser__Internal__ConfirmRequest *)c->request,
                          (Hawser__Internal__ConfirmReply *)c->reply);
    else if (of == &hawser__internal__drop_request__descriptor)
        note_drop(c, (Hawser__Internal__DropRequest *)c->request,
                  (Hawser__Internal__DropReply *)c->reply);
    else if (of == &hawser__internal__attempt_request__descriptor)
        note_attempt(c, (Hawser__Internal__AttemptRequest *)c->request,
                     (Hawser__Internal__AttemptReply *)c->reply);
}

void stores_park_after(struct stores *s, uint64_t least_ms) {
    s->park_after_ms = least_ms;
}

// All but how long it takes is as the rooms have it.
static void hasten_parking(const struct stores *s, ProtobufCMessage *request) {
    Hawser__Internal__AttemptRequest *q = (Hawser__Internal__AttemptRequest *)request;
    if (request->descriptor != &hawser__internal__attempt_request__descriptor ||
        s->park_after_ms == 0)
        return;
    q->limits = hw_malloc(sizeof(*q->limits));
    hawser__internal__park_limits__init(q->limits);
    q->limits->attempts = PARK_ATTEMPTS;
    q->limits->sessions = PARK_SESSIONS;
    q->limits->least_ms = s->park_after_ms;
    q->limits->letters = DEAD_LETTERS_MAX;
    q->limits->kept_ms = DEAD_LETTER_KEPT_MS;
}

// Sent by a connection that knows the data by an older name: each script refuses it, and the
// connection is made anew.
static bool is_refused(struct proxy_call *c) {
    if (c->slept == c->stores->slept)
        return false;
    c->error = -HW_ESTORE;
    if (c->proxy)
        c->proxy->slept = c->stores->slept;
    return true;
}

static void step(struct proxy_call *c) {
    bool is_kept = changes(c);
    if (is_refused(c))
        return;
    hasten_parking(c->stores, c->request);
    if (is_kept)
        journal_add(c->half, c);
    half_call(c->half, c->request, took_reply, c);
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
                                    .half = c->half,
                                    .slept = c->slept,
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

static void proxy_ask(struct store_step *step, const ProtobufCMessage *request) {
    struct proxy *p = (struct proxy *)step->store;
    struct proxy_call *c = hw_calloc(1, sizeof(*c));
    struct world *w = p->stores->world;
    *c = (struct proxy_call){.next = p->calls,
                             .proxy = p,
                             .stores = p->stores,
                             .half = p->half,
                             .node = p->node,
                             .slept = p->slept,
                             .request = message_copy(request),
                             .step = step};
    if (c->next)
        c->next->prev = c;
    p->calls = c;
    world_at(w, world_between(w, w->delay_us_min, w->delay_us_max / 4 + w->delay_us_min), execute,
             c);
}

static void proxy_stop(struct store *store) {
    struct proxy *p = (struct proxy *)store;
    while (p->calls)
        detach(p->calls);
}

static const struct store_kind proxy_kind = {.other = proxy_ask, .stop = proxy_stop};

static struct store *proxy_new(struct stores *s, struct half *half, int node) {
    struct proxy *p = hw_calloc(1, sizeof(*p));
    *p = (struct proxy){.stores = s, .half = half, .slept = s->slept, .node = node};
    store_init(&p->store, &proxy_kind, s->world->nodes[node].loop);
    return &p->store;
}

struct store *stores_register(struct stores *s, int node) {
    return proxy_new(s, &s->index, node);
}

struct store *stores_saver(struct stores *s, int node) {
    return proxy_new(s, &s->logs, node);
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

// By its name, which connections make of what the primary says of itself.
static void name_history(struct stores *s) {
    char info[128];
    struct redis_history h = {0};
    uint64_t i = 0;
    snprintf(info, sizeof(info), "run_id:%d\r\nmaster_replid:%u\r\n", s->primary, s->promotions);
    redis_history_is(&h, info, 0);
    while (i < s->name_count && memcmp(s->names[i], h.is, sizeof(h.is)) != 0)
        i++;
    if (i == s->name_count) {
        assert(i < HISTORIES_MAX);
        memcpy(s->names[s->name_count++], h.is, sizeof(h.is));
    }
    s->history = i + 1;
}

static void failed_over(struct stores *s) {
    s->primary = 1 - s->primary;
    s->promotions++;
    name_history(s);
}

static void half_is_of(struct half *h, uint64_t history) {
    if (h->kind->is_of)
        h->kind->is_of(h->store, history);
}

static void half_goes_on_in(struct half *h, uint64_t history) {
    half_is_of(h, history);
    if (h->kind->next_history)
        h->kind->next_history(h->store);
}

static void half_new(struct half *h, uint64_t history) {
    rng_init(loop_rng(h->loop), h->seed); // a replay draws the same epochs
    h->store = h->kind->open(h->loop);
    half_is_of(h, history);
}

static void half_free(struct half *h) {
    store_free(h->store);
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
    half_new(h, s->history);
}

void stores_lose_everything(struct stores *s) {
    half_empty(s, &s->index);
    half_empty(s, &s->logs);
    world_note(s->world, "store", "has lost everything");
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
    half_new(h, *at ? (*at)->history : s->history);
    for (; *at && (*at)->at_us < since_us; at = &(*at)->next) {
        s->world->now_us = (*at)->at_us;
        h->os.step_ms = (*at)->step_ms;
        half_is_of(h, (*at)->history);
        half_call(h, (*at)->request, took_nothing, NULL);
    }
    journal_free(at);
    h->journal_end = at;
    s->world->now_us = now_us;
    h->os.step_ms = step_ms;
    loop_step(h->loop, 0);
    rng_init(loop_rng(h->loop), rng_u64(&s->world->rng)); // what is made anew is another log
    half_goes_on_in(h, s->history);
}

void stores_lose_tail(struct stores *s, uint64_t since_us) {
    failed_over(s);
    half_go_back(s, &s->index, since_us);
    half_go_back(s, &s->logs, since_us);
    world_note(s->world, "store", "has lost what was done in its last %llu ms",
               (unsigned long long)((s->world->now_us - since_us) / 1000));
}

void stores_fail_back(struct stores *s) {
    failed_over(s);
    half_goes_on_in(&s->index, s->history);
    half_goes_on_in(&s->logs, s->history);
    s->slept++;
    world_note(s->world, "store", "has its other server as primary");
}

// --- life

static void half_begin(struct stores *s, struct half *h, const struct half_kind *kind) {
    h->kind = kind;
    h->os = (struct os){.world = s->world, .node = -1};
    h->os.deferred_end = &h->os.deferred;
    h->loop = loop_new(&h->os);
    h->journal_end = &h->journal;
    h->seed = rng_u64(&s->world->rng);
    half_new(h, s->history);
}

static void half_end(struct half *h) {
    half_free(h);
    journal_free(&h->journal);
    loop_free(h->loop);
}

struct stores *stores_new(struct world *w) {
    struct stores *s = hw_calloc(1, sizeof(*s));
    s->world = w;
    name_history(s);
    half_begin(s, &s->index, &index_kind);
    half_begin(s, &s->logs, &logs_kind);
    return s;
}

void stores_free(struct stores *s) {
    half_end(&s->index);
    half_end(&s->logs);
    free(s);
}

// --- questions

uint64_t stores_lease_end_us(struct stores *s, uint64_t incarnation) {
    struct register_memory *m = (struct register_memory *)s->index.store;
    struct member *e = NULL;
    loop_step(s->index.loop, 0);
    HASH_FIND(hh, m->members, &incarnation, sizeof(incarnation), e);
    return register_memory_is_live(m, incarnation)
               ? (e->lease_end_ms - m->base.clock_offset_ms) * 1000
               : 0;
}

static void keep_answer(void *arg, int error, const ProtobufCMessage *reply) {
    struct stores *s = arg;
    s->answer = error == 0 ? message_copy(reply) : NULL;
}

ProtobufCMessage *stores_ask_saver(struct stores *s, const ProtobufCMessage *request) {
    half_call(&s->logs, request, keep_answer, s);
    return s->answer;
}

ProtobufCMessage *stores_ask_register(struct stores *s, const ProtobufCMessage *request) {
    half_call(&s->index, request, keep_answer, s);
    return s->answer;
}

uint32_t stores_product(struct stores *s, const char *product) {
    Hawser__Internal__CatalogGetRequest q = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    char key[40];
    uint32_t number = 0;
    snprintf(key, sizeof(key), "product/%s", product);
    q.key = key;
    Hawser__Internal__CatalogGetReply *a =
        (Hawser__Internal__CatalogGetReply *)stores_ask_register(s, &q.base);
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
    Hawser__Internal__HeadReply *at =
        (Hawser__Internal__HeadReply *)stores_ask_saver(s, &head.base);
    load.epoch = at->epoch;
    load.max_messages = load.max_bytes = 1;
    uint64_t oldest = at->head + 1;
    Hawser__Internal__LoadReply *entries =
        (Hawser__Internal__LoadReply *)stores_ask_saver(s, &load.base);
    for (size_t i = 0; i < entries->n_entry; i++)
        if (entries->entry[i]->message && entries->entry[i]->seq < oldest)
            oldest = entries->entry[i]->seq;
    hawser__internal__head_reply__free_unpacked(at, NULL);
    hawser__internal__load_reply__free_unpacked(entries, NULL);
    return oldest;
}
