// A saver: the logs. What was sent (an inbox per user, two broadcast logs per product) and what
// each device has handled. Holds nothing itself: all is in its store.
#ifndef HW_SAVER_H
#define HW_SAVER_H

#include "daemon.h"
#include "saver_store.h"

extern const struct daemon_role saver_role;

// The same on a store of the caller's making, for the simulation; the store is taken.
int saver_start_on(struct daemon_env *env, struct store *store, void **ret_self);

#endif
