#include "channel.h"

#include <assert.h>

#include "arena.h"
#include "crypto.h"

enum {
    HANDSHAKE_MS = 5000,
    QUIET_MS = 5000,
    SILENT_MS = 10000,
    LATE_MS = 1000,
    HANDSHAKE_FRAME_MAX = 64 * 1024,
    OUT_PAUSE_BYTES = 1024 * 1024 // replies of one iteration, before further requests wait
};

static size_t channel_on_data(void *owner, struct stream *s, const uint8_t *data, size_t len);
static void channel_on_connected(void *owner, struct stream *s);
static void channel_on_writable(void *owner, struct stream *s);
static void channel_on_closed(void *owner, struct stream *s, int error);

static const struct stream_ops channel_ops = {.on_connected = channel_on_connected,
                                              .on_data = channel_on_data,
                                              .on_writable = channel_on_writable,
                                              .on_closed = channel_on_closed,
                                              .keep_max = RPC_FRAME_MAX + RPC_LENGTH_BYTES};

static void peer_lives(struct channel *c) {
    c->heard_ms = loop_now_ms(c->options.loop);
    c->is_asked = false;
}

// A peer that takes bytes is alive, also when it has nothing to say or its pong stands behind a
// long frame of ours.
static void look_at_held(struct channel *c) {
    size_t held = stream_held(c->stream);
    if (held < c->held)
        peer_lives(c);
    c->held = held;
}

uint64_t channel_heard_ms(struct channel *c) {
    look_at_held(c);
    return c->heard_ms;
}

void channel_ask(struct channel *c) {
    rpc_frame_put(&c->out, RPC_PING, NULL);
    channel_want_flush(c);
    c->is_asked = true;
}

static void idle_check(struct timer *t) {
    struct channel *c = container_of(t, struct channel, idle);
    uint64_t now = loop_now_ms(c->options.loop);
    // After a stall of our own, what the peer said meanwhile may still be unread.
    bool is_late = now - t->due_ms >= LATE_MS;
    uint64_t quiet_ms = now - channel_heard_ms(c);
    // Nobody is silent who was not asked: a look may come just before it would have asked.
    if (c->state != CHANNEL_OPEN || (quiet_ms >= SILENT_MS && c->is_asked && !is_late)) {
        channel_end(c, -HW_EDEADLINE);
        return;
    }
    if (quiet_ms >= QUIET_MS)
        channel_ask(c);
    loop_arm(c->options.loop, &c->idle, quiet_ms < QUIET_MS ? QUIET_MS - quiet_ms : QUIET_MS,
             idle_check);
}

void channel_init(struct channel *c, const struct channel_options *o) {
    *c = (struct channel){.options = *o, .stream = o->stream, .heard_ms = loop_now_ms(o->loop)};
    crypto_random(c->nonce, sizeof(c->nonce));
    stream_set_owner(c->stream, &channel_ops, c);
    stream_go_first(c->stream); // clients' requests wait for what daemons answer
    loop_arm(o->loop, &c->idle, HANDSHAKE_MS, idle_check);
}

void channel_end(struct channel *c, int error) {
    if (c->state == CHANNEL_ENDED)
        return;
    c->state = CHANNEL_ENDED;
    c->error = error;
    stream_end(c->stream, error);
}

static void release(struct channel *c) {
    loop_disarm(c->options.loop, &c->idle);
    hook_stop(&c->flush);
    buf_free(&c->out);
    c->state = CHANNEL_ENDED;
    c->stream = NULL;
}

void channel_detach(struct channel *c) {
    if (!c->stream)
        return;
    stream_abandon(c->stream);
    release(c);
}

void channel_give_up(struct channel *c, void (*free_owner)(void *owner)) {
    channel_detach(c);
    if (c->busy)
        c->free_owner = free_owner;
    else
        free_owner(c->options.owner);
}

static void channel_enter(struct channel *c) {
    c->busy = true;
}

static void channel_leave(struct channel *c) {
    c->busy = false;
    if (c->free_owner)
        c->free_owner(c->options.owner);
}

static void flush(struct hook *h) {
    struct channel *c = container_of(h, struct channel, flush);
    if (c->state == CHANNEL_OPEN)
        c->options.events->on_flush(c->options.owner); // calls nobody back
    if (c->state == CHANNEL_ENDED || !stream_is_open(c->stream))
        return;
    look_at_held(c);
    stream_send(c->stream, c->out.data, c->out.len);
    // A burst's memory is not kept by a link that is quiet afterwards.
    if (c->out.capacity > BATCH_BYTES_MAX)
        buf_free(&c->out);
    buf_reset(&c->out);
    c->held = stream_held(c->stream);
    if (c->options.expected_role)
        return;
    if (c->held > 0)
        stream_pause(c->stream);
    else
        stream_resume(c->stream);
}

static void channel_on_writable(void *owner, struct stream *s) {
    struct channel *c = owner;
    look_at_held(c);
    stream_resume(s);
}

