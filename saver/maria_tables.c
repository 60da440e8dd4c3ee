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

static void purge_more(struct maria_rows *s);

static void on_purged(void *arg, int error, const struct maria_answer *a) {
    struct maria_rows *s = arg;
    size_t count = error == 0 ? maria_rows(a) : 0;
    s->is_purging = count == ROWS_PURGED_AT_ONCE;
    if (!s->is_purging)
        return;
    s->purged_to_ms = maria_u64_at(a, count - 1, ONLY_COLUMN);
    purge_more(s); // behind what has come meanwhile
}

// What was deleted just now still stands in the index: it is not looked at again and again.
static void purge_more(struct maria_rows *s) {
    struct buf text = BUF_EMPTY;
    buf_printf(&text,
               "DELETE FROM hawser_messages WHERE leaves_ms >= %" PRIu64
               " AND leaves_ms < " MARIA_NOW_MS " ORDER BY leaves_ms LIMIT %d RETURNING leaves_ms",
               s->purged_to_ms, ROWS_PURGED_AT_ONCE);
    maria_ask(s->conn, &text, on_purged, s);
}

static void on_recalls_purged(void *arg, int error, const struct maria_answer *a) {
    (void)arg; // what is left the next purge takes
    (void)error;
    (void)a;
}

static void purge_recalls(struct maria_rows *s) {
    struct buf text = BUF_EMPTY;
    buf_printf(&text, "DELETE FROM hawser_recalls WHERE leaves_ms < " MARIA_NOW_MS " LIMIT %d",
               ROWS_PURGED_AT_ONCE);
    maria_ask(s->conn, &text, on_recalls_purged, s);
}

void saver_maria_purge(struct store *rows) {
    struct maria_rows *s = (struct maria_rows *)rows;
    maria_outcomes_purge(s);
    if (s->is_purging || maria_conn_down_reason(s->conn))
        return;
    s->is_purging = true;
    s->purged_to_ms = 0;
    purge_recalls(s);
    purge_more(s);
}
