// The core's frame: phases, time, and the table of frames.
#include "client_core.h"

#include <assert.h>
#include <errno.h>

#include "bytes.h"
#include "core_internal.h"

// --- life

static bool options_are_valid(const struct hawser_options *o, char *error, size_t error_len) {
    const char *wrong = NULL;
    if (!o->device || !id_is_valid(o->device, strlen(o->device), HAWSER_DEVICE_MAX))
        wrong = "device must be 1..64 bytes of UTF-8 without control characters";
    else if (!o->callbacks.on_message)
        wrong = "on_message is missing";
    else if (o->ack_delay_ms > ACK_DELAY_MAX_MS)
        wrong = "ack_delay_ms is over 10,000";
    if (wrong)
        snprintf(error, error_len, "%s", wrong);
    return !wrong;
}

struct client_core *core_new(const struct hawser_options *options, struct core_host host,
                             char *error, size_t error_len) {
    if (!options_are_valid(options, error, error_len))
        return NULL;
    struct client_core *c = hw_calloc(1, sizeof(*c));
    c->callbacks = options->callbacks;
    c->arg = options->arg;
    c->store = host.store;
    c->rng = host.rng;
    c->now_ms = host.now_ms;
    c->device = hw_strdup(options->device);
    c->network = options->network;
    c->heartbeat_wish_s = options->heartbeat_s;
    c->ack_delay_ms = options->ack_delay_ms > 0 ? options->ack_delay_ms : ACK_DELAY_MS;
    c->heartbeat_ms = HEARTBEAT_DEFAULT_S * 1000;
    c->flush_at_ms = c->leave_at_ms = c->pong_by_ms = NEVER;
    c->status = (struct hawser_status){.reason = c->status_reason, .retry_ms = NEVER};
    arena_init(&c->arena);
    if (route_init(c, options, error, error_len) == 0)
        return c;
    core_free(c);
    return NULL;
}

void core_free(struct client_core *c) {
    if (!c)
        return;
    assert(c->depth == 0);
    c->phase = PHASE_STOPPED; // nothing is sent any more
    acks_flush(c);
    for (size_t i = 0; i < BINDING_SLOTS; i++)
        binding_free(&c->bindings[i]);
    arena_deinit(&c->arena);
    buf_free(&c->out);
    free(c->device);
    free(c);
}

// --- frames

// The room asks because something is unacknowledged: first what has been handled.
static void on_ping(struct client_core *c, const void *message) {
    (void)message;
    acks_flush(c);
    core_put(c, FRAME_PONG, NULL);
}

static void on_pong(struct client_core *c, const void *message) {
    const Hawser__V1__Pong *m = message;
    core_set_heartbeat(c, m->heartbeat_s);
}

static void on_welcome(struct client_core *c, const void *message) {
    login_on_welcome(c, message);
}

static void on_bound(struct client_core *c, const void *message) {
    login_on_bound(c, message);
}

static void on_push(struct client_core *c, const void *message) {
    streams_on_push(c, message);
}

static void core_on_gap(struct client_core *c, const void *message) {
    streams_on_gap(c, message);
}

static void core_on_reset(struct client_core *c, const void *message) {
    streams_on_reset(c, message);
}

static void core_on_synced(struct client_core *c, const void *message) {
    streams_on_synced(c, message);
}

static void on_go_away(struct client_core *c, const void *message) {
    locate_on_go_away(c, message);
}

static void on_located(struct client_core *c, const void *message) {
    locate_on_located(c, message);
}

static void on_close(struct client_core *c, const void *message) {
    const Hawser__V1__Close *m = message;
    core_closed(
        c, (struct cause){m->code, m->reason, within_limits(m->retry_after_ms, 0, WAIT_MAX_MS)});
}

static void on_reply(struct client_core *c, const void *message) {
    const Hawser__V1__UpstreamReply *m = message;
    if (!c->callbacks.on_reply || m->id.len != HAWSER_UPSTREAM_ID_BYTES)
        return;
    struct hawser_reply reply = {
        .id = m->id.data,
        .status = m->status,
        .payload = m->payload.data ? m->payload.data : (const uint8_t *)"",
        .payload_len = m->payload.len,
        .reason = m->reason,
    };
    c->callbacks.on_reply(c->arg, &reply);
}

struct frame_rule {
    unsigned phases; // that allow it
    void (*handle)(struct client_core *c, const void *message);
};

static const struct frame_rule frame_rules[UINT8_MAX + 1] = {
    [FRAME_WELCOME] = {IN_PHASE(LOGIN), on_welcome},
    [FRAME_LOCATED] = {IN_PHASE(LOCATING), on_located},
    [FRAME_CLOSE] = {IN_PHASE(LOCATING) | IN_PHASE(LOGIN) | IN_PHASE(ONLINE), on_close},
    [FRAME_PING] = {IN_PHASE(ONLINE), on_ping},
    [FRAME_PONG] = {IN_PHASE(ONLINE), on_pong},
    [FRAME_BOUND] = {IN_PHASE(ONLINE), on_bound},
    [FRAME_PUSH] = {IN_PHASE(ONLINE), on_push},
    [FRAME_GAP] = {IN_PHASE(ONLINE), core_on_gap},
    [FRAME_RESET] = {IN_PHASE(ONLINE), core_on_reset},
    [FRAME_SYNCED] = {IN_PHASE(ONLINE), core_on_synced},
    [FRAME_GO_AWAY] = {IN_PHASE(ONLINE), on_go_away},
    [FRAME_UPSTREAM_REPLY] = {IN_PHASE(ONLINE), on_reply},
};

