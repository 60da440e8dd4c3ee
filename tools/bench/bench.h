// The conductor: starts workers and cluster, gives orders, waits for what they bring about, and
// holds what the scenarios share. A scenario is a function that fills the report; when one of these
// calls returns false, b->error says why and the scenario returns at once.
#ifndef BENCH_H
#define BENCH_H

#include <jansson.h>
#include <stdbool.h>

#include "cluster_own.h"
#include "loop.h"
#include "options.h"
#include "probe.h"
#include "pusher.h"
#include "share.h"

struct crew { // a worker, from outside
    struct child child;
    int orders; // -1: none
    uint32_t first, count;
    bool is_timed; // nobody but those that a scenario pushes to
};

// Clients of the floor are in processes of their own, so that its rounds and the server's can take
// turns: what else the machine does meanwhile meets both alike.
struct floor_side {
    struct share *share; // NULL: no floor
    struct crew *crew;   // owned
};

struct bench {
    const struct options *options; // borrowed
    struct share *share;
    struct cores cores;
    struct crew *crew; // owned: share->worker_count of them
    struct floor_side floor_side;
    struct crew *floors; // owned: who sends for the floor, as many as there are rooms
    uint32_t floor_count;
    struct os *os;
    struct loop *loop;
    struct own_cluster cluster;
    struct pusher *pusher; // owned; NULL with a peer
    struct peer *peer;     // owned; NULL: Hawser is measured
    uint32_t sessions;
    char product[33];
    json_t *report; // owned: what is printed in the end
    struct buf error;
    struct usage *base; // owned: of cluster.watched, before there were sessions
    struct kernel_usage kernel_base;
    bool is_interrupted;
    const char *shown; // the progress that was shown last, a literal
    uint64_t shown_ms; // and when
};

// Starts everything up to a product that clients may log in to; then run, then end. False: error.
bool bench_begin(struct bench *b);
void bench_end(struct bench *b);

// Always false; the first reason stays.
bool bench_fail(struct bench *b, const char *format, ...) HW_PRINTF(2, 3);
uint64_t bench_now_us(struct bench *b);

// From now on orders, goals and counters are those of the floor's clients; and back.
void bench_swap(struct bench *b);

// To every worker; when it returns they have all done it.
bool bench_order(struct bench *b, const struct order *o);
bool bench_order_send(struct bench *b, const struct order *o); // and no wait for it

// Waits until a counter's sum over all workers has come to `value` or beyond. Fails when it does
// not change for long.
struct goal {
    enum count count;
    uint64_t value;
    const char *doing; // "logged in": for the progress line, a literal; NULL: not shown
};
bool bench_await(struct bench *b, const struct goal *g);
bool bench_pause(struct bench *b, uint64_t ms, const char *doing);
// One iteration of the loop, with a look at what ends the run early. False: it has.
bool bench_step(struct bench *b);
void bench_progress(struct bench *b, const char *doing, uint64_t done, uint64_t of);

// Sessions first..end-1 begin to log in, `rate` of them a second; 0: all at once, each worker with
// at most 512 on the way. All are due now, or when the rate says.
bool bench_login_begin(struct bench *b, uint32_t first, uint32_t end, uint64_t rate);
struct order bench_login_order(struct bench *b, uint32_t first, uint32_t end, uint64_t rate);
// All that, until they have nothing waiting.
bool bench_login(struct bench *b, uint32_t first, uint32_t end);
bool bench_reset(struct bench *b);

// --- what the scenarios are made of

typedef bool scenario_fn(struct bench *b);
scenario_fn run_broadcast, run_unicast, run_login, run_idle, run_mixed, run_catchup;
uint32_t mixed_users(const struct bench *b); // the first so many are pushed to

#endif
