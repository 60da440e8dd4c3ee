// Connections. At rest one is a slot, a stream and a timer; it has no buffers.
//
//   PREFACE --"HWS1"--> HELLO --Hello--> LOGIN --all its bindings answered--> OPEN
//   OPEN --lost--> LINGERING --a Hello with its resume bytes--> OPEN
//   any --Close, Bye, fault--> CLOSING --end of its stream--> gone
#include <assert.h>

#include "addr.h"
#include "bytes.h"
#include "room_internal.h"

static size_t on_data(void *owner, struct stream *s, const uint8_t *data, size_t len);
static void on_writable(void *owner, struct stream *s);
static void on_closed(void *owner, struct stream *s, int error);

static const struct stream_ops conn_ops = {
    .on_data = on_data,
    .on_writable = on_writable,
    .on_closed = on_closed,
    .keep_max = FRAME_HEADER_BYTES + FRAME_BODY_MAX,
};

// --- sending

bool conn_can_push(const struct conn *c) {
    return c->stream && stream_is_open(c->stream) && stream_held(c->stream) == 0;
}

// A client that lets this much of what is not pushes lie is too slow.
void conn_send(struct conn *c, enum frame_type type, const ProtobufCMessage *message) {
    struct room *r = c->room;
    if (!c->stream || c->state == CONN_CLOSING)
        return;
    buf_reset(&r->scratch);
    frame_put(&r->scratch, type, message);
    stream_send(c->stream, r->scratch.data, r->scratch.len);
    if (stream_held(c->stream) > HELD_MAX) { // deferred: callers still hold its sessions
        r->count.slow++;
        stream_end(c->stream, -HW_ETOOBIG);
    }
}

size_t conn_send_run(struct conn *c, const uint8_t *data, const struct run_item *items,
                     size_t count) {
    size_t n = 0;
    if (count == 0)
        return 0;
    size_t written = stream_write(c->stream, data, items[count - 1].end);
    while (n < count && items[n].end <= written)
        n++;
    size_t whole = n > 0 ? items[n - 1].end : 0;
    if (n < count && written > whole) { // the rest of the frame that went out in part
        stream_hold(c->stream, data + written, items[n].end - written);
        n++;
    }
    return n;
}

static void end_sessions(struct conn *c) {
    struct session *s = c->sessions;
    for (struct session *next; s; s = next) {
        next = s->next_in_conn;
        session_end(s);
    }
}

void conn_close(struct conn *c, uint32_t code, const char *reason, uint64_t retry_after_ms) {
    Hawser__V1__Close close = HAWSER__V1__CLOSE__INIT;
    struct room *r = c->room;
    if (c->state == CONN_CLOSING)
        return;
    r->count.closed[code / 100 % 10 & 7]++;
    log_event(r->env->log, LOG_DEBUG, "close", "conn=%u code=%u reason=%s", c->slot, code,
              log_quote_str(reason));
    if (!c->stream) {
        conn_end(c);
        return;
    }
    close.code = code;
    close.reason = (char *)(uintptr_t)reason;
    close.retry_after_ms = (uint32_t)retry_after_ms;
    conn_send(c, FRAME_CLOSE, &close.base);
    conn_give_place(c);
    c->state = CONN_CLOSING;
    loop_disarm(r->loop, &c->timer);
    end_sessions(c);
    stream_end_after_flush(c->stream, CLOSE_FLUSH_MS);
}

// --- life

void conn_take_stream(struct conn *c, struct stream *s) {
    c->stream = s;
    stream_set_owner(s, &conn_ops, c);
}

static size_t orphan_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    (void)owner;
    (void)s;
    (void)data;
    return len;
}
static void orphan_closed(void *owner, struct stream *s, int error) {
    (void)owner;
    (void)s;
    (void)error;
}
static const struct stream_ops orphan_ops = {.on_data = orphan_data, .on_closed = orphan_closed};

void conn_lose_stream(struct conn *c) {
    stream_set_owner(c->stream, &orphan_ops, NULL);
    stream_end(c->stream, 0);
    c->stream = NULL;
}

