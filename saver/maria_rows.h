// What a saver keeps in MariaDB (docs/MARIADB.md): the back of its pair (durable.h), a store with a
// few methods. An AppendRequest is landed: it becomes a row, under its id and without a seq. What
// comes while a statement is under way shares the next one, so a commit is paid once for all of
// them. MarkRequest gives a row its seq, TakeAwayRequest takes it away as long as nobody else has
// taken it up, UnmarkedRequest finds those that somebody left behind. A stored message becomes a
// row when it has been appended (backlog.h).
#ifndef HW_MARIA_ROWS_H
#define HW_MARIA_ROWS_H

#include "maria_conn.h"
#include "saver.pb-c.h"
#include "store_open.h"

enum {
    ROWS_A_STATEMENT = 256,
    ROW_BYTES_A_STATEMENT = 1024 * 1024,   // what one more is added to
    STORED_BYTES_A_STATEMENT = 256 * 1024, // likewise: who lands a durable one waits behind it
    LANDING_BYTES_MAX = 64 * 1024 * 1024,
    ENDS_A_STATEMENT = 64,
    OUTCOMES_A_STATEMENT = 256,
    OUTCOME_READS_MAX = 64, // questions for outcomes that wait, or are under way
    UNMARKED_AFTER_MS = 5000,
    UNMARKED_AT_ONCE = 64,
    ROW_LEASE_MS = 5000,
    JOB_ROWS_AT_ONCE = 64,
    JOB_ROW_RESTS_MS = 10000, // until a row is looked at: its job is on its way to the log
    RESTORE_LOGS_MAX = 256,   // of an answer, and the rows of one log
    RESTORE_ROWS_MAX = 32,
};

struct store *saver_maria_rows(const struct maria_options *o); // schema, on_state, arg: its own
const struct maria_counts *saver_maria_counts(const struct store *rows);
struct log *saver_maria_log(const struct store *rows);
void saver_maria_tell_refused(const struct store *rows, uint64_t row); // in the log
// Why it refused the rows that were to land last, though it is up; NULL: it took them.
const char *saver_maria_refusal(struct store *rows);

struct stored_row { // of a message that was appended
    struct stored_row *next;
    uint64_t since_ms; // by the loop
    uint64_t epoch, seq, change, sent_ms, expires_ms, history;
    uint64_t ttl_ms, kept_ms, id_ms, outcome_ms, messages_max,
        bytes_max; // UINT64_MAX: the log has no such limit
    uint32_t product, stream;
    uint64_t landed_before; // of a suspect: rows that had landed when it was refused alone
    bool is_suspect;
    size_t user_len, id_len, hash_len, message_len;
    uint8_t text[]; // user, id, hash of the body, message
};
// error 0: they have landed; -EINVAL: what one of them says is refused. noted: the history into
// which was put back last what a Redis had lost; 0: none.
typedef void stored_done_fn(void *arg, int error, uint64_t noted);
struct stored_rows {
    struct stored_row *first, **end;
    size_t count;
    size_t most; // of the next statement; at most ROWS_A_STATEMENT
};
// Lands the first ones of a list, and answers how many; they stay until it is done. One call at a
// time; never done before it returns.
size_t saver_maria_store(struct store *rows, const struct stored_rows *of, stored_done_fn *done,
                         void *arg);
// In the log.
void saver_maria_tell_put_aside(const struct store *rows, const struct stored_row *row);

struct inbox_end { // all up to this seq has left an inbox, and was not skipped
    uint64_t epoch, upto;
};
typedef void ended_fn(void *arg, int error);
void saver_maria_put_end(struct buf *logs, uint32_t product, const char *user,
                         const struct inbox_end *at);
// logs: at most ENDS_A_STATEMENT, and its bytes are taken. One call at a time; never done before it
// returns.
void saver_maria_end(struct store *rows, struct buf *logs, ended_fn *done, void *arg);

// Ends of messages of inboxes, as they are counted.
struct message_end {
    uint64_t epoch, first, last; // from one seq to another
    uint64_t at_ms;
    Hawser__Internal__OutcomeState state;
    const char *device; // by which it was; "": by none
};
void saver_maria_put_message_end(struct buf *ends, uint32_t product, const char *user,
                                 const struct message_end *end);
// ends: at most OUTCOMES_A_STATEMENT, and its bytes are taken; likewise with saver_maria_end in
// all else.
void saver_maria_tell_ends(struct store *rows, struct buf *ends, ended_fn *done, void *arg);
// Deletes the rows that nobody needs any more, when it is up, a bounded number at a time.
void saver_maria_purge(struct store *rows);

#endif
