// Heads that could not be told to a room (core/kept_hints.h), tried again every second while the
// room is in the directory.
#ifndef HW_HINTS_H
#define HW_HINTS_H

#include "center_internal.h"

void hint_keep(struct center *c, const struct hint_session *session, const struct hinted *h);
void hints_member_gone(struct center *c, uint64_t incarnation);
void hints_free(struct center *c);

#endif
