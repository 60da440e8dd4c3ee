// A Hello: all its bindings log in side by side, one Welcome answers them; or the resume bytes show
// that the session is still here, and nothing is asked of anybody. Then Bind and Unbind, one at a
// time.
#include "bytes.h"
#include "close_codes.h"
#include "crypto.h"
#include "room_internal.h"

enum { SPREAD_MAX_MS = 30000, SPREAD_CONNECTIONS_PER_MS = 1 };

// --- resume bytes: incarnation, slot, turn, count, and 16 bytes of HMAC over them

static void hello_resume_bytes(const struct conn *c, uint8_t out[RESUME_BYTES]) {
    uint8_t mac[32];
    be64_put(out, conn_room(c)->env->incarnation);
    be32_put(out + 8, slab_slot(c));
    be32_put(out + 12, slab_turn(c));
    be32_put(out + 16, c->resume_count);
    crypto_hmac_sha256(conn_room(c)->resume_key, sizeof(conn_room(c)->resume_key), out, 20, mac);
    memcpy(out + 20, mac, 16);
}

static struct conn *conn_of_resume(struct room *r, const struct hello_request *hello) {
    uint8_t expected[RESUME_BYTES];
    if (hello->resume_len != RESUME_BYTES || be64_get(hello->resume) != r->env->incarnation)
        return NULL;
    struct conn *c =
        slab_find(&r->conns, be32_get(hello->resume + 8), be32_get(hello->resume + 12));
    if (!c || (c->state != CONN_LINGERING && c->state != CONN_OPEN) || conn_awaited(c))
        return NULL;
    hello_resume_bytes(c, expected);
    return crypto_equal(expected, hello->resume, RESUME_BYTES) ? c : NULL;
}

// --- Welcome

static uint32_t hello_spread_ms(const struct room *r) {
    uint64_t spread = r->products.sessions / SPREAD_CONNECTIONS_PER_MS;
    return (uint32_t)(spread < SPREAD_MAX_MS ? spread : SPREAD_MAX_MS);
}

static struct bound bound_of(struct room_binding *b) {
    const struct session *s = room_binding_session(b);
    if (room_binding_state(b) != SESSION_REFUSED)
        return (struct bound){.binding = b, .is_known = s->is_known || s->is_resumed};
    return (struct bound){.binding = b,
                          .code = s->refusal.code,
                          .reason = s->refusal.reason,
                          .name = login_product_name(b)};
}

static void hello_welcome(struct conn *c) {
    struct welcome welcome = {.spread_ms = hello_spread_ms(conn_room(c))};
    struct room_binding *b = c->bindings;
    for (; b && welcome.bound_count < BINDS_MAX; b = room_binding_next(b))
        welcome.bound[welcome.bound_count++] = bound_of(b);
    hello_resume_bytes(c, welcome.resume);
    conn_voice(c)->say_welcome(c, &welcome);
}

static void begin_delivery(struct room_binding *b) {
    struct awake *a = room_binding_wake(b);
    free(a->token);
    free(a->tags);
    a->token = NULL;
    a->tags = NULL;
    binding_room(b)->count.session.logins++;
    news_wait_for_heads(b);
    room_binding_tell_kind(b, EVENT_TOLD);
}

// Its Hello may have lain here for long: its client may be elsewhere by now.
static bool is_of_old(const struct conn *c) {
    for (const struct room_binding *b = c->bindings; b; b = room_binding_next(b))
        if (b->of.awake->asked_since_ms != 0)
            return true;
    return false;
}

static void open_conn(struct conn *c) {
    struct room_binding *b, *next;
    conn_enter(c, CONN_OPEN);
    c->is_unproven = is_of_old(c);
    hello_welcome(c);
    for (b = c->bindings; b; b = next) {
        next = room_binding_next(b);
        if (room_binding_state(b) == SESSION_REFUSED)
            room_binding_end(b);
        else
            begin_delivery(b);
    }
    if (c->state == CONN_OPEN)
        conn_rearm(c);
}

