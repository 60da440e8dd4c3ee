// The catalog in Redis and the one in MariaDB are made one (docs/STORE.md). Whenever the front has
// come up it is asked whether it was filled since its history began: as long as not, it may lack
// what was committed, or have what was changed since. All passes repeat harmlessly, so each
// register does its own.
//
//   asks --> (filled) --> over
//    |  ^
//    |  +-- a pause: an error, or the front came up anew
//    v
//   a page of the back --> each entry into the front, where its own is older --> no more
//    --> says so, over --> a page of the front --> each entry into the back, likewise --> no more
//
// A pass over all is done whenever the front or the back has come up. Every 5 s one over what was
// changed in the last minute follows: what a register has committed, and could not put into the
// front.
#ifndef HW_FILLING_H
#define HW_FILLING_H

#include "buf.h"
#include "log.h"
#include "loop.h"
#include "store.h"

struct back_entry;

struct filling {
    struct store *front, *back; // borrowed
    struct loop *loop;
    struct log *log; // borrowed
    struct timer tick;
    uint64_t ups;         // of the front, when it was asked last
    bool is_over;         // for these ups
    bool is_known;        // whether it was answered
    bool wants_all;       // a pass over all is to come
    bool is_asking;       // a question or a pass is under way
    uint64_t next_ms;     // the next pass
    uint64_t again_ms;    // and over all, where an entry was left out
    uint64_t within_ms;   // of the pass; 0: over all
    struct buf after;     // the key behind which the next page of the back begins
    uint64_t epoch, seen; // up to where the front was read
    bool more;
    int open, error; // of a page: entries under way, and the first error
    void (*then)(struct filling *f);
    struct back_entry *entries; // owned; of the back, in a pass over all
    uint32_t number;            // the highest of a product
    uint64_t bad_in_pass;
    struct {
        uint64_t filled, kept; // entries put into the front, and into the back
        uint64_t bad;          // rows that are none, or take none, in the last pass over all
    } count;
    char bad_key[100]; // one of them
    char reason[320];
};

void filling_init(struct filling *f, struct store *front, struct store *back, struct log *log);
void filling_stop(struct filling *f);          // asks nobody any more; what is open completes later
void filling_deinit(struct filling *f);        // when all has
bool filling_is_over(const struct filling *f); // for the front as it is now
const char *filling_reason(struct filling *f); // why not; NULL: it is over

#endif