void conn_end(struct conn *c) {
    struct room *r = c->room;
    if (c->stream)
        conn_lose_stream(c);
    conn_lingers_no_more(c);
    conn_give_place(c);
    c->state = CONN_CLOSING;
    loop_disarm(r->loop, &c->timer);
    end_sessions(c);
    if (c->sessions) // it goes with the last session that waits for the register
        return;
    free(c->device);
    r->count.connections--;
    slab_give(&r->conns, c->slot);
}

static void linger_over(struct timer *t) {
    conn_end(container_of(t, struct conn, timer));
}

static void on_closed(void *owner, struct stream *stream, int error) {
    struct conn *c = owner;
    struct room *r = c->room;
    uint64_t linger_ms = config_ms(r->env->config, "room.linger");
    (void)stream;
    (void)error;
    c->stream = NULL;
    if (c->state != CONN_OPEN || linger_ms == 0 || !c->sessions || r->is_draining) {
        conn_end(c);
        return;
    }
    c->state = CONN_LINGERING;
    TAILQ_INSERT_TAIL(&r->lingering, c, lingers);
    r->lingering_count++;
    if (c->binding) // half logged in: it begins again
        session_end(c->binding);
    for (struct session *s = c->sessions; s; s = s->next_in_conn)
        acks_save_last(s);
    loop_arm(r->loop, &c->timer, linger_ms, linger_over);
}

// --- heartbeats and expiry

static void on_timer(struct timer *t);

// Until when some frame must have come.
static uint64_t silence_ends_ms(const struct conn *c) {
    uint64_t end = c->heard_ms + c->heartbeat_ms + c->heartbeat_ms / 2 + HEARTBEAT_GRACE_MS;
    uint64_t answer = c->pinged_ms + ANSWER_MS;
    return c->is_asked && answer < end ? answer : end;
}

static uint64_t next_due(const struct conn *c, uint64_t wall_ms, uint64_t now_ms) {
    uint64_t due = silence_ends_ms(c);
    for (const struct session *s = c->sessions; s; s = s->next_in_conn) {
        uint64_t end = s->expires_ms + EXPIRY_GRACE_MS;
        uint64_t left = end > wall_ms ? end - wall_ms : 0;
        if (s->state == SESSION_LIVE && now_ms + left < due)
            due = now_ms + left;
    }
    return due;
}

void conn_rearm(struct conn *c) {
    struct loop *l = c->room->loop;
    if (c->binding) { // nothing is read until it is answered: what came waits
        loop_disarm(l, &c->timer);
        return;
    }
    uint64_t now = loop_now_ms(l), due = next_due(c, loop_wall_ms(l), now);
    loop_arm(l, &c->timer, due > now ? due - now : 0, on_timer);
}

// The one binding's end is the connection's; one of several is told with Bound.
void conn_session_over(struct conn *c, struct session *s, uint32_t code, const char *reason) {
    Hawser__V1__Bound bound = HAWSER__V1__BOUND__INIT;
    bool is_only = c->sessions == s && !s->next_in_conn;
    if (is_only || c->state == CONN_LINGERING) {
        if (is_only) {
            conn_close(c, code, reason, 0);
            return;
        }
        session_end(s);
        return;
    }
    bound.product = s->product->number;
    bound.name = s->product->name;
    bound.user = s->user;
    bound.generation = s->generation;
    bound.error = code;
    bound.reason = (char *)(uintptr_t)reason;
    conn_send(c, FRAME_BOUND, &bound.base);
    if (c->state == CONN_OPEN)
        session_end(s);
}

static void end_expired(struct conn *c, uint64_t wall_ms) {
    struct session *s = c->sessions;
    for (struct session *next; s && c->state == CONN_OPEN; s = next) {
        next = s->next_in_conn;
        if (s->state == SESSION_LIVE && s->expires_ms + EXPIRY_GRACE_MS <= wall_ms)
            conn_session_over(c, s, 4005, "the token is expired");
    }
}

static void on_timer(struct timer *t) {
    struct conn *c = container_of(t, struct conn, timer);
    struct loop *l = c->room->loop;
    if (loop_now_ms(l) >= silence_ends_ms(c)) {
        conn_close(c, 4201, "no answer", 0);
        return;
    }
    end_expired(c, loop_wall_ms(l));
    if (c->state == CONN_OPEN)
        conn_rearm(c);
}

