// Who may have how many of the process's descriptors. Clients come without limit and unproven, so
// their doors close first; then those of daemons, then the ops port's. What is left beyond them is
// for the process's own links, its store and its files: a crowd at one door never shuts another.
//
//   0 ...... clients' table ...... | clients | daemons | ops | own |  limit
//            (limit - kept back)     1/2       1/4       1/8   1/8   of what is kept back
//
// The clients' part of what is kept back lets a full table refuse newcomers with a word.
#ifndef HW_DESCRIPTORS_H
#define HW_DESCRIPTORS_H

#include <stdint.h>

enum door_kind { DOOR_CLIENTS, DOOR_DAEMONS, DOOR_OPS };

// Clients that a table may hold, at least 1.
uint32_t descriptors_for_clients(uint32_t limit);
// A newcomer whose descriptor has this number or a higher one is refused.
uint32_t descriptors_ceiling(uint32_t limit, enum door_kind door);

#endif
