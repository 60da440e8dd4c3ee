#include "catalog_pair.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "catalog_value.h"
#include "filling.h"
#include "maria_catalog.h"
#include "message.h"
#include "store_pair.h"

enum { CATALOG_TICK_MS = 1000 };

struct catalog_pair {
    struct store_pair pair; // first
    struct filling filling;
    struct timer tick;
    struct catalog_counts counts;
};
static struct catalog_pair *catalog_pair_of(const struct store_step *p) {
    return (struct catalog_pair *)p->store;
}

struct put_step {
    struct store_step step;                   // first
    uint64_t above;                           // the front's version of the entry
    Hawser__Internal__CatalogPutReply *reply; // owned; told when the front has the entry, too
    bool is_done;                             // the back has it as it was asked for
};
static struct put_step *put_step_of(struct store_step *p) {
    return (struct put_step *)p;
}
static const Hawser__Internal__CatalogPutRequest *put_of(const struct store_step *p) {
    return (const Hawser__Internal__CatalogPutRequest *)p->request;
}

static Hawser__Internal__CatalogPutReply *put_reply(bool is_conflict,
                                                    const Hawser__Internal__CatalogEntry *entry) {
    Hawser__Internal__CatalogPutReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__catalog_put_reply__init(reply);
    reply->conflict = is_conflict;
    reply->entry = entry ? (Hawser__Internal__CatalogEntry *)message_copy(&entry->base) : NULL;
    return reply;
}

static void put_ends(struct store_step *p, int error, Hawser__Internal__CatalogPutReply *reply) {
    struct put_step *s = put_step_of(p);
    if (s->reply && s->reply != reply)
        hawser__internal__catalog_put_reply__free_unpacked(s->reply, NULL);
    s->reply = NULL;
    store_step_complete(p, error, reply ? &reply->base : NULL);
}

// --- into the front

// Whoever was faster there has put a later one, so this one was there, too.
static void on_put_filled(void *arg, int error, const ProtobufCMessage *message) {
    struct store_step *p = arg;
    struct put_step *s = put_step_of(p);
    const Hawser__Internal__CatalogFillReply *reply =
        (const Hawser__Internal__CatalogFillReply *)message;
    if (error != 0) { // filling.h puts it there
        put_ends(p, error == -HW_ECANCELLED ? error : s->is_done ? -HW_EOUTCOME : -HW_ESTORE, NULL);
    } else if (s->is_done || !reply->entry) {
        put_ends(p, 0, s->reply);
    } else {
        put_ends(p, 0, put_reply(true, reply->entry));
    }
}

// A put whose answer was lost, or whose register died, may have been committed: the same one again
// finds it.
static bool is_as_asked(const Hawser__Internal__CatalogPutRequest *q,
                        const Hawser__Internal__CatalogEntry *e) {
    return e->deleted == q->deleted && e->value.len == q->value.len &&
           (e->value.len == 0 || memcmp(e->value.data, q->value.data, e->value.len) == 0);
}

static void on_put_committed(void *arg, int error, const ProtobufCMessage *message) {
    struct store_step *p = arg;
    struct put_step *s = put_step_of(p);
    const Hawser__Internal__CatalogCommitReply *reply =
        (const Hawser__Internal__CatalogCommitReply *)message;
    if (error != 0) {
        put_ends(p, error == -HW_ESTORE ? -HW_ECLASS : error, NULL);
        return;
    }
    struct catalog_counts *counts = &catalog_pair_of(p)->counts;
    Hawser__Internal__CatalogFillRequest q = HAWSER__INTERNAL__CATALOG_FILL_REQUEST__INIT;
    counts->committed += reply->committed ? 1 : 0;
    counts->settled += reply->committed ? 0 : 1;
    s->is_done = reply->committed || is_as_asked(put_of(p), reply->entry);
    s->reply = put_reply(!s->is_done, reply->entry);
    q.entry = s->reply->entry;
    store_call(store_pair_of(p)->front, &q.base, on_put_filled, p);
}

