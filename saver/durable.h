// The class durable: the pair of a saver's logs (its front) and their rows in MariaDB (its back).
// A durable append is landed first, then appended, then answered, then marked with its seq. A
// stored one is appended and answered, then landed (backlog.h). All else is the front's.
// docs/STORE.md says what becomes of a row that is landed and not appended.
//
//   land --> append --> answer, mark --> settle (the front remembers the id no longer than others)
//     |         | refused, or not done: the row is withdrawn, then that is answered
//     |         | no answer, or withdrawn by nobody: the outcome is unknown
//     +-- failed: -HW_ECLASS, nothing is stored; or the outcome is unknown
//
// Rows that nobody has marked after 5 s are appended by the saver that holds the lease, in the
// order in which they landed, without last moment and limits: they may have been answered.
#ifndef HW_DURABLE_H
#define HW_DURABLE_H

#include "maria_rows.h"
#include "store.h"

struct durable_counts {
    uint64_t landed, marked, withdrawn, taken_up, refused;
    uint64_t unmarked;                                     // in the database, at most 10,000
    uint64_t statements, refused_statements, failed, late; // of the connection
    uint64_t waiting, waiting_bytes, up_s;                 // likewise
    uint64_t jobs_restored;
    uint64_t restored, appended_anew; // rows that a Redis had lost; those without their old place
    uint64_t ends_told, ends_missed;  // of inboxes: told of what all devices have handled
    uint64_t outcomes_told, outcomes_missed; // ends of messages
    // Of stored messages: rows that have landed, pushes without a place in the backlog, rows that
    // are refused for good, and the backlog.
    uint64_t stored_landed, stored_refused, stored_put_aside;
    uint64_t backlog_rows, backlog_bytes, backlog_oldest_s;
};
// Both are taken.
struct store *saver_durable(struct store *front, struct store *rows);
// NULL: the store is none. They are as of the last second.
const struct durable_counts *saver_durable_counts(const struct store *s);
const char *saver_durable_down(struct store *s); // why durable appends fail; NULL: they do not
void saver_durable_bound(struct store *s, uint64_t backlog_bytes); // 1 GiB otherwise
bool saver_durable_has_landed(const struct store *s);              // all that was stored
bool saver_durable_is_full(const struct store *s);                 // stored appends fail, for that

#endif
