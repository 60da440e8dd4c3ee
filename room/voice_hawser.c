// The voice of client.proto: frames of one type byte, a length and a protobuf message.
#include "close_codes.h"
#include "frame.h"
#include "room_internal.h"

enum { UPSTREAM_ID_BYTES = 16 };

// --- what is said

static void say(struct conn *c, enum frame_type type, const ProtobufCMessage *message) {
    struct buf *frame = &conn_room(c)->scratch.frame;
    buf_reset(frame);
    frame_put(frame, type, message);
    conn_send(c, frame);
}

static void fill_position(Hawser__V1__Position *p, enum feed_stream stream, const struct feed *f) {
    hawser__v1__position__init(p);
    p->stream = (Hawser__V1__Stream)stream;
    p->epoch = f->epoch;
    p->seq = f->sent;
}

struct positions { // of all streams, as a message points to them
    Hawser__V1__Position at[FEEDS], *list[FEEDS];
};

static void fill_positions(struct positions *p, struct room_binding *b) {
    for (int i = 0; i < FEEDS; i++) {
        fill_position(&p->at[i], (enum feed_stream)i, &room_binding_session(b)->feed[i]);
        p->list[i] = &p->at[i];
    }
}

static void fill_identity(Hawser__V1__Bound *m, const struct room_binding *b) {
    m->product = b->product->number;
    m->name = b->product->name;
    m->user = (char *)(uintptr_t)room_binding_user(b);
    m->generation = room_binding_generation(b);
}

static void fill_bound(Hawser__V1__Bound *m, const struct bound *bound, struct positions *after) {
    struct room_binding *b = bound->binding;
    hawser__v1__bound__init(m);
    m->error = bound->code;
    m->reason = bound->code ? (char *)(uintptr_t)bound->reason : m->reason;
    if (bound->code == 0) {
        fill_identity(m, b);
        fill_positions(after, b);
        m->resumed = room_binding_session(b)->is_resumed;
        m->expires_ms = room_binding_expires_ms(b);
        m->n_after = FEEDS;
        m->after = after->list;
    } else if (b && room_binding_is_entered(b)) {
        fill_identity(m, b);
    } else if (bound->name) {
        m->name = (char *)(uintptr_t)bound->name;
    }
}

static void say_bound(struct conn *c, const struct bound *bound) {
    Hawser__V1__Bound m;
    struct positions after;
    fill_bound(&m, bound, &after);
    say(c, FRAME_BOUND, &m.base);
}

static void say_welcome(struct conn *c, const struct welcome *welcome) {
    Hawser__V1__Welcome m = HAWSER__V1__WELCOME__INIT;
    Hawser__V1__Bound bound[BINDS_MAX], *list[BINDS_MAX];
    struct positions after[BINDS_MAX];
    const struct config *config = conn_room(c)->env->config;
    for (size_t i = 0; i < welcome->bound_count; i++) {
        list[i] = &bound[i];
        fill_bound(list[i], &welcome->bound[i], &after[i]);
    }
    m.n_bound = welcome->bound_count;
    m.bound = list;
    m.resume = (ProtobufCBinaryData){RESUME_BYTES, (uint8_t *)(uintptr_t)welcome->resume};
    m.heartbeat_s = c->heartbeat_ms / 1000;
    m.heartbeat_max_s = (uint32_t)(config_ms(config, "room.heartbeat_max") / 1000);
    m.server_ms = loop_wall_ms(conn_room(c)->loop);
    m.spread_ms = welcome->spread_ms;
    m.max_frame = FRAME_BODY_MAX;
    say(c, FRAME_WELCOME, &m.base);
}

static void voice_put_message(struct buf *out, const struct stream_range *at,
                              const Hawser__Internal__StoredMessage *m) {
    Hawser__V1__Push push = HAWSER__V1__PUSH__INIT;
    push.product = at->product;
    push.stream = (Hawser__V1__Stream)at->stream;
    push.seq = at->last;
    push.id = m->id;
    push.payload = m->payload;
    push.sent_ms = m->sent_ms;
    push.expires_ms = m->expires_ms;
    push.collapse_key = m->collapse_key;
    push.content_type = m->content_type;
    frame_put(out, FRAME_PUSH, &push.base);
}

