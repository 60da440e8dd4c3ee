// What a Redis that went back has lost is put back from MariaDB, under the old seqs and before
// anything else is done there (docs/STORE.md, DELIVERY section 4). Whenever the front has come up
// it is asked whether that was done since its history began; if not, one saver (by a lease) walks
// over all logs of which MariaDB has rows.
//
//   asks --> (whole) --> over
//    |  ^
//    |  +-- a pause: another saver has the lease, an error, or the front came up anew
//    v
//   a page of logs --> which lack some? --> the rows of each --> restored, or appended anew
//    ^                                                             |
//    +-------------------------------------------------------------+--> no more: says so, over
//
// While it is not over the pair does nothing else: -HW_ELOADING. It does not begin before all that
// this saver has stored has landed. What another one stored in an older history may land behind
// that walk: then that one walks once more, beside all else, and what has lost its place is
// appended anew.
#ifndef HW_RECOVERY_H
#define HW_RECOVERY_H

#include "backlog.h"
#include "saver.pb-c.h"

struct recovery {
    struct store *front, *back; // borrowed
    struct backlog *backlog;    // borrowed
    struct loop *loop;
    struct timer tick;
    uint64_t holder;  // of the lease: random
    uint64_t walk;    // random: what the front remembers of it is gone when the front goes back
    uint64_t history; // of the front
    uint64_t ups;     // of the front, when it was asked last
    bool is_over, is_asking;
    bool is_beside;                          // it was over before: it walks for rows that came late
    uint64_t late;                           // how many there were when that began
    Hawser__Internal__LandedLogsReply *page; // owned
    Hawser__Internal__LandedLog *last;       // of the page, in the order of MariaDB
    int open, error;                         // questions about its logs: under way, and failed
    bool lacks[RESTORE_LOGS_MAX];            // by log of the page; after: from which seq on
    uint64_t after[RESTORE_LOGS_MAX];
    size_t at;                               // the log whose rows are put back
    Hawser__Internal__LandedRowsReply *rows; // owned
    uint64_t logs;                           // that were asked in this walk
    uint64_t restored, lost;                 // rows put back, and rows appended anew, in all walks
    char reason[256];
};

void recovery_init(struct recovery *r, struct store *front, struct store *back,
                   struct backlog *backlog);
void recovery_stop(struct recovery *r);   // asks nobody any more; what is open completes later
void recovery_deinit(struct recovery *r); // when all has
bool recovery_is_over(const struct recovery *r); // for the front as it is now
const char *recovery_reason(struct recovery *r); // why not; NULL: it is over

#endif
