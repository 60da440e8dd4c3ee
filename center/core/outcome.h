// What became of a message, put together from what MariaDB says of it and what the user's log and
// devices show now; and how the API shows that. MariaDB's first end counts. What it does not know
// yet the log tells; what neither knows is unknown.
#ifndef HW_OUTCOME_H
#define HW_OUTCOME_H

#include <jansson.h>
#include <stdbool.h>

#include "saver.pb-c.h"

const char *outcome_name(Hawser__Internal__OutcomeState state);
// By its name; false: there is none such.
bool outcome_by_name(const char *name, Hawser__Internal__OutcomeState *ret_state);

struct outcome_of {                          // one message, for one user; everything is borrowed
    const Hawser__Internal__Outcome *row;    // of MariaDB; NULL: it has none
    const Hawser__Internal__UserReply *kept; // the user's devices
    // What the log has at its seq: the message, or a gap. NULL: nothing, or in another epoch.
    const Hawser__Internal__LoadEntry *entry;
    uint64_t seq; // of it
};
Hawser__Internal__OutcomeState outcome_state(const struct outcome_of *o);
// Where `of` has a row or a message.
json_t *outcome_json(const struct outcome_of *o);
json_t *outcome_row_json(const Hawser__Internal__Outcome *row); // of many: as MariaDB has it

// A user's messages behind a position, from both, by seq.
struct outcome_page {
    const Hawser__Internal__OutcomesReply *rows;
    const Hawser__Internal__UserReply *kept;
    const Hawser__Internal__LoadReply *log; // NULL: the user has none
    uint64_t limit;
    Hawser__Internal__OutcomeState state; // only those; UNKNOWN with is_all: all
    bool is_all;
};
// ret_next: behind it there may be more; 0: there is not.
json_t *outcome_page_json(const struct outcome_page *page, uint64_t *ret_next);

// The status of a message: a StatusReply with a count at least.
json_t *outcome_status_json(const char *id, const Hawser__Internal__StatusReply *s);
// With what its job says (job.h): how far it is, for how many it is, and who was refused. Both are
// taken; job NULL: there is none.
json_t *outcome_of_job_json(json_t *status, json_t *job);

#endif