// Client and log know reasons by the same numbers, also those that this room does not know.
static Hawser__V1__GapReason gap_reason_said(enum gap_reason reason) {
#define SAME_NUMBER(name)                                                                          \
    _Static_assert((int)name == (int)HAWSER__V1__GAP_REASON__##name, "a gap's reason: " #name)
    SAME_NUMBER(GAP_UNKNOWN);
    SAME_NUMBER(GAP_EXPIRED);
    SAME_NUMBER(GAP_OVERFLOWED);
    SAME_NUMBER(GAP_RECALLED);
    SAME_NUMBER(GAP_PARKED);
    SAME_NUMBER(GAP_COLLAPSED);
    SAME_NUMBER(GAP_OTHER_DEVICE);
    SAME_NUMBER(GAP_STORE_RESTARTED);
#undef SAME_NUMBER
    return (Hawser__V1__GapReason)reason;
}

static void put_gap(struct buf *out, const struct room_binding *b, const struct stream_range *at,
                    enum gap_reason reason) {
    Hawser__V1__Gap gap = HAWSER__V1__GAP__INIT;
    (void)b; // all are told
    gap.product = at->product;
    gap.stream = (Hawser__V1__Stream)at->stream;
    gap.first = at->first;
    gap.last = at->last;
    gap.reason = gap_reason_said(reason);
    frame_put(out, FRAME_GAP, &gap.base);
}

static void say_reset(struct room_binding *b, enum feed_stream stream, const char *reason) {
    Hawser__V1__Reset m = HAWSER__V1__RESET__INIT;
    Hawser__V1__Position at;
    fill_position(&at, stream, &room_binding_session(b)->feed[stream]);
    m.product = b->product->number;
    m.position = &at;
    m.reason = (char *)(uintptr_t)reason;
    say(b->conn, FRAME_RESET, &m.base);
}

static void say_synced(struct room_binding *b) {
    Hawser__V1__Synced m = HAWSER__V1__SYNCED__INIT;
    struct positions at;
    fill_positions(&at, b);
    m.product = b->product->number;
    m.n_at = FEEDS;
    m.at = at.list;
    say(b->conn, FRAME_SYNCED, &m.base);
}

static void say_ping(struct conn *c) {
    Hawser__V1__Ping m = HAWSER__V1__PING__INIT;
    say(c, FRAME_PING, &m.base);
}

static void say_pong(struct conn *c) {
    Hawser__V1__Pong m = HAWSER__V1__PONG__INIT;
    m.heartbeat_s = c->heartbeat_ms / 1000;
    m.server_ms = loop_wall_ms(conn_room(c)->loop);
    say(c, FRAME_PONG, &m.base);
}

static void say_go_away(struct conn *c, uint32_t within_ms, const char *reason) {
    Hawser__V1__GoAway m = HAWSER__V1__GO_AWAY__INIT;
    m.within_ms = within_ms;
    m.reason = (char *)(uintptr_t)reason;
    say(c, FRAME_GO_AWAY, &m.base);
}

static void say_close(struct conn *c, const struct farewell *f) {
    Hawser__V1__Close m = HAWSER__V1__CLOSE__INIT;
    m.code = f->code;
    m.reason = (char *)(uintptr_t)f->reason;
    m.retry_after_ms = (uint32_t)f->retry_after_ms;
    say(c, FRAME_CLOSE, &m.base);
}

// --- what is heard

// A stream of a later version is passed over.
static bool take_have(const Hawser__V1__Bind *m, struct session_have *have) {
    for (size_t i = 0; i < m->n_have; i++) {
        const Hawser__V1__Position *p = m->have[i];
        unsigned stream = (unsigned)p->stream;
        if (stream >= FEEDS)
            continue;
        if (have->given[stream])
            return false;
        have->given[stream] = true;
        have->at[stream] = (struct stream_position){p->epoch, p->seq};
    }
    return true;
}

static void take_bind(const Hawser__V1__Bind *m, struct bind_request *bind) {
    *bind = (struct bind_request){.token = m->token, .tags = m->tags, .tag_count = m->n_tags};
    bind->is_have_good = take_have(m, &bind->have);
}

static void got_hello(struct conn *c, const ProtobufCMessage *message) {
    const Hawser__V1__Hello *m = (const Hawser__V1__Hello *)message;
    struct hello_request hello = {.device = m->device,
                                  .heartbeat_s = m->heartbeat_s,
                                  .resume = m->resume.data,
                                  .resume_len = m->resume.len,
                                  .bind_count = m->n_bind};
    for (size_t i = 0; i < m->n_bind && i < BINDS_MAX; i++)
        take_bind(m->bind[i], &hello.bind[i]);
    log_event(conn_room(c)->env->log, LOG_DEBUG, "hello", "conn=%u sdk=%s", slab_slot(c),
              log_quote_str(m->sdk));
    hello_got_hello(c, &hello);
}

static void got_ping(struct conn *c, const ProtobufCMessage *m) {
    conn_pinged(c, ((const Hawser__V1__Ping *)m)->heartbeat_s);
}

static void got_pong(struct conn *c, const ProtobufCMessage *m) {
    (void)m;
    conn_ponged(c);
}

static struct room_binding *bound_to(struct conn *c, uint32_t product) {
    struct room_binding *b = c->bindings;
    while (b && !(room_binding_is_entered(b) && b->product->number == product))
        b = room_binding_next(b);
    return b;
}

static void got_ack(struct conn *c, const ProtobufCMessage *message) {
    const Hawser__V1__Ack *m = (const Hawser__V1__Ack *)message;
    struct room_binding *b = bound_to(c, m->product);
    conn_room(c)->count.delivery.acks++;
    if (!b)
        return; // no longer bound
    for (size_t i = 0; i < m->n_upto; i++) {
        const Hawser__V1__Position *p = m->upto[i];
        bool is_known = (unsigned)p->stream < FEEDS; // else a newer stream
        if (is_known &&
            !ack_got(b, (enum feed_stream)p->stream, (struct stream_position){p->epoch, p->seq}))
            return;
    }
    room_binding_go_on(b);
}

static void got_bind(struct conn *c, const ProtobufCMessage *m) {
    struct bind_request bind;
    take_bind((const Hawser__V1__Bind *)m, &bind);
    hello_got_bind(c, &bind);
}

static void got_unbind(struct conn *c, const ProtobufCMessage *m) {
    struct room_binding *b = bound_to(c, ((const Hawser__V1__Unbind *)m)->product);
    hello_got_unbind(c, b);
}

// Nothing takes what clients send up yet: the client keeps it.
static void got_upstream(struct conn *c, const ProtobufCMessage *message) {
    const Hawser__V1__Upstream *m = (const Hawser__V1__Upstream *)message;
    Hawser__V1__UpstreamReply reply = HAWSER__V1__UPSTREAM_REPLY__INIT;
    bool is_bound = bound_to(c, m->product) != NULL;
    if (m->id.len != UPSTREAM_ID_BYTES) {
        conn_close(c, CLOSE_MALFORMED, "id: 16 bytes", 0);
        return;
    }
    reply.id = m->id;
    reply.status = is_bound ? 503 : 410;
    reply.reason = (char *)(uintptr_t)(is_bound ? "upstream is not served" : "not bound");
    say(c, FRAME_UPSTREAM_REPLY, &reply.base);
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

static void voice_on_frame(struct conn *c, const struct frame *f) {
    struct room *r = conn_room(c);
    conn_heard(c);
    for (size_t i = 0; i < sizeof(frame_table) / sizeof(frame_table[0]); i++) {
        if (frame_table[i].type != f->type)
            continue;
        if (!(frame_table[i].states & 1u << c->state)) {
            conn_close(c, CLOSE_UNEXPECTED, "a frame that this state does not allow", 0);
            return;
        }
        ProtobufCMessage *m = frame_decode(f, &r->scratch.arena.allocator);
        if (m)
            frame_table[i].got(c, m);
        else
            conn_close(c, CLOSE_MALFORMED, "a body that does not decode", 0);
        arena_reset(&r->scratch.arena);
        return;
    }
    if (f->type == FRAME_LOCATE)
        conn_close(c, CLOSE_UNEXPECTED, "this is a room, not a dispatcher", 0);
    else if (c->state != CONN_OPEN || frame_message(f->type)) // known ones here are the room's own
        conn_close(c, CLOSE_UNEXPECTED, "a frame that this state does not allow", 0);
}

static size_t voice_take(struct conn *c, const uint8_t *data, size_t len) {
    struct stream *s = c->stream;
    size_t used = 0;
    while (used < len) {
        struct frame f;
        size_t n = 0;
        if (c->state == CONN_CLOSING)
            return len;
        if (conn_awaited(c)) // Binds are answered in order: the next frame waits for this one
            return used;
        enum frame_parsed parsed = frame_parse(
            data + used, len - used,
            c->state == CONN_OPEN ? FRAME_BODY_MAX : FRAME_BODY_BEFORE_WELCOME_MAX, &f, &n);
        if (parsed == FRAME_MORE)
            return used;
        if (parsed == FRAME_TOO_LARGE) {
            conn_close(c, CLOSE_TOO_LARGE, "a frame over its limit", 0);
            return len;
        }
        used += n;
        voice_on_frame(c, &f);
        if (c->stream != s || conn_waits_for_reader(c)) // handed on by a resume, or its end
            return used;
    }
    return used;
}

const struct voice voice_hawser = {
    .name = "hawser",
    .index = VOICE_HAWSER,
    .stream = {CONN_STREAM_CALLS, .keep_max = FRAME_HEADER_BYTES + FRAME_BODY_MAX},
    .ack_limits = {.messages = 32, .bytes = 256 * 1024},
    .lingers = LINGERS_BY_BYTES,
    .take = voice_take,
    .say_welcome = say_welcome,
    .say_bound = say_bound,
    .say_reset = say_reset,
    .say_synced = say_synced,
    .say_ping = say_ping,
    .say_pong = say_pong,
    .say_go_away = say_go_away,
    .say_close = say_close,
    .put_message = voice_put_message,
    .put_gap = put_gap,
};
