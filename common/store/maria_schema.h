// The tables of a database: steps that only add, each done once, by whichever daemon comes first,
// under GET_LOCK. The table hawser_schema has the versions that were made. Without I/O: it says
// which statement is next, and judges what was answered.
//
//   what is there --> (nothing of ours, and nothing of others, or an older version)
//     --> GET_LOCK --> what is there now --> each missing step, and its version --> RELEASE_LOCK
//
// A step that was made and whose version was not written is made again: CREATE TABLE IF NOT EXISTS,
// ADD COLUMN IF NOT EXISTS. A database of a newer program is taken when each of its newer versions
// says that it only adds to what is known here. One that has tables and no hawser_schema is
// somebody else's, and is refused.
#ifndef HW_MARIA_SCHEMA_H
#define HW_MARIA_SCHEMA_H

#include "buf.h"
#include "maria_io.h"

struct maria_schema {
    const char *const *steps; // step i makes version i + 1; ends with NULL
};

enum maria_schema_at {
    SCHEMA_LOOKS,       // which tables there are
    SCHEMA_READS,       // which versions
    SCHEMA_LOCKS,       // GET_LOCK
    SCHEMA_LOOKS_AGAIN, // under the lock
    SCHEMA_READS_AGAIN,
    SCHEMA_MAKES, // a step
    SCHEMA_NOTES, // its version
    SCHEMA_UNLOCKS,
    SCHEMA_IS_RIGHT,
};
struct maria_schema_walk {
    const struct maria_schema *schema;
    enum maria_schema_at at;
    uint64_t version; // that is there
};
void maria_schema_begin(struct maria_schema_walk *w, const struct maria_schema *schema);
// False: all is right, or was refused before.
bool maria_schema_next(const struct maria_schema_walk *w, struct buf *ret_statement);
// What was answered to that. False: with the reason.
bool maria_schema_take(struct maria_schema_walk *w, const struct maria_answer *a,
                       struct buf *ret_why);

#endif
