// A center: the HTTP API for app servers and operators. A center appends what is pushed, finds
// where the users are, and hands the message to their rooms; a center holds nothing that must
// survive it.
#ifndef HW_CENTER_H
#define HW_CENTER_H

#include "daemon.h"

extern const struct daemon_role center_role;

#endif
