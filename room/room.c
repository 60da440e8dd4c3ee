// A room's life: where it listens, what it announces, and how it goes.
#include "room.h"
#include "close_codes.h"

#include "addr.h"
#include "bytes.h"
#include "client.pb-c.h"
#include "room_internal.h"

enum { DRAIN_POLL_MS = 100 };

// A block is what a saver reads in a millisecond or two. Eight products may each fill their share;
// more have less.
static const struct news_limits news_limits = {.block_bytes = 256 * 1024,
                                               .block_messages = 256,
                                               .product_bytes = 8 * 1024 * 1024,
                                               .room_bytes = 64 * 1024 * 1024,
                                               .asked_max = 8,
                                               .idle_ms = 10000};

// --- addresses

static int listen_for_clients(struct room *r, struct host_port *ret_at, struct buf *ret_error) {
    const char *listen = config_text(r->env->config, "room.listen");
    if (host_port_parse(listen, false, ret_at) != 0) {
        buf_printf(ret_error, "room.listen: '%s' is not host:port or host:first-last", listen);
        return -HW_ECONFIG;
    }
    int rc = listener_new(r->loop, ret_at->host, ret_at->port, ret_at->port_last, conn_accept, r,
                          &r->listener);
    if (rc != 0)
        buf_printf(ret_error, "room.listen: cannot listen at %s: %s", listen, hw_strerror(rc));
    return rc;
}

// "host[:port][@idc]" of room.advertise; none: the bound address.
static int take_endpoints(struct room *r, const char *bound_host, struct buf *ret_error) {
    int count;
    char *const *list = config_list(r->env->config, "room.advertise", &count);
    char *const none[] = {(char *)(uintptr_t) ""};
    if (count == 0) {
        list = none;
        count = 1;
    }
    r->transport = HAWSER__V1__TRANSPORT__PLAIN;
    for (int i = 0; i < count && i < 8; i++) {
        char text[512], address[512];
        struct host_port at;
        snprintf(text, sizeof(text), "%s", list[i]);
        char *idc = strchr(text, '@');
        if (idc)
            *idc++ = '\0';
        part_advertised(text, bound_host, listener_port(r->listener), address, sizeof(address));
        if (host_port_parse(address, false, &at) != 0 || (idc && strlen(idc) > 63)) {
            buf_printf(ret_error, "room.advertise: '%s' is not host[:port][@idc]", list[i]);
            return -HW_ECONFIG;
        }
        Hawser__Internal__MemberEndpoint *e = &r->endpoints[i];
        hawser__internal__member_endpoint__init(e);
        snprintf(r->endpoint_hosts[i], sizeof(r->endpoint_hosts[i]), "%s", at.host);
        snprintf(r->endpoint_idcs[i], sizeof(r->endpoint_idcs[i]), "%s",
                 idc ? idc : config_text(r->env->config, "cluster.idc"));
        e->host = r->endpoint_hosts[i];
        e->port = at.port;
        e->n_transport = 1;
        e->transport = &r->transport;
        e->idc = r->endpoint_idcs[i];
        r->endpoint_list[r->endpoint_count++] = e;
    }
    return 0;
}

// --- the cluster

// Those that linger give way: they are no load.
static uint32_t load(const struct room *r) {
    return (uint32_t)((uint64_t)(r->places - r->lingering_count) * LOAD_FULL / r->connections_max);
}

void room_tick(struct room *r) {
    bool is_full = load(r) >= LOAD_FULL;
    if (is_full == r->is_full_told)
        return;
    r->is_full_told = is_full;
    part_announce(r->part);
}

static void fill(void *self, Hawser__Internal__Member *m) {
    struct room *r = self;
    m->n_endpoint = (size_t)r->endpoint_count;
    m->endpoint = r->endpoint_list;
    m->sessions = r->live_sessions;
    m->sessions_max = r->sessions_max;
    m->load = load(r);
    m->draining = r->is_draining;
}

static void on_lease(void *self, bool held) {
    passes_on_lease(self, held);
}

static void on_index_lost(void *self) {
    passes_confirm_all(self);
    passes_hints_lost(self);
}

static void on_registers_back(void *self) {
    passes_hints_lost(self);
}

static void on_member(void *self, const Hawser__Internal__Member *m) {
    struct room *r = self;
    bool is_own = m->incarnation == r->env->incarnation;
    if (r->cluster && !is_own && (strcmp(m->role, "saver") == 0 || strcmp(m->role, "room") == 0))
        (void)cluster_peer(r->cluster, m->incarnation); // open before the first login needs it
}

static void on_member_gone(void *self, const Hawser__Internal__Member *m, bool clean) {
    if (strcmp(m->role, "center") == 0 && !clean)
        passes_heads_all(self);
    else if (strcmp(m->role, "register") == 0 && !clean) // centers may have asked it in vain
        passes_hints_lost(self);
}

