// A room's life: where it listens, what it announces, and how it goes.
#include "room.h"
#include "close_codes.h"

#include "addr.h"
#include "bytes.h"
#include "crypto.h"
#include "room_internal.h"

// A block is what a saver reads in a millisecond or two. Eight products may each fill their share;
// more have less.
static const struct news_limits news_limits = {.block_bytes = 256 * 1024,
                                               .block_messages = 256,
                                               .product_bytes = 8 * 1024 * 1024,
                                               .room_bytes = 64 * 1024 * 1024,
                                               .asked_max = 8,
                                               .idle_ms = 10000};
static const struct news_window_limits news_window_limits = {.bytes = 1024 * 1024, .entries = 8192};

// --- addresses

static int listen_for_clients(struct room *r, struct host_port *ret_at, struct buf *ret_error) {
    struct host_port at = config_listen(r->env->config, "room.listen");
    int rc = listener_new(r->loop, (struct listen_at){at.host, at.port, at.port_last}, conn_accept,
                          r, &r->listener);
    if (rc != 0)
        return part_cannot_listen(&at, "room.listen", rc, ret_error);
    // Its port for daemons is beside that for clients.
    uint16_t port = listener_port(r->listener);
    host_port_format(at.host, at.port == 0 ? 0 : (uint16_t)(port + 500), r->env->rpc_listen,
                     sizeof(r->env->rpc_listen));
    at.port = port;
    *ret_at = at;
    return 0;
}

// --- the cluster

static void room_fill(void *self, Hawser__Internal__Member *m) {
    struct room *r = self;
    m->n_endpoint = (size_t)r->endpoints.count;
    m->endpoint = r->endpoints.list;
    m->sessions = r->products.sessions;
    m->sessions_max = r->places.sessions_max;
    m->load = places_load(r);
    m->draining = r->is_draining;
}

static void room_on_lease(void *self, bool held) {
    passes_on_lease(self, held);
}

static void room_on_index_lost(void *self) {
    struct room *r = self;
    passes_confirm_all(r);
    passes_lost_hints(&r->passes);
}

static void room_on_registers_back(void *self) {
    struct room *r = self;
    passes_lost_hints(&r->passes);
}

static void room_on_member(void *self, const Hawser__Internal__Member *m) {
    struct room *r = self;
    bool is_own = m->incarnation == r->env->incarnation;
    if (r->cluster && !is_own && (strcmp(m->role, "saver") == 0 || strcmp(m->role, "room") == 0))
        (void)cluster_peer(r->cluster, m->incarnation); // open before the first login needs it
}

static void room_on_member_gone(void *self, const Hawser__Internal__Member *m, bool clean) {
    struct room *r = self;
    if (strcmp(m->role, "center") == 0 && !clean)
        passes_want_heads(&r->passes);
    else if (strcmp(m->role, "register") == 0 && !clean) // centers may have asked it in vain
        passes_lost_hints(&r->passes);
}

static void room_on_product(void *self, const struct product *p, bool deleted) {
    if (deleted)
        product_end_here(self, p->number);
}

// --- life

// The table is smaller than what descriptors were got, so that a full room can refuse with a word.
static uint32_t connections_max(const struct room *r) {
    uint64_t wanted = config_number(r->env->config, "room.connections_max");
    uint32_t got = descriptors_for_clients(os_descriptors(loop_os(r->loop)));
    if (wanted > got)
        log_event(r->env->log, LOG_WARN, "fewer connections than configured",
                  "connections_max=%u descriptors=%u", got, os_descriptors(loop_os(r->loop)));
    return wanted > 0 && wanted < got ? (uint32_t)wanted : got;
}

// Connections beyond connections_max: so few that a newcomer finds a place at the door, where
// somebody gives way, before the listener closes it for want of a descriptor. The rest is for what
// the room itself has open.
static uint32_t beyond_max(const struct room *r, uint32_t max) {
    uint32_t limit = os_descriptors(loop_os(r->loop));
    uint32_t spare = (descriptors_ceiling(limit, DOOR_CLIENTS) - max) / 2;
    return spare < BEYOND_MAX ? spare : BEYOND_MAX;
}

// Bindings that wait for the register's answer do not get it any more.
static void end_connections(struct room *r) {
    struct conn *c;
    for (uint32_t i = 0; i < r->conns.high_water; i++)
        if ((c = slab_at(&r->conns, i)) != NULL)
            conn_end(c);
    effects_settle(&r->effects);
    for (uint32_t i = 0; i < r->conns.high_water; i++) {
        c = slab_at(&r->conns, i);
        while (c && c->bindings)
            room_binding_free(c->bindings);
        if (c)
            conn_binding_freed(c, false);
    }
    conn_reap(r);
}

