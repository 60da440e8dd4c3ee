// A push on its way, shared by send.c, which knows all its legs, and append.c, which knows one.
#ifndef HW_SEND_INTERNAL_H
#define HW_SEND_INTERNAL_H

#include <sys/queue.h>

#include "retry.h"
#include "send.h"

struct sending { // one push
    struct center *center;
    struct push push; // owned
    struct aim aim;
    uint64_t give_up_ms;
    uint64_t claim_of_key; // that took the key; 0: none has
    uint64_t claim;        // this call's own number, by which it knows its claim again
    bool claim_replayed;   // an earlier call has claimed the key
    struct sent result;
    size_t started, ended, stored, refused, replays; // legs
    struct sender sender;
};

struct leg;
// reply NULL: the last try ended without an answer, with this error.
typedef void leg_fn(struct leg *leg, int error, const Hawser__Internal__AppendReply *reply);

struct leg { // its claim, one inbox of it, the broadcast log, or all of it as a job
    LIST_ENTRY(leg) at_center;
    struct sending *sending;
    const struct target *target; // NULL: the broadcast log, the claim, or the job
    bool is_claim, is_job;
    struct retry retry;
    struct timer timer; // until the next try
    bool was_up;        // the link to the saver, at the last try
    leg_fn *done;
};

// Appends, and tries again while there is no answer and time is left.
void append_leg(struct leg *leg, leg_fn *done);
// A try has ended without an answer.
void append_missed(struct leg *leg, int error);

#endif
