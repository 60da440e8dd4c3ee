// What a room may say, and until when. The directory gives it a lease; while that is void so are
// the rows of all its sessions: another login would not name them. Each session is confirmed in
// rounds, and one that was confirmed before the required round sends nothing.
#ifndef HW_LEASE_H
#define HW_LEASE_H

#include <stdbool.h>
#include <stdint.h>

struct lease {
    uint32_t round;    // of confirmations; counts up from 1
    uint32_t required; // rows that were confirmed before it may be void
    bool is_held;      // by the clock, not by a timer: the shell sets it before each step
};

void lease_init(struct lease *l);
void lease_lost(struct lease *l);          // every row must be confirmed anew before it sends
void lease_confirm_again(struct lease *l); // every row once more; what is live sends on meanwhile
// The round that an answer to what is asked now counts for: what is asked while the lease is void
// has to be asked again when it is held.
uint32_t lease_round(const struct lease *l);

#endif
