// The world of the tests of a daemon's part in the cluster: the daemon, and a register and savers
// that answer what the test wants, over sockets, each on a loop of its own. All of them have one
// clock, which stands until the test moves it.
#ifndef HW_CLUSTER_WORLD_H
#define HW_CLUSTER_WORLD_H

#include <time.h>

#include "../suite.h"
#include "buf.h"
#include "calls.h"
#include "cluster.h"
#include "rpc.h"
#include "serve.h"

static uint64_t clock_ms = 1000000;

// In place of the C library's.
int clock_gettime(clockid_t which, struct timespec *ret_now) {
    (void)which;
    *ret_now = (struct timespec){(time_t)(clock_ms / 1000), (long)(clock_ms % 1000 * 1000000)};
    return 0;
}

struct fake { // a register or a saver
    struct os *os;
    struct loop *loop;
    struct rpc_identity self;
    struct rpc_server *server; // NULL: it has ended
    bool stands_still;
    bool holds, fails;             // what it is asked from now on, but for a watch
    struct rpc_call *held, *watch; // the last one, to be answered
    unsigned announces, watches, clocks;
    uint64_t asked_ms;              // to announce, last
    uint64_t index_epoch, store_ms; // that it tells
};

enum { SAVERS = 2 };
static struct world {
    struct os *os;
    struct loop *loop;
    struct cluster *cluster;
    struct fake reg, savers[SAVERS];
    unsigned ready, back, index_lost, gone, withdrawn;
    char leases[64]; // "held lost "
} w;

// --- what a fake answers

static inline void fake_forgets(struct rpc_call **call) { // it has been given up
    if (*call)
        rpc_fail(*call, -HW_ESTORE);
    *call = NULL;
}

// Whether the call is dealt with.
static inline bool fake_puts_off(struct fake *f, struct rpc_call *call) {
    if (!f->holds && !f->fails)
        return false;
    if (f->fails) {
        rpc_fail(call, -HW_ESTORE);
        return true;
    }
    fake_forgets(&f->held);
    f->held = call;
    return true;
}

static inline void fake_tells_announced(struct fake *f, struct rpc_call *call) {
    Hawser__Internal__AnnounceReply reply = HAWSER__INTERNAL__ANNOUNCE_REPLY__INIT;
    reply.index_epoch = f->index_epoch;
    reply.store_ms = f->store_ms;
    register_announce_reply(call, &reply);
}

static void register_on_announce(void *daemon, const Hawser__Internal__AnnounceRequest *q,
                                 struct rpc_call *call) {
    struct fake *f = daemon;
    ck_assert_uint_eq(q->lease_ms, 10000);
    f->announces++;
    f->asked_ms = clock_ms;
    if (!fake_puts_off(f, call))
        fake_tells_announced(f, call);
}

static void register_on_withdraw(void *daemon, const Hawser__Internal__WithdrawRequest *q,
                                 struct rpc_call *call) {
    Hawser__Internal__WithdrawReply reply = HAWSER__INTERNAL__WITHDRAW_REPLY__INIT;
    (void)q;
    if (!fake_puts_off(daemon, call))
        register_withdraw_reply(call, &reply);
}

static void register_on_watch(void *daemon, const Hawser__Internal__WatchRequest *q,
                              struct rpc_call *call) {
    struct fake *f = daemon;
    (void)q;
    f->watches++;
    fake_forgets(&f->watch);
    f->watch = call;
}

static void saver_on_clock(void *daemon, const Hawser__Internal__ClockRequest *q,
                           struct rpc_call *call) {
    struct fake *f = daemon;
    Hawser__Internal__ClockReply reply = HAWSER__INTERNAL__CLOCK_REPLY__INIT;
    (void)q;
    f->clocks++;
    reply.store_ms = f->store_ms;
    if (!fake_puts_off(f, call))
        saver_clock_reply(call, &reply);
}

static void saver_on_product_heads(void *daemon, const Hawser__Internal__ProductHeadsRequest *q,
                                   struct rpc_call *call) {
    Hawser__Internal__ProductHeadsReply reply = HAWSER__INTERNAL__PRODUCT_HEADS_REPLY__INIT;
    (void)q;
    if (!fake_puts_off(daemon, call))
        saver_product_heads_reply(call, &reply);
}

#define FAKE_METHODS(X)                                                                            \
    X(register, announce, CLUSTER_METHOD__CLUSTER_ANNOUNCE, Announce, announce, 3000, ONCE,        \
      RPC_ROOM, MEMORY_SMALL, announces)                                                           \
    X(register, withdraw, CLUSTER_METHOD__CLUSTER_WITHDRAW, Withdraw, withdraw, 1000, ONCE,        \
      RPC_ROOM, MEMORY_SMALL, withdrawals)                                                         \
    X(register, watch, CLUSTER_METHOD__CLUSTER_WATCH, Watch, watch, 8000, LONG, RPC_ROOM,          \
      MEMORY_SMALL, watches)                                                                       \
    X(saver, product_heads, SAVER_METHOD__SAVER_PRODUCT_HEADS, ProductHeads, product_heads, 3000,  \
      REPEATABLE, RPC_ROOM, MEMORY_SMALL, product_heads)                                           \
    X(saver, clock, SAVER_METHOD__SAVER_CLOCK, Clock, clock, 3000, ONCE, RPC_ROOM, MEMORY_SMALL,   \
      clocks)
