// How a client of Hawser behaves: proto/client.proto, less what a bench has no need of (it keeps
// nothing over its own end, and remembers no ids). The floor's client drains the same frames with
// the same code, from a program that knows no logins.
#include "client.h"
#include "frame.h"
#include "jwt.h"
#include "payload.h"

enum { HEARTBEAT_S = 600, SWEEP_PING_MS = HEARTBEAT_S * 1000 / 2 };

static void client_say(struct client *c, enum frame_type type, const ProtobufCMessage *message) {
    struct buf *frame = &c->worker->scratch;
    buf_reset(frame);
    frame_put(frame, type, message);
    client_send(c, frame->data, frame->len);
}

// --- positions

struct some_positions { // as a message points to them
    Hawser__V1__Position at[CLIENT_STREAMS], *list[CLIENT_STREAMS];
    size_t count;
};

static void add_position(struct some_positions *p, const struct client *c, int stream) {
    Hawser__V1__Position *at = &p->at[p->count];
    hawser__v1__position__init(at);
    at->stream = (Hawser__V1__Stream)stream;
    at->epoch = c->at[stream].epoch;
    at->seq = c->at[stream].seq;
    p->list[p->count++] = at;
}

// --- login

// Who comes back says what it has handled.
static void add_have(Hawser__V1__Bind *bind, struct some_positions *have, const struct client *c) {
    for (int i = 0; i < CLIENT_STREAMS; i++)
        if (c->at[i].epoch != 0)
            add_position(have, c, i);
    bind->n_have = have->count;
    bind->have = have->list;
}

static void hawser_greet(struct client *c) {
    const struct plan *plan = &c->worker->share->plan;
    const struct jwt_key key = {plan->product, plan->kid, plan->secret};
    char device[24], user[24], tag[24], sdk[] = "hawser-bench/1";
    snprintf(device, sizeof(device), "d%07u", c->number);
    snprintf(user, sizeof(user), "u%07u", c->number);
    snprintf(tag, sizeof(tag), "t%u", plan->tags ? c->number % plan->tags : 0);
    struct buf token = BUF_EMPTY;
    const struct jwt_claims claims = {user, plan->tags ? tag : NULL, c->worker->expires_s};
    jwt_append(&token, &key, &claims);
    char *tags[] = {tag};
    Hawser__V1__Bind bind = HAWSER__V1__BIND__INIT, *binds[] = {&bind};
    bind.token = (char *)(uintptr_t)buf_cstr(&token);
    bind.n_tags = plan->tags ? 1 : 0;
    bind.tags = tags;
    struct some_positions have = {0};
    add_have(&bind, &have, c);
    Hawser__V1__Hello hello = HAWSER__V1__HELLO__INIT;
    hello.device = device;
    hello.sdk = sdk;
    hello.heartbeat_s = HEARTBEAT_S;
    hello.n_bind = 1;
    hello.bind = binds;
    struct buf out = BUF_EMPTY;
    buf_append(&out, FRAME_PREFACE, FRAME_PREFACE_BYTES);
    frame_put(&out, FRAME_HELLO, &hello.base);
    client_send(c, out.data, out.len);
    buf_free(&out);
    buf_free(&token);
}

static void take_position(struct client *c, const Hawser__V1__Position *p) {
    if ((size_t)p->stream >= CLIENT_STREAMS)
        return;
    struct client_position *at = &c->at[p->stream];
    if (at->epoch == p->epoch && at->seq >= p->seq)
        return;
    *at = (struct client_position){p->epoch, p->seq};
    c->unacked[p->stream]++;
}

static void client_on_welcome(struct client *c, const Hawser__V1__Welcome *m) {
    if (m->n_bound == 0 || m->bound[0]->error != 0) {
        client_come_again(c, 0);
        return;
    }
    const Hawser__V1__Bound *bound = m->bound[0];
    c->product = bound->product;
    c->worker->spread_ms = m->spread_ms;
    for (size_t i = 0; i < bound->n_after; i++)
        if ((size_t)bound->after[i]->stream < CLIENT_STREAMS)
            c->at[bound->after[i]->stream] =
                (struct client_position){bound->after[i]->epoch, bound->after[i]->seq};
    client_is_open(c);
}

// --- acks

static void say_ack(struct client *c) {
    struct some_positions upto = {0};
    uint64_t acked = 0;
    for (int i = 0; i < CLIENT_STREAMS; i++) {
        if (c->unacked[i] == 0)
            continue;
        add_position(&upto, c, i);
        acked += c->unacked[i];
        c->unacked[i] = 0;
    }
    if (upto.count == 0)
        return;
    Hawser__V1__Ack ack = HAWSER__V1__ACK__INIT;
    ack.product = c->product;
    ack.n_upto = upto.count;
    ack.upto = upto.list;
    client_say(c, FRAME_ACK, &ack.base);
    count_add(c->worker->own, COUNT_ACKED, acked);
}

static void ack_what_is_due(struct client *c) {
    for (int i = 0; i < CLIENT_STREAMS; i++) {
        if (c->unacked[i] < c->worker->share->plan.ack_every[i])
            continue;
        say_ack(c);
        return;
    }
}

// --- messages

static void sample_keep(struct worker *w, const struct frame *f) {
    struct sample *sample = &w->share->sample;
    if (w->first == 0 && sample->len == 0) {
        size_t len = FRAME_HEADER_BYTES + f->body_len;
        memcpy(sample->frame, f->body - FRAME_HEADER_BYTES, len);
        atomic_store(&sample->len, (uint32_t)len);
    }
}