// Refused altogether: the first binding's code.
static void welcome_if_answered(struct conn *c) {
    bool any = false;
    for (struct room_binding *b = c->bindings; b; b = room_binding_next(b)) {
        if (!session_is_answered(room_binding_session(b)))
            return;
        any = any || room_binding_state(b) != SESSION_REFUSED;
    }
    struct session_refusal first = room_binding_session(c->bindings)->refusal;
    if (any)
        open_conn(c);
    else
        conn_close(c, first.code, first.reason, first.retry_after_ms);
}

// --- what a token says of itself: decoding it is most of a login's work, so it is done once

static void read_glance(struct bind_request *bind) {
    const char *fault = NULL;
    bind->glance = (struct token_glance){0};
    bind->glance_fault = token_peek(bind->token, &bind->glance, &fault) ? NULL : fault;
}

// --- a Bind after Welcome

static void bind_answered(struct room_binding *b) {
    struct conn *c = b->conn;
    struct session_refusal refusal = room_binding_session(b)->refusal;
    c->transit->binding = NULL;
    struct bound bound = bound_of(b);
    conn_voice(c)->say_bound(c, &bound);
    if (bound.code)
        room_binding_end(b);
    else
        begin_delivery(b);
    if (!c->bindings)
        conn_close(c, refusal.code, refusal.reason, refusal.retry_after_ms);
    else if (c->state == CONN_OPEN)
        conn_pause(c, false);
}

void hello_answered(struct room_binding *b) {
    if (conn_awaited(b->conn) == b)
        bind_answered(b);
    else if (b->conn->state == CONN_LOGIN)
        welcome_if_answered(b->conn);
}

void hello_got_bind(struct conn *c, struct bind_request *bind) {
    read_glance(bind);
    struct room_binding *b = login_begin(c, bind);
    if (!b) {
        conn_voice(c)->say_bound(
            c, &(struct bound){.code = CLOSE_BUSY, .reason = "no place for another binding"});
        return;
    }
    conn_transit(c)->binding = b;
    conn_pause(c, true);
}

void hello_got_unbind(struct conn *c, struct room_binding *b) {
    if (b)
        room_binding_end(b);
    if (!c->bindings)
        conn_end(c); // the end of the only binding, at the client's wish
}

// --- other streams

void hello_got_wants(struct room_binding *b, const uint8_t wanted[FEEDS]) {
    struct session_event e = {.kind = EVENT_WANTS};
    memcpy(e.of.wanted, wanted, sizeof(e.of.wanted));
    room_binding_tell(b, &e);
}

// --- resume

struct resumption {
    struct room_binding *binding;
    const struct bind_request *bind;
    struct bind_terms terms;
};

static bool find_binding(struct conn *old, struct resumption *f) {
    if (f->bind->glance_fault || f->bind->is_clean)
        return false;
    for (struct room_binding *b = old->bindings; b; b = room_binding_next(b))
        if (room_binding_is_entered(b) && strcmp(b->product->name, f->bind->glance.product) == 0)
            f->binding = b;
    return f->binding && session_can_resume(room_binding_session(f->binding), &f->bind->have) &&
           session_wants_just(room_binding_session(f->binding), f->bind->wanted) &&
           login_check_resume(f->binding, f->bind, &f->terms);
}

static size_t binding_count(const struct conn *c) {
    size_t n = 0;
    for (const struct room_binding *b = c->bindings; b; b = room_binding_next(b))
        n++;
    return n;
}

// Each session by a Bind of its own, or none goes on: no token keeps another's session alive.
static bool find_all(struct conn *old, const struct hello_request *hello,
                     struct resumption found[BINDS_MAX]) {
    size_t n = 0;
    bool good = hello->bind_count > 0 && binding_count(old) == hello->bind_count;
    for (; n < hello->bind_count && good; n++) {
        found[n] = (struct resumption){.bind = &hello->bind[n]};
        good = find_binding(old, &found[n]);
        for (size_t i = 0; i < n; i++)
            good = good && found[i].binding != found[n].binding;
    }
    for (size_t i = 0; i < n && !good; i++)
        free(found[i].terms.tags);
    return good;
}

