// Connections: heartbeats, closing, lingering. What the client says is the voice's to
// read.
#include "close_codes.h"
#include "room_internal.h"

#include <assert.h>

enum {
    HEARTBEAT_GRACE_MS = 8000,
    ANSWER_MS = 8000, // from a Ping to any frame
    EXPIRY_GRACE_MS = 60000,
    CLOSE_FLUSH_MS = 2000,
    STRANGERS_SHARE = 4, // of room.frames_max: so small a part is for who is not logged in
    SOON_MS = 10000,     // longer than the passes need to come round, also in a busy room
};

// --- life

#define STEP(from, to) | (CONN_##from == state ? 1u << CONN_##to : 0u)
static unsigned leads_to(enum conn_state state) {
    return 0u CONN_STEPS(STEP);
}
#undef STEP

static void is_no_stranger(struct conn *c) {
    struct room *r = conn_room(c);
    TAILQ_REMOVE(&r->places.strangers, c->transit, entry);
    r->places.strangers_count--;
}

// What is kept of its next frame counts among those of who is not logged in, or no more.
static void keeps_as_stranger(struct conn *c, size_t bytes) {
    conn_room(c)->places.strangers_bytes += bytes - c->transit->half_bytes;
    c->transit->half_bytes = (uint32_t)bytes;
}

void conn_enter(struct conn *c, enum conn_state state) {
    assert(leads_to(c->state) & 1u << state);
    if (c->state == CONN_HELLO)
        is_no_stranger(c);
    if (c->state <= CONN_LOGIN && state != CONN_LOGIN && c->transit)
        keeps_as_stranger(c, 0);
    c->state = (uint8_t)state;
    conn_room(c)->count.conn.steps[state]++;
}

struct transit *conn_transit(struct conn *c) {
    if (!c->transit) {
        c->transit = slab_take(&conn_room(c)->transits);
        assert(c->transit); // there is one for each connection
        c->transit->conn = c;
    }
    return c->transit;
}

static void conn_arm(struct conn *c, uint64_t after_ms, timer_fn *fn) {
    loop_arm(conn_room(c)->loop, &conn_transit(c)->timer, after_ms, fn);
}

static void conn_disarm(const struct conn *c) {
    if (c->transit)
        loop_disarm(conn_room(c)->loop, &c->transit->timer);
}

static void conn_rests(struct conn *c) {
    const struct transit *t = c->transit;
    if (!t || c->state != CONN_OPEN || t->binding || t->voice_state || timer_is_armed(&t->timer) ||
        loop_now_ms(conn_room(c)->loop) - t->pinged_ms < ASK_APART_MS)
        return;
    slab_give(c->transit);
    c->transit = NULL;
}

// Of a frame that is not whole yet. Whoever is logged in finds more of room.frames_max than all
// others could take.
static bool conn_may_keep(struct conn *c, size_t bytes) {
    struct room *r = conn_room(c);
    uint64_t max = config_bytes(r->env->config, "room.frames_max");
    uint64_t others = *loop_kept_bytes(r->loop) - stream_kept(c->stream);
    if (c->state <= CONN_LOGIN)
        keeps_as_stranger(c, bytes);
    if (bytes == 0)
        return true;
    if (c->state <= CONN_LOGIN && r->places.strangers_bytes > max / STRANGERS_SHARE) {
        r->count.conn.hellos_refused++;
        return false;
    }
    r->count.conn.frames_refused += others + bytes > max;
    return others + bytes <= max;
}

size_t conn_on_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    struct conn *c = owner;
    size_t used = c->state == CONN_CLOSING ? len : conn_voice(c)->take(c, data, len);
    if (c->stream != s || conn_may_keep(c, len - used))
        return used;
    conn_close(c, CLOSE_BUSY, "the room holds too much of frames that are not whole yet",
               BUSY_RETRY_MS);
    return len;
}

void conn_on_writable(void *owner, struct stream *s) {
    struct conn *c = owner;
    struct room_binding *next;
    if (c->is_unread) { // what it says has waited for us
        c->is_unread = false;
        conn_heard(c);
    }
    if (!conn_awaited(c))
        stream_resume(s);
    for (struct room_binding *b = c->bindings; b && c->stream == s; b = next) {
        next = room_binding_next(b);
        if (room_binding_is_entered(b))
            room_binding_go_on(b);
    }
}