static bool client_on_push(struct client *c, const struct frame *f) {
    struct push_seen p;
    if (!push_see(f->body, f->body_len, &p) || p.stream >= CLIENT_STREAMS)
        return false;
    struct client_position *at = &c->at[p.stream];
    if (p.seq > 0 && p.seq <= at->seq) {
        count_add(c->worker->own, COUNT_REPEATS, 1);
        c->unacked[p.stream]++;
        return true;
    }
    if (p.seq > 0 && p.stream == HAWSER__V1__STREAM__INBOX && p.seq != at->seq + 1)
        count_add(c->worker->own, COUNT_JUMPS, 1);
    client_got(c, p.stream == HAWSER__V1__STREAM__INBOX ? LANE_INBOX : LANE_NEWS, p.payload,
               p.payload_len);
    if (p.seq == 0)
        return true;
    at->seq = p.seq;
    c->unacked[p.stream]++;
    if (p.stream == HAWSER__V1__STREAM__NEWS)
        sample_keep(c->worker, f);
    return true;
}

static void on_gap(struct client *c, const Hawser__V1__Gap *m) {
    if ((size_t)m->stream >= CLIENT_STREAMS || m->last <= c->at[m->stream].seq)
        return;
    count_add(c->worker->own, COUNT_GAPS, 1);
    c->at[m->stream].seq = m->last;
    c->unacked[m->stream]++;
}

static void on_synced(struct client *c, const Hawser__V1__Synced *m) {
    for (size_t i = 0; i < m->n_at; i++)
        take_position(c, m->at[i]);
    client_is_synced(c);
}

static void client_on_ping(struct client *c) {
    Hawser__V1__Pong pong = HAWSER__V1__PONG__INIT;
    say_ack(c);
    client_say(c, FRAME_PONG, &pong.base);
}

static void on_reset(struct client *c, const Hawser__V1__Reset *m) {
    count_add(c->worker->own, COUNT_GAPS, 1);
    if (m->position && (size_t)m->position->stream < CLIENT_STREAMS)
        c->at[m->position->stream] = (struct client_position){m->position->epoch, m->position->seq};
}

// --- frames

static void on_rare_frame(struct client *c, const struct frame *f) {
    ProtobufCMessage *m = frame_decode(f, NULL);
    if (!m) {
        client_come_again(c, 0);
        return;
    }
    if (f->type == FRAME_WELCOME)
        client_on_welcome(c, (Hawser__V1__Welcome *)m);
    else if (f->type == FRAME_SYNCED)
        on_synced(c, (Hawser__V1__Synced *)m);
    else if (f->type == FRAME_GAP)
        on_gap(c, (Hawser__V1__Gap *)m);
    else if (f->type == FRAME_RESET)
        on_reset(c, (Hawser__V1__Reset *)m);
    else if (f->type == FRAME_CLOSE)
        client_come_again(c, ((Hawser__V1__Close *)m)->retry_after_ms);
    protobuf_c_message_free_unpacked(m, NULL);
}

static void on_frame(struct client *c, const struct frame *f) {
    if (f->type == FRAME_PUSH && client_on_push(c, f))
        return;
    if (f->type == FRAME_PING)
        client_on_ping(c);
    else if (f->type == FRAME_PONG)
        client_got_pong(c);
    else
        on_rare_frame(c, f);
}

static size_t take_frames(struct client *c, const uint8_t *data, size_t len) {
    size_t used = 0, frame_used;
    struct frame f;
    // The connection may end with any frame.
    while (c->watch &&
           frame_parse(data + used, len - used, FRAME_BODY_MAX, &f, &frame_used) == FRAME_OK) {
        used += frame_used;
        on_frame(c, &f);
    }
    return used;
}

static size_t hawser_on_data(struct client *c, const uint8_t *data, size_t len) {
    size_t used = take_frames(c, data, len);
    if (c->watch)
        ack_what_is_due(c);
    return used;
}

static void hawser_ping(struct client *c) {
    Hawser__V1__Ping ping = HAWSER__V1__PING__INIT;
    client_say(c, FRAME_PING, &ping.base);
}

// An Ack is due 10 s after what it is for, at the latest, and a Ping when nothing was said for
// long.
static void hawser_sweep(struct client *c) {
    say_ack(c);
    if (loop_now_ms(c->worker->loop) - c->said_ms >= SWEEP_PING_MS)
        hawser_ping(c);
}

static void hawser_part(struct client *c) {
    say_ack(c);
    client_say(c, FRAME_BYE, NULL);
}

const struct dialect dialect_hawser = {.name = "hawser",
                                       .greet = hawser_greet,
                                       .on_data = hawser_on_data,
                                       .ping = hawser_ping,
                                       .sweep = hawser_sweep,
                                       .part = hawser_part};

// --- the floor

static void floor_greet(struct client *c) {
    c->worker->now_us = loop_clock_us(c->worker->loop);
    memset(c->at, 0, sizeof(c->at));
    client_is_open(c);
}

// Its frames are all alike: what was seen is forgotten, so that none is taken for a repeat.
static size_t floor_on_data(struct client *c, const uint8_t *data, size_t len) {
    size_t used = 0, frame_used;
    struct frame f;
    while (frame_parse(data + used, len - used, FRAME_BODY_MAX, &f, &frame_used) == FRAME_OK) {
        used += frame_used;
        on_frame(c, &f);
        memset(c->at, 0, sizeof(c->at));
    }
    return used;
}

static void floor_ping(struct client *c) {
    (void)c; // nobody there would answer
}

const struct dialect dialect_floor = {
    .name = "floor", .greet = floor_greet, .on_data = floor_on_data, .ping = floor_ping};
