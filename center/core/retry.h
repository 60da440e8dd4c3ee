// What the end of a call means for the next step. Whoever misses an answer repeats the append,
// since its id makes that harmless; but whether it may have been done is remembered, and a push
// ends as "outcome unknown" only when that is so.
#ifndef HW_RETRY_H
#define HW_RETRY_H

#include "problem.h"
#include "saver.pb-c.h"

enum outcome { OUTCOME_DONE, OUTCOME_FAILED /* certainly */, OUTCOME_UNKNOWN };

// Of a call that changes something and ended with this error (0: an answer that does not decode);
// was_up: its link, when it was made.
enum outcome outcome_of_error(int error, bool was_up);

// No try after it gets another answer soon: only an operator can change it, or, after these tries
// (0.6 s), it is MariaDB, which no other saver reaches either.
bool is_lasting_error(int error, unsigned tries);

struct retry {
    uint64_t give_up_ms;
    unsigned tries;   // that were made
    bool may_be_done; // by one of them
};
// A try has ended without an answer. True: the next one is due after *ret_wait_ms.
bool retry_missed(struct retry *r, enum outcome outcome, uint64_t now_ms, uint64_t *ret_wait_ms);

// Whether an append that was answered so is one that its client repeats: the id that is there
// already may be of an earlier try of this call, too, which then is the first to tell of it.
bool retry_is_replay(const struct retry *r, Hawser__Internal__AppendOutcome answer);

struct verdict {
    enum outcome outcome;
    enum problem_code problem; // unless it is done; inbox_full: another log may have room
    const char *why;
    const char *field; // at fault; NULL: none
};
// An append without an answer, after its last try.
struct verdict verdict_of_silence(int error, bool may_be_stored);
// What a store answered to an append; may_be_stored: an earlier try of it may be on its way still,
// and find room that this one did not.
struct verdict verdict_of_append(Hawser__Internal__AppendOutcome answer, bool may_be_stored);

// Makes of the first problem of a push's logs that of the whole push: a refusal says that nothing
// is stored, so it is none where some have it or may have it.
void problem_of_push(struct problem *p, bool some_have_it);

#endif
