// What a register keeps: a store (common/store/store.h) whose calls are the methods of
// cluster.proto and register.proto. CLUSTER_WATCH here never waits: it answers with what is newer
// than the request's versions (an empty reply when nothing is), and ends leases that are over. A
// reply whose catalog_epoch is that of the request, 0 too, says nothing of the catalog: it may be
// that nobody can be told of it yet (catalog_pair.h).
//
// A user has as many rows as he may have devices: a login of one more takes the place of the
// offline one that was unseen longest. A row unseen for 30 days is forgotten.
//
// Time in which nobody could renew a lease, because the store stood still or its clock was set,
// does not count. Another history of the data means other epochs, since it may have gone
// back: watchers read everything again, rooms confirm their sessions. A product's number is at
// least the seconds since 2025, so that a store that lost its counter gives none twice.
#ifndef HW_REGISTER_STORE_H
#define HW_REGISTER_STORE_H

#include <stdint.h>

#include "cluster.pb-c.h"
#include "register.pb-c.h"
#include "shared_limits.h"
#include "store.h"

enum {
    TOMBSTONE_MS = 5 * 60 * 1000, // how long a watcher may stay away and still hear of each end
    GONE_FOR_GOOD_MS = 15 * 1000, // after the end of a lease: its sessions' rows may be taken over
    TAKEOVERS_PER_MINUTE = 5,
    TAKEOVER_WINDOW_MS = 60 * 1000,
    DEVICES_PER_USER = 16,
    DEVICES_RETRY_MS = 60 * 1000, // for a login that found no place among the devices
    WATCH_BYTES_MAX = 512 * 1024,
    LOAD_TOLD_MS = 5000, // small changes of a daemon's load are told no later than this
    AWAY_MS = 2500,      // a store that nobody asked for so long was away: leases go on
    PRODUCT_EPOCH_S =
        1735689600, // 2025-01-01: the first product number of a second is its distance
};

struct loop;
struct redis_options;
struct store *register_store_memory(struct loop *l);
// As if the server behind it were another one now: after a fail-over, in the simulation.
void register_store_memory_next_history(struct store *s);
// on_state and arg of the options are the store's own.
struct store *register_store_redis(const struct redis_options *o);

#endif