static void linger_over(struct timer *t) {
    conn_end(container_of(t, struct transit, timer)->conn);
}

static bool has_session(const struct conn *c) {
    const struct room_binding *b = c->bindings;
    while (b && !room_binding_is_entered(b))
        b = room_binding_next(b);
    return b != NULL;
}

// One that has no session any more, but for logins that wait for their answers, keeps nothing.
static void linger(struct conn *c, uint64_t linger_ms) {
    struct room *r = conn_room(c);
    conn_enter(c, CONN_LINGERING);
    TAILQ_INSERT_TAIL(&r->places.lingering, conn_transit(c), entry);
    r->places.lingering_count++;
    conn_arm(c, linger_ms, linger_over);
    for (struct room_binding *b = c->bindings; b; b = room_binding_next(b))
        if (room_binding_state(b) == SESSION_LIVE)
            room_binding_tell_kind(b, EVENT_LOST);
    if (conn_awaited(c)) // half logged in: it begins again
        room_binding_end(conn_awaited(c));
    if (!has_session(c))
        conn_end(c);
    else if (conn_voice(c)->lingers == LINGERS_BY_TOKEN)
        lingerers_add(c);
}

// Where not all arrived of what an old Hello was answered, nobody comes back. Such a session would
// only stand in the way of one that its client has elsewhere by now.
static bool may_come_back(const struct conn *c, const struct stream *s) {
    bool was_welcomed = !c->is_unproven || stream_unsent(s) == 0;
    return conn_voice(c)->lingers == LINGERS_BY_TOKEN ||
           (conn_voice(c)->lingers == LINGERS_BY_BYTES && was_welcomed);
}

void conn_on_closed(void *owner, struct stream *s, int error) {
    struct conn *c = owner;
    struct room *r = conn_room(c);
    uint64_t linger_ms = config_ms(r->env->config, "room.linger");
    (void)error;
    c->was_had = conn_peer_had_all(c, s);
    c->stream = NULL;
    bool is_kept = c->state == CONN_OPEN && c->bindings && may_come_back(c, s);
    if (!is_kept || linger_ms == 0 || r->is_draining)
        conn_end(c);
    else
        linger(c, linger_ms);
}

void conn_begin(struct conn *c, const struct voice *voice) {
    struct room *r = conn_room(c);
    TAILQ_INSERT_TAIL(&r->places.strangers, conn_transit(c), entry);
    r->places.strangers_count++;
    r->voices[voice->index] = voice;
    c->voice = (uint8_t)voice->index;
    if (voice->begin)
        voice->begin(c);
}

void conn_take_stream(struct conn *c, struct stream *s) {
    c->stream = s;
    c->behind_push = 0;
    stream_set_owner(s, &conn_voice(c)->stream, c);
}

void conn_lose_stream(struct conn *c) {
    c->was_had = conn_peer_had_all(c, c->stream);
    stream_abandon(c->stream);
    c->stream = NULL;
}

static void end_bindings(struct conn *c) {
    struct room_binding *b = c->bindings;
    for (struct room_binding *next; b; b = next) {
        next = room_binding_next(b);
        room_binding_end(b);
    }
}

static void go_if_empty(struct conn *c) {
    struct room *r = conn_room(c);
    if (c->state != CONN_CLOSING || c->stream || c->bindings || c->is_gone)
        return;
    c->is_gone = true;
    conn_transit(c)->next_gone = r->gone;
    r->gone = c;
    effects_wake(&r->effects);
}

void conn_reap(struct room *r) {
    while (r->gone) {
        struct conn *c = r->gone;
        r->gone = c->transit->next_gone;
        if (conn_voice(c)->end)
            conn_voice(c)->end(c);
        assert(!c->transit->voice_state);
        slab_give(c->transit);
        free(c->device);
        r->count.conn.connections--;
        slab_give(c);
    }
}

void conn_lingers_no_more(struct conn *c) {
    if (c->state != CONN_LINGERING)
        return;
    lingerers_remove(c);
    TAILQ_REMOVE(&conn_room(c)->places.lingering, c->transit, entry);
    conn_room(c)->places.lingering_count--;
}

