// A Hello: all its bindings log in side by side, one Welcome answers them; or the resume bytes show
// that the session is still here, and nothing is asked of anybody.
#include "bytes.h"
#include "crypto.h"
#include "room_internal.h"

enum { SPREAD_MAX_MS = 30000, SPREAD_CONNECTIONS_PER_MS = 5 };

// --- resume bytes: incarnation, slot, generation, count, and 16 bytes of HMAC over them

void hello_resume_bytes(const struct conn *c, uint8_t out[RESUME_BYTES]) {
    uint8_t mac[32];
    be64_put(out, c->room->env->incarnation);
    be32_put(out + 8, c->slot);
    be32_put(out + 12, c->slab_generation);
    be32_put(out + 16, c->resume_count);
    crypto_hmac_sha256(c->room->resume_key, sizeof(c->room->resume_key), out, 20, mac);
    memcpy(out + 20, mac, 16);
}

static struct conn *conn_of_resume(struct room *r, const ProtobufCBinaryData *resume) {
    uint8_t expected[RESUME_BYTES];
    if (resume->len != RESUME_BYTES || be64_get(resume->data) != r->env->incarnation)
        return NULL;
    uint32_t slot = be32_get(resume->data + 8);
    struct conn *c =
        slot < r->conns.high_water ? slab_find(&r->conns, slot, be32_get(resume->data + 12)) : NULL;
    if (!c || (c->state != CONN_LINGERING && c->state != CONN_OPEN) || c->binding)
        return NULL;
    hello_resume_bytes(c, expected);
    return crypto_equal(expected, resume->data, RESUME_BYTES) ? c : NULL;
}

// --- Welcome

static void send_welcome(struct conn *c) {
    Hawser__V1__Welcome welcome = HAWSER__V1__WELCOME__INIT;
    Hawser__V1__Bound bound[BINDS_MAX], *list[BINDS_MAX];
    struct token_hint hints[BINDS_MAX];
    Hawser__V1__Position after[BINDS_MAX][3], *after_list[BINDS_MAX][3];
    struct room *r = c->room;
    uint8_t resume[RESUME_BYTES];
    uint64_t spread = r->live_sessions / SPREAD_CONNECTIONS_PER_MS;
    size_t n = 0;
    for (struct session *s = c->sessions; s && n < BINDS_MAX; s = s->next_in_conn, n++) {
        hawser__v1__bound__init(&bound[n]);
        list[n] = &bound[n];
        if (s->has_failed) {
            bound[n].name = (char *)(uintptr_t)bind_product_name(s, &hints[n]);
            bound[n].error = s->error;
            bound[n].reason = (char *)(uintptr_t)s->error_reason;
            continue;
        }
        session_fill_bound(s, &bound[n], after[n]);
        for (int i = 0; i < 3; i++)
            after_list[n][i] = &after[n][i];
        bound[n].n_after = 3;
        bound[n].after = after_list[n];
    }
    hello_resume_bytes(c, resume);
    welcome.resume = (ProtobufCBinaryData){RESUME_BYTES, resume};
    welcome.heartbeat_s = c->heartbeat_ms / 1000;
    welcome.heartbeat_max_s = (uint32_t)(config_ms(r->env->config, "room.heartbeat_max") / 1000);
    welcome.server_ms = loop_wall_ms(r->loop);
    welcome.spread_ms = (uint32_t)(spread < SPREAD_MAX_MS ? spread : SPREAD_MAX_MS);
    welcome.max_frame = FRAME_BODY_MAX;
    welcome.n_bound = n;
    welcome.bound = list;
    conn_send(c, FRAME_WELCOME, &welcome.base);
}

static void begin_delivery(struct session *s) {
    session_live(s);
    if (s->reset_inbox)
        session_send_reset(s, HAWSER__V1__STREAM__INBOX, s->inbox.epoch, s->inbox.sent,
                           "the position is not one of this log");
    if (s->reset_news)
        session_send_reset(s, HAWSER__V1__STREAM__NEWS, s->news.epoch, s->news.sent,
                           "the position is not one of this log");
    news_wait_for_heads(s);
    if (s->is_undecided) // since before it was live
        upkeep_confirm(s);
    session_try(s);
}

static void open_conn(struct conn *c) {
    struct session *s, *next;
    c->state = CONN_OPEN;
    send_welcome(c);
    for (s = c->sessions; s; s = next) {
        next = s->next_in_conn;
        if (s->has_failed)
            session_end(s);
        else
            begin_delivery(s);
    }
    conn_rearm(c);
}

