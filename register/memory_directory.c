// Members under leases, and the catalog. Every change takes the next version; a watcher gets what
// is above its own.
#include "catalog_value.h"
#include "memory_internal.h"

// --- members

static void member_end(struct register_memory *m, struct member *e, bool clean) {
    e->is_gone = true;
    e->was_clean = clean;
    e->gone_ms = memory_store_now_ms(&m->base);
    e->version = ++m->directory_version;
}

static void member_free(struct register_memory *m, struct member *e) {
    HASH_DEL(m->members, e);
    hawser__internal__member__free_unpacked(e->record, NULL);
    free(e);
}

void register_memory_note_time(struct register_memory *m) {
    uint64_t now = memory_store_now_ms(&m->base), gap = now - m->seen_ms;
    bool was_away = m->seen_ms != 0 && (now < m->seen_ms || gap > AWAY_MS);
    for (struct member *e = m->members; e && was_away; e = e->hh.next)
        *(e->is_gone ? &e->gone_ms : &e->lease_end_ms) += gap; // also back, modulo 2^64
    m->run_ms += was_away ? gap : 0;
    m->seen_ms = now;
}

static void end_leases(struct register_memory *m) {
    uint64_t now = memory_store_now_ms(&m->base);
    struct member *e, *next;
    HASH_ITER(hh, m->members, e, next) {
        if (!e->is_gone && e->lease_end_ms <= now)
            member_end(m, e, false);
        else if (e->is_gone && e->gone_ms + TOMBSTONE_MS <= now)
            member_free(m, e);
    }
}

bool register_memory_is_live(const struct register_memory *m, uint64_t incarnation) {
    struct member *e = NULL;
    HASH_FIND(hh, m->members, &incarnation, sizeof(incarnation), e);
    return e && !e->is_gone && e->lease_end_ms > memory_store_now_ms(&m->base);
}

bool register_memory_is_gone_for_good(const struct register_memory *m, uint64_t incarnation) {
    uint64_t now = memory_store_now_ms(&m->base);
    struct member *e = NULL;
    HASH_FIND(hh, m->members, &incarnation, sizeof(incarnation), e);
    if (!e) // forgotten, or it has not come back yet to a store that lost it
        return m->run_ms + GONE_FOR_GOOD_MS <= now;
    uint64_t ended_ms = e->is_gone ? e->gone_ms : e->lease_end_ms;
    return (e->is_gone && e->was_clean) || ended_ms + GONE_FOR_GOOD_MS <= now;
}

// What watchers are told of at once: everything but small changes of load.
static bool member_changed(const Hawser__Internal__Member *was,
                           const Hawser__Internal__Member *is) {
    Hawser__Internal__Member a = *was, b = *is;
    uint64_t more = a.sessions > b.sessions ? a.sessions - b.sessions : b.sessions - a.sessions;
    uint32_t load = a.load > b.load ? a.load - b.load : b.load - a.load;
    if (load >= 100 || (more >= 100 && more * 20 >= a.sessions))
        return true;
    a.load = b.load;
    a.sessions = b.sessions;
    return !message_equal(&a.base, &b.base);
}

// Another run at the same home: the older one is dead for sure.
static void end_predecessors(struct register_memory *m, const Hawser__Internal__Member *is) {
    struct member *e, *next;
    HASH_ITER(hh, m->members, e, next)
        if (!e->is_gone && e->incarnation != is->incarnation && *is->id &&
            strcmp(e->record->id, is->id) == 0 && strcmp(e->record->role, is->role) == 0 &&
            strcmp(e->record->rpc, is->rpc) == 0 && e->record->started_ms <= is->started_ms)
            member_end(m, e, false);
}

