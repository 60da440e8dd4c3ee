// One simulated run: the cluster, its clients, the workload, the faults and the checks.
#ifndef HW_SIM_RUN_H
#define HW_SIM_RUN_H

#include "client_shell.h"
#include "cluster.h"
#include "daemon.h"
#include "stores.h"
#include "world.h"

enum {
    REGISTERS = 2,
    SAVERS = 2,
    ROOMS = 3,
    CENTERS = 2,
    DISPATCHERS = 2,
    COORDINATORS = 1,
    FIRST_ROOM = REGISTERS + SAVERS,
    DAEMONS = REGISTERS + SAVERS + ROOMS + CENTERS + DISPATCHERS + COORDINATORS,
    DEVICES = 50,
    TWINS =
        6, // second installations of the devices from FIRST_TWIN on: whoever logs in last has it
    FIRST_TWIN = 20,
    FIRST_LEAVER = 40, // those from here on, second devices, may leave for good
    CLIENTS = DEVICES + TWINS,
    USERS = 40, // the last ten devices are second devices of the first ten users
    PRODUCTS = 2,
    SMALL_INBOX = 25,
    COLLAPSE_KEYS = 6,
    TAGS = 5, // a device has one of the first two, and one of the others
    MESSAGES_MAX = 1024,
    VIOLATIONS_MAX = 8,
    FAULT_KINDS_MAX = 20
};

#define ADMIN_KEY "simulated-admin-key-0123456789"
enum { CENTER_PORT = 7300 };

enum aim { AT_USERS, AT_DEVICES, AT_ALL, AT_TAGS };

struct message {
    char key[32];     // its Idempotency-Key; "" = none
    char payload[24]; // "m<index>"
    int product;
    enum aim aim;
    uint64_t targets;                // a bit for each user, or device
    uint8_t any, all, none;          // of AT_TAGS: a bit for each tag
    int tries, padding, ttl_s;       // padding: spaces behind the payload; ttl 0: the retention
    int collapse;                    // the number of its collapse key; 0: none
    uint64_t pushed_us, accepted_us; // first; 0: not (yet)
    uint64_t handled_us;             // first, by any device; 0: not (yet)
    char id[32];                     // "" = none was told
    uint64_t recall_asked_us, recalled_us; // answered; 0: not (yet)
    const struct message *rival;           // has its key for another body; NULL: none
    bool is_live;
    bool is_wide; // to so many users who have no device, too, that it is a job
    bool unknown; // it may have been accepted
    bool refused; // for certain not stored
    bool is_under_way;
};

// What the application of one binding has seen; it is as durable as the client's positions.
struct seen {
    uint8_t handled[MESSAGES_MAX / 8];
    uint64_t at[3]; // the last seq of each stream
    bool started[3];
    uint64_t skipped; // of the inbox, without a word
};

struct binding {
    int product, user;
    struct seen now, durable;
    struct seen *ever; // by any installation of the device; NULL when there is only this one
    uint64_t told_us[3], reset_us[3]; // the last Gap or Reset of each stream; the last Reset
    uint64_t expired_us[3], recalled_us[3], overflowed_us,
        collapsed_us;                // the last Gap that said so
    uint64_t oldest_at_login;        // in the inbox; only of devices with two installations
    int tags, old_tags;              // which of its number's kinds; those of before
    uint64_t tagged_us;              // when the latest were bound
    uint64_t refused_us;             // a broadcast, and none was handled since; 0: none was
    bool is_offered, is_token_asked; // new tags; the SDK has not been answered yet
    bool is_bound;                   // on this connection
};

struct client {
    struct run *run;
    int node, user, number; // of the device
    char device[16];
    struct hawser_client *sdk; // NULL: not running
    struct position_store *positions, *wrapped;
    struct binding bindings[PRODUCTS];
    int binding_count;
    char *tokens[PRODUCTS]; // owned
    bool is_synced[PRODUCTS];
    bool is_out[PRODUCTS];            // told that another took its place
    uint64_t connecting_us, login_us; // when the last try began, when the last login that was none
                                      // of a session that went on did
    uint64_t generation[PRODUCTS];    // the highest seen
    struct client *rival;             // the other installation of this device; NULL: none
    struct seen ever[PRODUCTS];       // of both, at the first of them
    uint64_t asked_us;                // when it last asked for a session, and did not any more
    bool is_asking, is_reviving, has_left; // killed, and it will start again; it will not
    bool is_lazy;                          // with tokens
};

struct daemon_slot {
    struct run *run;
    int node, number;
    const struct daemon_role *role;
    struct config *config;          // owned
    struct daemon_role hosted_role; // the role's table, on simulated stores
    struct daemon *daemon;          // owned; NULL: not running
    void *self;                     // its role's value; NULL: not running
    // Of a room, when it was last looked at.
    uint64_t sent, steps, lease_us; // frames; steps; the end of its lease, 0 = not held
    uint32_t round;
    bool is_loss_unseen; // of the lease: it made no row void
};

