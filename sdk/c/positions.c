// Recent ids, and the table that is the store in memory and the working copy of a file.
#include <unistd.h>

#include "buf.h"
#include "bytes.h"
#include "position_table.h"

// --- recent ids

uint64_t recent_id(const char *id) {
    uint8_t digest[32];
    if (!id[0])
        return 0;
    crypto_sha256(id, strlen(id), digest);
    uint64_t hash = be64_get(digest);
    return hash ? hash : 1;
}

bool recent_ids_has(const struct recent_ids *r, uint64_t id) {
    uint64_t found = 0;
    for (size_t i = 0; i < RECENT_IDS; i++)
        found |= r->id[i] == id;
    return id != 0 && found != 0;
}

void recent_ids_add(struct recent_ids *r, uint64_t id) {
    if (id == 0)
        return;
    r->id[r->next] = id;
    r->next = (r->next + 1) % RECENT_IDS;
}

// --- the table

static struct position_table *table_of(struct position_store *s) {
    return (struct position_table *)s;
}

// Product, user and device, each with its NUL, so that no two keys meet in one text.
static struct buf key_text(const struct position_key *key) {
    struct buf b = BUF_EMPTY;
    buf_append(&b, key->product, strlen(key->product) + 1);
    buf_append(&b, key->user, strlen(key->user) + 1);
    buf_append(&b, key->device, strlen(key->device) + 1);
    return b;
}

static struct position_entry *find_text(const struct position_table *t, const struct buf *text) {
    struct position_entry *e;
    HASH_FIND(hh, t->entries, text->data, text->len, e);
    return e;
}

struct position_entry *position_table_find(const struct position_table *t,
                                           const struct position_key *key) {
    struct buf text = key_text(key);
    struct position_entry *e = find_text(t, &text);
    buf_free(&text);
    return e;
}

static void positions_entry_free(struct position_table *t, struct position_entry *e) {
    HASH_DEL(t->entries, e);
    free(e->text);
    free(e);
}

struct position_entry *position_table_get(struct position_table *t,
                                          const struct position_key *key) {
    struct buf text = key_text(key);
    struct position_entry *e = find_text(t, &text);
    if (e) {
        HASH_DEL(t->entries, e); // to the end: it is in use
    } else {
        e = hw_calloc(1, sizeof(*e));
        e->text = hw_memdup(text.data, text.len);
        e->key.product = e->text;
        e->key.user = e->key.product + strlen(e->key.product) + 1;
        e->key.device = e->key.user + strlen(e->key.user) + 1;
    }
    HASH_ADD_KEYPTR(hh, t->entries, e->text, text.len, e);
    buf_free(&text);
    return e;
}

static bool table_load(struct position_store *s, const struct position_key *key,
                       struct position_record *ret_record) {
    if (!position_table_find(table_of(s), key))
        return false;
    *ret_record = position_table_get(table_of(s), key)->record;
    return true;
}

int position_table_save(struct position_store *s, const struct position_change *changes,
                        size_t count) {
    struct position_table *t = table_of(s);
    for (size_t i = 0; i < count; i++)
        position_table_get(t, &changes[i].key)->record = *changes[i].record;
    while (HASH_COUNT(t->entries) > POSITION_ENTRIES_MAX)
        positions_entry_free(t, t->entries);
    return 0;
}

static void table_close(struct position_store *s) {
    struct position_table *t = table_of(s);
    while (t->entries)
        positions_entry_free(t, t->entries);
    if (t->lock_fd >= 0)
        close(t->lock_fd);
    free(t->path);
    free(t->temp_path);
    free(t);
}

struct position_store *positions_memory_new(void) {
    struct position_table *t = hw_calloc(1, sizeof(*t));
    t->store = (struct position_store){table_load, position_table_save, table_close};
    t->lock_fd = -1;
    return &t->store;
}
