// Announcing, following, and its life.
#include <assert.h>

#include "addr.h"
#include "calls.h"
#include "cluster_internal.h"
#include "message.h"

enum { RENEW_MS = 3000, WATCH_RETRY_MS = 200, CLOCK_FRESH_MS = 1000 };

static void cluster_watch(struct cluster *c);
static void announce(struct hook *h);

// --- following

static void watch_again(struct timer *t) {
    cluster_watch(container_of(t, struct cluster, watch_retry));
}

static void index_seen(struct cluster *c, uint64_t epoch) {
    uint64_t before = c->index_epoch;
    if (epoch == 0 || epoch == before)
        return;
    c->index_epoch = epoch;
    if (before != 0 && c->options.on_index_lost)
        c->options.on_index_lost(c->options.arg);
}

static void register_answered(struct cluster *c, bool did) {
    bool is_back = did && c->were_registers_away;
    c->were_registers_away = !did;
    if (is_back && c->options.on_registers_back)
        c->options.on_registers_back(c->options.arg);
}

static void watch_apply(struct cluster *c, const Hawser__Internal__WatchReply *reply) {
    directory_apply(c, reply);
    if (reply->catalog_whole)
        catalog_whole(c);
    for (size_t i = 0; i < reply->n_entry; i++)
        catalog_apply(c, reply->entry[i]);
    c->catalog_epoch = reply->catalog_epoch;
    c->catalog_version = reply->catalog_version;
    index_seen(c, reply->index_epoch);
    if (c->ready || reply->more)
        return;
    c->ready = true;
    if (c->options.on_ready)
        c->options.on_ready(c->options.arg);
}

static void on_watched(void *arg, int error, const Hawser__Internal__WatchReply *reply) {
    struct cluster *c = arg;
    (void)error;
    if (c->ending)
        return;
    register_answered(c, reply != NULL);
    if (!reply) {
        loop_arm(c->options.loop, &c->watch_retry, WATCH_RETRY_MS, watch_again);
        return;
    }
    watch_apply(c, reply);
    cluster_watch(c);
}

static void cluster_watch(struct cluster *c) {
    Hawser__Internal__WatchRequest request = HAWSER__INTERNAL__WATCH_REQUEST__INIT;
    request.directory_epoch = c->directory_epoch;
    request.directory_version = c->directory_version;
    request.catalog_epoch = c->catalog_epoch;
    request.catalog_version = c->catalog_version;
    register_watch(register_of(c), &request, on_watched, c);
}

// --- announcing

static void lease_over(struct cluster *c) {
    loop_disarm(c->options.loop, &c->lease_end);
    c->lease_end_ms = 0;
    if (c->options.on_lease)
        c->options.on_lease(c->options.arg, false);
}

static void lease_ended(struct timer *t) {
    lease_over(container_of(t, struct cluster, lease_end));
}

static void lease_until(struct cluster *c, uint64_t end_ms) {
    bool began = c->lease_end_ms == 0;
    c->lease_end_ms = end_ms;
    loop_arm(c->options.loop, &c->lease_end, end_ms - loop_now_ms(c->options.loop), lease_ended);
    if (began && c->options.on_lease)
        c->options.on_lease(c->options.arg, true);
}

static void cluster_renew(struct timer *t) {
    struct cluster *c = container_of(t, struct cluster, renew);
    hook_schedule(c->options.loop, &c->announce_hook, announce);
}

static void on_announced(void *arg, int error, const Hawser__Internal__AnnounceReply *reply) {
    struct cluster *c = arg;
    (void)error;
    if (c->ending)
        return;
    uint64_t now = loop_now_ms(c->options.loop), end = c->announce_sent_ms + LEASE_MS;
    c->announcing = false;
    if (c->lease_end_ms != 0 && !cluster_lease_is_held(c)) // after a thaw this comes before timers
        lease_over(c);
    if (reply && end > now) { // counted from the sending: the store began to count after that
        lease_until(c, end);
        index_seen(c, reply->index_epoch);
    }
    // An answer that waited for us, as after a thaw, says how late it was, not how late it is.
    if (reply && (c->store_ms == 0 || now - c->announce_sent_ms <= CLOCK_FRESH_MS)) {
        c->store_ms = reply->store_ms;
        c->store_read_ms = now;
    }
    loop_arm(c->options.loop, &c->renew,
             c->announce_again ? 0
             : reply           ? RENEW_MS
                               : WATCH_RETRY_MS,
             cluster_renew);
}

static void announce(struct hook *h) {
    struct cluster *c = container_of(h, struct cluster, announce_hook);
    if (!c->self)
        return;
    c->announce_again = c->announcing;
    if (c->announcing)
        return;
    Hawser__Internal__AnnounceRequest request = HAWSER__INTERNAL__ANNOUNCE_REQUEST__INIT;
    request.member = c->self;
    request.lease_ms = LEASE_MS;
    c->announcing = true;
    c->announce_sent_ms = loop_now_ms(c->options.loop);
    register_announce(register_of(c), &request, on_announced, c);
}

