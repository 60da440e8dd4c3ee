// A binding: its life in its connection, what it can do now, and the steps of its session.
#include "room_internal.h"

// --- life

struct room_binding *room_binding_next(const struct room_binding *b) {
    return b->next_in_conn ? slab_at(&binding_room(b)->bindings, b->next_in_conn - 1) : NULL;
}

static struct room_binding *last_of(const struct conn *c) {
    struct room_binding *last = c->bindings;
    for (struct room_binding *b = last; b; b = room_binding_next(b))
        last = b;
    return last;
}

static void leave_conn(struct room_binding *b) {
    struct conn *c = b->conn;
    struct room_binding *before = c->bindings;
    if (before == b) {
        c->bindings = room_binding_next(b);
        return;
    }
    while (room_binding_next(before) != b)
        before = room_binding_next(before);
    before->next_in_conn = b->next_in_conn;
}

struct room_binding *room_binding_new(struct conn *c, const struct session_terms *terms) {
    struct room *r = conn_room(c);
    // The rest is kept for those that are in: a Bind that renews stands beside the one that it is
    // for.
    bool has_place =
        c->state == CONN_OPEN || r->bindings.used < r->places.sessions_max + BINDINGS_UNCHECKED_MAX;
    struct room_binding *b = has_place ? slab_take(&r->bindings) : NULL;
    if (!b)
        return NULL;
    b->conn = c;
    awake_begin(b);
    session_init(&b->of.awake->session, terms, &r->lease);
    if (c->bindings)
        last_of(c)->next_in_conn = 1 + slab_slot(b);
    else
        c->bindings = b;
    return b;
}

static void unlink_to_save(struct room_binding *b) {
    struct room_binding **at = &binding_room(b)->questions.to_save;
    if (!b->is_awake || !b->of.awake->is_to_save)
        return;
    while (*at != b)
        at = &(*at)->of.awake->next_to_save;
    *at = b->of.awake->next_to_save;
}

// Nobody finds the binding any more. The binding stays until what its session wrote down is done.
static void binding_leave(struct room_binding *b) {
    struct conn *c = b->conn;
    unlink_to_save(b);
    leave_conn(b);
    b->was_awaited = conn_awaited(c) == b;
    if (b->was_awaited)
        c->transit->binding = NULL;
    conn_room(c)->places.holders -= b->product != NULL;
    cluster_forget(conn_room(c)->cluster, b);
}

void room_binding_free(struct room_binding *b) {
    if (room_binding_state(b) != SESSION_GONE)
        binding_leave(b);
    else if (conn_voice(b->conn)->session_over)
        conn_voice(b->conn)->session_over(b);
    product_let_go(b);
    awake_free(b);
    slab_give(b);
}

void room_binding_end(struct room_binding *b) {
    room_binding_tell_kind(b, EVENT_ENDED);
}

// --- what it can do now

static struct product_heads heads_of(const struct room_product *p) {
    struct product_heads heads = {.asked = 0};
    if (!p)
        return heads;
    heads.asked = p->heads_asked;
    heads.answered = p->heads_answered;
    for (int i = 0; i < LOGS; i++) {
        const struct broadcasts *log = &p->log[i];
        heads.log[i] = (struct log_heads){log->known->epoch, log->known->head, log->heard};
    }
    return heads;
}

struct product_heads room_binding_heads(const struct room_binding *b) {
    return heads_of(b->product);
}

void room_env(struct room *r, const struct room_product *p, struct session_env *ret_env) {
    r->lease.is_held = cluster_lease_is_held(r->cluster);
    *ret_env = (struct session_env){
        .now_ms = loop_now_ms(r->loop), .lease = &r->lease, .steps = r->count.session.steps};
    ret_env->heads = heads_of(p);
}

bool room_binding_socket_takes(const struct room_binding *b) {
    return b->conn->state == CONN_OPEN && conn_can_push(b->conn);
}

void room_binding_env(const struct room_binding *b, struct session_env *ret_env) {
    room_env(binding_room(b), b->product, ret_env);
    ret_env->socket_takes = room_binding_socket_takes(b);
}

static bool sleeper_can_send(const struct room_binding *b, const struct session_env *env,
                             size_t len) {
    struct session_rest rest;
    room_binding_rest(b, &rest);
    return session_rest_can_send(&rest, env) && ack_limits_take(rest.limits, len);
}

