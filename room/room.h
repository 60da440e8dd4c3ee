// A room: holds the clients' connections, logs their bindings in, and delivers. See
// room_internal.h for its parts.
#ifndef HW_ROOM_H
#define HW_ROOM_H

#include "daemon.h"

extern const struct daemon_role room_role;

#endif
