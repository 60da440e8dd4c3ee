// push_per_s: for each product that has this limit, the pushes of one second that it may have at
// once.
#ifndef HW_PACE_H
#define HW_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "table.h"

struct pace {
    UT_hash_handle hh;
    uint32_t product;
    uint64_t milli_pushes, filled_ms;
};

struct pace_ask {
    uint32_t product;
    uint64_t per_s; // its limit; 0 = none
    uint64_t pushes;
};

// Takes them if they are there; more than a second's worth goes when all of it is there. False: not
// now. *all is the table, NULL at first.
bool pace_take(struct pace **all, const struct pace_ask *ask, uint64_t now_ms);
void paces_free(struct pace **all);

#endif