// Here, and not beside conn_take_place: places.c is above this file, and ends connections by it.
static void give_place(struct conn *c) {
    conn_room(c)->places.taken -= c->has_place;
    c->has_place = false;
}

// Whatever becomes of its stream. Bindings that wait for the register's answer stay until it comes,
// and the connection with them.
static void conn_over(struct conn *c) {
    conn_lingers_no_more(c);
    give_place(c);
    if (c->state != CONN_CLOSING)
        conn_enter(c, CONN_CLOSING);
    conn_disarm(c);
    end_bindings(c);
    go_if_empty(c);
}

void conn_end(struct conn *c) {
    if (c->stream)
        conn_lose_stream(c);
    conn_over(c);
}

void conn_binding_freed(struct conn *c, bool was_awaited) {
    if (was_awaited && c->state == CONN_OPEN)
        conn_pause(c, false);
    if (c->state == CONN_LINGERING && !has_session(c))
        conn_end(c);
    go_if_empty(c);
}

// A code may come from a register or room of another version: one of no kind is not counted.
static void count_close(struct room *r, uint32_t code) {
    uint32_t kind = code / 100 - CLOSE_KIND_FIRST; // far above all when it is below
    if (kind < CLOSE_KINDS)
        r->count.conn.closed[kind]++;
    r->count.conn.protocol_errors += kind == CLOSE_MALFORMED / 100 - CLOSE_KIND_FIRST;
    r->count.conn.connections_refused += code == CLOSE_TRY_ANOTHER;
}

static bool is_elsewhere(const struct room *r, const Hawser__Internal__Member *m) {
    return m->incarnation != r->env->incarnation && !m->draining && m->n_endpoint > 0;
}

// The room with the least load.
static const Hawser__Internal__Member *conn_elsewhere(const struct conn *c, uint32_t code) {
    const struct room *r = conn_room(c);
    const Hawser__Internal__Member *m = NULL, *best = NULL;
    bool is_asked = conn_voice(c)->names_servers && r->cluster &&
                    (code == CLOSE_DRAINING || code == CLOSE_TRY_ANOTHER);
    while (is_asked && (m = cluster_member_next(r->cluster, "room", m)) != NULL)
        if (is_elsewhere(r, m) && (!best || m->load < best->load))
            best = m;
    return best;
}

void conn_close(struct conn *c, uint32_t code, const char *reason, uint64_t retry_after_ms) {
    struct room *r = conn_room(c);
    if (c->state == CONN_CLOSING)
        return;
    count_close(r, code);
    log_event(r->env->log, LOG_DEBUG, "close", "conn=%u voice=%s code=%u reason=%s", slab_slot(c),
              conn_voice(c)->name, code, log_quote_str(reason));
    if (!c->stream) {
        conn_end(c);
        return;
    }
    conn_voice(c)->say_close(
        c, &(struct farewell){code, reason, retry_after_ms, conn_elsewhere(c, code)});
    conn_over(c);
    stream_end_after_flush(c->stream, CLOSE_FLUSH_MS, code);
}

void conn_binding_over(struct room_binding *b, const struct session_refusal *why) {
    struct conn *c = b->conn;
    bool is_only = c->bindings == b && !room_binding_next(b);
    if (is_only) {
        conn_close(c, why->code, why->reason, why->retry_after_ms);
        return;
    }
    if (c->state == CONN_OPEN)
        conn_voice(c)->say_bound(
            c, &(struct bound){.binding = b, .code = why->code, .reason = why->reason});
    room_binding_end(b);
}

// --- heartbeats and expiry

static void on_timer(struct timer *t);

// Until when some frame must have come. Of a voice that cannot ask, the heartbeat alone says it.
static uint64_t silence_ends_ms(const struct conn *c) {
    uint64_t now = loop_now_ms(conn_room(c)->loop), heard = now - ((uint32_t)now - c->heard_ms);
    uint64_t end = heard + c->heartbeat_ms + c->heartbeat_ms / 2 + HEARTBEAT_GRACE_MS;
    uint64_t answer = conn_pinged_ms(c) + ANSWER_MS;
    return c->is_asked && answer < end ? answer : end;
}

