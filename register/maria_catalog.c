#include "maria_catalog.h"

#include <inttypes.h>
#include <string.h>

#include "catalog_value.h"
#include "maria_database.h"
#include "product.h"
#include "store_step.h"

#define VERSION_END (UINT64_C(1) << 53) // what Redis counts to

struct maria_catalog {
    struct store store; // first
    struct maria_conn *conn;
    struct log *log;             // borrowed
    char refusal[MARIA_WHY_MAX]; // of what was to be written last; empty: it was
    char reason[MARIA_WHY_MAX + 32];
};

struct catalog_step {
    struct store_step step; // first
    uint64_t writer;        // random: the row says whether this step wrote it
};

static struct maria_catalog *maria_catalog_of(const struct store_step *p) {
    return (struct maria_catalog *)p->store;
}

static struct catalog_step *catalog_step_of(struct store_step *p) {
    return (struct catalog_step *)p;
}

// --- a row

static uint32_t product_number(const char *key, const ProtobufCBinaryData *value) {
    Hawser__Internal__Product *p = catalog_product_of(key, value);
    uint32_t number = p ? p->number : 0;
    if (p)
        hawser__internal__product__free_unpacked(p, NULL);
    return number;
}

static bool is_product_of(const char *key, const struct maria_text *value) {
    struct product *p = product_new((const uint8_t *)value->data, value->len, 1);
    bool is = p && p->number > 0 && strcmp(p->name, key + strlen(CATALOG_PRODUCT_PREFIX)) == 0;
    product_free(p);
    return is;
}

#define ENTRY_COLUMNS(FIRST, X)                                                                    \
    FIRST(NAME, "name")                                                                            \
    X(VERSION, "version")                                                                          \
    X(DELETED, "deleted")                                                                          \
    X(VALUE, "IF(LENGTH(value) <= 262144, value, NULL)")                                           \
    X(WRITER, "writer")
#define ENTRY_AT(name, sql) ENTRY_AT_##name,
enum { ENTRY_COLUMNS(ENTRY_AT, ENTRY_AT) };
#define ENTRY_LIST ENTRY_COLUMNS(FIRST_COLUMN, NEXT_COLUMN)
_Static_assert(CATALOG_VALUE_MAX == 262144, "as the column VALUE has it");

// NULL: it is none.
static Hawser__Internal__CatalogEntry *entry_of_row(const struct maria_answer *a, size_t row) {
    struct maria_text key = maria_text_at(a, row, ENTRY_AT_NAME);
    struct maria_text value = maria_text_at(a, row, ENTRY_AT_VALUE);
    uint64_t version = maria_u64_at(a, row, ENTRY_AT_VERSION);
    bool is_deleted = maria_u64_at(a, row, ENTRY_AT_DELETED) != 0;
    if (!key.data || key.len == 0 || strlen(key.data) != key.len || !value.data || version == 0 ||
        version >= VERSION_END || (!is_deleted && value.len == 0) ||
        (!is_deleted && catalog_key_is_product(key.data) && !is_product_of(key.data, &value)))
        return NULL;
    Hawser__Internal__CatalogEntry *e = hw_malloc(sizeof(*e));
    hawser__internal__catalog_entry__init(e);
    e->key = maria_text_copy(key);
    e->version = version;
    e->deleted = is_deleted;
    e->value =
        (ProtobufCBinaryData){value.len, value.len ? hw_memdup(value.data, value.len) : NULL};
    return e;
}

// --- written

struct row_write {
    const char *key;
    const ProtobufCBinaryData *value;
    bool deleted;
    uint64_t version;       // that a new row gets; one that is there gets at least this
    uint64_t above;         // one that is there is written where it is older than this,
    const uint64_t *expect; // or of this version, which of a deleted one is 0; NULL: of none
    uint64_t writer;
};

static bool is_writable(const struct row_write *w) {
    size_t len = strlen(w->key);
    return len > 0 && len <= CATALOG_KEY_MAX && w->value->len <= CATALOG_VALUE_MAX;
}

// MariaDB assigns from left to right: the writer is decided by the row as it was, and all else by
// the writer.
#define IF_WRITTEN(column, value)                                                                  \
    ", " column " = IF(writer = VALUES(writer), " value ", " column ")"
static const char if_written[] =
    IF_WRITTEN("number", "GREATEST(number, VALUES(number))") IF_WRITTEN("value", "VALUES(value)")
        IF_WRITTEN("deleted", "VALUES(deleted)") IF_WRITTEN("changed_ms", "VALUES(changed_ms)")
            IF_WRITTEN("version", "GREATEST(version + 1, VALUES(version))");