static void on_product(void *self, const struct product *p, bool deleted) {
    if (deleted)
        product_deleted(self, p->number);
}

static int join(struct room *r, const struct host_port *clients, struct buf *ret_error) {
    char listen[HOST_MAX + 16];
    uint16_t port = listener_port(r->listener);
    const char *given = config_text(r->env->config, "room.rpc_listen");
    host_port_format(clients->host, clients->port == 0 ? 0 : (uint16_t)(port + 500), listen,
                     sizeof(listen));
    struct part_options o = {.env = r->env,
                             .methods = room_methods,
                             .listen = *given ? given : listen,
                             .advertise = config_text(r->env->config, "room.rpc_advertise"),
                             .events = {.on_lease = on_lease,
                                        .on_index_lost = on_index_lost,
                                        .on_registers_back = on_registers_back,
                                        .on_member = on_member,
                                        .on_member_gone = on_member_gone,
                                        .on_product = on_product},
                             .self = r,
                             .fill = fill};
    int rc = part_new(&o, ret_error, &r->part);
    if (rc == 0)
        r->cluster = part_cluster(r->part);
    return rc;
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

static void count_news(struct room *r) {
    struct metrics *m = r->env->metrics;
    metrics_gauge(m, "products_count", "products with sessions here, or that had some lately",
                  &r->product_count);
    metrics_gauge(m, "news_window_bytes", "memory of the products' latest broadcasts",
                  &r->window_bytes);
    metrics_gauge(m, "news_block_bytes", "memory of blocks of older broadcasts", &r->news.bytes);
    metrics_counter(m, "news_blocks_asked_total", "blocks of older broadcasts read from logs",
                    &r->news.loads);
    metrics_counter(m, "news_blocks_given_back_total",
                    "blocks that were idle, or made place for others", &r->news.given_back);
    metrics_counter(m, "news_answers_late_total", "blocks that came when nobody wanted them",
                    &r->news.too_late);
}

static void count_all(struct room *r) {
    struct metrics *m = r->env->metrics;
    metrics_gauge(m, "connections_count", "connections, lingering ones too", &r->count.connections);
    metrics_gauge(m, "sessions_count", "live sessions", &r->live_sessions);
    metrics_counter(m, "accepted_total", "connections accepted", &r->count.accepted);
    metrics_counter(m, "refused_total", "connections refused: the table is full",
                    &r->count.connections_refused);
    metrics_counter(m, "gave_way_total", "lingering connections ended early, for newcomers",
                    &r->count.gave_way);
    metrics_counter(m, "logins_total", "bindings logged in", &r->count.logins);
    metrics_counter(m, "login_failures_total", "bindings refused", &r->count.login_failures);
    metrics_counter(m, "takeovers_total", "sessions ended by a newer login", &r->count.takeovers);
    metrics_counter(m, "resumed_total", "connections resumed", &r->count.resumed);
    metrics_counter(m, "pushes_total", "inbox messages sent", &r->count.pushes);
    metrics_counter(m, "news_frames_total", "broadcast frames sent", &r->count.news_frames);
    metrics_counter(m, "gaps_total", "gaps sent", &r->count.gaps);
    metrics_counter(m, "acks_total", "Acks received", &r->count.acks);
    metrics_counter(m, "heads_ahead_total",
                    "inbox heads that told of messages before any hint had: they came late",
                    &r->count.heads_ahead);
    metrics_counter(m, "loads_total", "log reads asked", &r->count.loads);
    metrics_counter(m, "load_failures_total", "log reads not answered", &r->count.load_failures);
    metrics_counter(m, "not_here_total", "deliveries for sessions that are gone",
                    &r->count.not_here);
    metrics_counter(m, "live_dropped_total", "live messages not taken by a socket",
                    &r->count.live_dropped);
    metrics_counter(m, "pings_total", "Pings sent, for what is not acknowledged", &r->count.pings);
    metrics_counter(m, "resends_total", "streams sent again from the first unacknowledged",
                    &r->count.resends);
    metrics_counter(m, "protocol_errors_total", "connections closed with 43xx",
                    &r->count.protocol_errors);
    metrics_counter(m, "slow_total", "connections ended because they do not read", &r->count.slow);
    metrics_counter(m, "unexpected_total", "events that a session's state does not name",
                    &r->count.unexpected);
    metrics_counter(m, "orphans_given_up_total", "register rows that could not be dropped",
                    &r->count.orphans_given_up);
}

// Bindings that wait for the register's answer do not get it any more.
static void end_connections(struct room *r) {
    for (uint32_t i = 0; i < r->conns.high_water; i++) {
        struct conn *c = slab_at(&r->conns, i);
        if (c)
            conn_end(c);
        while (c && c->bindings)
            room_binding_free(c->bindings);
    }
    conn_reap(r);
}

static void stop(void *self) {
    struct room *r = self;
    struct room_product *p, *next;
    listener_free(r->listener);
    r->is_draining = r->is_stopping = true;
    end_connections(r);
    part_free(r->part);
    store_clock_stop(&r->clock);
    hook_stop(&r->ask_blocks);
    HASH_ITER(hh, r->products, p, next)
        product_free_here(p);
    acks_deinit(r);
    notices_deinit(r);
    orphans_deinit(r);
    loop_disarm(r->loop, &r->tick);
    retries_deinit(r);
    hook_stop(&r->reap);
    loop_disarm(r->loop, &r->drain_timer);
    slab_deinit(&r->bindings);
    slab_deinit(&r->conns);
    arena_deinit(&r->arena);
    buf_free(&r->scratch);
    buf_free(&r->run);
    free(r->watched.list);
    free(r);
}

static int start(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    struct room *r = hw_calloc(1, sizeof(*r));
    struct host_port at;
    r->env = env;
    r->loop = env->loop;
    uint32_t max = connections_max(r);
    TAILQ_INIT(&r->lingering);
    r->connections_max = max;
    slab_init(&r->conns, sizeof(struct conn), max + VISITORS_MAX);
    r->sessions_max = max < 4000000 ? max * 4 : max;
    slab_init(&r->bindings, sizeof(struct room_binding), r->sessions_max + max);
    arena_init(&r->arena);
    news_room_init(&r->news, &news_limits);
    for (size_t i = 0; i < sizeof(r->resume_key); i += 8)
        be64_put(r->resume_key + i, os_random(loop_os(r->loop)));
    int rc = listen_for_clients(r, &at, ret_error);
    if (rc == 0)
        rc = take_endpoints(r, at.host, ret_error);
    if (rc == 0)
        rc = join(r, &at, ret_error);
    if (rc != 0) {
        stop(r);
        return rc;
    }
    snprintf(r->id, sizeof(r->id), "room-%.64s-%u", r->endpoints[0].host, r->endpoints[0].port);
    lease_init(&r->lease);
    count_all(r);
    count_news(r);
    loop_arm(r->loop, &r->tick, 0, passes_tick);
    store_clock_start(&r->clock, r->loop, r->cluster);
    part_announce(r->part);
    log_event(env->log, LOG_INFO, "listening", "port=%u rpc=%u connections_max=%u",
              listener_port(r->listener), part_rpc_port(r->part), max);
    *ret_self = r;
    return 0;
}

// --- drain

static void close_rest(struct timer *t) {
    struct room *r = container_of(t, struct room, drain_timer);
    for (uint32_t i = 0; i < r->conns.high_water; i++) {
        struct conn *c = slab_at(&r->conns, i);
        if (c)
            conn_close(c, CLOSE_DRAINING, "draining", 0);
    }
}

void room_drain_within(struct room *r, uint32_t within_ms) {
    if (r->is_draining)
        return;
    r->is_draining = true;
    listener_free(r->listener);
    r->listener = NULL;
    part_announce(r->part);
    for (uint32_t i = 0; i < r->conns.high_water; i++) {
        struct conn *c = slab_at(&r->conns, i);
        if (c && c->state == CONN_OPEN)
            c->voice->say_go_away(c, within_ms * 8 / 10, "draining"); // the rest is for stragglers
        else if (c && c->state != CONN_CLOSING)
            conn_close(c, CLOSE_DRAINING, "draining", 0);
    }
    loop_arm(r->loop, &r->drain_timer, within_ms * 9 / 10, close_rest);
}

static void drain(void *self) {
    struct room *r = self;
    room_drain_within(r, (uint32_t)config_ms(r->env->config, "room.drain_within"));
}

static bool is_drained(void *self) {
    struct room *r = self;
    if (r->count.connections > 0 || r->late_count > 0)
        return false;
    part_withdraw(r->part);
    return part_is_withdrawn(r->part);
}

static const char *unready(void *self) {
    struct room *r = self;
    const char *reason = r->is_draining ? "draining" : cluster_unready_reason(r->cluster);
    if (reason)
        return reason;
    return cluster_pick(r->cluster, "saver", 0) ? NULL : "no saver is in the directory";
}

static void reload(void *self) {
    struct room *r = self;
    part_reload(r->part);
}

static const char *hopeless(void *self) {
    struct room *r = self;
    return cluster_hopeless(r->cluster);
}

static int ports(void *self, struct daemon_port out[DAEMON_PORTS_MAX]) {
    struct room *r = self;
    out[0] = (struct daemon_port){"room", r->listener ? listener_port(r->listener) : 0};
    out[1] = (struct daemon_port){"room_rpc", part_rpc_port(r->part)};
    return 2;
}

const struct daemon_role room_role = {.name = "room",
                                      .start = start,
                                      .stop = stop,
                                      .drain = drain,
                                      .is_drained = is_drained,
                                      .reload = reload,
                                      .unready = unready,
                                      .hopeless = hopeless,
                                      .ports = ports};
