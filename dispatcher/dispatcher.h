// A dispatcher: answers Locate, framed and over HTTP, with a scattered list of room endpoints for
// this device. Holds nothing.
#ifndef HW_DISPATCHER_H
#define HW_DISPATCHER_H

#include "daemon.h"

extern const struct daemon_role dispatcher_role;

#endif