bool conn_ping(struct conn *c) {
    Hawser__V1__Ping ping = HAWSER__V1__PING__INIT;
    uint64_t now = loop_now_ms(c->room->loop);
    if (c->is_asked || c->binding) // of what comes now nothing is read
        return false;
    c->pinged_ms = now;
    c->is_asked = true;
    c->room->count.pings++;
    conn_send(c, FRAME_PING, &ping.base);
    conn_rearm(c);
    return true;
}

// --- frames

static uint32_t heartbeat_granted(const struct conn *c, uint32_t wish_s) {
    const struct config *config = c->room->env->config;
    uint64_t wish_ms = wish_s ? (uint64_t)wish_s * 1000 : config_ms(config, "room.heartbeat");
    uint64_t max_ms = config_ms(config, "room.heartbeat_max");
    wish_ms = wish_ms < HEARTBEAT_MIN_MS ? HEARTBEAT_MIN_MS : wish_ms;
    return (uint32_t)(wish_ms < max_ms ? wish_ms : max_ms);
}

static void got_hello(struct conn *c, const ProtobufCMessage *m) {
    const Hawser__V1__Hello *hello = (const Hawser__V1__Hello *)m;
    size_t len = strlen(hello->device);
    if (!id_is_valid(hello->device, len, DEVICE_MAX)) {
        conn_close(c, 4300, "device: 1..64 bytes of UTF-8 without control characters", 0);
        return;
    }
    if (hello->n_bind > BINDS_MAX) {
        conn_close(c, 4300, "at most 16 bindings", 0);
        return;
    }
    c->device = hw_strdup(hello->device);
    c->heartbeat_ms = heartbeat_granted(c, hello->heartbeat_s);
    c->state = CONN_LOGIN;
    hello_received(c, hello);
}

static void got_ping(struct conn *c, const ProtobufCMessage *m) {
    const Hawser__V1__Ping *ping = (const Hawser__V1__Ping *)m;
    Hawser__V1__Pong pong = HAWSER__V1__PONG__INIT;
    if (ping->heartbeat_s)
        c->heartbeat_ms = heartbeat_granted(c, ping->heartbeat_s);
    pong.heartbeat_s = c->heartbeat_ms / 1000;
    pong.server_ms = loop_wall_ms(c->room->loop);
    conn_send(c, FRAME_PONG, &pong.base);
    conn_rearm(c);
}

static void got_pong(struct conn *c, const ProtobufCMessage *m) {
    (void)m;
    unacked_answered(c);
}

static void got_ack(struct conn *c, const ProtobufCMessage *m) {
    ack_received(c, (const Hawser__V1__Ack *)m);
}

static void got_bind(struct conn *c, const ProtobufCMessage *m) {
    bind_received(c, (const Hawser__V1__Bind *)m);
}

static void got_unbind(struct conn *c, const ProtobufCMessage *m) {
    unbind_received(c, (const Hawser__V1__Unbind *)m);
}

// Nothing takes what clients send up yet: the client keeps it.
static void got_upstream(struct conn *c, const ProtobufCMessage *m) {
    const Hawser__V1__Upstream *up = (const Hawser__V1__Upstream *)m;
    Hawser__V1__UpstreamReply reply = HAWSER__V1__UPSTREAM_REPLY__INIT;
    bool is_bound = false;
    for (const struct session *s = c->sessions; s; s = s->next_in_conn)
        is_bound = is_bound || (s->state == SESSION_LIVE && s->product->number == up->product);
    reply.id = up->id;
    reply.status = is_bound ? 503 : 410;
    reply.reason = (char *)(uintptr_t)(is_bound ? "upstream is not served" : "not bound");
    conn_send(c, FRAME_UPSTREAM_REPLY, &reply.base);
}

static void got_bye(struct conn *c, const ProtobufCMessage *m) {
    (void)m;
    conn_end(c);
}