struct run {
    struct world world;
    struct stores *stores;
    struct app *app;
    struct daemon_slot daemons[DAEMONS];
    struct client clients[CLIENTS];
    struct message messages[MESSAGES_MAX];
    int message_count, wanted_messages, clients_started, product_ready[PRODUCTS];
    int faults, tokens_left;
    uint32_t fault_weights[FAULT_KINDS_MAX];
    uint64_t fire_began_us, fire_ends_us, calm_us, lost_us,
        lost_since_us; // calm: the last fault is over
    bool will_lose, store_lost, lease_may_lie;
    bool fails_back;  // a lost tail is a fail-over, and then the first server is primary again
    bool has_variety; // of messages: ttl, tags, devices, several users, live
    bool has_small_inboxes, refuses_new;      // the second product
    struct parking *parking;                  // owned; NULL: not yet, or not in this run
    bool has_short_tokens, has_small_windows; // of news
    int open_recalls;
    int violations;
    char what[VIOLATIONS_MAX][160];
    uint64_t delivered;
};

void violation(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool wait_for(struct run *r, uint64_t limit_us, bool (*what)(struct run *r));

// daemons.c
void daemons_add(struct run *r);
void daemon_boot(struct daemon_slot *d);
int daemon_halt(struct daemon_slot *d, bool kill);
struct daemon_slot *daemon_any(struct run *r,
                               const struct daemon_role *role); // a running one, or NULL
bool daemons_are_ready(struct run *r);

// app.c: the app server
void app_add(struct run *r);
void app_boot(struct run *r);
int app_halt(struct run *r);
// One API call over HTTP at any running center; done gets status 0 when the connection ended before
// the answer. False: no center runs.
typedef void api_done_fn(void *arg, int status, const char *body, size_t len);
bool api_call(struct run *r, const char *method, const char *path, const char *key,
              const char *body, api_done_fn *done, void *arg);

// clients.c
void clients_add(struct run *r);
void client_boot(struct client *c);
void client_halt(struct client *c, bool kill);
void client_take_over(struct client *c);        // starts it, or anew, though its rival may live
bool client_is_synced(const struct client *c);  // some installation of its device is
bool client_is_settled(const struct client *c); // that one has the only session
bool clients_are_synced(struct run *r);
bool clients_are_settled(struct run *r);
// Its device was refused for too many logins a short while ago: it may have to wait so long.
enum { THROTTLED_US = 70 * 1000000 };
bool client_is_throttled(const struct client *c);
bool was_handled(const struct binding *b, int message);
void client_bind(struct client *c, struct binding *b); // its token and tags, also anew

// tokens.c
void tokens_prepare(struct run *r);
void token_needed(struct client *c, struct binding *b);
void tokens_start(struct run *r); // they end, and tags change, from now on
void tags_are_bound(const struct run *r, struct binding *b); // as the SDK says
bool client_has_tag(const struct client *c, const struct binding *b, int tag);
bool audience_has_client(const struct message *m, const struct client *c, const struct binding *b);
// The tags that decided may have been the ones or the others.
bool audience_is_unsure(const struct message *m, const struct run *r, const struct binding *b);

// workload.c
void workload_prepare(struct run *r); // products and tokens
void workload_start(struct run *r);
void workload_burst(struct run *r); // many messages to one stream at once, now
bool workload_is_over(struct run *r);
void push_to_all(struct run *r, bool is_live); // one to each user, one to everyone
void push_bursts(struct run *r);               // more than a window each to some users
void push_one(struct run *r, int product, int user);
// One to each of the first users, with that collapse key.
void push_with_key(struct run *r, int collapse);
int message_stream(const struct message *m);
bool message_is_for(const struct message *m, const struct client *c, const struct binding *b);
// It is gone, and the binding was told: expired, overflowed, collapsed, recalled, or lost by
// the store.
bool message_is_excused(const struct run *r, const struct client *c, const struct binding *b,
                        const struct message *m);
bool everything_arrived(struct run *r, bool say); // but what is live
// Whether only those wait who have no device, of each job that was accepted all of them, once.
bool waits_for_nobody(const struct run *r, uint64_t pending);
void check_rivals(struct run *r); // of two bodies under one key at most one was stored
// Of a refused broadcast nobody has told a client that it does not come again. Waits until that is
// over.
void wait_for_refused(struct run *r);
// Of the live messages from that index on, how many deliveries there were, and ought to be at best.
void count_live(const struct run *r, int from, int *ret_arrived, int *ret_wanted);

// inspect.c
void inspect_client(const struct client *c); // into the trace
void inspect_rooms(struct run *r);
void inspect_shrink_windows(void *room); // of one that begins
// The room with a connected session of the device, or NULL.
struct daemon_slot *inspect_room_of(struct run *r, const char *device);
void inspect_rows(struct run *r);
int inspect_rowless(struct run *r, bool also_of_the_dead);
void inspect_step(void *run, int node); // after each step of a node
bool queues_are_empty(struct run *r);
void inspect_queues(struct run *r); // says what is left

uint64_t lease_end_us(const struct cluster *c);             // 0: not held
const char *center_waits(const void *center);               // NULL: nothing
bool register_holds(const void *registry, const char *key); // an entry of the catalog

// faults.c
void faults_start(struct run *r);

// parking.c: what an application cannot take; in some runs, when nothing is wrong
void parking_check(struct run *r);
bool parking_refuses(struct client *c, int message);
void parking_bound(struct client *c);
bool parking_is_due(const struct client *c, const struct hawser_gap *g);
bool parking_excuses(const struct client *c, int message);

// recalls.c
void recall_some(struct run *r, struct message *m); // which was accepted just now
void recall_from(struct run *r, int first);         // all from that one on that can be
bool recalls_are_over(const struct run *r);
void recall_check_handled(const struct client *c, const struct message *m);

// quiet.c: what must go fast when nothing is wrong
void quiet_check(struct run *r);

#endif
