// What all steps put and read, and what leaves the tables.
#include "maria_internal.h"

// --- what is put, and what is read

Hawser__Internal__StoredMessage *maria_message(struct maria_text packed, struct maria_text id) {
    Hawser__Internal__StoredMessage *m =
        packed.data ? hawser__internal__stored_message__unpack(NULL, packed.len,
                                                               (const uint8_t *)packed.data)
                    : NULL;
    if (!m)
        return NULL;
    free(m->id); // the column's is what is unique
    m->id = maria_text_copy(id);
    return m;
}

void maria_put_lease(struct buf *out, const char *name, uint64_t holder) {
    buf_printf(out,
               "INSERT INTO hawser_leases (name, holder, until_ms) VALUES ('%s', %" PRIu64
               ", " MARIA_NOW_MS
               " + %d) ON DUPLICATE KEY UPDATE holder = IF(until_ms < " MARIA_NOW_MS
               ", VALUES(holder), holder), until_ms = IF(holder = VALUES(holder), "
               "VALUES(until_ms), until_ms) RETURNING holder",
               name, holder, ROW_LEASE_MS);
}

void maria_ask_for(struct row_step *r, struct buf *text, maria_done_fn *done) {
    maria_ask(maria_rows_of(&r->step)->conn, text, done, r);
}

void maria_note_refusal(struct maria_rows *s, int error, const struct maria_answer *a) {
    if (error == 0)
        s->refusal[0] = '\0';
    else if (a && a->code != 0)
        snprintf(s->refusal, sizeof(s->refusal), "%s", a->why);
}

// --- what leaves

enum { ROWS_PURGED_AT_ONCE = 500 };

static const struct {
    const char *table, *leaves; // leaves: the column that says when nobody needs a row any more
} purged[] = {[PURGE_MESSAGES] = {"hawser_messages", "leaves_ms"},
              [PURGE_OUTCOMES] = {"hawser_outcomes", "until_ms"},
              [PURGE_RECALLS] = {"hawser_recalls", "leaves_ms"}};

static void purge_more(struct maria_purge *p);

static void on_purged(void *arg, int error, const struct maria_answer *a) {
    struct maria_purge *p = arg;
    size_t count = error == 0 ? maria_rows(a) : 0;
    p->is_under_way = count == ROWS_PURGED_AT_ONCE;
    if (!p->is_under_way)
        return;
    p->upto_ms = maria_u64_at(a, count - 1, ONLY_COLUMN);
    purge_more(p); // behind what has come meanwhile
}

// What was deleted just now still stands in the index: it is not looked at again and again.
static void purge_more(struct maria_purge *p) {
    struct maria_rows *s = p->rows;
    struct buf text = BUF_EMPTY;
    const char *leaves = purged[p - s->purge].leaves;
    buf_printf(&text,
               "DELETE FROM %s WHERE %s >= %" PRIu64 " AND %s < " MARIA_NOW_MS
               " ORDER BY %s LIMIT %d RETURNING %s",
               purged[p - s->purge].table, leaves, p->upto_ms, leaves, leaves, ROWS_PURGED_AT_ONCE,
               leaves);
    maria_ask(s->conn, &text, on_purged, p);
}

void saver_maria_purge(struct store *rows) {
    struct maria_rows *s = (struct maria_rows *)rows;
    for (int i = 0; i < PURGES; i++) {
        struct maria_purge *p = &s->purge[i];
        if (p->is_under_way || maria_conn_down_reason(s->conn))
            continue;
        *p = (struct maria_purge){.rows = s, .is_under_way = true};
        purge_more(p);
    }
}