enum { IN_HELLO = 1 << CONN_HELLO, IN_LOGIN = 1 << CONN_LOGIN, IN_OPEN = 1 << CONN_OPEN };
static const struct {
    uint8_t type;
    unsigned states; // where it is allowed
    void (*got)(struct conn *c, const ProtobufCMessage *m);
} frame_table[] = {
    {FRAME_HELLO, IN_HELLO, got_hello},      {FRAME_PING, IN_OPEN, got_ping},
    {FRAME_PONG, IN_OPEN, got_pong},         {FRAME_ACK, IN_OPEN, got_ack},
    {FRAME_BIND, IN_OPEN, got_bind},         {FRAME_UNBIND, IN_OPEN, got_unbind},
    {FRAME_UPSTREAM, IN_OPEN, got_upstream}, {FRAME_BYE, IN_LOGIN | IN_OPEN, got_bye},
};

static void protocol_error(struct conn *c, uint32_t code, const char *reason) {
    c->room->count.protocol_errors++;
    conn_close(c, code, reason, 0);
}

static void on_frame(struct conn *c, const struct frame *f) {
    struct room *r = c->room;
    c->heard_ms = loop_now_ms(r->loop);
    c->is_asked = false;
    for (size_t i = 0; i < sizeof(frame_table) / sizeof(frame_table[0]); i++) {
        if (frame_table[i].type != f->type)
            continue;
        if (!(frame_table[i].states & 1u << c->state)) {
            protocol_error(c, 4302, "a frame that this state does not allow");
            return;
        }
        ProtobufCMessage *m = frame_decode(f, &r->arena.allocator);
        if (m)
            frame_table[i].got(c, m);
        else
            protocol_error(c, 4300, "a body that does not decode");
        arena_reset(&r->arena);
        return;
    }
    if (f->type == FRAME_LOCATE)
        protocol_error(c, 4302, "this is a room, not a dispatcher");
    else if (c->state != CONN_OPEN || frame_message(f->type)) // known ones here are the room's own
        protocol_error(c, 4302, "a frame that this state does not allow");
}

static size_t take_preface(struct conn *c, const uint8_t *data, size_t len) {
    size_t n = len < FRAME_PREFACE_BYTES ? len : FRAME_PREFACE_BYTES;
    if (memcmp(data, FRAME_PREFACE, n) != 0) {
        c->room->count.protocol_errors++;
        c->state = CONN_CLOSING; // whatever it speaks, it is not this protocol
        stream_end(c->stream, -HW_EMALFORMED);
        return len;
    }
    if (n < FRAME_PREFACE_BYTES)
        return 0;
    c->state = CONN_HELLO;
    return n;
}

static size_t on_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    struct conn *c = owner;
    size_t used = c->state == CONN_PREFACE ? take_preface(c, data, len) : 0;
    while (used < len && c->state != CONN_PREFACE) {
        struct frame f;
        size_t n = 0;
        if (c->state == CONN_CLOSING)
            return len;
        if (c->binding) // Binds are answered in order: the next frame waits for this one
            return used;
        enum frame_parsed parsed = frame_parse(
            data + used, len - used,
            c->state == CONN_OPEN ? FRAME_BODY_MAX : FRAME_BODY_BEFORE_WELCOME_MAX, &f, &n);
        if (parsed == FRAME_MORE)
            return used;
        if (parsed == FRAME_TOO_LARGE) {
            protocol_error(c, 4301, "a frame over its limit");
            return len;
        }
        used += n;
        on_frame(c, &f);
        if (stream_owner(s) != c) // handed on by a resume, or its end
            return used;
    }
    return used;
}

static void on_writable(void *owner, struct stream *s) {
    struct conn *c = owner;
    struct session *next;
    for (struct session *at = c->sessions; at && c->stream == s; at = next) {
        next = at->next_in_conn;
        if (at->state == SESSION_LIVE)
            session_try(at);
    }
}

void conn_pause(struct conn *c, bool pause) {
    if (!c->stream)
        return;
    if (pause) {
        stream_pause(c->stream);
    } else {
        stream_resume(c->stream);
        c->heard_ms = loop_now_ms(c->room->loop);
        c->pinged_ms = c->is_asked ? c->heard_ms : c->pinged_ms;
    }
    conn_rearm(c);
}
