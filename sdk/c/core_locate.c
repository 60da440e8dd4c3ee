// What a dispatcher is asked and says, and a room that sends its clients on.
#include "core_internal.h"

enum { LOCATE_WANT = 5, GO_AWAY_FRESH_MS = 60000 };

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

void locate_put(struct client_core *c) {
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
        if (!route_host_is_valid(from[i]->host) || from[i]->port == 0 ||
            from[i]->port > UINT16_MAX || !speaks_plain(from[i]))
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

void locate_on_located(struct client_core *c, const Hawser__V1__Located *m) {
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

void locate_on_go_away(struct client_core *c, const Hawser__V1__GoAway *m) {
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