static void room_stop(void *self) {
    struct room *r = self;
    listener_free(r->listener);
    r->listener = NULL;
    r->is_draining = r->is_stopping = true;
    door_deinit(&r->door);
    end_connections(r);
}

static void room_end(void *self) {
    struct room *r = self;
    struct room_product *p, *next;
    store_clock_stop(&r->clock);
    hook_stop(&r->products.ask_older);
    HASH_ITER(hh, r->products.table, p, next)
        product_free_here(p);
    acks_deinit(r);
    notices_deinit(r);
    orphans_deinit(r);
    replaced_deinit(r);
    passes_end(r);
    waits_deinit(r);
    effects_deinit(&r->effects);
    loop_disarm(r->loop, &r->drain_timer);
    door_deinit(&r->door);
    slab_deinit(&r->bindings);
    slab_deinit(&r->awake_ones.slab);
    slab_deinit(&r->conns);
    slab_deinit(&r->transits);
    arena_deinit(&r->scratch.arena);
    buf_free(&r->scratch.frame);
    buf_free(&r->scratch.run);
    handles_deinit(&r->watched);
    handles_deinit(&r->questions.arrivals);
    handles_deinit(&r->awake_ones.list);
    free(r);
}

// The second from the first, by what no resume bytes are made of.
static void room_make_keys(struct room *r) {
    uint8_t other[32];
    for (size_t i = 0; i < sizeof(r->resume_key); i += 8)
        be64_put(r->resume_key + i, os_random(loop_os(r->loop)));
    crypto_hmac_sha256(r->resume_key, sizeof(r->resume_key), "lingerers", 9, other);
    memcpy(r->lingerers_key, other, sizeof(r->lingerers_key));
}

static int room_start(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    struct room *r = hw_calloc(1, sizeof(*r));
    struct host_port at;
    r->env = env;
    r->loop = env->loop;
    uint32_t max = connections_max(r);
    TAILQ_INIT(&r->places.lingering);
    TAILQ_INIT(&r->places.strangers);
    effects_init(&r->effects, r->loop, carry_out_all);
    r->places.connections_max = max;
    uint32_t slots_max = max + beyond_max(r, max);
    slab_init(&r->conns, sizeof(struct conn), slots_max);
    room_door_init(r);
    slab_init(&r->transits, sizeof(struct transit), slots_max);
    r->places.sessions_max = max < 4000000 ? max * 4 : max;
    uint32_t bindings_max = r->places.sessions_max + max + BINDINGS_UNCHECKED_MAX;
    slab_init(&r->bindings, sizeof(struct room_binding), bindings_max);
    slab_init(&r->awake_ones.slab, sizeof(struct awake), bindings_max);
    arena_init(&r->scratch.arena);
    r->products.window_limits = news_window_limits;
    news_room_init(&r->products.older, &news_limits);
    room_make_keys(r);
    int rc = listen_for_clients(r, &at, ret_error);
    if (rc != 0) {
        room_end(r);
        return rc;
    }
    endpoints_take(&r->endpoints, env, "room.advertise", &at);
    lease_init(&r->lease);
    admission_init(&r->questions.logins);
    admission_init(&r->questions.confirmations);
    admission_init(&r->questions.heads);
    admission_init(&r->orphans.asks);
    log_event(env->log, LOG_INFO, "sized", "connections_max=%u sessions_max=%u", max,
              r->places.sessions_max);
    *ret_self = r;
    return 0;
}

static void room_joined(void *self) {
    struct room *r = self;
    r->cluster = r->env->cluster;
    passes_begin(r);
    store_clock_start(&r->clock, r->loop, r->cluster);
}

// --- drain

static void room_begin_drain(void *self) {
    struct room *r = self;
    room_drain_within(r, (uint32_t)config_ms(r->env->config, "room.drain_within"));
}

static bool room_is_drained(void *self) {
    const struct room *r = self;
    return r->count.conn.connections == 0 && r->late_acks.count == 0;
}

static const char *room_unready(void *self) {
    const struct room *r = self;
    return r->is_draining                         ? "draining"
           : cluster_pick(r->cluster, "saver", 0) ? NULL
                                                  : "no saver is in the directory";
}

