// Heads that could not be told to a room: of each session the newest one, since a session that
// knows of it asks for all before it. Bounded for each room; what is over it the room finds by
// itself.
#ifndef HW_KEPT_HINTS_H
#define HW_KEPT_HINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "table.h"

enum { HINTS_PER_ROOM_MAX = 100000 };

struct hint_session {
    uint64_t incarnation, generation, slot;
};
struct hinted { // what a session is told of
    uint32_t product;
    uint64_t epoch, seq;
};

struct hint_room {
    UT_hash_handle hh;
    uint64_t incarnation;
    struct kept_hint *hints; // owned; NULL: none is left
};
struct kept_hints {          // all zero at the beginning
    struct hint_room *rooms; // owned
};
void kept_hints_deinit(struct kept_hints *k);

// KNOWN: it has one already, and keeps the newer of the two. Of different epochs the later call's
// is.
enum hint_fate { HINT_OF_NEW_SESSION, HINT_OF_KNOWN_SESSION, HINT_HAS_NO_PLACE };
enum hint_fate kept_hints_put(struct kept_hints *k, const struct hint_session *session,
                              const struct hinted *h);
// Takes one out, of the session that has waited longest. False: none is left.
bool kept_hints_take(struct hint_room *room, struct hint_session *ret_session,
                     struct hinted *ret_about);
void kept_hints_forget(struct kept_hints *k, uint64_t incarnation);

#endif