void channel_want_flush(struct channel *c) {
    hook_schedule(c->options.loop, &c->flush, flush);
}

void channel_put_batch(struct channel *c, const struct rpc_frame *head, struct buf *items) {
    struct rpc_frame f = *head;
    f.body_len = items->len;
    rpc_frame_put_header(&c->out, &f);
    buf_append(&c->out, items->data, items->len);
    buf_reset(items);
    if (c->out.len + stream_held(c->stream) > OUT_BYTES_MAX)
        channel_end(c, -HW_ETOOBIG);
}

// --- the hand-shake

struct proof_of { // what a proof is made over
    const char *side;
    const uint8_t *first, *second; // nonces: the other side's, and that of who proves
    const char *role;
};

static void make_proof(const struct proof_of *what, const char *secret, uint8_t out[32]) {
    struct buf text = BUF_EMPTY;
    buf_append_str(&text, what->side);
    buf_append(&text, what->first, NONCE_BYTES);
    buf_append(&text, what->second, NONCE_BYTES);
    buf_append_str(&text, what->role);
    crypto_hmac_sha256(secret, strlen(secret), text.data, text.len, out);
    buf_free(&text);
}

struct proofs {
    uint8_t bytes[RPC_SECRETS_MAX][32];
    ProtobufCBinaryData items[RPC_SECRETS_MAX];
};

// One proof for each secret, since the peer may know only one of them while they rotate.
static void make_proofs(const struct channel *c, const char *side, struct proofs *p) {
    struct proof_of ours = {side, c->peer_nonce, c->nonce, c->options.self->role};
    for (int i = 0; i < c->options.self->secret_count; i++) {
        make_proof(&ours, c->options.self->secrets[i], p->bytes[i]);
        p->items[i] = (ProtobufCBinaryData){.len = 32, .data = p->bytes[i]};
    }
}

static bool proof_is_right(const struct channel *c, const char *side, size_t count,
                           const ProtobufCBinaryData *proofs) {
    struct proof_of theirs = {side, c->nonce, c->peer_nonce, c->peer_role};
    bool right = false;
    for (int i = 0; count <= RPC_SECRETS_MAX && i < c->options.self->secret_count; i++) {
        uint8_t expected[32];
        make_proof(&theirs, c->options.self->secrets[i], expected);
        for (size_t j = 0; j < count; j++)
            right |= proofs[j].len == 32 && crypto_equal(proofs[j].data, expected, 32);
    }
    return right;
}

// The server proves first: with its HELLO, which answers the client's nonce.
static void send_hello(struct channel *c, bool with_proof) {
    Hawser__Internal__RpcHello hello = HAWSER__INTERNAL__RPC_HELLO__INIT;
    struct proofs proofs;
    hello.major = RPC_MAJOR;
    hello.minor = RPC_MINOR;
    hello.build = (char *)(uintptr_t)HAWSER_VERSION;
    hello.role = (char *)(uintptr_t)c->options.self->role;
    hello.incarnation = c->options.self->incarnation;
    hello.nonce = (ProtobufCBinaryData){.len = NONCE_BYTES, .data = c->nonce};
    if (with_proof) {
        make_proofs(c, "hawser rpc server", &proofs);
        hello.n_proof = (size_t)c->options.self->secret_count;
        hello.proof = proofs.items;
    }
    rpc_frame_put(&c->out, RPC_HELLO, &hello.base);
    channel_want_flush(c);
}

static void opened(struct channel *c) {
    c->state = CHANNEL_OPEN;
    loop_arm(c->options.loop, &c->idle, QUIET_MS, idle_check);
    c->options.events->on_open(c->options.owner);
}

static int take_hello(struct channel *c, const Hawser__Internal__RpcHello *hello) {
    if (hello->major != RPC_MAJOR)
        return -HW_EVERSION;
    if (hello->nonce.len != NONCE_BYTES || strlen(hello->role) > ROLE_MAX)
        return -HW_EMALFORMED;
    memcpy(c->peer_nonce, hello->nonce.data, NONCE_BYTES);
    memcpy(c->peer_role, hello->role, strlen(hello->role) + 1);
    c->peer_incarnation = hello->incarnation;
    c->peer_minor = hello->minor;
    snprintf(c->peer_build, sizeof(c->peer_build), "%s", hello->build);
    if (!c->options.expected_role) {
        c->state = CHANNEL_PROVING;
        send_hello(c, true);
        return 0;
    }
    if (strcmp(hello->role, c->options.expected_role) != 0)
        return -HW_EROLE;
    if (!proof_is_right(c, "hawser rpc server", hello->n_proof, hello->proof))
        return -HW_EAUTH;
    Hawser__Internal__RpcProof proof = HAWSER__INTERNAL__RPC_PROOF__INIT;
    struct proofs proofs;
    make_proofs(c, "hawser rpc client", &proofs);
    proof.n_proof = (size_t)c->options.self->secret_count;
    proof.proof = proofs.items;
    rpc_frame_put(&c->out, RPC_PROOF, &proof.base);
    opened(c);
    channel_want_flush(c);
    return 0;
}