static void put_write(struct buf *out, const struct row_write *w) {
    buf_append_str(out, "INSERT INTO hawser_catalog (name, version, deleted, number, value, "
                        "writer, changed_ms) VALUES (");
    maria_put_hex(out, w->key, strlen(w->key));
    buf_printf(out, ", %" PRIu64 ", %d, %" PRIu32 ", ", w->version, w->deleted ? 1 : 0,
               product_number(w->key, w->value));
    maria_put_hex(out, w->value->data, w->value->len);
    buf_printf(out,
               ", %" PRIu64 ", " MARIA_NOW_MS
               ") ON DUPLICATE KEY UPDATE writer = IF(version < %" PRIu64,
               w->writer, w->above);
    if (w->expect)
        buf_printf(out, " OR IF(deleted, 0, version) = %" PRIu64, *w->expect);
    buf_append_str(out, ", VALUES(writer), writer)");
    buf_append_str(out, if_written);
    buf_append_str(out, " RETURNING " ENTRY_LIST);
}

// What the last write said: a server may be up and take nothing.
static void note_write(struct store_step *p, int error, const struct maria_answer *a) {
    struct maria_catalog *c = maria_catalog_of(p);
    if (error == 0)
        c->refusal[0] = '\0';
    else if (a)
        snprintf(c->refusal, sizeof(c->refusal), "%s", a->why);
}

static void on_committed(void *arg, int error, const struct maria_answer *a) {
    struct store_step *p = arg;
    note_write(p, error, a);
    Hawser__Internal__CatalogEntry *e = error == 0 ? entry_of_row(a, 0) : NULL;
    if (!e) { // what is there, and no entry, is not written over
        if (error == 0)
            snprintf(maria_catalog_of(p)->refusal, MARIA_WHY_MAX, "its row cannot be read");
        store_step_complete(p, error ? error : -HW_ESTORE, NULL);
        return;
    }
    Hawser__Internal__CatalogCommitReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__catalog_commit_reply__init(reply);
    reply->committed = maria_u64_at(a, 0, ENTRY_AT_WRITER) == catalog_step_of(p)->writer;
    reply->entry = e;
    store_step_complete(p, 0, &reply->base);
}

static void begin_commit(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__CatalogCommitRequest *q =
        (const Hawser__Internal__CatalogCommitRequest *)request;
    const struct row_write w = {.key = q->put->key,
                                .value = &q->put->value,
                                .deleted = q->put->deleted,
                                .version = q->above + 1,
                                .above = q->above,
                                .expect = &q->put->expect,
                                .writer = rng_epoch(loop_rng(p->store->loop))};
    struct buf text = BUF_EMPTY;
    if (!is_writable(&w)) {
        store_step_complete(p, -HW_ESTORE, NULL);
        return;
    }
    catalog_step_of(p)->writer = w.writer;
    put_write(&text, &w);
    maria_ask(maria_catalog_of(p)->conn, &text, on_committed, p);
}

static void on_entry_written(void *arg, int error, const struct maria_answer *a) {
    struct store_step *p = arg;
    note_write(p, error, a);
    Hawser__Internal__CatalogKeepReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__catalog_keep_reply__init(reply);
    store_step_complete(p, error, &reply->base);
}

static void begin_keep(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__CatalogEntry *e =
        ((const Hawser__Internal__CatalogKeepRequest *)request)->entry;
    const struct row_write w = {.key = e->key,
                                .value = &e->value,
                                .deleted = e->deleted,
                                .version = e->version,
                                .above = e->version,
                                .writer = rng_epoch(loop_rng(p->store->loop))};
    struct buf text = BUF_EMPTY;
    if (!is_writable(&w)) {
        store_step_complete(p, -HW_ESTORE, NULL);
        return;
    }
    put_write(&text, &w);
    maria_ask(maria_catalog_of(p)->conn, &text, on_entry_written, p);
}

// --- read

static void take_unreadable(Hawser__Internal__CatalogPageReply *reply, struct maria_text key) {
    size_t n = reply->n_unreadable++;
    reply->unreadable =
        hw_realloc(reply->unreadable, reply->n_unreadable * sizeof(reply->unreadable[0]));
    reply->unreadable[n] = maria_text_copy(key);
}

