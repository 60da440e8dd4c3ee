// Which room endpoints a client should try, best first: the dispatcher's core, without sockets,
// clock or state.
//
// Rooms are ranked by rendezvous hashing of (product, device, room), so that a device comes back to
// the same room while that room lives, and only the devices of a room that left move. Bounded by
// load: a room that has more than 1.25 times the mean of sessions (and 64 more) ranks behind all
// others. The list is scattered: first one endpoint each of rooms on different hosts, then of
// further rooms, then further endpoints of rooms that are in it. Sources: Thaler and Ravishankar
// (rendezvous hashing); Mirrokni, Thorup and Zadimoghaddam (bounded loads).
#ifndef HW_CHOOSE_H
#define HW_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client.pb-c.h"
#include "cluster.pb-c.h"

enum { CHOOSE_MAX = 16 };

struct chosen {
    const Hawser__Internal__Member *room;             // borrowed from the candidates
    const Hawser__Internal__MemberEndpoint *endpoint; // of room
};

// rooms: live members of role "room", at most rooms_len; draining, full and unready ones are passed
// over here. ask->want 0 means `want_default`; above CHOOSE_MAX it is CHOOSE_MAX. Returns how many
// of out[CHOOSE_MAX] were filled; 0 when no room fits. What is in ask->failed is left out as long
// as anything else fits.
int choose_rooms(const Hawser__Internal__Member *const *rooms, int rooms_len,
                 const Hawser__V1__Locate *ask, uint32_t want_default, struct chosen *out);

#endif
