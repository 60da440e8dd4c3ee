// A daemon's part in the cluster: it announces itself under a lease, follows the directory and the
// catalog from any register that answers, and keeps links to the daemons it talks to. One per
// daemon. Absence of answers changes nothing: what was known stays known, but a member whose gone
// notice came is gone.
#ifndef HW_CLUSTER_H
#define HW_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "cluster.pb-c.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "product.h"
#include "rpc.h"

struct cluster;

enum { LOAD_FULL = 10000 }; // Member.load of one that takes nobody more

struct cluster_options {
    struct loop *loop;
    struct log *log;
    struct metrics *metrics;         // NULL: calls are not counted there
    const struct rpc_identity *self; // borrowed, outlives the cluster
    char *const *registers;          // "host:port" seeds, at most 16, copied
    int register_count;
    // All may be NULL. None may free the cluster.
    void (*on_member)(void *arg, const Hawser__Internal__Member *m); // new or changed
    void (*on_member_gone)(void *arg, const Hawser__Internal__Member *m,
                           bool clean); // m is valid during the call only
    void (*on_product)(void *arg, const struct product *p, bool deleted); // new, changed or deleted
    void (*on_index_lost)(
        void *arg); // the session index is another one: write sessions again, paced
    void (*on_registers_back)(void *arg);   // one answers again: what was asked meanwhile was lost
    void (*on_lease)(void *arg, bool held); // our own lease, counted from when the renewal was sent
    void (*on_ready)(void *arg);            // once: the first whole directory and catalog are here
    void *arg;
};

struct cluster *cluster_new(const struct cluster_options *o);
// Cancels the calls of its links; a good-bye that is under way stays silent. NULL is harmless.
void cluster_free(struct cluster *c);
bool cluster_is_ready(const struct cluster *c);
const char *cluster_unready_reason(
    const struct cluster *c); // for readyz: "no register answers (...)"; NULL when all is well

// What of the configuration is wrong, when no register can ever answer: the secret is another one,
// or what answers is no register. NULL = not so.
const char *cluster_hopeless(const struct cluster *c);

// Sets what is announced (deep-copied; incarnation and build are filled in). The announcement is
// renewed every 3 s, and at once when more than load and sessions has changed.
void cluster_announce(struct cluster *c, const Hawser__Internal__Member *m);
void cluster_withdraw(struct cluster *c, void (*done)(void *arg),
                      void *arg); // a good-bye; done within 1 s, whatever happens
bool cluster_lease_is_held(const struct cluster *c);
// The store's clock, never later than it is; 0 before a register has told it. For last moments.
uint64_t cluster_store_ms(const struct cluster *c);

// The directory. Pointers are valid until the next loop iteration.
const Hawser__Internal__Member *
cluster_member_next(const struct cluster *c, const char *role,
                    const Hawser__Internal__Member *after); // NULL starts and ends

// Links. cluster_peer: to this run of a daemon, opened on demand and freed when it leaves the
// directory; NULL if it is not there.
struct rpc_link *cluster_register(struct cluster *c); // never NULL; may be down
struct rpc_link *cluster_pick(struct cluster *c, const char *role,
                              uint64_t key); // the same member for the same key while it lives and
                                             // its link is up; NULL if none
struct rpc_link *cluster_peer(struct cluster *c, uint64_t incarnation);

// Products. A product stays at its address until its next change is told (on_product).
const struct product *cluster_product_find(const struct cluster *c, const char *name, size_t len);
const struct product *cluster_product_by_number(const struct cluster *c, uint32_t number);
// The one with an API key of that kid, if any.
const struct product *cluster_product_by_api_kid(const struct cluster *c, const char *kid,
                                                 size_t len);
const struct product *cluster_product_next(const struct cluster *c, const struct product *after);

// Asks the registers, one after another, for a product that is not known here; name and kid have at
// most 32 bytes (asks in one
// iteration are one call; "unknown" is kept 1 s; a known product is also asked again when `kid` is
// given and it lacks that token key). done: error 0 and the product, -HW_EUNKNOWN when every
// register says so, or -HW_ELINK/-HW_EDEADLINE when one could not be asked. Never before this
// returns.
typedef void product_asked_fn(void *arg, int error, const struct product *p);
void cluster_product_ask(struct cluster *c, const char *name, const char *kid,
                         product_asked_fn *done, void *arg);
void cluster_forget(struct cluster *c, const void *arg); // asks of a caller that is ending

// Takes in an entry that a put answered with, so that the daemon that made a change sees it at
// once.
void cluster_learn(struct cluster *c, const Hawser__Internal__CatalogEntry *e);

#endif
