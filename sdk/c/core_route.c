// Where to connect next, and when. In this order: the room that was lost (it may have kept the
// session), the rooms that a dispatcher or GoAway named, a dispatcher, and when no dispatcher
// answers the rooms last known and the fixed ones. Waits have full jitter: a random part of the
// whole window.
#include <errno.h>

#include "core_internal.h"

enum { LOCATE_WANT = 5, GO_AWAY_FRESH_MS = 60000, BACKOFF_SHIFT_MAX = 16 };

static bool endpoint_is(const struct endpoint *a, const struct endpoint *b) {
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

// A name or an address: what would be a path, or stands for every address, is none.
static bool host_is_valid(const char *host) {
    size_t len = strlen(host);
    for (size_t i = 0; i < len; i++) {
        char c = host[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && !memchr(".-_:", c, 4))
            return false;
    }
    return len > 0 && len <= HOST_MAX;
}

static int add_endpoints(struct endpoint_list *list, const char *const *texts, size_t count,
                         char *error, size_t error_len) {
    if (count > HAWSER_ENDPOINTS_MAX) {
        snprintf(error, error_len, "more than %d endpoints", HAWSER_ENDPOINTS_MAX);
        return -EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        struct host_port hp;
        if (host_port_parse(texts[i], false, &hp) != 0 || hp.port == 0 || hp.port_last != hp.port ||
            !host_is_valid(hp.host)) {
            snprintf(error, error_len, "not host:port: %s", texts[i]);
            return -EINVAL;
        }
        struct endpoint *e = &list->at[list->count++];
        snprintf(e->host, sizeof(e->host), "%s", hp.host);
        e->port = hp.port;
    }
    list->fresh_until_ms = NEVER;
    return 0;
}

int route_init(struct client_core *c, const struct hawser_options *o, char *error,
               size_t error_len) {
    c->backoff_base_ms = BACKOFF_BASE_MS;
    c->backoff_cap_ms = BACKOFF_CAP_MS;
    if (o->dispatcher_count + o->room_count == 0) {
        snprintf(error, error_len, "neither a dispatcher nor a room is given");
        return -EINVAL;
    }
    int failed =
        add_endpoints(&c->dispatchers, o->dispatchers, o->dispatcher_count, error, error_len);
    if (failed == 0)
        failed = add_endpoints(&c->fixed, o->rooms, o->room_count, error, error_len);
    if (c->dispatchers.count > 0)
        c->dispatcher_next = rng_below(c->rng, c->dispatchers.count);
    return failed;
}

// --- which

static struct endpoint *first_untried(struct endpoint_list *list) {
    for (size_t i = 0; i < list->count; i++)
        if (!list->at[i].tried)
            return &list->at[i];
    return NULL;
}

static void clear_tried(struct endpoint_list *list) {
    for (size_t i = 0; i < list->count; i++)
        list->at[i].tried = false;
}

static struct endpoint *pick_room(struct client_core *c) {
    bool only_fixed = c->dispatchers.count == 0;
    bool dispatchers_silent = c->dispatcher_failures >= c->dispatchers.count;
    struct endpoint *e = NULL;
    if (c->rooms.fresh_until_ms > c->now_ms || (dispatchers_silent && !only_fixed))
        e = first_untried(&c->rooms);
    if (!e && (only_fixed || dispatchers_silent))
        e = first_untried(&c->fixed);
    if (!e && only_fixed) {
        clear_tried(&c->fixed);
        e = first_untried(&c->fixed);
    }
    return e;
}

static void route_connect_to(struct client_core *c, enum core_phase phase) {
    c->serial++;
    c->connect_wanted = true;
    c->connected = false;
    c->deadline_ms = c->now_ms + CONNECT_MS;
    core_set_phase(c, phase);
    if (c->status.state != HAWSER_CONNECTING)
        core_report(c, HAWSER_CONNECTING, (struct cause){0, "", 0});
}

void route_go(struct client_core *c) {
    login_retire_leaving(c);
    if (!login_has_work(c)) {
        core_set_phase(c, PHASE_IDLE);
        return;
    }
    uint64_t due = login_due_ms(c);
    if (due > c->now_ms) {
        route_wait(c, due - c->now_ms, 0);
        c->waits_for_binding = true;
        return;
    }
    struct endpoint *room = c->stay ? &c->peer : pick_room(c);
    if (!room) {
        if (c->dispatcher_failures >= c->dispatchers.count) {
            // All has been tried: round again.
            c->dispatcher_failures = 0;
            clear_tried(&c->rooms);
            clear_tried(&c->fixed);
        }
        c->peer = c->dispatchers.at[c->dispatcher_next];
        route_connect_to(c, PHASE_LOCATING);
        return;
    }
    c->peer = *room;
    route_connect_to(c, PHASE_LOGIN);
}

// --- when

uint64_t route_backoff_window(const struct client_core *c, uint32_t attempts) {
    uint32_t shift = attempts > 0 ? attempts - 1 : 0;
    if (shift > BACKOFF_SHIFT_MAX)
        shift = BACKOFF_SHIFT_MAX;
    uint64_t window = (uint64_t)c->backoff_base_ms << shift;
    return window < c->backoff_cap_ms ? window : c->backoff_cap_ms;
}

void route_wait(struct client_core *c, uint64_t least_ms, uint64_t window_ms) {
    uint64_t wait = least_ms + rng_below(c->rng, window_ms + 1);
    c->wait_until_ms = c->now_ms + wait;
    c->wait_least_ms = c->now_ms + least_ms;
    c->waits_for_binding = false;
    core_set_phase(c, PHASE_WAITING);
}

static void mark_tried(struct endpoint_list *list, const struct endpoint *e) {
    for (size_t i = 0; i < list->count; i++)
        if (endpoint_is(&list->at[i], e))
            list->at[i].tried = true;
}

static void remember_failed(struct client_core *c) {
    struct endpoint *slot = &c->failed[0];
    for (size_t i = 0; i < FAILED_MAX; i++) {
        struct endpoint *e = &c->failed[i];
        if (e->failed_until_ms > 0 && endpoint_is(e, &c->peer)) {
            slot = e;
            break;
        }
        if (e->failed_until_ms < slot->failed_until_ms)
            slot = e;
    }
    *slot = c->peer;
    slot->failed_until_ms = c->now_ms + FAILED_MS;
}

void route_peer_failed(struct client_core *c) {
    c->stay = false;
    if (c->phase == PHASE_LOCATING) {
        c->dispatcher_failures++;
        c->dispatcher_next = (c->dispatcher_next + 1) % c->dispatchers.count;
        return;
    }
    mark_tried(&c->rooms, &c->peer);
    mark_tried(&c->fixed, &c->peer);
    remember_failed(c);
}

bool route_peer_is(const struct client_core *c, const struct host_port *at) {
    return c->peer.port == at->port && strcmp(c->peer.host, at->host) == 0;
}

void route_peer_good(struct client_core *c) {
    for (size_t i = 0; i < FAILED_MAX; i++)
        if (endpoint_is(&c->failed[i], &c->peer))
            c->failed[i].failed_until_ms = 0;
    clear_tried(&c->rooms);
    clear_tried(&c->fixed);
    c->dispatcher_failures = 0;
    c->stay = true;
}

// --- the dispatcher

static const char *first_product(struct client_core *c) {
    c->located_for = 0;
    for (size_t i = 0; i < BINDING_SLOTS; i++) {
        const struct binding *b = &c->bindings[i];
        if (b->state != BINDING_NEW || !b->product || b->retry_at_ms > c->now_ms)
            continue;
        c->located_for = b->id;
        return b->product;
    }
    return "";
}

void route_put_locate(struct client_core *c) {
    Hawser__V1__Endpoint endpoints[FAILED_MAX], *failed[FAILED_MAX];
    Hawser__V1__Transport plain = HAWSER__V1__TRANSPORT__PLAIN;
    Hawser__V1__Locate m = HAWSER__V1__LOCATE__INIT;
    m.device = c->device;
    m.product = (char *)(uintptr_t)first_product(c);
    m.network = (Hawser__V1__Network)c->network;
    m.transport = &plain;
    m.n_transport = 1;
    m.want = LOCATE_WANT;
    m.failed = failed;
    for (size_t i = 0; i < FAILED_MAX; i++) {
        struct endpoint *e = &c->failed[i];
        if (e->failed_until_ms <= c->now_ms)
            continue;
        Hawser__V1__Endpoint *to = &endpoints[m.n_failed];
        *to = (Hawser__V1__Endpoint)HAWSER__V1__ENDPOINT__INIT;
        to->host = e->host;
        to->port = e->port;
        to->idc = e->idc;
        to->room = e->room;
        failed[m.n_failed++] = to;
    }
    core_put(c, FRAME_LOCATE, &m);
}

static bool speaks_plain(const Hawser__V1__Endpoint *e) {
    for (size_t i = 0; i < e->n_transport; i++)
        if (e->transport[i] == HAWSER__V1__TRANSPORT__PLAIN)
            return true;
    return e->n_transport == 0;
}

static void take_endpoints(struct client_core *c, Hawser__V1__Endpoint *const *from, size_t count,
                           uint64_t fresh_ms) {
    size_t left_out = 0;
    c->rooms = (struct endpoint_list){.fresh_until_ms = c->now_ms + fresh_ms};
    for (size_t i = 0; i < count; i++) {
        if (!host_is_valid(from[i]->host) || from[i]->port == 0 || from[i]->port > UINT16_MAX ||
            !speaks_plain(from[i]))
            continue;
        if (c->rooms.count == HAWSER_ENDPOINTS_MAX) {
            left_out++;
            continue;
        }
        struct endpoint *e = &c->rooms.at[c->rooms.count++];
        snprintf(e->host, sizeof(e->host), "%s", from[i]->host);
        e->port = (uint16_t)from[i]->port;
        // Only sent back as a hint: a name too long is left out.
        if (strlen(from[i]->room) <= ROOM_NAME_MAX)
            snprintf(e->room, sizeof(e->room), "%s", from[i]->room);
        if (strlen(from[i]->idc) <= ROOM_NAME_MAX)
            snprintf(e->idc, sizeof(e->idc), "%s", from[i]->idc);
    }
    if (left_out > 0)
        core_notice(c, "more than %d rooms were named, the last %zu are left out",
                    HAWSER_ENDPOINTS_MAX, left_out);
}

void route_on_located(struct client_core *c, const Hawser__V1__Located *m) {
    uint32_t start_after_ms = within_limits(m->start_after_ms, 0, WAIT_MAX_MS);
    if (m->backoff_base_ms > 0)
        c->backoff_base_ms =
            within_limits(m->backoff_base_ms, BACKOFF_BASE_MIN_MS, BACKOFF_BASE_MAX_MS);
    if (m->backoff_cap_ms > 0)
        c->backoff_cap_ms =
            within_limits(m->backoff_cap_ms, BACKOFF_CAP_MIN_MS, BACKOFF_CAP_MAX_MS);
    if (m->error != 0) {
        core_closed(c, (struct cause){m->error, m->reason, start_after_ms});
        return;
    }
    take_endpoints(c, m->endpoint, m->n_endpoint,
                   (uint64_t)within_limits(m->ttl_s, 0, TTL_MAX_S) * 1000);
    if (c->rooms.count == 0) {
        core_closed(c, (struct cause){HAWSER_BUSY, "the dispatcher knows no room", start_after_ms});
        return;
    }
    // Just asked: also an answer without a life time serves for this login.
    if (c->rooms.fresh_until_ms < c->now_ms + start_after_ms + CONNECT_MS)
        c->rooms.fresh_until_ms = c->now_ms + start_after_ms + CONNECT_MS;
    c->dispatcher_failures = 0;
    core_drop(c);
    route_wait(c, start_after_ms, 0);
    if (start_after_ms > 0)
        core_report(c, HAWSER_OFFLINE, (struct cause){0, "admission is throttled", 0});
}

void route_on_go_away(struct client_core *c, const Hawser__V1__GoAway *m) {
    uint32_t within_ms = within_limits(m->within_ms, 0, WAIT_MAX_MS);
    uint64_t wait = rng_below(c->rng, (uint64_t)within_ms + 1);
    // Rooms that send us on as soon as we come must not chase us round: the next one a while later.
    if (c->now_ms - c->online_since_ms < STABLE_MS && c->leave_at_ms == NEVER) {
        uint64_t least = rng_below(c->rng, route_backoff_window(c, ++c->attempts) + 1);
        wait = least > wait ? least : wait;
    }
    if (c->leave_at_ms > c->now_ms + wait)
        c->leave_at_ms = c->now_ms + wait;
    core_notice(c, "asked to log in elsewhere within %u ms: %s", within_ms, m->reason);
    if (m->n_endpoint > 0)
        take_endpoints(c, m->endpoint, m->n_endpoint, (uint64_t)within_ms + GO_AWAY_FRESH_MS);
    else
        c->rooms.fresh_until_ms = 0; // the dispatcher names others, and hears that this one failed
    route_peer_failed(c);
}
