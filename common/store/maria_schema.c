#include "maria_schema.h"

#include <inttypes.h>
#include <stdlib.h>

enum { LOCK_WAIT_S = 1 };

static const char looks[] = "SELECT COUNT(*), COALESCE(SUM(table_name = 'hawser_schema'), 0) FROM "
                            "information_schema.tables WHERE table_schema = DATABASE()";
static const char reads[] = "SELECT version, only_adds FROM hawser_schema ORDER BY version";
static const char first_table[] = "CREATE TABLE IF NOT EXISTS hawser_schema ("
                                  "version INT UNSIGNED NOT NULL PRIMARY KEY, "
                                  "only_adds BOOLEAN NOT NULL, "
                                  "made_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP"
                                  ") ENGINE=InnoDB";

static uint64_t newest(const struct maria_schema *s) {
    uint64_t n = 0;
    while (s->steps[n])
        n++;
    return n;
}

void maria_schema_begin(struct maria_schema_walk *w, const struct maria_schema *schema) {
    *w = (struct maria_schema_walk){.schema = schema};
}

bool maria_schema_next(const struct maria_schema_walk *w, struct buf *ret_statement) {
    switch (w->at) {
    case SCHEMA_LOOKS:
    case SCHEMA_LOOKS_AGAIN:
        buf_append_str(ret_statement, looks);
        return true;
    case SCHEMA_READS:
    case SCHEMA_READS_AGAIN:
        buf_append_str(ret_statement, reads);
        return true;
    case SCHEMA_LOCKS:
        buf_printf(ret_statement, "SELECT GET_LOCK(CONCAT('hawser.', DATABASE()), %d)",
                   LOCK_WAIT_S);
        return true;
    case SCHEMA_MAKES: // version 0 is the table of versions
        buf_append_str(ret_statement,
                       w->version == 0 ? first_table : w->schema->steps[w->version - 1]);
        return true;
    case SCHEMA_NOTES:
        buf_printf(ret_statement,
                   "INSERT INTO hawser_schema (version, only_adds) VALUES (%" PRIu64 ", 1)",
                   w->version);
        return true;
    case SCHEMA_UNLOCKS:
        buf_append_str(ret_statement, "SELECT RELEASE_LOCK(CONCAT('hawser.', DATABASE()))");
        return true;
    case SCHEMA_IS_RIGHT:
        break;
    }
    return false;
}

// Which tables there are.
static bool took_tables(struct maria_schema_walk *w, const struct maria_answer *a,
                        struct buf *ret_why) {
    bool is_again = w->at == SCHEMA_LOOKS_AGAIN;
    if (maria_u64_at(a, 0, 1) > 0) {
        w->at = is_again ? SCHEMA_READS_AGAIN : SCHEMA_READS;
        return true;
    }
    if (maria_u64_at(a, 0, 0) > 0) {
        buf_append_str(ret_why, "the database has tables and no hawser_schema among them: it is "
                                "another program's; give mariadb.url one of its own");
        return false;
    }
    w->version = 0;
    w->at = is_again ? SCHEMA_MAKES : SCHEMA_LOCKS;
    return true;
}

static bool took_versions(struct maria_schema_walk *w, const struct maria_answer *a,
                          struct buf *ret_why) {
    bool is_again = w->at == SCHEMA_READS_AGAIN;
    uint64_t known = newest(w->schema), version = 0;
    for (size_t row = 0; row < maria_rows(a); row++) {
        version = maria_u64_at(a, row, 0);
        if (version > known && maria_u64_at(a, row, 1) == 0) {
            buf_printf(ret_why,
                       "its tables are of version %" PRIu64 ", which changes what this program, "
                       "of version %" PRIu64 ", knows: start a newer one",
                       version, known);
            return false;
        }
    }
    w->version = version + 1; // the next one to be made
    if (version >= known)
        w->at = is_again ? SCHEMA_UNLOCKS : SCHEMA_IS_RIGHT;
    else
        w->at = is_again ? SCHEMA_MAKES : SCHEMA_LOCKS;
    return true;
}

static bool took_lock(struct maria_schema_walk *w, const struct maria_answer *a,
                      struct buf *ret_why) {
    w->at = SCHEMA_LOOKS_AGAIN;
    if (maria_u64_at(a, 0, 0) == 1)
        return true;
    buf_append_str(ret_why, "another daemon is changing its tables");
    return false;
}

static void next_version(struct maria_schema_walk *w) {
    w->version++;
    w->at = w->version > newest(w->schema) ? SCHEMA_UNLOCKS : SCHEMA_MAKES;
}

bool maria_schema_take(struct maria_schema_walk *w, const struct maria_answer *a,
                       struct buf *ret_why) {
    switch (w->at) {
    case SCHEMA_LOOKS:
    case SCHEMA_LOOKS_AGAIN:
        return took_tables(w, a, ret_why);
    case SCHEMA_READS:
    case SCHEMA_READS_AGAIN:
        return took_versions(w, a, ret_why);
    case SCHEMA_LOCKS:
        return took_lock(w, a, ret_why);
    case SCHEMA_MAKES:
        if (w->version == 0) // the table of versions has none
            next_version(w);
        else
            w->at = SCHEMA_NOTES;
        return true;
    case SCHEMA_NOTES:
        next_version(w);
        return true;
    case SCHEMA_UNLOCKS:
        w->at = SCHEMA_IS_RIGHT;
        return true;
    case SCHEMA_IS_RIGHT:
        break;
    }
    return true;
}