Hawser__Internal__AnnounceReply *
register_memory_announce(struct register_memory *m, const Hawser__Internal__AnnounceRequest *a) {
    Hawser__Internal__AnnounceReply *reply = hw_malloc(sizeof(*reply));
    struct member *e = NULL;
    end_leases(m);
    HASH_FIND(hh, m->members, &a->member->incarnation, sizeof(uint64_t), e);
    uint64_t now_ms = memory_store_now_ms(&m->base);
    bool changed = !e || e->is_gone || member_changed(e->record, a->member) ||
                   (now_ms - e->told_ms >= LOAD_TOLD_MS && // also when the clock was set back
                    !message_equal(&e->record->base, &a->member->base));
    if (!e) {
        end_predecessors(m, a->member);
        e = hw_calloc(1, sizeof(*e));
        e->incarnation = a->member->incarnation;
        HASH_ADD(hh, m->members, incarnation, sizeof(e->incarnation), e);
    }
    if (changed) {
        if (e->record)
            hawser__internal__member__free_unpacked(e->record, NULL);
        e->record = (Hawser__Internal__Member *)message_copy(&a->member->base);
        e->version = ++m->directory_version;
        e->told_ms = now_ms;
        e->is_gone = false;
    }
    e->lease_end_ms = memory_store_now_ms(&m->base) + a->lease_ms;
    hawser__internal__announce_reply__init(reply);
    reply->index_epoch = m->index_epoch;
    reply->store_ms = memory_store_now_ms(&m->base);
    return reply;
}

Hawser__Internal__WithdrawReply *
register_memory_withdraw(struct register_memory *m, const Hawser__Internal__WithdrawRequest *w) {
    Hawser__Internal__WithdrawReply *reply = hw_malloc(sizeof(*reply));
    struct member *e = NULL;
    HASH_FIND(hh, m->members, &w->incarnation, sizeof(w->incarnation), e);
    if (e && !e->is_gone)
        member_end(m, e, true);
    hawser__internal__withdraw_reply__init(reply);
    return reply;
}

// --- what is newer

static void add_gone(Hawser__Internal__WatchReply *reply, const struct member *e) {
    Hawser__Internal__GoneMember *g = hw_malloc(sizeof(*g));
    hawser__internal__gone_member__init(g);
    g->incarnation = e->incarnation;
    g->clean = e->was_clean;
    reply->gone = hw_realloc(reply->gone, (reply->n_gone + 1) * sizeof(reply->gone[0]));
    reply->gone[reply->n_gone++] = g;
}

static void add_member(Hawser__Internal__WatchReply *reply, const struct member *e) {
    reply->member = hw_realloc(reply->member, (reply->n_member + 1) * sizeof(reply->member[0]));
    reply->member[reply->n_member++] = (Hawser__Internal__Member *)message_copy(&e->record->base);
}

static Hawser__Internal__CatalogEntry *entry_message(const struct entry *e) {
    Hawser__Internal__CatalogEntry *out = hw_malloc(sizeof(*out));
    hawser__internal__catalog_entry__init(out);
    out->key = hw_strdup(e->key);
    out->version = e->version;
    out->deleted = e->deleted;
    out->value = (ProtobufCBinaryData){e->len, e->len ? hw_memdup(e->value, e->len) : NULL};
    return out;
}

static int by_version(struct entry *a, struct entry *b) {
    return a->version < b->version ? -1 : a->version > b->version;
}

// In the order of versions, so that a reply that is cut short goes on behind its last.
static void add_catalog(struct register_memory *m, Hawser__Internal__WatchReply *reply,
                        uint64_t since) {
    size_t bytes = 0;
    HASH_SORT(m->catalog, by_version);
    for (struct entry *e = m->catalog; e; e = e->hh.next) {
        if (e->version <= since)
            continue;
        if (bytes > WATCH_BYTES_MAX) {
            reply->more = true;
            return;
        }
        bytes += e->len + strlen(e->key) + 32;
        reply->entry = hw_realloc(reply->entry, (reply->n_entry + 1) * sizeof(reply->entry[0]));
        reply->entry[reply->n_entry++] = entry_message(e);
        reply->catalog_version = e->version;
    }
    reply->catalog_version = m->catalog_version;
}