FAKE_METHODS(SERVE)
static const struct rpc_method fake_methods[] = {FAKE_METHODS(SERVED){0}};

static inline void fake_begin(struct fake *f, const char *role, uint64_t incarnation) {
    *f = (struct fake){
        .self = {
            .role = role, .incarnation = incarnation, .secrets = {"secret"}, .secret_count = 1}};
    f->os = os_new();
    f->loop = loop_new(f->os);
    ck_assert_int_eq(rpc_server_new(&(struct rpc_server_options){.loop = f->loop,
                                                                 .self = &f->self,
                                                                 .host = "127.0.0.1",
                                                                 .methods = fake_methods,
                                                                 .daemon = f},
                                    &f->server),
                     0);
}

static inline void fake_ends(struct fake *f) {
    fake_forgets(&f->held);
    fake_forgets(&f->watch);
    rpc_server_free(f->server);
    f->server = NULL;
    loop_step(f->loop, 0);
}

static inline void fake_free(struct fake *f) {
    fake_ends(f);
    ck_assert_int_eq(loop_free(f->loop), 0);
    os_free(f->os);
}

// --- time

static inline void world_step(void) {
    for (int i = 0; i < SAVERS; i++)
        if (!w.savers[i].stands_still)
            loop_step(w.savers[i].loop, 0);
    if (!w.reg.stands_still)
        loop_step(w.reg.loop, 0);
    loop_step(w.loop, 0);
}

// What was sent is there, and answered.
static inline void world_settle(void) {
    for (int i = 0; i < 20; i++)
        world_step();
}

// Timers need time: it passes where nothing else leads on.
#define UNTIL(condition)                                                                           \
    for (world_settle(); !(condition); world_settle())                                             \
    clock_ms++

// All that is due on the way comes in its time.
static inline void world_passes(uint64_t ms) {
    for (uint64_t end_ms = clock_ms + ms; clock_ms < end_ms;) {
        clock_ms += end_ms - clock_ms < 50 ? end_ms - clock_ms : 50;
        world_settle();
    }
}

// --- the daemon

static inline void on_world_ready(void *arg) {
    (void)arg;
    w.ready++;
}

static inline void on_world_back(void *arg) {
    (void)arg;
    w.back++;
}

static inline void on_world_index_lost(void *arg) {
    (void)arg;
    w.index_lost++;
}

static inline void on_world_gone(void *arg, const Hawser__Internal__Member *m, bool clean) {
    (void)arg;
    ck_assert(!clean && m);
    w.gone++;
}

static inline void on_world_withdrawn(void *arg) {
    (void)arg;
    w.withdrawn++;
}

static inline void on_world_lease(void *arg, bool held) {
    (void)arg;
    size_t len = strlen(w.leases);
    snprintf(w.leases + len, sizeof(w.leases) - len, held ? "held " : "lost ");
}

static inline void world_begin(void) {
    static const struct rpc_identity self = {
        .role = "room", .incarnation = 8, .secrets = {"secret"}, .secret_count = 1};
    char seed[32], *seeds[] = {seed};
    w = (struct world){.os = os_new()};
    w.loop = loop_new(w.os);
    fake_begin(&w.reg, "register", 7);
    for (int i = 0; i < SAVERS; i++)
        fake_begin(&w.savers[i], "saver", 100 + (uint64_t)i);
    snprintf(seed, sizeof(seed), "127.0.0.1:%u", rpc_server_port(w.reg.server));
    w.cluster = cluster_new(&(struct cluster_options){.loop = w.loop,
                                                      .self = &self,
                                                      .registers = seeds,
                                                      .register_count = 1,
                                                      .on_ready = on_world_ready,
                                                      .on_registers_back = on_world_back,
                                                      .on_index_lost = on_world_index_lost,
                                                      .on_member_gone = on_world_gone,
                                                      .on_lease = on_world_lease});
    UNTIL(w.reg.watch);
}

static inline void world_end(void) {
    cluster_free(w.cluster);
    for (int i = 0; i < SAVERS; i++)
        fake_free(&w.savers[i]);
    fake_free(&w.reg);
    loop_step(w.loop, 0);
    ck_assert_int_eq(loop_free(w.loop), 0);
    os_free(w.os);
}

// The watch is answered: these savers are there, in this order, which is all there are, and that is
// the session index. Ends when it is asked again.
static inline void register_tells(const int *savers, size_t count, uint64_t index_epoch) {
    Hawser__Internal__WatchReply reply = HAWSER__INTERNAL__WATCH_REPLY__INIT;
    Hawser__Internal__Member members[SAVERS], *list[SAVERS];
    char rpc[SAVERS][32];
    for (size_t i = 0; i < count; i++) {
        const struct fake *f = &w.savers[savers[i]];
        hawser__internal__member__init(&members[i]);
        members[i].role = (char *)(uintptr_t) "saver";
        members[i].incarnation = f->self.incarnation;
        members[i].rpc = rpc[i];
        snprintf(rpc[i], sizeof(rpc[i]), "127.0.0.1:%u",
                 f->server ? rpc_server_port(f->server) : 1);
        list[i] = &members[i];
    }
    reply.directory_whole = true;
    reply.member = list;
    reply.n_member = count;
    reply.index_epoch = index_epoch;
    register_watch_reply(w.reg.watch, &reply);
    w.reg.watch = NULL;
    UNTIL(w.reg.watch);
}

#endif