static void commit(struct store_step *p) {
    Hawser__Internal__CatalogCommitRequest q = HAWSER__INTERNAL__CATALOG_COMMIT_REQUEST__INIT;
    q.put = (Hawser__Internal__CatalogPutRequest *)p->request;
    q.above = put_step_of(p)->above;
    store_call(store_pair_of(p)->back, &q.base, on_put_committed, p);
}

// --- its number

// One that is not used after all is lost.
static void on_product_number(void *arg, int error, const ProtobufCMessage *reply) {
    struct store_step *p = arg;
    Hawser__Internal__CatalogPutRequest *q = (Hawser__Internal__CatalogPutRequest *)p->request;
    if (error == 0 && !filling_is_over(&catalog_pair_of(p)->filling))
        error = -HW_ELOADING; // a front that has just forgotten what it gave
    if (error != 0 ||
        !catalog_take_number(q, ((const Hawser__Internal__CatalogNumberReply *)reply)->number)) {
        put_ends(p, error == -HW_ECANCELLED ? error : -HW_ESTORE, NULL);
        return;
    }
    commit(p);
}

// --- begun

static void on_entry_got(void *arg, int error, const ProtobufCMessage *message) {
    struct store_step *p = arg;
    const Hawser__Internal__CatalogGetReply *reply =
        (const Hawser__Internal__CatalogGetReply *)message;
    if (error != 0) { // nothing was done
        put_ends(p, error == -HW_ECANCELLED ? error : -HW_ESTORE, NULL);
        return;
    }
    const Hawser__Internal__CatalogEntry *e = reply->entry;
    put_step_of(p)->above = e ? e->version : 0;
    if ((e && !e->deleted ? e->version : 0) != put_of(p)->expect) {
        put_ends(p, 0, put_reply(true, e));
    } else if (catalog_lacks_number(put_of(p))) {
        Hawser__Internal__CatalogNumberRequest q = HAWSER__INTERNAL__CATALOG_NUMBER_REQUEST__INIT;
        store_call(store_pair_of(p)->front, &q.base, on_product_number, p);
    } else {
        commit(p);
    }
}

static void begin_put(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__CatalogPutRequest *q =
        (const Hawser__Internal__CatalogPutRequest *)request;
    Hawser__Internal__CatalogGetRequest get = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    if (store_down_reason(store_pair_of(p)->front)) {
        store_step_complete(p, -HW_ESTORE, NULL);
    } else if (!filling_is_over(&catalog_pair_of(p)->filling)) {
        store_step_complete(p, -HW_ELOADING, NULL);
    } else if (store_down_reason(store_pair_of(p)->back)) {
        store_step_complete(p, -HW_ECLASS, NULL);
    } else {
        store_step_keep(p, request);
        get.key = q->key;
        store_call(store_pair_of(p)->front, &get.base, on_entry_got, p);
    }
}

// What the front does not have is not unknown, and what it has may be deleted.
static void begin_get(struct store_step *p, const ProtobufCMessage *request) {
    if (filling_is_over(&catalog_pair_of(p)->filling))
        store_pair_begin(p, request);
    else
        store_step_complete(p, -HW_ELOADING, NULL);
}

static void on_directory_alone(void *arg, int error, const ProtobufCMessage *message) {
    struct store_step *p = arg;
    const Hawser__Internal__WatchRequest *q = (const Hawser__Internal__WatchRequest *)p->request;
    if (error != 0) {
        store_step_complete(p, error, NULL);
        return;
    }
    Hawser__Internal__WatchReply *reply = (Hawser__Internal__WatchReply *)message_copy(message);
    for (size_t i = 0; i < reply->n_entry; i++)
        hawser__internal__catalog_entry__free_unpacked(reply->entry[i], NULL);
    reply->n_entry = 0;
    reply->catalog_epoch = q->catalog_epoch;
    reply->catalog_version = q->catalog_version;
    reply->catalog_whole = reply->more = false;
    store_step_complete(p, 0, &reply->base);
}