static int on_handshake(struct channel *c, const struct rpc_frame *f, struct arena *a) {
    if (f->kind == RPC_HELLO && c->state == CHANNEL_GREETING) {
        Hawser__Internal__RpcHello *hello =
            hawser__internal__rpc_hello__unpack(&a->allocator, f->body_len, f->body);
        return hello ? take_hello(c, hello) : -HW_EMALFORMED;
    }
    if (f->kind != RPC_PROOF || c->state != CHANNEL_PROVING)
        return -HW_EMALFORMED;
    Hawser__Internal__RpcProof *proof =
        hawser__internal__rpc_proof__unpack(&a->allocator, f->body_len, f->body);
    if (!proof || !proof_is_right(c, "hawser rpc client", proof->n_proof, proof->proof))
        return -HW_EAUTH;
    opened(c);
    return 0;
}

// --- frames

static int on_requests(struct channel *c, const struct rpc_frame *f, struct arena *a) {
    Hawser__Internal__RpcRequests *batch =
        hawser__internal__rpc_requests__unpack(&a->allocator, f->body_len, f->body);
    if (!batch || !c->options.events->on_request)
        return -HW_EMALFORMED;
    for (size_t i = 0; i < batch->n_item && c->state == CHANNEL_OPEN; i++)
        c->options.events->on_request(c->options.owner,
                                      &(struct channel_request){.method = f->method,
                                                                .call = f->call + (uint32_t)i,
                                                                .body = batch->item[i].data,
                                                                .len = batch->item[i].len});
    return 0;
}

static int on_replies(struct channel *c, const struct rpc_frame *f, struct arena *a) {
    Hawser__Internal__RpcReplies *batch =
        hawser__internal__rpc_replies__unpack(&a->allocator, f->body_len, f->body);
    if (!batch || !c->options.events->on_reply)
        return -HW_EMALFORMED;
    for (size_t i = 0; i < batch->n_item && c->state == CHANNEL_OPEN; i++)
        c->options.events->on_reply(c->options.owner, batch->item[i]);
    return 0;
}

static int channel_on_frame(struct channel *c, const struct rpc_frame *f, struct arena *a) {
    if (c->state != CHANNEL_OPEN)
        return on_handshake(c, f, a);
    bool is_batch = f->kind == RPC_REQUEST || f->kind == RPC_REPLY;
    if (is_batch && !rpc_items_fit(f->body, f->body_len, BATCH_ITEMS_MAX))
        return -HW_EMALFORMED;
    switch (f->kind) {
    case RPC_REQUEST:
        return on_requests(c, f, a);
    case RPC_REPLY:
        return on_replies(c, f, a);
    case RPC_PING:
        rpc_frame_put(&c->out, RPC_PONG, NULL);
        channel_want_flush(c);
        return 0;
    case RPC_PONG:
        return 0;
    default:
        return -HW_EMALFORMED;
    }
}

static bool must_wait(const struct channel *c) {
    return !c->options.expected_role &&
           (c->out.len >= OUT_PAUSE_BYTES || stream_held(c->stream) > 0);
}

static size_t channel_on_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    struct channel *c = owner;
    struct arena arena;
    size_t at = 0, used = 0;
    struct rpc_frame frame;
    arena_init(&arena);
    peer_lives(c);
    channel_enter(c);
    // An event may end or detach the channel: then s no longer is its stream.
    while (c->stream == s && c->state != CHANNEL_ENDED) {
        used = 0;
        size_t max = c->state == CHANNEL_OPEN ? RPC_FRAME_MAX : HANDSHAKE_FRAME_MAX;
        enum rpc_parsed parsed = rpc_frame_parse(data + at, len - at, max, &frame, &used);
        if (parsed == RPC_PARSED_MORE)
            break;
        int error = parsed == RPC_PARSED_OK ? channel_on_frame(c, &frame, &arena) : -HW_EMALFORMED;
        arena_reset(&arena);
        at += used;
        if (error != 0)
            channel_end(c, error);
        if (c->stream == s && must_wait(c)) {
            stream_pause(s); // until the flush has written them
            break;
        }
    }
    arena_deinit(&arena);
    channel_leave(c);
    return at;
}

static void channel_on_connected(void *owner, struct stream *s) {
    (void)s;
    send_hello(owner, false);
}

static void channel_on_closed(void *owner, struct stream *s, int error) {
    (void)s;
    struct channel *c = owner;
    int why = c->error != 0 ? c->error : error != 0 ? error : -HW_ELINK;
    release(c);
    channel_enter(c);
    c->options.events->on_ended(c->options.owner, why);
    channel_leave(c);
}