// Replaced while the saver, or another binding, was asked for.
static void fail_replaced(struct session *s) {
    if (s->generation != 0 && s->generation <= s->replaced_generation && !s->has_failed) {
        s->has_failed = true;
        s->error = 4001;
        s->error_reason = REPLACED_TEXT;
    }
}

static bool is_answered(const struct session *s) {
    return s->has_failed || s->state == SESSION_ATTACHED || s->state == SESSION_LIVE;
}

// Refused altogether: the first binding's code.
static void welcome_if_answered(struct conn *c) {
    bool any = false;
    for (struct session *s = c->sessions; s; s = s->next_in_conn) {
        if (!is_answered(s))
            return;
        fail_replaced(s);
        any = any || !s->has_failed;
    }
    if (any)
        open_conn(c);
    else if (c->sessions)
        conn_close(c, c->sessions->error, c->sessions->error_reason, c->sessions->error_retry_ms);
    else
        conn_close(c, 4002, "a Hello without a binding", 0);
}

// --- a Bind after Welcome

static struct session *live_of_product(struct conn *c, const struct room_product *p) {
    for (struct session *s = c->sessions; s; s = s->next_in_conn)
        if (s->state == SESSION_LIVE && s->product == p)
            return s;
    return NULL;
}

static void bind_answered(struct session *s) {
    struct conn *c = s->conn;
    Hawser__V1__Bound bound = HAWSER__V1__BOUND__INIT;
    struct token_hint hint;
    Hawser__V1__Position after[3], *list[3] = {&after[0], &after[1], &after[2]};
    struct session *renewed =
        s->generation == 0 && !s->has_failed ? live_of_product(c, s->product) : NULL;
    c->binding = NULL;
    if (s->has_failed) {
        bound.name = (char *)(uintptr_t)bind_product_name(s, &hint);
        bound.error = s->error;
        bound.reason = (char *)(uintptr_t)s->error_reason;
    } else {
        session_fill_bound(renewed ? renewed : s, &bound, after);
        bound.n_after = 3;
        bound.after = list;
    }
    conn_send(c, FRAME_BOUND, &bound.base);
    if (s->has_failed || renewed)
        session_end(s);
    else
        begin_delivery(s);
    if (!c->sessions) {
        conn_close(c, bound.error, bound.reason, 0);
        return;
    }
    conn_pause(c, false);
}

void hello_session_done(struct session *s) {
    fail_replaced(s);
    if (s->conn->binding == s)
        bind_answered(s);
    else if (s->conn->state == CONN_LOGIN)
        welcome_if_answered(s->conn);
}

static size_t session_total(const struct conn *c) {
    size_t n = 0;
    for (const struct session *s = c->sessions; s; s = s->next_in_conn)
        n++;
    return n;
}

void bind_received(struct conn *c, const Hawser__V1__Bind *bind) {
    Hawser__V1__Bound refused = HAWSER__V1__BOUND__INIT;
    struct session *s = bind_begin(c, bind);
    if (!s) {
        refused.error = 4101;
        refused.reason = (char *)(uintptr_t) "no room for another binding";
        conn_send(c, FRAME_BOUND, &refused.base);
        return;
    }
    c->binding = s;
    if (s->has_failed)
        bind_answered(s);
    else
        conn_pause(c, true);
}

void unbind_received(struct conn *c, const Hawser__V1__Unbind *unbind) {
    for (struct session *s = c->sessions; s; s = s->next_in_conn)
        if (s->state == SESSION_LIVE && s->product->number == unbind->product) {
            session_end(s);
            break;
        }
    if (!c->sessions)
        conn_end(c); // the end of the only binding, at the client's wish
}

// --- resume

static const Hawser__V1__Position *have_of(const Hawser__V1__Bind *bind, int stream) {
    for (size_t i = 0; i < bind->n_have; i++)
        if ((int)bind->have[i]->stream == stream)
            return bind->have[i];
    return NULL;
}

static bool can_go_on(const struct cursor *c, const Hawser__V1__Position *have) {
    return !have || (have->epoch == c->epoch && have->seq >= c->acked && have->seq <= c->sent);
}

struct resumption {
    struct session *session;
    const Hawser__V1__Bind *bind;
    struct bind_terms terms;
};

