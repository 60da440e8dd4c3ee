// The phase, the connection as the core has it, and what is said: to the user, and to the other
// side.
#include <stdarg.h>

#include "bytes.h"
#include "core_internal.h"

// --- telling the user

void core_notice(struct client_core *c, const char *format, ...) {
    if (!c->callbacks.on_notice)
        return;
    char text[2 * REASON_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    c->callbacks.on_notice(c->arg, text);
}

void core_report(struct client_core *c, enum hawser_state state, struct cause why) {
    if (why.reason != c->status_reason)
        snprintf(c->status_reason, sizeof(c->status_reason), "%s", why.reason);
    // Cut within a character: not that character.
    size_t len = strlen(c->status_reason);
    while (len > 0 && !utf8_is_valid((const uint8_t *)c->status_reason, len, NULL))
        c->status_reason[--len] = '\0';
    c->status = (struct hawser_status){
        .state = state,
        .code = why.code,
        .reason = c->status_reason,
        .retry_ms = c->phase == PHASE_WAITING ? c->wait_until_ms - c->now_ms : NEVER,
        .retry_after_ms = why.retry_after_ms,
    };
    if (c->callbacks.on_state)
        c->callbacks.on_state(c->arg, &c->status);
}

// --- phases

static const char *phase_name(enum core_phase phase) {
    static const char *const names[] = {
#define CORE_PHASE_NAME(name, text) #name,
        CORE_PHASES(CORE_PHASE_NAME)
#undef CORE_PHASE_NAME
    };
    return names[phase];
}

// From where each phase may be entered.
static const unsigned phase_from[] = {
    [PHASE_IDLE] = IN_PHASE(IDLE) | IN_PHASE(WAITING) | IN_PHASE(LOCATING) | IN_PHASE(LOGIN) |
                   IN_PHASE(ONLINE) | IN_PHASE(STOPPED),
    [PHASE_WAITING] = IN_PHASE(IDLE) | IN_PHASE(WAITING) | IN_PHASE(LOCATING) | IN_PHASE(LOGIN) |
                      IN_PHASE(ONLINE),
    [PHASE_LOCATING] = IN_PHASE(IDLE) | IN_PHASE(WAITING) | IN_PHASE(ONLINE),
    [PHASE_LOGIN] = IN_PHASE(IDLE) | IN_PHASE(WAITING) | IN_PHASE(ONLINE),
    [PHASE_ONLINE] = IN_PHASE(LOGIN),
    [PHASE_STOPPED] = IN_PHASE(IDLE) | IN_PHASE(WAITING) | IN_PHASE(LOCATING) | IN_PHASE(LOGIN) |
                      IN_PHASE(ONLINE),
};

void core_set_phase(struct client_core *c, enum core_phase phase) {
    if (!(phase_from[phase] & 1u << c->phase)) {
        fprintf(stderr, "hawser: %s after %s\n", phase_name(phase), phase_name(c->phase));
        abort();
    }
    c->phase = phase;
    c->pong_by_ms = NEVER;
}

void core_drop(struct client_core *c) {
    if (c->serial % 2 == 0)
        return;
    c->serial++;
    // One that was never asked of the shell needs no end.
    if (!c->connect_wanted)
        c->close_wanted = true;
    c->connect_wanted = c->connected = false;
    c->leave_at_ms = NEVER;
    bindings_connection_lost(c);
}

// --- frames

void core_put(struct client_core *c, enum frame_type type, const void *message) {
    frame_put(&c->out, type, message);
    c->last_sent_ms = c->now_ms;
}

void core_set_heartbeat(struct client_core *c, uint32_t seconds) {
    if (seconds > 0)
        c->heartbeat_ms = 1000 * (uint64_t)within_limits(seconds, HEARTBEAT_MIN_S, HEARTBEAT_MAX_S);
}
