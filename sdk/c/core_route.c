// Where to connect next, and when. In this order: the room that was lost (it may have kept the
// session), the rooms that a dispatcher or GoAway named, a dispatcher, and when no dispatcher
// answers the rooms last known and the fixed ones. Waits have full jitter: a random part of the
// whole window.
#include <errno.h>

#include "core_internal.h"

enum { BACKOFF_SHIFT_MAX = 16 };

static bool endpoint_is(const struct endpoint *a, const struct endpoint *b) {
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

// A name or an address: what would be a path, or stands for every address, is none.
bool route_host_is_valid(const char *host) {
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
            !route_host_is_valid(hp.host)) {
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
    bindings_retire_leaving(c);
    if (!bindings_have_work(c)) {
        core_set_phase(c, PHASE_IDLE);
        return;
    }
    uint64_t due = bindings_due_ms(c);
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
