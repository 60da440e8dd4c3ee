// Heads that could not be told to a room: the newest for each session, tried again every second
// while the room is in the directory. Bounded for each room; what is over it the room finds by
// itself.
#ifndef HW_HINTS_H
#define HW_HINTS_H

#include "center_internal.h"

struct hint_session {
    uint64_t incarnation, generation, slot;
};
struct hinted { // what a session is told of
    uint32_t product;
    uint64_t epoch, seq;
};
void hint_keep(struct center *c, const struct hint_session *session, const struct hinted *h);
void hints_member_gone(struct center *c, uint64_t incarnation);
void hints_free(struct center *c);

#endif