static bool find_session(struct conn *old, struct resumption *f) {
    struct token_hint hint;
    const char *reason;
    if (!token_peek(f->bind->token, &hint, &reason))
        return false;
    for (struct session *s = old->sessions; s; s = s->next_in_conn)
        if (s->state == SESSION_LIVE && strcmp(s->product->name, hint.product) == 0)
            f->session = s;
    return f->session && can_go_on(&f->session->inbox, have_of(f->bind, 0)) &&
           can_go_on(&f->session->news, have_of(f->bind, 1)) &&
           bind_check_resume(f->session, f->bind, &f->terms);
}

// Each session by a Bind of its own, or none goes on: no token keeps another's session alive.
static bool find_all(struct conn *old, const Hawser__V1__Hello *hello,
                     struct resumption found[BINDS_MAX]) {
    size_t n = 0;
    bool good = session_total(old) == hello->n_bind;
    for (; n < hello->n_bind && good; n++) {
        found[n] = (struct resumption){.bind = hello->bind[n]};
        good = find_session(old, &found[n]);
        for (size_t i = 0; i < n; i++)
            good = good && found[i].session != found[n].session;
    }
    for (size_t i = 0; i < n && !good; i++)
        free(found[i].terms.tags);
    return good;
}

// What was under way when the connection was lost is sent again: the client drops repeats.
static void rewind_cursor(struct cursor *c, const Hawser__V1__Position *have) {
    cursor_rewind(c, have ? have->seq : c->acked);
}

// The tags in force when the position passes a message decide: those of before it was lost do not.
static void go_on(struct resumption *f) {
    struct session *s = f->session;
    bind_take_terms(s, &f->terms);
    s->is_inbox_asked = s->is_news_asked = s->is_shut_asked = false;
    rewind_cursor(&s->inbox, have_of(f->bind, 0));
    rewind_cursor(&s->news, have_of(f->bind, 1));
    s->is_resumed = true;
    s->is_synced = false;
    s->inbox_target = s->inbox.heard;
    // A head that the login waits for is waited for still.
    s->has_news_target = s->has_news_target && s->news.epoch == s->product->news.epoch;
    s->news_target = s->product->heard;
    acks_note(s);
}

static bool try_resume(struct conn *c, const Hawser__V1__Hello *hello) {
    struct conn *old = conn_of_resume(c->room, &hello->resume);
    struct resumption found[BINDS_MAX];
    if (!old || old == c || strcmp(old->device, c->device) != 0 || !find_all(old, hello, found))
        return false;
    struct stream *stream = c->stream;
    if (old->stream) // its other end is gone, only nobody has noticed yet
        conn_lose_stream(old);
    c->stream = NULL;
    conn_take_stream(old, stream);
    conn_lingers_no_more(old);
    old->state = CONN_OPEN;
    old->resume_count++;
    old->heartbeat_ms = c->heartbeat_ms;
    old->heard_ms = c->heard_ms;
    old->is_asked = false;
    c->room->count.resumed++;
    for (size_t i = 0; i < hello->n_bind; i++)
        go_on(&found[i]);
    send_welcome(old);
    for (struct session *s = old->sessions; s; s = s->next_in_conn)
        session_try(s);
    conn_rearm(old);
    conn_end(c);
    return true;
}

static bool names_a_product_twice(const Hawser__V1__Hello *hello) {
    struct token_hint hints[BINDS_MAX];
    const char *reason;
    size_t n = 0;
    for (size_t i = 0; i < hello->n_bind && hello->n_bind > 1; i++) {
        if (!token_peek(hello->bind[i]->token, &hints[n], &reason))
            continue; // refused by itself
        for (size_t k = 0; k < n; k++)
            if (strcmp(hints[k].product, hints[n].product) == 0)
                return true;
        n++;
    }
    return false;
}

void hello_received(struct conn *c, const Hawser__V1__Hello *hello) {
    if (names_a_product_twice(hello)) {
        c->room->count.protocol_errors++;
        conn_close(c, 4300, "two bindings for one product", 0);
        return;
    }
    if (hello->resume.len > 0 && try_resume(c, hello))
        return;
    if (!conn_take_place(c)) {
        conn_refuse(c);
        return;
    }
    while (c->room->sessions.used + hello->n_bind > c->room->sessions_max && conn_give_way(c->room))
        continue;
    for (size_t i = 0; i < hello->n_bind; i++)
        if (!bind_begin(c, hello->bind[i])) {
            conn_refuse(c);
            return;
        }
    welcome_if_answered(c);
}
