// A coordinator: its place in the cluster is here; what it carries upstream comes with the
// webhooks.
#ifndef HW_COORDINATOR_H
#define HW_COORDINATOR_H

#include "daemon.h"

extern const struct daemon_role coordinator_role;

#endif
