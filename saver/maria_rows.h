// What a saver keeps in MariaDB (docs/MARIADB.md): the back of its pair (durable.h), a store with a
// few methods. An AppendRequest is landed: it becomes a row, under its id and without a seq. What
// comes while a statement is under way shares the next one, so a commit is paid once for all of
// them. MarkRequest gives a row its seq, TakeAwayRequest takes it away as long as nobody else has
// taken it up, UnmarkedRequest finds those that somebody left behind.
#ifndef HW_MARIA_ROWS_H
#define HW_MARIA_ROWS_H

#include "maria_conn.h"
#include "store_open.h"

enum {
    ROWS_A_STATEMENT = 256,
    ROW_BYTES_A_STATEMENT = 1024 * 1024, // what one more is added to
    LANDING_BYTES_MAX = 64 * 1024 * 1024,
    UNMARKED_AFTER_MS = 5000,
    UNMARKED_AT_ONCE = 64,
    ROW_LEASE_MS = 5000,
    RESTORE_LOGS_MAX = 256, // of an answer, and the rows of one log
    RESTORE_ROWS_MAX = 32,
};

struct store *saver_maria_rows(const struct maria_options *o); // schema, on_state, arg: its own
const struct maria_counts *saver_maria_counts(const struct store *rows);
struct log *saver_maria_log(const struct store *rows);
void saver_maria_tell_refused(const struct store *rows, uint64_t row); // in the log
// Why it refused the rows that were to land last, though it is up; NULL: it took them.
const char *saver_maria_refusal(struct store *rows);
// Deletes the rows that nobody needs any more, when it is up, a bounded number at a time.
void saver_maria_purge(struct store *rows);

#endif
