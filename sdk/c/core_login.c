// Logging in: Hello and its Binds, and what the room answers to them.
#include "core_internal.h"

#define SDK_NAME "hawser-c/" HAWSER_VERSION

// --- Hello and Bind

// What is not stored yet is not named: it would count as handled, and be gone after a crash.
static void fill_have(struct client_core *c, struct binding *b, Hawser__V1__Bind *m) {
    m->have = arena_calloc(&c->arena, POSITION_STREAMS, sizeof(m->have[0]));
    for (size_t i = 0; i < POSITION_STREAMS; i++) {
        const struct position *p = &b->stored[i];
        b->stream[i].had = p->epoch != 0;
        if (p->epoch == 0)
            continue;
        Hawser__V1__Position *have = arena_alloc(&c->arena, sizeof(*have));
        *have = (Hawser__V1__Position)HAWSER__V1__POSITION__INIT;
        have->stream = (Hawser__V1__Stream)i;
        have->epoch = p->epoch;
        have->seq = p->seq;
        m->have[m->n_have++] = have;
    }
}

static Hawser__V1__Bind *make_bind(struct client_core *c, struct binding *b) {
    Hawser__V1__Bind *m = arena_alloc(&c->arena, sizeof(*m));
    *m = (Hawser__V1__Bind)HAWSER__V1__BIND__INIT;
    const struct credentials *newest = binding_credentials(b);
    m->token = newest->token;
    m->tags = newest->tags;
    m->n_tags = newest->tag_count;
    if (b->state != BINDING_BOUND) // a renewal keeps its positions
        fill_have(c, b, m);
    return m;
}

static void bind_sent(struct client_core *c, struct binding *b) {
    b->sent_serial = ++c->bind_serial;
    b->offer_sent = b->offer.token != NULL;
    if (b->state == BINDING_BOUND)
        b->renew_sent = true;
    else
        b->state = BINDING_SENT;
}

static bool bind_is_due(const struct client_core *c, const struct binding *b) {
    if (b->leaving || b->retry_at_ms > c->now_ms)
        return false;
    return b->state == BINDING_NEW ||
           (b->state == BINDING_BOUND && b->offer.token && !b->renew_sent);
}

void login_put_hello(struct client_core *c) {
    Hawser__V1__Bind *binds[HAWSER_BINDINGS_MAX];
    Hawser__V1__Hello hello = HAWSER__V1__HELLO__INIT;
    hello.device = c->device;
    hello.network = (Hawser__V1__Network)c->network;
    hello.sdk = (char *)(uintptr_t)SDK_NAME;
    hello.resume = (ProtobufCBinaryData){c->resume_len, c->resume};
    hello.heartbeat_s = c->heartbeat_wish_s;
    hello.bind = binds;
    size_t most = c->one_by_one ? 1 : HAWSER_BINDINGS_MAX;
    uint64_t due = bindings_due_ms(c); // one at least: the first that is due, if none is yet
    for (size_t i = 0; i < BINDING_SLOTS && hello.n_bind < most; i++) {
        struct binding *b = &c->bindings[i];
        bool early = b->retry_at_ms > due && (c->one_by_one || b->retry_at_ms > c->now_ms);
        if (b->state != BINDING_NEW || b->leaving || early)
            continue;
        binds[hello.n_bind++] = make_bind(c, b);
        if (hawser__v1__hello__get_packed_size(&hello) > FRAME_BODY_BEFORE_WELCOME_MAX)
            hello.n_bind--; // follows after Welcome
        else
            bind_sent(c, b);
    }
    core_put(c, FRAME_HELLO, &hello);
    // Another room logs us in anew, and the session that the bytes stand for is replaced by that.
    if (!route_peer_is(c, &c->resume_at))
        c->resume_len = 0;
}

void login_put_binds(struct client_core *c) {
    for (size_t i = 0; i < BINDING_SLOTS; i++) {
        struct binding *b = &c->bindings[i];
        if (!bind_is_due(c, b))
            continue;
        core_put(c, FRAME_BIND, make_bind(c, b));
        bind_sent(c, b);
    }
}

// --- what the room answers

void login_put_unbind(struct client_core *c, uint32_t number) {
    Hawser__V1__Unbind unbind = HAWSER__V1__UNBIND__INIT;
    unbind.product = number;
    core_put(c, FRAME_UNBIND, &unbind);
}

static bool names_match(const struct binding *b, const Hawser__V1__Bound *m) {
    return !b->product || !m->name[0] ||
           (strcmp(b->product, m->name) == 0 && (!m->user[0] || strcmp(b->user, m->user) == 0));
}

// The oldest Bind on its way that this can be the answer to.
static struct binding *find_asked(struct client_core *c, const Hawser__V1__Bound *m) {
    struct binding *found = NULL;
    for (size_t i = 0; i < BINDING_SLOTS; i++) {
        struct binding *b = &c->bindings[i];
        if ((b->state == BINDING_SENT || b->renew_sent) && b->state != BINDING_ENDED &&
            names_match(b, m) && (!found || b->sent_serial < found->sent_serial))
            found = b;
    }
    return found;
}

static void take_names(struct client_core *c, struct binding *b, const Hawser__V1__Bound *m) {
    if (b->product || !m->name[0] || !m->user[0])
        return;
    b->product = hw_strdup(m->name);
    b->user = hw_strdup(m->user);
    binding_load(c, b);
}

