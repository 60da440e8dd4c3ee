// How a connection ends, and what follows from that: by the class of a Close code, by a fault of
// the room's, or without a word.
#include "core_internal.h"

void core_idle(struct client_core *c, uint32_t code, const char *reason) {
    core_set_phase(c, PHASE_IDLE);
    core_report(c, HAWSER_OFFLINE, (struct cause){code, reason, 0});
}

// A connection that held for a while forgets the failures before it.
static bool leave_online(struct client_core *c) {
    bool was_online = c->phase == PHASE_ONLINE;
    if (was_online && c->now_ms - c->online_since_ms >= STABLE_MS)
        c->attempts = 0;
    return was_online;
}

// What comes when a connection is gone and nothing says to stop.
static void come_again(struct client_core *c, bool was_online, struct cause why) {
    uint64_t window = c->attempts > 0 ? route_backoff_window(c, c->attempts) : 0;
    if (!was_online && window == 0)
        window = route_backoff_window(c, 1);
    if (was_online && c->spread_ms > window)
        window = c->spread_ms;
    c->attempts++;
    route_wait(c, why.retry_after_ms, window);
    why.retry_after_ms = 0; // status.retry_ms says it
    core_report(c, HAWSER_OFFLINE, why);
}

void core_gone(struct client_core *c, const char *reason) {
    bool was_online = leave_online(c);
    bool leaving = c->leave_at_ms != NEVER;
    if (!was_online || leaving)
        route_peer_failed(c);
    acks_flush(c);
    core_drop(c);
    come_again(c, was_online, (struct cause){0, reason, 0});
}

void core_stopped(struct client_core *c, struct cause why) {
    core_drop(c);
    core_set_phase(c, PHASE_STOPPED);
    core_report(c, HAWSER_STOPPED, why);
}

void core_violation(struct client_core *c, const char *what) {
    core_notice(c, "%s:%u broke the protocol: %s", c->peer.host, c->peer.port, what);
    // The room's idea of this session is not to be trusted: log in from our own positions.
    c->resume_len = 0;
    core_gone(c, what);
}

// --- 40xx

static size_t count_wanted(const struct client_core *c) {
    size_t count = 0;
    for (size_t i = 0; i < BINDING_SLOTS; i++)
        count += binding_is_wanted(&c->bindings[i]);
    return count;
}

// The code is that of one binding, and ends it; the others go on. Whose it was is not said when
// several were refused: they are tried one by one then.
static void close_for_good(struct client_core *c, struct cause why) {
    struct binding *list[BINDING_SLOTS];
    size_t count = bindings_concerned(c, list);
    bool is_login = c->phase == PHASE_LOGIN;
    bool goes_on = count == 1 && count_wanted(c) > 1;
    for (size_t i = 0; i < count; i++)
        goes_on = goes_on || binding_survives(c, list[i], why.code);
    core_drop(c);
    if (is_login && count > 1) {
        c->one_by_one = true;
        come_again(c, false, why);
    } else if (goes_on) {
        core_idle(c, why.code, why.reason);
        for (size_t i = 0; i < count; i++)
            if (!binding_refused(c, list[i], why.code, why.reason))
                binding_end(c, list[i], why.code, why.reason);
    } else {
        core_stopped(c, why);
    }
}

// --- 43xx

// A dispatcher that takes no Locate is none: its own words say what it is.
static void close_for_error(struct client_core *c, struct cause why) {
    bool was_online = c->phase == PHASE_ONLINE;
    char text[HOST_MAX + REASON_BYTES];
    if (c->phase == PHASE_LOCATING) {
        snprintf(text, sizeof(text), "%s:%u is no dispatcher: %.*s", c->peer.host, c->peer.port,
                 REASON_BYTES / 2, why.reason);
        why.reason = text;
    }
    c->resume_len = 0;
    if (++c->protocol_errors >= PROTOCOL_ERRORS_MAX) {
        core_stopped(c, why);
        return;
    }
    if (!was_online)
        route_peer_failed(c);
    core_drop(c);
    if (c->attempts == 0)
        c->attempts = 1;
    come_again(c, was_online, why);
}

// --- 41xx, 42xx, and classes of later versions: reconnect

static void close_for_now(struct client_core *c, struct cause why) {
    bool was_online = c->phase == PHASE_ONLINE, is_busy = why.code / CODE_CLASS == 41;
    struct binding *list[BINDING_SLOTS];
    size_t count = c->phase == PHASE_LOGIN && c->one_by_one ? bindings_concerned(c, list) : 0;
    if (is_busy && c->attempts == 0)
        c->attempts = 1; // back off, also when it was online for long
    // A room that answers NO_ANSWER or TOO_SLOW is well; others are not to be met again at once.
    bool same_room = was_online && (why.code == HAWSER_NO_ANSWER || why.code == HAWSER_TOO_SLOW);
    if (!same_room || c->leave_at_ms != NEVER)
        route_peer_failed(c);
    core_drop(c);
    for (size_t i = 0; i < count; i++)
        binding_later(c, list[i]); // another one is next
    come_again(c, was_online && !is_busy, why);
}

void core_closed(struct client_core *c, struct cause why) {
    (void)leave_online(c);
    acks_flush(c);
    if (why.code / CODE_CLASS == 40)
        close_for_good(c, why);
    else if (why.code / CODE_CLASS == 43)
        close_for_error(c, why);
    else
        close_for_now(c, why);
}
