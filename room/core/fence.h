// Who of several sessions of one (product, user, device) is the newest, as one of them knows it.
// The register's row has a generation; logins order sessions, confirmations only say that the row
// is still ours. A higher row may be the late work of a login whose room is gone, or is about to
// drop it again, so a session that was told of one goes on until that is certain. What it is told
// sets a field; what a confirmation tells is a verdict too:
//
//   the row changed ----------------------> is_undecided
//   the saver knows a higher generation --> is_undecided, is_stale
//   the row is a dead room's -------------> is_undecided           FENCE_WAIT
//   it has a higher generation -----------> superseded_by          FENCE_WAIT
//     after 12 s of such answers                                   FENCE_REPLACED
//   ours, is_stale and no higher now -----> superseded_by          FENCE_WAIT
//     after 12 s of such answers                                   FENCE_TOO_LOW
//   else it is ours ----------------------> none of these          FENCE_OURS
//
// Time in which the register did not answer does not count: leases go on meanwhile.
#ifndef HW_FENCE_H
#define HW_FENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "lease.h"

enum {
    FENCE_SUPERSEDED_MS = 12000, // more than a lease
    FENCE_APART_MS = 2500,       // no answer for longer: the register heard nobody else either
};

struct fence {
    uint64_t generation;        // of our row; 0: we have none
    uint64_t login_generation;  // the login's own: a confirmation may have given another since
    uint64_t login_order;       // of this room's logins, by when they were asked for; 0: none
    uint64_t noticed;           // a notice that came before the register's answer was for this one
    uint64_t superseded_by;     // the higher generation that a confirmation told of; 0: none
    uint64_t superseded_ms;     // when a confirmation last told of it
    uint32_t superseded_for_ms; // over how much time the register has told of it, without breaks
    uint32_t asked_round, confirmed_round; // of the room's lease
    uint16_t asking;                       // confirmations on their way
    bool is_undecided;                     // the row may be another's: to be confirmed soon
    bool is_row_unsure; // a confirmation without an answer may have written the row anew
    bool is_stale;      // the saver knows a higher generation
    bool is_unanswered; // a confirmation was, since the row was last known to be ours
};

// What the register says of the row.
enum fence_outcome { FENCE_HELD, FENCE_REWRITTEN, FENCE_HIGHER, FENCE_UNKNOWN };
struct fence_answer {
    enum fence_outcome outcome;
    uint64_t generation; // HIGHER: the other one; REWRITTEN: ours from now on
};

// What a live session makes of it.
enum fence_verdict {
    FENCE_OURS,     // the row is ours
    FENCE_WAIT,     // not decided: ask again soon
    FENCE_REPLACED, // a newer login has it: over
    FENCE_TOO_LOW,  // it is ours, by a generation below one that the saver knows: over, come again
};

// Of a row that is ours.
struct fence_ours {
    bool is_anew;      // by another generation: the saver must learn it before acks count
    bool is_rewritten; // by this confirmation or, perhaps, by one that had no answer
};

// What is left of one whose row is ours and who waits for nothing.
struct fence_rest {
    uint64_t generation, login_generation, login_order;
    uint32_t asked_round, confirmed_round;
};

void fence_init(struct fence *f, const struct lease *l); // before a login: we have no row

// --- questions and answers
void fence_asks_login(struct fence *f, const struct lease *l, uint64_t order);
void fence_logged_in(struct fence *f, uint64_t generation);
void fence_asks_row(struct fence *f, const struct lease *l);
void fence_answered(struct fence *f, bool is_answer); // each fence_asks_row ends in one
// Of a live session. *ret_ours is set with FENCE_OURS.
enum fence_verdict fence_confirmed(struct fence *f, const struct fence_answer *a, uint64_t now_ms,
                                   struct fence_ours *ret_ours);
// Of a login, in whose doubt the row was written anew. What was said of the row meanwhile stays
// undecided.
void fence_rewritten(struct fence *f, uint64_t generation);

// --- what others say
void fence_row_changed(struct fence *f); // it is to be confirmed at once
void fence_saver_knows_higher(struct fence *f);
// A newer login took the row of `generation`. Whether that is this session; before the register has
// answered it is kept for fence_was_noticed.
bool fence_noticed(struct fence *f, uint64_t generation);
bool fence_was_noticed(const struct fence *f, uint64_t generation);

// --- at rest
void fence_keep(const struct fence *f, struct fence_rest *ret_rest);
void fence_restore(struct fence *f,
                   const struct fence_rest *rest); // what else it knew is forgotten

// --- questions
static inline bool fence_row_is_void(const struct fence *f, const struct lease *l) { // perhaps
    return f->confirmed_round < l->required;
}
static inline bool fence_may_send(const struct fence *f, const struct lease *l) {
    return l->is_held && !fence_row_is_void(f, l);
}
bool fence_needs_confirmation(const struct fence *f, const struct lease *l); // in this round
// Whether the row, or a delivery by it, is this session's.
bool fence_is(const struct fence *f, uint64_t generation);

#endif
