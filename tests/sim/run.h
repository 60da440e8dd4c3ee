// One simulated run: the cluster, its clients, the workload, the faults and the checks.
#ifndef HW_SIM_RUN_H
#define HW_SIM_RUN_H

#include "client_shell.h"
#include "daemon.h"
#include "http.h"
#include "stores.h"
#include "world.h"

enum {
    REGISTERS = 2,
    SAVERS = 2,
    ROOMS = 3,
    CENTERS = 2,
    DISPATCHERS = 2,
    COORDINATORS = 1,
    DAEMONS = REGISTERS + SAVERS + ROOMS + CENTERS + DISPATCHERS + COORDINATORS,
    CLIENTS = 50,
    USERS = 40, // the last ten clients are second devices of the first ten users
    PRODUCTS = 2,
    MESSAGES_MAX = 1024,
    VIOLATIONS_MAX = 8,
};

struct message {
    char key[32];      // its Idempotency-Key; "" = none
    char payload[24];  // "m<index>"
    int product, user; // user -1: everyone
    int tries;
    uint64_t accepted_us; // 0: not (yet)
    bool unknown;         // it may have been accepted
    bool refused;         // for certain not stored
    bool is_under_way;
};

// What the application of one binding has seen; it is as durable as the client's positions.
struct seen {
    uint8_t handled[MESSAGES_MAX / 8];
    uint64_t at[3]; // the last seq of each stream
    bool started[3];
};

struct binding {
    int product, user;
    struct seen now, durable;
    uint64_t told_us[3]; // the last Gap or Reset of each stream
};

struct client {
    struct run *run;
    int node, user;
    char device[16];
    struct hawser_client *sdk; // NULL: not running
    struct position_store *positions, *wrapped;
    struct binding bindings[PRODUCTS];
    int binding_count;
    char *tokens[PRODUCTS]; // owned
    bool is_synced[PRODUCTS], was_synced;
    uint64_t connecting_us, login_us; // when the last try began, when the last login that was none
                                      // of a session that went on did
};

struct daemon_slot {
    struct run *run;
    int node, number;
    const struct daemon_role *role;
    struct config *config; // owned
    struct daemon_env env;
    struct log log;
    void *self; // NULL: not running
    bool is_restarting;
};

struct run {
    struct world world;
    struct stores *stores;
    struct daemon_slot daemons[DAEMONS];
    struct client clients[CLIENTS];
    struct message messages[MESSAGES_MAX];
    int message_count, wanted_messages, clients_started, product_ready[PRODUCTS];
    int faults, tokens_left;
    uint64_t fire_ends_us, last_fault_us, lost_us, lost_since_us;
    bool is_firing, store_lost;
    int violations;
    char what[VIOLATIONS_MAX][160];
    uint64_t delivered;
};

void violation(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

// daemons.c
void daemons_add(struct run *r);
void daemon_boot(struct daemon_slot *d);
int daemon_halt(struct daemon_slot *d, bool kill);
struct daemon_slot *daemon_any(struct run *r,
                               const struct daemon_role *role); // a running one, or NULL
bool daemons_are_ready(struct run *r);
// One API call at any running center; done gets status 0 when the center went away.
typedef void api_done_fn(void *arg, int status, const char *body, size_t len);
bool api_call(struct run *r, const char *method, const char *path, const char *key,
              const char *body, api_done_fn *done, void *arg);

// clients.c
void clients_add(struct run *r);
void client_boot(struct client *c);
void client_halt(struct client *c, bool kill);
bool clients_are_synced(struct run *r);

// workload.c
void workload_prepare(struct run *r); // products and tokens
void workload_start(struct run *r);
bool workload_is_over(struct run *r);
bool everything_arrived(struct run *r, bool say);

// inspect.c
void inspect_client(struct run *r, const char *device); // into the trace
void inspect_rooms(struct run *r);

// faults.c
void faults_start(struct run *r);

#endif
