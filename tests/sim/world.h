// The simulated world: virtual time, one event queue, nodes (a node is one process: an os, a loop
// and what runs on it) and the network between them. One seed decides everything.
#ifndef HW_SIM_WORLD_H
#define HW_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "loop.h"
#include "os.h"
#include "rng.h"

enum { NODES_MAX = 128, START_MS = 1000000, WALL_MS = 1700000000 };

struct world;
struct sim_socket;
struct resolve_job;
struct deferred;

typedef void world_fn(void *arg);

struct world_event {
    uint64_t at_us, order;
    world_fn *fn;
    void *arg;
};

struct os { // of one node
    struct world *world;
    int node;             // index
    int64_t wall_step_ms; // its wall clock against the world's
    int64_t step_ms;      // the same of its other clock: a store's, which all read over the net
    struct sim_socket **sockets;               // by fd
    int socket_count, ready_first, ready_end;  // those with something to say lie between
    struct deferred *deferred, **deferred_end; // callbacks that os_wait runs
    uint16_t next_port;
    uint64_t spent_us; // within one step, so that time budgets run out
    bool is_dead;      // being killed: nothing that it does leaves it
};

struct node {
    struct os os;
    struct loop *loop;         // NULL: not running
    uint32_t address;          // IPv4, host order
    uint32_t run;              // counts starts: what was meant for an earlier one is dropped
    bool is_frozen, is_ready;  // ready: an event waits for it
    uint64_t due_us, event_us; // when it has something to do, when an event looks for that;
                               // UINT64_MAX: never (not running, frozen)
    // A slow one reads so many bytes in 100 ms, until then.
    uint64_t slow_until_us, slow_since_us;
    uint32_t slow_bytes, slow_left;
    char name[24];
};

struct world {
    uint64_t seed, now_us, order, steps, hash, bytes;
    struct rng rng;
    struct world_event *heap;
    size_t heap_len, heap_capacity;
    struct node nodes[NODES_MAX];
    uint64_t due[NODES_MAX / 64]; // a bit for each node that has something to do now
    int node_count;
    uint64_t cut_until_us[NODES_MAX][NODES_MAX];        // [from][to]
    uint32_t delay_us_min, delay_us_max, slow_permille; // of a message
    uint32_t send_buffer, receive_buffer, chop_permille;
    bool trace;
    void (*stepped)(void *arg, int node); // after each step of a node; may be NULL
    void *stepped_arg;
};

void world_init(struct world *w, uint64_t seed);
void world_deinit(struct world *w);
void world_at(struct world *w, uint64_t after_us, world_fn *fn, void *arg);
// Runs until then; false when nothing is left to happen.
void world_run(struct world *w, uint64_t until_us);
uint64_t world_ms(const struct world *w);
uint64_t world_chance(struct world *w, uint32_t permille); // 0 or 1
uint64_t world_between(struct world *w, uint64_t low, uint64_t high);
// What happened, for the trace and its hash.
void world_note(struct world *w, const char *who, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

int node_add(struct world *w, const char *name);
struct loop *node_boot(struct world *w, int node);   // a new run: a loop on it
int node_halt(struct world *w, int node, bool kill); // ends it; returns what was left in its loop
void node_freeze(struct world *w, int node, bool frozen);
void node_wake(struct world *w, int node);
void node_address(const struct world *w, int node, char *out, size_t len);
// Runs fn in the node's next step, if it is still the same run.
void node_defer(struct world *w, int node, world_fn *fn, world_fn *dropped, void *arg);
void world_cut(struct world *w, int from, int to, uint64_t until_us);
// Every connection of it breaks that leads to a node from that number on.
void net_reset(struct world *w, int node, int first);
void net_slow(struct world *w, int node, uint32_t bytes_per_100ms, uint64_t until_us);

// net.c, for world.c
void net_close_all(struct os *os, bool kill);
int net_wait(struct os *os, struct os_event *events, int max);

#endif
