// How many logins a room has under way, and when others are to come; likewise confirmations, and
// inboxes' heads that are asked for.
//
// A login is work for a register and a saver. What they can't do before its deadline is work for
// nothing: the client gives up, comes again, and all of it is done anew; in a storm nobody gets in.
// So a room has no more logins under way than are answered in good time. Who comes beyond them is
// given a time of its own, each a little later than the one before, at the pace at which logins
// end; behind the longest wait the times begin again.
#ifndef HW_ADMISSION_H
#define HW_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

enum {
    ADMISSION_FIRST = 512, // logins at once, until their answers say more
    ADMISSION_MIN = 32,
    ADMISSION_MAX = 16384,
    ADMISSION_GOOD_MS = 500,      // an answer that came so soon: there may be one more
    ADMISSION_SLOW_MS = 1500,     // one that took longer, or none: half as many
    ADMISSION_WAIT_MIN_MS = 1000, // what a client is asked to wait
    ADMISSION_WAIT_MAX_MS = 30000,
};

struct admission {
    uint64_t let_in;      // and have not asked yet
    uint64_t under_way;   // questions of logins that wait for their answer
    uint64_t at_once;     // logins that may be under way
    uint64_t narrowed_ms; // when it last became half
    uint64_t next_us;     // the time that was given last
};

void admission_init(struct admission *a);
// Whether one more may be let in; then it is, and asks when what was written down is carried out.
bool admission_lets_in(struct admission *a);
void admission_all_asked(struct admission *a); // who was let in, or is gone
// For one that finds it closed: how long to wait, in ms.
uint32_t admission_put_off(struct admission *a, uint64_t now_ms);

// How many more may be asked now.
uint64_t admission_left(const struct admission *a);

void admission_asked(struct admission *a);
// `is_answer`: within the deadline, whatever it said.
void admission_answered(struct admission *a, uint64_t asked_ms, uint64_t now_ms, bool is_answer);

#endif
