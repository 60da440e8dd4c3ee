// How the tables are made, and what leaves them.
#include "maria_internal.h"

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
