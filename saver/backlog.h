// What was stored and has yet to land in MariaDB (docs/STORE.md): rows in the order in which the
// front has taken them. They land many at a time, already marked. Bounded in bytes, with what each
// takes of the heap: a row is taken before its message is appended, so that what has no place here
// is not stored.
//
//   row_new --> (appended) --> add --> waits --> is under way --> landed, freed
//      |           | not stored: drop                 | failed: waits again
//      +-- full: NULL
//
// A row that MariaDB refuses for what it says must not hold up those behind it. So the statement is
// halved until one row is refused alone. That one goes to the end. If it is refused alone once
// more, and others have landed meanwhile, it is put aside: freed, counted and told in the log.
// Where none has landed it may not be for what it says, and all wait.
//
// A row that landed twice is there once. One that was appended in an older history than the one
// that was noted when it landed is late: a walk (recovery.h) may have passed its log without it.
#ifndef HW_BACKLOG_H
#define HW_BACKLOG_H

#include "maria_rows.h"
#include "saver.pb-c.h"

#define BACKLOG_BYTES_MAX (UINT64_C(1) << 30)
enum { SUSPECTS_MAX = 16 };

struct backlog {
    struct store *back; // borrowed
    struct loop *loop;
    struct stored_rows list; // owned; of those that wait
    struct timer timer;
    uint64_t bytes_max, bytes, rows; // with those that are being appended
    uint64_t waiting;                // of these, those that are appended
    uint64_t added, landed, refused; // refused: had no place
    uint64_t put_aside;
    size_t refused_in_turn; // rows that were refused alone since one has landed, or since a pause
    size_t sent;            // the first ones are under way
    bool is_full;           // the last one that came had no place
    // Rows that came late, and how many of these a walk that began behind them has looked for.
    uint64_t late, late_settled;
    uint64_t noted; // the history, when rows landed last
    bool is_stopping;
};
void backlog_init(struct backlog *b, struct store *back);
// Asks nobody any more.
void backlog_stop(struct backlog *b);
void backlog_deinit(struct backlog *b);

// Of a message that is to be appended; NULL: there is no place for it.
struct stored_row *backlog_row_new(struct backlog *b, const Hawser__Internal__AppendRequest *q);
void backlog_drop(struct backlog *b, struct stored_row *row);
void backlog_add(struct backlog *b, struct stored_row *row,
                 const Hawser__Internal__AppendReply *at);
uint64_t backlog_settled(const struct backlog *b);   // rows of those added that wait no more
uint64_t backlog_oldest_ms(const struct backlog *b); // how long it has waited; 0: none does

#endif