bool room_binding_can_send_in(const struct room_binding *b, const struct session_env *env,
                              size_t len) {
    if (!b->is_awake)
        return sleeper_can_send(b, env, len);
    const struct session *s = &b->of.awake->session;
    return session_can_send(s, env) && feed_takes_frame(&s->feed[FEED_INBOX], len);
}

bool room_binding_can_send(const struct room_binding *b) {
    struct session_env env;
    room_binding_env(b, &env);
    return room_binding_can_send_in(b, &env, 0);
}

// What is under way is looked at until all is acknowledged.
static void binding_watch(struct room_binding *b) {
    if (b->is_watched || !b->is_awake || session_is_at_rest(&b->of.awake->session))
        return;
    b->is_watched = true;
    handles_add(&binding_room(b)->watched, room_binding_row_slot(b));
}

void room_binding_sent(struct room_binding *b) {
    struct session_env env;
    binding_watch(b);
    if (!b->is_awake ||
        b->of.awake->session.is_synced) // as most are, of those that a walk comes to
        return;
    room_binding_env(b, &env);
    if (session_becomes_synced(room_binding_session(b), &env))
        conn_voice(b->conn)->say_synced(b);
}

void room_binding_say_reset(struct room_binding *b, enum feed_stream stream, const char *reason) {
    conn_voice(b->conn)->say_reset(b, stream, reason);
}

// --- its steps

static void add_effects(const struct room_binding *b, const struct session_effects *out) {
    struct effects *q = &binding_room(b)->effects;
    struct effects_item item = {.slot = slab_slot(b), .turn = slab_turn(b)};
    for (size_t i = 0; i < out->count; i++) {
        item.effect = out->list[i];
        effects_add(q, &item);
    }
    item.kind = room_binding_state(b) == SESSION_GONE ? EFFECTS_SESSION_OVER : EFFECTS_STEP_OVER;
    effects_add(q, &item);
}

// Asked of few events: of those that end a connection, or a session on one that goes on.
static bool peer_had_all(const struct room_binding *b, enum session_event_kind event) {
    const struct conn *c = b->conn;
    if (event != EVENT_LOST && event != EVENT_RESUMED && event != EVENT_ENDED)
        return false;
    bool goes_on = event == EVENT_ENDED && c->stream;
    return goes_on ? conn_peer_had_all(c, c->stream) : c->was_had;
}

void room_binding_tell(struct room_binding *b, const struct session_event *e) {
    struct room *r = binding_room(b);
    struct session_env env;
    struct session_effects out = {.count = 0};
    bool was_entered = room_binding_is_entered(b);
    room_binding_env(b, &env);
    env.peer_had_all = peer_had_all(b, e->kind);
    if (!session_step(room_binding_session(b), e, &env, &out)) {
        r->count.session.unexpected++;
        log_event(r->env->log, LOG_DEBUG, "unexpected", "state=%s event=%s",
                  session_state_name(room_binding_state(b)), session_event_name(e->kind));
        return;
    }
    bool is_entered = room_binding_is_entered(b);
    if (is_entered && !was_entered)
        product_enter(b);
    if (is_entered && (!was_entered || e->kind == EVENT_WANTS))
        product_keeps_for(b, room_binding_session(b));
    if (was_entered && !is_entered)
        product_leave(b);
    if (room_binding_state(b) == SESSION_GONE)
        binding_leave(b);
    add_effects(b, &out);
}

void room_binding_tell_kind(struct room_binding *b, enum session_event_kind kind) {
    room_binding_tell(b, &(struct session_event){.kind = kind});
}

static bool sleeps_level(const struct room_binding *b, const struct product_heads *heads) {
    for (int i = 0; i < LOGS; i++) {
        struct stream_position head = {heads->log[i].epoch, heads->log[i].heard};
        if (!room_binding_sleeps_at(b, (enum feed_stream)(FEED_NEWS + i), &head))
            return false;
    }
    return true;
}

void room_binding_go_on(struct room_binding *b) {
    struct product_heads heads = room_binding_heads(b);
    if (!sleeps_level(b, &heads) && session_has_to_go_on(room_binding_session(b), &heads))
        room_binding_tell_kind(b, EVENT_READY);
}

void room_binding_over(const struct room_binding *b, const struct session_refusal *why) {
    struct effects_item item = {.slot = slab_slot(b), .turn = slab_turn(b)};
    item.effect = (struct session_effect){.kind = EFFECT_OVER, .of.refusal = *why};
    effects_add(&binding_room(b)->effects, &item);
}