static void core_on_frame(struct client_core *c, const struct frame *f) {
    const struct frame_rule *rule = &frame_rules[f->type];
    c->pong_by_ms = NEVER; // any frame counts as life
    if (!frame_type_name(f->type) && c->phase == PHASE_ONLINE)
        return; // of a later version
    if (!(rule->phases & 1u << c->phase)) {
        core_violation(c, "a frame that has no place here");
        return;
    }
    const void *message = frame_decode(f, &c->arena.allocator);
    if (message)
        rule->handle(c, message);
    else
        core_violation(c, "a frame that does not decode");
    arena_reset(&c->arena);
}

size_t core_received(struct client_core *c, uint64_t now_ms, const uint8_t *data, size_t len) {
    core_enter(c, now_ms);
    uint64_t serial = c->serial;
    size_t used = 0;
    while (c->serial == serial && c->connected) {
        struct frame f = {0};
        size_t frame_len = 0;
        // The limit is the one after Welcome throughout: a Welcome for 16 products may be larger
        // than what a client may send before it.
        enum frame_parsed parsed =
            frame_parse(data + used, len - used, FRAME_BODY_MAX, &f, &frame_len);
        if (parsed == FRAME_MORE)
            break;
        used += frame_len;
        if (parsed == FRAME_OK)
            core_on_frame(c, &f);
        else
            core_violation(c, "a frame over its limit");
    }
    bool stands = c->serial == serial && c->connected;
    core_leave(c);
    return stands ? used : len;
}

// --- events of the shell

void core_connected(struct client_core *c, uint64_t now_ms) {
    core_enter(c, now_ms);
    if (c->serial % 2 == 1 && !c->connected) {
        c->connected = true;
        c->deadline_ms = c->now_ms + FIRST_ANSWER_MS;
        buf_reset(&c->out);
        buf_append(&c->out, FRAME_PREFACE, FRAME_PREFACE_BYTES);
        if (c->phase == PHASE_LOCATING)
            locate_put(c);
        else
            login_put_hello(c);
        arena_reset(&c->arena);
    }
    core_leave(c);
}

void core_lost(struct client_core *c, uint64_t now_ms, const char *reason) {
    core_enter(c, now_ms);
    if (c->serial % 2 == 1) {
        core_gone(c, reason);
        c->close_wanted = false; // it is gone already
    }
    core_leave(c);
}

static void say_bye(struct client_core *c) {
    if (c->phase != PHASE_ONLINE)
        return;
    acks_flush(c);
    core_put(c, FRAME_BYE, NULL);
    c->resume_len = 0; // the session has ended: there is nothing to go on with
    c->stay = false;
}

static void tick_online(struct client_core *c) {
    if (c->pong_by_ms <= c->now_ms) {
        core_gone(c, "no answer to a ping");
        return;
    }
    if (c->leave_at_ms <= c->now_ms) {
        say_bye(c);
        core_drop(c);
        route_go(c);
        return;
    }
    tokens_ask_due(c);
    if (c->pong_by_ms == NEVER && c->now_ms - c->last_sent_ms >= c->heartbeat_ms) {
        Hawser__V1__Ping ping = HAWSER__V1__PING__INIT;
        ping.network = (Hawser__V1__Network)c->network;
        ping.heartbeat_s = c->heartbeat_wish_s;
        core_put(c, FRAME_PING, &ping);
        c->pong_by_ms = c->now_ms + PONG_MS;
    }
}

void core_tick(struct client_core *c, uint64_t now_ms) {
    core_enter(c, now_ms);
    switch (c->phase) {
    case PHASE_WAITING:
        if (c->wait_until_ms <= c->now_ms)
            route_go(c);
        break;
    case PHASE_LOCATING:
    case PHASE_LOGIN:
        if (c->deadline_ms <= c->now_ms)
            core_gone(c, c->connected ? "no answer in time" : "no connection in time");
        break;
    case PHASE_ONLINE:
        tick_online(c);
        break;
    case PHASE_IDLE:
    case PHASE_STOPPED:
        break;
    }
    core_leave(c);
}