#define NUMBER_COLUMN ", (SELECT MAX(number) FROM hawser_catalog)"
enum { NUMBER_AT = ENTRY_AT_WRITER + 1 };

static void on_rows_read(void *arg, int error, const struct maria_answer *a) {
    struct store_step *p = arg;
    if (error != 0) {
        store_step_complete(p, error, NULL);
        return;
    }
    size_t count = maria_rows(a);
    Hawser__Internal__CatalogPageReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__catalog_page_reply__init(reply);
    reply->entry = hw_calloc(count + 1, sizeof(reply->entry[0]));
    for (size_t row = 0; row < count; row++) {
        Hawser__Internal__CatalogEntry *e = entry_of_row(a, row);
        if (e)
            reply->entry[reply->n_entry++] = e;
        else
            take_unreadable(reply, maria_text_at(a, row, ENTRY_AT_NAME));
    }
    if (count > 0) {
        struct maria_text last = maria_text_at(a, count - 1, ENTRY_AT_NAME);
        reply->last = (ProtobufCBinaryData){last.len, hw_memdup(last.data, last.len)};
        reply->number = (uint32_t)maria_u64_at(a, 0, NUMBER_AT);
    }
    reply->more = count == CATALOG_PAGE_ROWS;
    store_step_complete(p, 0, &reply->base);
}

static void begin_rows(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__CatalogPageRequest *q =
        (const Hawser__Internal__CatalogPageRequest *)request;
    struct buf text = BUF_EMPTY;
    buf_append_str(&text, "SELECT " ENTRY_LIST NUMBER_COLUMN " FROM hawser_catalog WHERE ");
    if (q->after.len > 0) {
        buf_append_str(&text, "name > ");
        maria_put_hex(&text, q->after.data, q->after.len);
    } else {
        buf_append_str(&text, "name >= ''");
    }
    if (q->within_ms > 0)
        buf_printf(&text, " AND changed_ms >= " MARIA_NOW_MS " - %" PRIu64, q->within_ms);
    buf_printf(&text, " ORDER BY name LIMIT %d", CATALOG_PAGE_ROWS);
    maria_ask(maria_catalog_of(p)->conn, &text, on_rows_read, p);
}

// --- the store

static const char *maria_catalog_down(struct store *store) {
    struct maria_catalog *c = (struct maria_catalog *)store;
    const char *why = maria_conn_down_reason(c->conn);
    if (!why)
        return NULL;
    snprintf(c->reason, sizeof(c->reason), "mariadb: %s", why);
    return c->reason;
}

static void maria_catalog_stop(struct store *store) {
    struct maria_catalog *c = (struct maria_catalog *)store;
    maria_conn_free(c->conn); // completes what was sent
    c->conn = NULL;
}

static void on_catalog_state(void *arg, bool is_up) {
    if (is_up)
        ((struct maria_catalog *)arg)->refusal[0] = '\0';
}

bool register_maria_takes(const Hawser__Internal__CatalogEntry *e) {
    return is_writable(&(struct row_write){.key = e->key, .value = &e->value});
}

struct log *register_maria_log(const struct store *catalog) {
    return ((const struct maria_catalog *)catalog)->log;
}

const struct maria_counts *register_maria_counts(const struct store *catalog) {
    return maria_conn_counts(((const struct maria_catalog *)catalog)->conn);
}

const char *register_maria_refusal(const struct store *catalog) {
    const struct maria_catalog *c = (const struct maria_catalog *)catalog;
    return c->refusal[0] ? c->refusal : NULL;
}

struct store *register_maria_catalog(const struct maria_options *o) {
    static const struct store_method methods[] = {
        {"commit", &hawser__internal__catalog_commit_request__descriptor, begin_commit},
        {"keep", &hawser__internal__catalog_keep_request__descriptor, begin_keep},
        {"page", &hawser__internal__catalog_page_request__descriptor, begin_rows}};
    static const struct store_kind kind = {.methods = methods,
                                           .method_count = sizeof(methods) / sizeof(methods[0]),
                                           .step_bytes = sizeof(struct catalog_step),
                                           .down_reason = maria_catalog_down,
                                           .stop = maria_catalog_stop};
    struct maria_catalog *c = hw_calloc(1, sizeof(*c));
    struct maria_options options = *o;
    store_init(&c->store, &kind, o->loop);
    options.schema = &maria_hawser_schema;
    options.on_state = on_catalog_state;
    options.arg = c;
    c->log = o->log;
    c->conn = maria_conn_new(&options);
    return &c->store;
}