static uint64_t next_due(const struct conn *c, uint64_t wall_ms, uint64_t now_ms) {
    uint64_t due = silence_ends_ms(c);
    for (const struct room_binding *b = c->bindings; b; b = room_binding_next(b)) {
        uint64_t end = room_binding_expires_ms(b) + EXPIRY_GRACE_MS;
        uint64_t left = end > wall_ms ? end - wall_ms : 0;
        if (room_binding_state(b) == SESSION_LIVE && now_ms + left < due)
            due = now_ms + left;
    }
    return due;
}

void conn_rearm(struct conn *c) {
    const struct loop *l = conn_room(c)->loop;
    uint64_t now = loop_now_ms(l), due = next_due(c, loop_wall_ms(l), now);
    // While a Bind is awaited nothing is read: what came waits. Later than soon a pass sees to it.
    if (conn_awaited(c) || due > now + SOON_MS)
        conn_disarm(c);
    else
        conn_arm(c, due > now ? due - now : 0, on_timer);
}

void conn_look(struct conn *c) {
    if (c->state != CONN_OPEN)
        return;
    conn_rearm(c);
    conn_rests(c);
}

static void end_expired(struct conn *c, uint64_t wall_ms) {
    static const struct session_refusal expired = {CLOSE_TOKEN_EXPIRED, 0, "the token is expired"};
    struct room_binding *b = c->bindings;
    for (struct room_binding *next; b && c->state == CONN_OPEN; b = next) {
        next = room_binding_next(b);
        if (room_binding_state(b) == SESSION_LIVE &&
            room_binding_expires_ms(b) + EXPIRY_GRACE_MS <= wall_ms)
            conn_binding_over(b, &expired);
    }
}

static void on_timer(struct timer *t) {
    struct conn *c = container_of(t, struct transit, timer)->conn;
    struct loop *l = conn_room(c)->loop;
    if (loop_now_ms(l) >= silence_ends_ms(c)) {
        conn_close(c, CLOSE_NO_ANSWER, "no answer", 0);
        return;
    }
    end_expired(c, loop_wall_ms(l));
    if (c->state == CONN_OPEN)
        conn_rearm(c);
}

bool conn_ping(struct conn *c) {
    if (!conn_voice(c)->say_ping || c->is_asked || conn_awaited(c) || c->is_unread)
        return false; // of the latter two nothing is read now
    conn_transit(c)->pinged_ms = loop_now_ms(conn_room(c)->loop);
    c->is_asked = true;
    conn_room(c)->count.conn.pings++;
    conn_voice(c)->say_ping(c);
    conn_rearm(c);
    return true;
}

uint32_t conn_heartbeat_granted(const struct conn *c, uint32_t wish_s) {
    const struct config *config = conn_room(c)->env->config;
    uint64_t wish_ms = wish_s ? (uint64_t)wish_s * 1000 : config_ms(config, "room.heartbeat");
    uint64_t max_ms = config_ms(config, "room.heartbeat_max");
    wish_ms = wish_ms < HEARTBEAT_MIN_MS ? HEARTBEAT_MIN_MS : wish_ms;
    return (uint32_t)(wish_ms < max_ms ? wish_ms : max_ms);
}

void conn_heard(struct conn *c) {
    c->heard_ms = (uint32_t)loop_now_ms(conn_room(c)->loop);
    c->is_asked = c->is_unproven = false;
}

void conn_pinged(struct conn *c, uint32_t heartbeat_s) {
    if (heartbeat_s)
        c->heartbeat_ms = conn_heartbeat_granted(c, heartbeat_s);
    conn_voice(c)->say_pong(c);
    conn_rearm(c);
}

void conn_ponged(struct conn *c) {
    struct room_binding *next;
    for (struct room_binding *b = c->bindings; b; b = next) {
        next = room_binding_next(b);
        if (room_binding_state(b) == SESSION_LIVE)
            room_binding_tell_kind(b, EVENT_PONGED);
    }
}

void conn_pause(struct conn *c, bool pause) {
    if (!c->stream)
        return;
    if (pause) {
        stream_pause(c->stream);
    } else {
        stream_resume(c->stream);
        c->heard_ms = (uint32_t)loop_now_ms(conn_room(c)->loop);
        if (c->is_asked)
            conn_transit(c)->pinged_ms = loop_now_ms(conn_room(c)->loop);
    }
    conn_rearm(c);
}