static bool differs_in_load_only(const Hawser__Internal__Member *was,
                                 const Hawser__Internal__Member *is) {
    Hawser__Internal__Member a = *was, b = *is;
    if ((a.load >= LOAD_FULL) != (b.load >= LOAD_FULL)) // others send clients there, or do not
        return false;
    a.load = b.load = 0;
    a.sessions = b.sessions = 0;
    return message_equal(&a.base, &b.base);
}

void cluster_announce(struct cluster *c, const Hawser__Internal__Member *m) {
    Hawser__Internal__Member filled = *m;
    filled.incarnation = c->options.self->incarnation;
    filled.build = (char *)(uintptr_t)HAWSER_VERSION;
    filled.protocol_minor = RPC_MINOR;
    bool can_wait = c->self && differs_in_load_only(c->self, &filled);
    if (c->self)
        hawser__internal__member__free_unpacked(c->self, NULL);
    c->self = (Hawser__Internal__Member *)message_copy(&filled.base);
    if (!can_wait) // else it goes with the next renewal
        hook_schedule(c->options.loop, &c->announce_hook, announce);
}

static void on_withdrawn(void *arg, int error, const Hawser__Internal__WithdrawReply *reply) {
    struct cluster *c = arg;
    (void)error;
    (void)reply;
    if (c->withdrawn && !c->ending)
        c->withdrawn(c->withdrawn_arg);
}

void cluster_withdraw(struct cluster *c, void (*done)(void *arg), void *arg) {
    Hawser__Internal__WithdrawRequest request = HAWSER__INTERNAL__WITHDRAW_REQUEST__INIT;
    c->withdrawn = done;
    c->withdrawn_arg = arg;
    request.incarnation = c->options.self->incarnation;
    if (c->self)
        hawser__internal__member__free_unpacked(c->self, NULL);
    c->self = NULL; // no renewal undoes it
    loop_disarm(c->options.loop, &c->renew);
    register_withdraw(register_of(c), &request, on_withdrawn, c);
}

bool cluster_lease_is_held(const struct cluster *c) {
    return loop_now_ms(c->options.loop) < c->lease_end_ms;
}

uint64_t cluster_store_ms(const struct cluster *c) {
    return c->store_ms ? c->store_ms + (loop_now_ms(c->options.loop) - c->store_read_ms) : 0;
}

bool cluster_is_ready(const struct cluster *c) {
    return c->ready;
}

const char *cluster_unready_reason(const struct cluster *c) {
    if (!rpc_link_is_up(c->registers[c->current]))
        return "no register answers";
    if (!c->ready)
        return "the directory and the catalog are not here yet";
    return c->self && !cluster_lease_is_held(c) ? "the lease is not held" : NULL;
}

// --- life

// What waits for a register that says nothing is asked of another.
static void on_register_silent(void *arg, struct rpc_link *link) {
    struct cluster *c = arg;
    if (cluster_register(c) != link)
        rpc_link_give_up_repeatable(link);
}

static void on_link_state(void *arg, struct rpc_link *link, bool up) {
    struct cluster *c = arg;
    (void)link;
    // What waits for its retry need not wait any longer.
    if (up && timer_is_armed(&c->watch_retry))
        loop_arm(c->options.loop, &c->watch_retry, 0, watch_again);
    if (up && c->self && !c->announcing)
        hook_schedule(c->options.loop, &c->announce_hook, announce);
}

struct cluster *cluster_new(const struct cluster_options *o) {
    struct cluster *c = hw_calloc(1, sizeof(*c));
    c->options = *o;
    arena_init(&c->replies);
    c->replies.bytes_max = REPLIES_BYTES_MAX;
    c->options.registers = NULL; // the caller's; what is needed of it is in the links
    assert(o->register_count <= REGISTERS_MAX); // the configuration takes no more
    for (int i = 0; i < o->register_count; i++) {
        struct host_port at;
        if (host_port_parse(o->registers[i], false, &at) != 0)
            continue; // refused by the configuration's check
        c->registers[c->register_count++] =
            rpc_link_new(o->loop, o->self, o->log,
                         &(struct rpc_link_options){.host = at.host,
                                                    .port = at.port,
                                                    .peer_role = "register",
                                                    .on_state = on_link_state,
                                                    .on_silent = on_register_silent,
                                                    .arg = c});
    }
    if (c->register_count == 0)
        abort(); // a daemon without any register to ask is a programmer's error
    cluster_watch(c);
    return c;
}

void cluster_free(struct cluster *c) {
    if (!c)
        return;
    struct loop *l = c->options.loop;
    c->ending = true; // cancelled calls must find nobody to tell
    for (int i = 0; i < c->register_count; i++)
        rpc_link_free(c->registers[i]);
    calls_complete_nowhere(c);
    asks_free(c);
    directory_free(c);
    catalog_free(c);
    loop_disarm(l, &c->renew);
    loop_disarm(l, &c->lease_end);
    loop_disarm(l, &c->watch_retry);
    calls_complete_nowhere(c); // also what others began when their calls were cancelled
    hook_stop(&c->nowhere_hook);
    hook_stop(&c->announce_hook);
    if (c->self)
        hawser__internal__member__free_unpacked(c->self, NULL);
    arena_deinit(&c->replies);
    free(c);
}
