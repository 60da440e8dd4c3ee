// How the tables are made, and what leaves them.
#include "maria_internal.h"

// --- what is put, and what is read

void maria_put_hex(struct buf *out, const void *data, size_t len) {
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = data;
    buf_append_str(out, "x'");
    uint8_t *to = buf_reserve(out, 2 * len);
    for (size_t i = 0; i < len; i++) {
        to[2 * i] = (uint8_t)digits[from[i] >> 4];
        to[2 * i + 1] = (uint8_t)digits[from[i] & 15];
    }
    out->len += 2 * len;
    buf_append_str(out, "'");
}

char *maria_text_copy(struct maria_text t) {
    return t.data ? hw_strndup(t.data, t.len) : hw_strdup("");
}

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
               ", " NOW_MS " + %d) ON DUPLICATE KEY UPDATE holder = IF(until_ms < " NOW_MS
               ", VALUES(holder), holder), until_ms = IF(holder = VALUES(holder), "
               "VALUES(until_ms), until_ms) RETURNING holder",
               name, holder, ROW_LEASE_MS);
}

void maria_ask_for(struct row_step *r, struct buf *text, maria_done_fn *done) {
    maria_ask(maria_rows_of(&r->step)->conn, text, done, r);
}

// --- the tables

enum { ROWS_PURGED_AT_ONCE = 500 };

// A step that was made stays as it is: another one follows it (maria_schema.h).
static const char make_messages[] = "CREATE TABLE IF NOT EXISTS hawser_messages ("
                                    "row_no BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, "
                                    "product INT UNSIGNED NOT NULL, "
                                    "stream TINYINT UNSIGNED NOT NULL, "
                                    "user VARBINARY(64) NOT NULL, "
                                    "id VARBINARY(64) NOT NULL, "
                                    "id_is_free BIGINT UNSIGNED NOT NULL DEFAULT 0, "
                                    "class TINYINT UNSIGNED NOT NULL, "
                                    "body_hash VARBINARY(16) NOT NULL, "
                                    "message MEDIUMBLOB NOT NULL, "
                                    "ttl_ms BIGINT UNSIGNED NOT NULL, "
                                    "kept_ms BIGINT UNSIGNED NOT NULL, "
                                    "landed_ms BIGINT UNSIGNED NOT NULL, "
                                    "id_until_ms BIGINT UNSIGNED NOT NULL, "
                                    "takers INT UNSIGNED NOT NULL DEFAULT 1, "
                                    "unmarked TINYINT UNSIGNED NULL DEFAULT 1, "
                                    "epoch BIGINT UNSIGNED NULL, "
                                    "seq BIGINT UNSIGNED NULL, "
                                    "change_no BIGINT UNSIGNED NULL, "
                                    "sent_ms BIGINT UNSIGNED NULL, "
                                    "expires_ms BIGINT UNSIGNED NULL, "
                                    "UNIQUE KEY id (product, stream, user, id, id_is_free), "
                                    "KEY log (product, stream, user, epoch, seq), "
                                    "KEY unmarked (unmarked, row_no), "
                                    "KEY ends (expires_ms)"
                                    ") ENGINE=InnoDB";

static const char make_leases[] = "CREATE TABLE IF NOT EXISTS hawser_leases ("
                                  "name VARBINARY(32) NOT NULL PRIMARY KEY, "
                                  "holder BIGINT UNSIGNED NOT NULL, "
                                  "until_ms BIGINT UNSIGNED NOT NULL"
                                  ") ENGINE=InnoDB";

static const char add_leaves[] = "ALTER TABLE hawser_messages "
                                 "ADD COLUMN IF NOT EXISTS leaves_ms BIGINT UNSIGNED NULL, "
                                 "ADD KEY IF NOT EXISTS leaves (leaves_ms)";

static const char fill_leaves[] = "UPDATE hawser_messages SET leaves_ms = GREATEST(expires_ms, "
                                  "id_until_ms) WHERE unmarked IS NULL AND leaves_ms IS NULL";

static const char *const steps[] = {make_messages, make_leases, add_leaves, fill_leaves, NULL};
const struct maria_schema saver_maria_schema = {steps};

static void purge_more(struct maria_rows *s);

static void on_purged(void *arg, int error, const struct maria_answer *a) {
    struct maria_rows *s = arg;
    if (error == 0 && maria_affected(a) == ROWS_PURGED_AT_ONCE)
        purge_more(s); // behind what has come meanwhile
    else
        s->is_purging = false;
}

static void purge_more(struct maria_rows *s) {
    struct buf text = BUF_EMPTY;
    buf_printf(&text, "DELETE FROM hawser_messages WHERE leaves_ms < " NOW_MS " LIMIT %d",
               ROWS_PURGED_AT_ONCE);
    maria_ask(s->conn, &text, on_purged, s);
}

void saver_maria_purge(struct store *rows) {
    struct maria_rows *s = (struct maria_rows *)rows;
    if (s->is_purging || maria_conn_down_reason(s->conn))
        return;
    s->is_purging = true;
    purge_more(s);
}
