// A register: who is where (sessions), which daemons live (the directory), products and settings
// (the catalog). Holds nothing itself: all is in its store.
#ifndef HW_REGISTER_H
#define HW_REGISTER_H

#include "daemon.h"
#include "register_store.h"

extern const struct daemon_role register_role;

// The same on a store of the caller's making, for the simulation; the store is taken.
int register_start_on(struct daemon_env *env, struct store *store, void **ret_self);

#endif