void core_set_network(struct client_core *c, uint64_t now_ms, enum hawser_network network) {
    core_enter(c, now_ms);
    c->network = network;
    if (c->phase == PHASE_ONLINE) {
        Hawser__V1__Ping ping = HAWSER__V1__PING__INIT;
        ping.network = (Hawser__V1__Network)network;
        ping.heartbeat_s = c->heartbeat_wish_s;
        core_put(c, FRAME_PING, &ping);
        if (c->pong_by_ms == NEVER)
            c->pong_by_ms = c->now_ms + PONG_MS;
    } else if (c->phase == PHASE_WAITING) {
        // What failed on the old network says little of this one.
        uint64_t from = c->wait_least_ms > c->now_ms ? c->wait_least_ms : c->now_ms;
        uint64_t at = from + rng_below(c->rng, route_backoff_window(c, 1) + 1);
        if (at < c->wait_until_ms)
            c->wait_until_ms = at;
    }
    core_leave(c);
}

static void stop(struct client_core *c) {
    c->stop_wanted = false;
    if (c->phase == PHASE_STOPPED) {
        if (c->status.code != 0) // by the cluster: now it is the user's wish
            core_report(c, HAWSER_STOPPED, (struct cause){0, "stopped", 0});
        return;
    }
    say_bye(c);
    acks_flush(c);
    core_stopped(c, (struct cause){0, "stopped", 0});
}

void core_stop(struct client_core *c, uint64_t now_ms) {
    core_enter(c, now_ms);
    c->stop_wanted = true;
    core_leave(c);
}

void core_start(struct client_core *c, uint64_t now_ms) {
    core_enter(c, now_ms);
    if (c->phase == PHASE_STOPPED) {
        c->attempts = c->protocol_errors = c->end_code = 0;
        core_set_phase(c, PHASE_IDLE);
        core_report(c, HAWSER_OFFLINE, (struct cause){0, "", 0});
    }
    core_leave(c);
}

// --- every call

void core_enter(struct client_core *c, uint64_t now_ms) {
    if (c->depth++ == 0 && now_ms > c->now_ms)
        c->now_ms = now_ms;
}

// An ended one's slot is free once no call can hold it any more.
static void reclaim_bindings(struct client_core *c) {
    for (size_t i = 0; i < BINDING_SLOTS; i++) {
        if (c->bindings[i].state != BINDING_ENDED)
            continue;
        if (c->bindings[i].dirty)
            acks_flush(c);
        binding_free(&c->bindings[i]);
    }
}

// What calls from callbacks left to be done is done here, outside of every loop over frames and
// bindings.
void core_leave(struct client_core *c) {
    if (c->depth > 1) {
        c->depth--;
        return;
    }
    if (c->stop_wanted)
        stop(c);
    reclaim_bindings(c);
    if (c->end_code != 0 && c->phase != PHASE_STOPPED && !bindings_are_there(c)) {
        say_bye(c);
        core_stopped(c, (struct cause){c->end_code, c->end_reason, 0});
        c->end_code = 0;
    }
    if (c->phase == PHASE_IDLE && bindings_have_work(c))
        route_go(c);
    if (c->phase == PHASE_WAITING && c->waits_for_binding)
        c->wait_until_ms = bindings_due_ms(c);
    if (c->phase == PHASE_ONLINE)
        login_put_binds(c);
    bool bound = bindings_have_work(c);
    if (!bound && c->phase == PHASE_ONLINE) {
        // Also when all that is left waits for a token.
        say_bye(c);
        core_drop(c);
        core_idle(c, 0, "nothing is bound");
    } else if (!bound && c->serial % 2 == 1 && c->phase != PHASE_ONLINE) {
        core_drop(c);
        core_idle(c, 0, "nothing is bound");
    }
    if (c->flush_at_ms <= c->now_ms)
        acks_flush(c);
    arena_reset(&c->arena);
    reclaim_bindings(c);
    c->depth--;
}

struct buf *core_output(struct client_core *c) {
    return &c->out;
}

bool core_take_close(struct client_core *c) {
    bool wanted = c->close_wanted;
    c->close_wanted = false;
    return wanted;
}

bool core_take_connect(struct client_core *c, struct host_port *ret_to) {
    if (!c->connect_wanted)
        return false;
    c->connect_wanted = false;
    *ret_to = (struct host_port){.port = c->peer.port, .port_last = c->peer.port};
    snprintf(ret_to->host, sizeof(ret_to->host), "%s", c->peer.host);
    return true;
}

const struct hawser_status *core_status(const struct client_core *c) {
    return &c->status;
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

uint64_t core_next_wakeup_ms(const struct client_core *c) {
    uint64_t next = c->flush_at_ms;
    switch (c->phase) {
    case PHASE_WAITING:
        return earlier(next, c->wait_until_ms);
    case PHASE_LOCATING:
    case PHASE_LOGIN:
        return earlier(next, c->deadline_ms);
    case PHASE_ONLINE:
        next = earlier(next, earlier(c->leave_at_ms, bindings_next_ms(c)));
        // While a Ping is unanswered another one tells nothing.
        if (c->pong_by_ms != NEVER)
            return earlier(next, c->pong_by_ms);
        return earlier(next, c->last_sent_ms + c->heartbeat_ms);
    case PHASE_IDLE:
    case PHASE_STOPPED:
        break;
    }
    return next;
}
