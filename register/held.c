// The catalog as this register last saw it. A store that went back, or lost everything, gets from
// here what it lacks: an entry that was acknowledged is never gone because its store forgot it.
#include "buf.h"
#include "message.h"
#include "register_internal.h"
#include "table.h"

struct held_record {
    UT_hash_handle hh;
    struct registry *registry;
    char *key;                              // owned
    Hawser__Internal__CatalogEntry *entry;  // owned
    uint64_t expect;                        // the version that the store has of it; 0 = none
    bool is_lost, is_listed, is_on_its_way; // lost: the store has an older one, or none
};

static struct held_record *held_find(const struct registry *r, const char *key) {
    struct held_record *h = NULL;
    HASH_FIND_STR(r->held, key, h);
    return h;
}

const Hawser__Internal__CatalogEntry *held_entry(const struct registry *r, const char *key) {
    const struct held_record *h = held_find(r, key);
    return h ? h->entry : NULL;
}

static struct held_record *held_take(struct registry *r, const Hawser__Internal__CatalogEntry *e) {
    struct held_record *h = held_find(r, e->key);
    if (!h) {
        h = hw_calloc(1, sizeof(*h));
        h->registry = r;
        h->key = hw_strdup(e->key);
        HASH_ADD_KEYPTR(hh, r->held, h->key, strlen(h->key), h);
    } else {
        hawser__internal__catalog_entry__free_unpacked(h->entry, NULL);
    }
    h->entry = (Hawser__Internal__CatalogEntry *)message_copy(&e->base);
    h->is_lost = false;
    return h;
}

// --- writing back

static void on_written_back(void *arg, int error, const ProtobufCMessage *message) {
    const Hawser__Internal__CatalogPutReply *reply =
        (const Hawser__Internal__CatalogPutReply *)message;
    struct held_record *h = arg;
    if (error == -HW_ECANCELLED)
        return; // h is gone
    h->is_on_its_way = false;
    if (!reply)
        return; // the next poll tries again
    // A conflict: another register was faster, or somebody changed it.
    h->is_lost = false;
    h->registry->count.restored += !reply->conflict;
    log_event(h->registry->env->log, LOG_WARN, "catalog entry written back", "key=%s by=%s",
              log_quote_str(h->key), reply->conflict ? "another" : "us");
}

static void write_back(struct registry *r, struct held_record *h) {
    Hawser__Internal__CatalogPutRequest q = HAWSER__INTERNAL__CATALOG_PUT_REQUEST__INIT;
    q.key = h->key;
    q.value = h->entry->value;
    q.deleted = h->entry->deleted;
    q.expect = h->expect;
    h->is_on_its_way = true;
    store_call(r->store, &q.base, on_written_back, h);
}

void held_write_back(struct registry *r) {
    for (struct held_record *h = r->held; h; h = h->hh.next)
        if (h->is_lost && !h->is_on_its_way)
            write_back(r, h);
}

// --- what the poll saw

void held_seen(struct registry *r, const Hawser__Internal__WatchReply *reply) {
    struct held_record *h;
    if (reply->catalog_whole) {
        r->held_compare = true;
        for (h = r->held; h; h = h->hh.next)
            h->is_listed = false;
    }
    for (size_t i = 0; i < reply->n_entry; i++) {
        const Hawser__Internal__CatalogEntry *e = reply->entry[i];
        h = held_find(r, e->key);
        if (r->held_compare && h && h->entry->version > e->version) {
            h->expect = e->deleted ? 0 : e->version;
            h->is_lost = h->is_listed = true;
            continue;
        }
        held_take(r, e)->is_listed = true;
    }
    if (!r->held_compare || reply->more)
        return;
    r->held_compare = false;
    for (h = r->held; h; h = h->hh.next)
        if (!h->is_listed) {
            h->is_lost = true;
            h->expect = 0;
        }
    held_write_back(r);
}

void held_free(struct registry *r) {
    struct held_record *h, *next;
    HASH_ITER(hh, r->held, h, next) {
        HASH_DEL(r->held, h);
        hawser__internal__catalog_entry__free_unpacked(h->entry, NULL);
        free(h->key);
        free(h);
    }
}