// What else stands for that product on this connection has ended with this answer; a later bind of
// it is still on its way.
static void end_others(struct client_core *c, const struct binding *b) {
    for (size_t i = 0; i < BINDING_SLOTS; i++) {
        struct binding *other = &c->bindings[i];
        if (other == b || other->state == BINDING_FREE || other->state == BINDING_ENDED)
            continue;
        bool older = other->id < b->id && b->product && other->product &&
                     strcmp(b->product, other->product) == 0;
        if (older || (b->number != 0 && other->number == b->number))
            binding_end(c, other, 0, "another bind of the product took its place");
    }
}

static void bound(struct client_core *c, struct binding *b, const Hawser__V1__Bound *m) {
    if (m->generation < b->generation) {
        // Forgotten, so that a room that lied cannot shut out those after it.
        b->generation = 0;
        core_violation(c, "a generation older than the one seen");
        return;
    }
    bool renewed = b->state == BINDING_BOUND;
    b->generation = m->generation;
    b->state = BINDING_BOUND;
    b->number = m->product;
    binding_accepted(c, b, m->expires_ms);
    take_names(c, b, m);
    end_others(c, b);
    if (!renewed)
        streams_begin(c, b, m);
    binding_tell(c, b,
                 (struct hawser_binding_event){.bound = true, .resumed = m->resumed, .reason = ""});
}

// A renewal was refused: what is held stands.
static void renewal_failed(struct client_core *c, struct binding *b, const Hawser__V1__Bound *m,
                           bool again) {
    if (again) {
        binding_later(c, b);
    } else if (!binding_refused(c, b, m->error, m->reason)) {
        b->retry_at_ms = c->now_ms;
        binding_drop_offer(c, b, m->error, m->reason);
    }
}

static void unbound(struct client_core *c, struct binding *b, const Hawser__V1__Bound *m) {
    uint32_t class = m->error / CODE_CLASS;
    bool again = (class == 41 || class == 42 || class == 43) && !b->leaving &&
                 (class != 43 || b->failures < PROTOCOL_ERRORS_MAX);
    take_names(c, b, m);
    if (m->product == 0 && b->state == BINDING_BOUND) {
        renewal_failed(c, b, m, again);
        return;
    }
    // Should it stand at the room all the same: otherwise this one is ignored.
    if (m->product != 0)
        login_put_unbind(c, m->product);
    if (b->state == BINDING_SENT)
        end_others(c, b); // a change of user ends the old binding also when it fails
    b->state = BINDING_NEW;
    b->number = 0;
    if (again)
        binding_later(c, b);
    else if (!binding_refused(c, b, m->error, m->reason))
        binding_end(c, b, m->error, m->reason);
}

// An answer to a Bind that we have given up meanwhile: the room holds a binding that nobody wants.
static void bound_unwanted(struct client_core *c, const Hawser__V1__Bound *m) {
    struct binding *b = binding_by_number(c, m->product);
    if (m->error != 0 || m->product == 0 || (b && names_match(b, m)))
        return;
    if (b)
        binding_end(c, b, 0, "another bind of the product took its place");
    login_put_unbind(c, m->product);
}

void login_on_bound(struct client_core *c, const Hawser__V1__Bound *m) {
    // An error with a number is the end of a binding that stood; every other is an answer.
    struct binding *b = m->error != 0 && m->product != 0 ? binding_by_number(c, m->product) : NULL;
    if (!b || !names_match(b, m))
        b = find_asked(c, m);
    if (!b)
        bound_unwanted(c, m);
    else if (m->error != 0)
        unbound(c, b, m);
    else if (m->product == 0)
        core_violation(c, "a binding without a number");
    else
        bound(c, b, m);
}

void login_on_welcome(struct client_core *c, const Hawser__V1__Welcome *m) {
    if (m->resume.len > RESUME_MAX) {
        core_violation(c, "resume bytes over their limit");
        return;
    }
    c->resume_len = m->resume.len;
    if (m->resume.len > 0)
        memcpy(c->resume, m->resume.data, m->resume.len);
    c->resume_at.port = c->peer.port;
    memcpy(c->resume_at.host, c->peer.host, sizeof(c->resume_at.host));
    core_set_heartbeat(c, m->heartbeat_s);
    c->server_ahead_ms = 0;
    if (m->server_ms > 0 && m->server_ms <= UNIX_MS_MAX)
        c->server_ahead_ms = (int64_t)(m->server_ms - c->now_ms);
    c->spread_ms = within_limits(m->spread_ms, 0, SPREAD_TAKEN_MAX_MS);
    c->max_frame = m->max_frame == 0
                       ? FRAME_BODY_MAX
                       : within_limits(m->max_frame, FRAME_BODY_BEFORE_WELCOME_MAX, FRAME_BODY_MAX);
    c->online_since_ms = c->now_ms;
    c->protocol_errors = 0;
    c->one_by_one = false;
    route_peer_good(c);
    core_set_phase(c, PHASE_ONLINE);
    core_report(c, HAWSER_ONLINE, (struct cause){0, "", 0});
    for (size_t i = 0; i < m->n_bound && c->phase == PHASE_ONLINE; i++)
        login_on_bound(c, m->bound[i]);
}