// The tags in force when the position passes a message decide: those of before it was lost do not.
// Nothing goes out before the Welcome.
static void hello_go_on(struct conn *c, struct resumption *found, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct bind_request *bind = found[i].bind;
        struct session_event e = {.kind = EVENT_RESUMED};
        e.of.resumed.have = bind->have;
        e.of.resumed.limits = bind->limits ? bind->limits : &conn_voice(c)->ack_limits;
        login_take_terms(found[i].binding, &found[i].terms);
        room_binding_tell(found[i].binding, &e);
    }
    hello_welcome(c);
    conn_enter(c, CONN_OPEN);
    for (size_t i = 0; i < count; i++)
        room_binding_tell_kind(found[i].binding, EVENT_READY);
    conn_rearm(c);
}

// `old` goes on with the stream of c, which ends.
static void resume(struct conn *old, struct conn *c, struct resumption *found, size_t count) {
    struct stream *stream = c->stream;
    if (old->stream) // its other end is gone, only nobody has noticed yet
        conn_lose_stream(old);
    c->stream = NULL;
    conn_lingers_no_more(old);
    conn_enter(old, CONN_LOGIN);
    conn_take_stream(old, stream);
    old->resume_count++;
    old->heartbeat_ms = c->heartbeat_ms;
    old->heard_ms = c->heard_ms;
    old->is_asked = false;
    conn_room(c)->count.conn.resumed++;
    if (conn_voice(old)->resumed)
        conn_voice(old)->resumed(old, c);
    hello_go_on(old, found, count);
    conn_end(c);
}

static bool try_resume(struct conn *c, const struct hello_request *hello) {
    struct conn *old = conn_of_resume(conn_room(c), hello);
    struct resumption found[BINDS_MAX];
    if (!old || old == c || old->voice != c->voice || strcmp(old->device, c->device) != 0 ||
        !find_all(old, hello, found))
        return false;
    resume(old, c, found, hello->bind_count);
    return true;
}

// What its session wanted before, it wants still.
static bool try_return(struct conn *c, const struct hello_request *hello) {
    struct resumption found = {.bind = &hello->bind[0]};
    if (hello->bind_count != 1 || found.bind->is_clean)
        return false;
    found.binding = login_find_lingering(c, found.bind, &found.terms);
    if (!found.binding)
        return false;
    struct conn *old = found.binding->conn;
    if (old->voice != c->voice ||
        !session_can_resume(room_binding_session(found.binding), &found.bind->have)) {
        free(found.terms.tags);
        return false;
    }
    resume(old, c, &found, 1);
    return true;
}

// --- the Hello

static bool names_a_product_twice(const struct hello_request *hello) {
    const struct bind_request *bind = hello->bind;
    for (size_t i = 0; i < hello->bind_count; i++)
        for (size_t k = 0; k < i; k++) // one with a fault is refused by itself
            if (!bind[i].glance_fault && !bind[k].glance_fault &&
                strcmp(bind[k].glance.product, bind[i].glance.product) == 0)
                return true;
    return false;
}

static void log_in(struct conn *c, const struct hello_request *hello) {
    for (size_t i = 0; i < hello->bind_count; i++)
        if (!login_begin(c, &hello->bind[i])) {
            conn_refuse(c);
            return;
        }
    conn_enter(c, CONN_LOGIN); // only now can it be answered whole
    if (!c->bindings)
        conn_close(c, CLOSE_TOKEN_REFUSED, "a Hello without a binding", 0);
}

void hello_got_hello(struct conn *c, struct hello_request *hello) {
    if (!id_is_valid(hello->device, strlen(hello->device), DEVICE_MAX)) {
        conn_close(c, CLOSE_MALFORMED, "device: 1..64 bytes of UTF-8 without control characters",
                   0);
        return;
    }
    if (hello->bind_count > BINDS_MAX) {
        conn_close(c, CLOSE_MALFORMED, "at most 16 bindings", 0);
        return;
    }
    for (size_t i = 0; i < hello->bind_count; i++)
        read_glance(&hello->bind[i]);
    c->device = hw_strdup(hello->device);
    c->heartbeat_ms = conn_heartbeat_granted(c, hello->heartbeat_s);
    if (names_a_product_twice(hello)) {
        conn_close(c, CLOSE_MALFORMED, "two bindings for one product", 0);
        return;
    }
    if (hello->resume_len > 0 && try_resume(c, hello))
        return;
    if (conn_voice(c)->lingers == LINGERS_BY_TOKEN && try_return(c, hello))
        return;
    if (conn_may_take_place(c))
        log_in(c, hello);
    else
        conn_refuse(c);
}