// Who knows a catalog goes on with that, and hears of the members all the same.
static void begin_watch(struct store_step *p, const ProtobufCMessage *request) {
    if (filling_is_over(&catalog_pair_of(p)->filling)) {
        store_pair_begin(p, request);
    } else {
        store_step_keep(p, request);
        store_call(store_pair_of(p)->front, request, on_directory_alone, p);
    }
}

// --- the store

static void take_catalog_counts(struct timer *t) {
    struct catalog_pair *c = container_of(t, struct catalog_pair, tick);
    const struct maria_counts *m = register_maria_counts(c->pair.back);
    uint64_t now = loop_now_ms(c->pair.store.loop);
    loop_arm(c->pair.store.loop, &c->tick, CATALOG_TICK_MS, take_catalog_counts);
    c->counts.filled = c->filling.count.filled;
    c->counts.kept = c->filling.count.kept;
    c->counts.bad = c->filling.count.bad;
    c->counts.statements = m->statements;
    c->counts.failed = m->failed;
    c->counts.late = m->late;
    c->counts.up_s = m->up_since_ms ? (now - m->up_since_ms) / 1000 : 0;
}

static const char *catalog_pair_down(struct store *s) {
    struct catalog_pair *c = (struct catalog_pair *)s;
    const char *why = store_down_reason(c->pair.front);
    return why ? why : filling_reason(&c->filling);
}

static bool catalog_pair_is_coming(struct store *s) {
    struct store *front = ((struct catalog_pair *)s)->pair.front;
    return !store_down_reason(front) || store_is_coming(front);
}

static void catalog_pair_stop(struct store *s) {
    struct catalog_pair *c = (struct catalog_pair *)s;
    loop_disarm(s->loop, &c->tick);
    filling_stop(&c->filling);
    store_pair_stop(s);
}

static void catalog_pair_deinit(struct store *s) {
    filling_deinit(&((struct catalog_pair *)s)->filling);
}

static const struct store_method methods[] = {
    {"catalog_put", &hawser__internal__catalog_put_request__descriptor, begin_put},
    {"catalog_get", &hawser__internal__catalog_get_request__descriptor, begin_get},
    {"watch", &hawser__internal__watch_request__descriptor, begin_watch}};
static const struct store_kind catalog_pair_kind = {.methods = methods,
                                                    .method_count =
                                                        sizeof(methods) / sizeof(methods[0]),
                                                    .step_bytes = sizeof(struct put_step),
                                                    .other = store_pair_begin,
                                                    .down_reason = catalog_pair_down,
                                                    .is_coming = catalog_pair_is_coming,
                                                    .down_part = store_pair_down_part,
                                                    .stop = catalog_pair_stop,
                                                    .deinit = catalog_pair_deinit};

struct store *register_catalog_pair(struct store *front, struct store *back) {
    struct catalog_pair *c = hw_calloc(1, sizeof(*c));
    store_pair_init(&c->pair, &catalog_pair_kind, front, back);
    filling_init(&c->filling, front, back, register_maria_log(back));
    loop_arm(front->loop, &c->tick, CATALOG_TICK_MS, take_catalog_counts);
    return &c->pair.store;
}

const struct catalog_counts *register_catalog_counts(const struct store *s) {
    return s->kind == &catalog_pair_kind ? &((const struct catalog_pair *)s)->counts : NULL;
}

bool register_catalog_lacks(struct store *s, char *out, size_t size) {
    const struct catalog_pair *c = (const struct catalog_pair *)s;
    const char *down = store_down_reason(c->pair.back);
    const char *refusal = register_maria_refusal(c->pair.back);
    if (down)
        snprintf(out, size, "changes of products and keys are refused: %s", down);
    else if (refusal)
        snprintf(out, size, "mariadb refused the last change of a product or key: %s", refusal);
    else if (c->filling.count.bad > 0)
        snprintf(out, size, "%" PRIu64 " catalog entries are left out, one of them %s; see the log",
                 c->filling.count.bad, c->filling.bad_key);
    return down || refusal || c->filling.count.bad > 0;
}