Hawser__Internal__WatchReply *register_memory_watch(struct register_memory *m,
                                                    const Hawser__Internal__WatchRequest *w) {
    Hawser__Internal__WatchReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__watch_reply__init(reply);
    end_leases(m);
    reply->directory_whole = w->directory_epoch != m->directory_epoch;
    uint64_t since = reply->directory_whole ? 0 : w->directory_version;
    for (const struct member *e = m->members; e; e = e->hh.next) {
        if (e->version > since && e->is_gone && !reply->directory_whole)
            add_gone(reply, e);
        else if (e->version > since && !e->is_gone)
            add_member(reply, e);
    }
    reply->directory_epoch = m->directory_epoch;
    reply->directory_version = m->directory_version;
    reply->catalog_epoch = m->catalog_epoch;
    reply->catalog_whole = w->catalog_epoch != m->catalog_epoch;
    add_catalog(m, reply, reply->catalog_whole ? 0 : w->catalog_version);
    reply->index_epoch = m->index_epoch;
    return reply;
}

// --- the catalog

static struct entry *catalog_find(const struct register_memory *m, const char *key) {
    struct entry *e = NULL;
    HASH_FIND_STR(m->catalog, key, e);
    return e;
}

static uint32_t next_number(struct register_memory *m) {
    uint64_t seconds = memory_store_now_ms(&m->base) / 1000;
    uint32_t least = seconds > PRODUCT_EPOCH_S ? (uint32_t)(seconds - PRODUCT_EPOCH_S) : 0;
    m->product_numbers = m->product_numbers + 1 > least ? m->product_numbers + 1 : least;
    return m->product_numbers;
}

// The bytes as they are stored: a new product gets a number, and keeps it over its changes.
static void entry_take_value(struct register_memory *m, struct entry *e, bool is_new,
                             const ProtobufCBinaryData *value) {
    Hawser__Internal__Product *p = catalog_product_of(e->key, value);
    free(e->value);
    if (!p) {
        e->value = hw_memdup(value->data, value->len);
        e->len = value->len;
        return;
    }
    if (is_new)
        e->number = p->number ? p->number : next_number(m);
    p->number = e->number;
    e->len = hawser__internal__product__get_packed_size(p);
    e->value = hw_malloc(e->len + 1);
    hawser__internal__product__pack(p, e->value);
    hawser__internal__product__free_unpacked(p, NULL);
}

Hawser__Internal__CatalogPutReply *
register_memory_catalog_put(struct register_memory *m,
                            const Hawser__Internal__CatalogPutRequest *p) {
    Hawser__Internal__CatalogPutReply *reply = hw_malloc(sizeof(*reply));
    struct entry *e = catalog_find(m, p->key);
    bool exists = e && !e->deleted;
    hawser__internal__catalog_put_reply__init(reply);
    if (p->expect != (exists ? e->version : 0)) {
        reply->conflict = true;
        reply->entry = e ? entry_message(e) : NULL;
        return reply;
    }
    if (!e) {
        e = hw_calloc(1, sizeof(*e));
        e->key = hw_strdup(p->key);
        HASH_ADD_KEYPTR(hh, m->catalog, e->key, strlen(e->key), e);
    }
    entry_take_value(m, e, !exists, &p->value);
    e->deleted = p->deleted;
    e->version = ++m->catalog_version;
    reply->entry = entry_message(e);
    return reply;
}

Hawser__Internal__CatalogGetReply *
register_memory_catalog_get(struct register_memory *m,
                            const Hawser__Internal__CatalogGetRequest *g) {
    Hawser__Internal__CatalogGetReply *reply = hw_malloc(sizeof(*reply));
    const struct entry *e = catalog_find(m, g->key);
    hawser__internal__catalog_get_reply__init(reply);
    reply->found = e != NULL;
    reply->entry = e ? entry_message(e) : NULL;
    reply->settled = m->run_ms + GONE_FOR_GOOD_MS <= memory_store_now_ms(&m->base);
    return reply;
}

void register_memory_directory_free(struct register_memory *m) {
    struct member *e, *next;
    struct entry *c, *next_entry;
    HASH_ITER(hh, m->members, e, next)
        member_free(m, e);
    HASH_ITER(hh, m->catalog, c, next_entry) {
        HASH_DEL(m->catalog, c);
        free(c->key);
        free(c->value);
        free(c);
    }
}