static uint16_t client_port(const void *self) {
    const struct room *r = self;
    return r->listener ? listener_port(r->listener) : 0;
}

#define STEPS_TO(state, word)                                                                      \
    DAEMON_COUNTER(room, count.session.steps[SESSION_##state], "session_steps_" word "_total",     \
                   "steps of sessions that led to " #state ", also from there")
#define CONN_STEPS_TO(state, word)                                                                 \
    DAEMON_COUNTER(room, count.conn.steps[CONN_##state], "connection_steps_" word "_total",        \
                   "steps of connections that led to " #state)
_Static_assert(SESSION_STATE_COUNT == 10 && CONN_STATE_COUNT == 5,
               "a counter for each state but the first");
static const struct daemon_metric metrics[] = {
    DAEMON_GAUGE(room, count.conn.connections, "connections_count",
                 "connections, lingering ones too"),
    DAEMON_GAUGE(room, products.sessions, "sessions_count", "live sessions"),
    DAEMON_GAUGE(room, awake_ones.count, "sessions_awake_count",
                 "sessions with something under way, which take more memory"),
    DAEMON_COUNTER(room, count.conn.accepted, "accepted_total", "connections accepted"),
    DAEMON_COUNTER(room, count.conn.connections_refused, "refused_total",
                   "connections refused, or displaced before their first bytes: the table is full"),
    DAEMON_COUNTER(room, count.conn.silent, "silent_total",
                   "connections whose first bytes did not come in time"),
    DAEMON_COUNTER(room, places.gave_way, "gave_way_total",
                   "lingering connections ended early, for newcomers"),
    DAEMON_COUNTER(room, places.strangers_displaced, "strangers_displaced_total",
                   "connections ended before they had said a whole Hello, for newcomers"),
    DAEMON_COUNTER(room, count.session.logins, "logins_total", "bindings logged in"),
    DAEMON_COUNTER(room, count.session.login_failures, "login_failures_total", "bindings refused"),
    DAEMON_GAUGE(room, questions.confirmations.at_once, "confirmations_at_once_count",
                 "confirmations that may be under way in a hurry, as answers came lately"),
    DAEMON_GAUGE(room, questions.heads.at_once, "heads_at_once_count",
                 "inboxes' heads that may be asked for at once in a hurry, likewise"),
    DAEMON_GAUGE(room, questions.logins.under_way, "logins_under_way_count",
                 "questions of logins that a register or a saver has not answered yet"),
    DAEMON_GAUGE(room, questions.logins.at_once, "logins_at_once_count",
                 "logins that may be under way, as answers came lately"),
    DAEMON_COUNTER(room, count.session.logins_put_off, "logins_put_off_total",
                   "bindings that found as many under way, and were told when to come again"),
    DAEMON_COUNTER(room, count.session.takeovers, "takeovers_total",
                   "sessions ended by a newer login"),
    DAEMON_COUNTER(room, count.conn.resumed, "resumed_total", "connections resumed"),
    DAEMON_COUNTER(room, count.delivery.pushes, "pushes_total", "inbox messages sent"),
    DAEMON_COUNTER(room, count.delivery.news_frames, "news_frames_total", "broadcast frames sent"),
    DAEMON_COUNTER(room, count.delivery.gaps, "gaps_total", "gaps sent"),
    DAEMON_COUNTER(room, count.delivery.acks, "acks_total", "Acks received"),
    DAEMON_COUNTER(room, count.delivery.heads_ahead, "heads_ahead_total",
                   "inbox heads that told of messages before any hint had: they came late"),
    DAEMON_COUNTER(room, count.delivery.loads, "loads_total", "log reads asked"),
    DAEMON_COUNTER(room, count.delivery.load_failures, "load_failures_total",
                   "log reads not answered"),
    DAEMON_COUNTER(room, count.delivery.not_here, "not_here_total",
                   "deliveries for sessions that are gone"),
    DAEMON_COUNTER(room, count.delivery.passing_dropped, "live_dropped_total",
                   "live messages, by session, that could not go out: its client is away or takes "
                   "nothing, or too many are under way"),
    DAEMON_COUNTER(room, count.conn.pings, "pings_total",
                   "Pings sent, for what is not acknowledged"),
    DAEMON_COUNTER(room, count.delivery.attempts, "attempts_total",
                   "inbox messages that a client had and did not acknowledge, each time"),
    DAEMON_COUNTER(room, count.delivery.parked, "parked_total", "of these, such that are parked"),
    DAEMON_COUNTER(room, count.delivery.refused, "messages_refused_total",
                   "messages that a client had and refused, by its voice"),
    DAEMON_COUNTER(room, count.delivery.resends, "resends_total",
                   "sessions that sent again, after a Ping, from the first unacknowledged"),
    DAEMON_COUNTER(room, count.conn.protocol_errors, "protocol_errors_total",
                   "connections closed with 43xx, or whose first bytes are of no protocol"),
    DAEMON_COUNTER(room, count.conn.frames_refused, "frames_refused_total",
                   "connections closed since frames that are not whole yet pass room.frames_max"),
    DAEMON_COUNTER(room, count.conn.hellos_refused, "hellos_refused_total",
                   "connections closed since those of who is not logged in pass their share of it"),
    DAEMON_GAUGE(room, places.strangers_bytes, "unfinished_hello_bytes",
                 "read of frames that are not whole yet, of who is not logged in"),
    DAEMON_COUNTER(room, count.conn.closed[0], "closed_40xx_total", "connections closed for good"),
    DAEMON_COUNTER(room, count.conn.closed[1], "closed_41xx_total",
                   "connections closed: busy, full, or too often"),
    DAEMON_COUNTER(room, count.conn.closed[2], "closed_42xx_total",
                   "connections closed: drained, silent or slow"),
    DAEMON_COUNTER(room, count.conn.closed[3], "closed_43xx_total",
                   "connections closed: against the protocol"),
    DAEMON_COUNTER(room, count.conn.slow, "slow_total",
                   "connections ended because they do not read"),
    DAEMON_COUNTER(room, count.session.unexpected, "unexpected_total",
                   "events that a session's state does not name"),
    CONN_STEPS_TO(LOGIN, "login"),
    CONN_STEPS_TO(OPEN, "open"),
    CONN_STEPS_TO(LINGERING, "lingering"),
    CONN_STEPS_TO(CLOSING, "closing"),
    STEPS_TO(ENTERING, "entering"),
    STEPS_TO(ATTACHING, "attaching"),
    STEPS_TO(DOUBTING, "doubting"),
    STEPS_TO(ACCEPTED, "accepted"),
    STEPS_TO(LIVE, "live"),
    STEPS_TO(AWAY, "away"),
    STEPS_TO(REFUSED, "refused"),
    STEPS_TO(LEAVING, "leaving"),
    STEPS_TO(GONE, "gone"),
    DAEMON_COUNTER(room, late_acks.lost, "positions_lost_total",
                   "positions of sessions that no saver took: repeats may follow"),
    DAEMON_COUNTER(room, orphans.given_up, "orphans_given_up_total",
                   "register rows that could not be dropped"),
    DAEMON_GAUGE(room, products.count, "products_count",
                 "products with sessions here, or that had some lately"),
    DAEMON_GAUGE(room, products.news_window_bytes, "news_window_bytes",
                 "memory of the products' latest broadcasts"),
    DAEMON_GAUGE(room, products.older.bytes, "news_block_bytes",
                 "memory of blocks of older broadcasts"),
    DAEMON_COUNTER(room, products.older.loads, "news_blocks_asked_total",
                   "blocks of older broadcasts read from logs"),
    DAEMON_COUNTER(room, products.older.given_back, "news_blocks_given_back_total",
                   "blocks that were idle, or made place for others"),
    DAEMON_COUNTER(room, products.older.too_late, "news_answers_late_total",
                   "blocks that came when nobody wanted them"),
    {0},
};

const struct daemon_role room_role = {
    .name = "room",
    .usage =
        "  --workers N        N rooms, a process each, at the ports of room.listen's range; one\n"
        "                     that ends is started again\n",
    .start = room_start,
    .joined = room_joined,
    .drain = room_begin_drain,
    .is_drained = room_is_drained,
    .stays_listed = true,
    .unready = room_unready,
    .stop = room_stop,
    .free = room_end,
    .methods = room_methods,
    .rpc_listen_key = "room.rpc_listen",
    .rpc_told_key = "room.rpc_advertise",
    .events = {.on_lease = room_on_lease,
               .on_index_lost = room_on_index_lost,
               .on_registers_back = room_on_registers_back,
               .on_member = room_on_member,
               .on_member_gone = room_on_member_gone,
               .on_product = room_on_product},
    .fill = room_fill,
    .metrics = metrics,
    .ports = {{"room", client_port}, {"room_rpc", NULL}},
};
