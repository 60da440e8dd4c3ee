#include "maria_database.h"

#include <string.h>

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

// --- the tables

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

static const char make_catalog[] = "CREATE TABLE IF NOT EXISTS hawser_catalog ("
                                   "name VARBINARY(255) NOT NULL PRIMARY KEY, "
                                   "version BIGINT UNSIGNED NOT NULL, "
                                   "deleted BOOLEAN NOT NULL, "
                                   "number INT UNSIGNED NOT NULL, "
                                   "value MEDIUMBLOB NOT NULL, "
                                   "writer BIGINT UNSIGNED NOT NULL, "
                                   "changed_ms BIGINT UNSIGNED NOT NULL, "
                                   "KEY number (number), "
                                   "KEY changed (changed_ms)"
                                   ") ENGINE=InnoDB";

// Of stored messages, too: the limits of the log, and when the row's message left it.
static const char add_ends[] = "ALTER TABLE hawser_messages "
                               "ADD COLUMN IF NOT EXISTS messages_max BIGINT UNSIGNED NULL, "
                               "ADD COLUMN IF NOT EXISTS bytes_max BIGINT UNSIGNED NULL, "
                               "ADD COLUMN IF NOT EXISTS ended_ms BIGINT UNSIGNED NULL";

// What became of each message for whom, from when it is in its log on.
static const char make_outcomes[] = "CREATE TABLE IF NOT EXISTS hawser_outcomes ("
                                    "product INT UNSIGNED NOT NULL, "
                                    "id VARBINARY(64) NOT NULL, "
                                    "stream TINYINT UNSIGNED NOT NULL, "
                                    "user VARBINARY(64) NOT NULL, "
                                    "epoch BIGINT UNSIGNED NOT NULL, "
                                    "seq BIGINT UNSIGNED NOT NULL, "
                                    "class TINYINT UNSIGNED NOT NULL, "
                                    "state TINYINT UNSIGNED NOT NULL, "
                                    "sent_ms BIGINT UNSIGNED NOT NULL, "
                                    "expires_ms BIGINT UNSIGNED NOT NULL, "
                                    "ended_ms BIGINT UNSIGNED NOT NULL, "
                                    "device VARBINARY(64) NOT NULL, "
                                    "kept_ms BIGINT UNSIGNED NOT NULL, "
                                    "until_ms BIGINT UNSIGNED NOT NULL, "
                                    "PRIMARY KEY (product, id, stream, user), "
                                    "KEY log (product, stream, user, seq), "
                                    "KEY until (until_ms)"
                                    ") ENGINE=InnoDB";

// One that is under way: a job that is done loses its row.
static const char make_jobs[] = "CREATE TABLE IF NOT EXISTS hawser_jobs ("
                                "row_no BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, "
                                "product INT UNSIGNED NOT NULL, "
                                "id VARBINARY(64) NOT NULL, "
                                "claim BIGINT UNSIGNED NOT NULL, "
                                "expires_ms BIGINT UNSIGNED NOT NULL, "
                                "landed_ms BIGINT UNSIGNED NOT NULL, "
                                "takers INT UNSIGNED NOT NULL DEFAULT 1, "
                                "parts_done BIGINT UNSIGNED NOT NULL DEFAULT 0, "
                                "job MEDIUMBLOB NOT NULL, "
                                "UNIQUE KEY id (product, id)"
                                ") ENGINE=InnoDB";

// Also of messages whose row has yet to land, so that it is a table of its own.
static const char make_recalls[] = "CREATE TABLE IF NOT EXISTS hawser_recalls ("
                                   "product INT UNSIGNED NOT NULL, "
                                   "stream TINYINT UNSIGNED NOT NULL, "
                                   "user VARBINARY(64) NOT NULL, "
                                   "epoch BIGINT UNSIGNED NOT NULL, "
                                   "seq BIGINT UNSIGNED NOT NULL, "
                                   "id VARBINARY(64) NOT NULL, "
                                   "leaves_ms BIGINT UNSIGNED NOT NULL, "
                                   "PRIMARY KEY (product, stream, user, epoch, seq), "
                                   "KEY leaves (leaves_ms)"
                                   ") ENGINE=InnoDB";

static const char *const steps[] = {make_messages, make_leases, add_leaves,    fill_leaves,
                                    make_catalog,  add_ends,    make_outcomes, make_jobs,
                                    make_recalls,  NULL};
const struct maria_schema maria_hawser_schema = {steps};
