// A binding: how it is found, and the steps of its session.
#include <assert.h>

#include "close_codes.h"
#include "room_internal.h"
#include "wire.h"

enum { REST_TICKS = 3 }; // each that is awake is looked at once in so many

// --- awake or asleep

// Each that is awake stands in room.awake_ones once.
static void binding_begin(struct room_binding *b) {
    struct room *r = binding_room(b);
    b->of.awake = slab_take(&r->awake);
    assert(b->of.awake); // there is one for each binding
    b->is_awake = true;
    r->awake_count++;
    handles_add(&r->awake_ones, room_binding_row_slot(b));
}

static void binding_is_awake_no_more(struct room_binding *b) {
    slab_give(b->of.awake);
    b->is_awake = false;
    binding_room(b)->awake_count--;
}

// What a sleeper knows is behind its names: its session, when its token ends, and how long before
// that its row was asked for.
struct sleeper {
    struct session_rest rest;
    uint64_t expires_ms, since_ms;
};

static const uint8_t *rest_of(const struct room_binding *b) {
    return (const uint8_t *)b->of.names + b->names_bytes;
}

static struct session_usual usual_of(const struct room_binding *b) {
    struct session_usual usual = {.limits = &conn_voice(b->conn)->ack_limits};
    memcpy(usual.epoch, b->product->usual_epoch, sizeof(usual.epoch));
    return usual;
}

static struct sleeper sleeper_of(const struct room_binding *b) {
    struct session_usual usual = usual_of(b);
    struct sleeper s;
    const uint8_t *at = session_rest_unpack(rest_of(b), &usual, &s.rest);
    s.expires_ms = wire_varint_take(&at);
    s.since_ms = s.expires_ms - wire_varint_take(&at);
    return s;
}

void room_binding_rest(const struct room_binding *b, struct session_rest *ret_rest) {
    struct session_usual usual = usual_of(b);
    (void)session_rest_unpack(rest_of(b), &usual, ret_rest);
}

// Out of line, as sleeps_at is: who is awake, as most are that a walk comes to, needs no frame for
// it.
HW_OUT_OF_LINE static void gets_up(struct room_binding *b) {
    struct sleeper s = sleeper_of(b);
    char *names = b->of.names;
    binding_begin(b);
    b->of.awake->names = names;
    b->of.awake->expires_ms = s.expires_ms;
    b->of.awake->since_ms = s.since_ms;
    session_gets_up(&s.rest, &b->of.awake->session);
}

struct awake *room_binding_wake(struct room_binding *b) {
    if (!b->is_awake)
        gets_up(b);
    b->of.awake->is_used = true;
    return b->of.awake;
}

struct session *room_binding_session(struct room_binding *b) {
    return &room_binding_wake(b)->session;
}

enum session_state room_binding_state(const struct room_binding *b) {
    return b->is_awake ? b->of.awake->session.state : SESSION_LIVE;
}

bool room_binding_is_entered(const struct room_binding *b) {
    return !b->is_awake || session_is_entered(&b->of.awake->session);
}

bool room_binding_leaves_out(const struct room_binding *b, enum feed_stream stream) {
    struct session_rest rest;
    if (b->is_awake)
        return session_leaves_out(&b->of.awake->session, stream);
    room_binding_rest(b, &rest);
    return rest.wanted[stream] == FEED_LEFT_OUT;
}

uint64_t room_binding_generation(const struct room_binding *b) {
    struct session_rest rest;
    if (b->is_awake)
        return b->of.awake->session.fence.generation;
    room_binding_rest(b, &rest);
    return rest.fence.generation;
}

uint64_t room_binding_expires_ms(const struct room_binding *b) {
    return b->is_awake ? b->of.awake->expires_ms : sleeper_of(b).expires_ms;
}

uint64_t room_binding_since_ms(const struct room_binding *b) {
    return b->is_awake ? b->of.awake->since_ms : sleeper_of(b).since_ms;
}

static char *keep_rest(const struct room_binding *b, const struct session_rest *rest) {
    uint8_t bytes[2 * WIRE_VARINT_BYTES_MAX + SESSION_REST_BYTES_MAX];
    const struct awake *a = b->of.awake;
    if (!b->product->has_usual) { // once, since those that sleep rely on it
        b->product->has_usual = true;
        for (int i = 0; i < LOGS_ALL; i++)
            b->product->usual_epoch[i] = rest->feed[FEED_NEWS + i].epoch;
    }
    struct session_usual usual = usual_of(b);
    size_t n = session_rest_pack(rest, &usual, bytes);
    n += wire_varint_put(bytes + n, a->expires_ms);
    n += wire_varint_put(bytes + n, a->expires_ms - a->since_ms);
    char *names = hw_realloc(a->names, b->names_bytes + n);
    memcpy(names + b->names_bytes, bytes, n);
    return names;
}

static bool stays_awake(void *room, uint64_t row_slot) {
    struct room_binding *b = room_binding_of_row_slot(room, row_slot);
    if (!b)
        return false;
    struct awake *a = b->of.awake;
    bool was_used = a->is_used;
    struct session_rest rest;
    a->is_used = false;
    if (was_used || a->is_to_save || a->token || a->reason || a->known_devices ||
        !session_lies_down(&a->session, &rest))
        return true;
    char *names = keep_rest(b, &rest);
    binding_is_awake_no_more(b);
    b->of.names = names;
    return false;
}

// Whoever gets up soon again had better stay up: the memory was given back meanwhile. So one lies
// down when it is looked at for the second time and nobody has asked for it since the first.
void room_bindings_rest(struct room *r) {
    handles_look(&r->awake_ones, r->awake_ones.count / REST_TICKS + 1, stays_awake, r);
}

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
        c->state == CONN_OPEN || r->bindings.used < r->sessions_max + BINDINGS_UNCHECKED_MAX;
    struct room_binding *b = has_place ? slab_take(&r->bindings) : NULL;
    if (!b)
        return NULL;
    b->conn = c;
    binding_begin(b);
    session_init(&b->of.awake->session, terms, &r->lease);
    if (c->bindings)
        last_of(c)->next_in_conn = 1 + slab_slot(b);
    else
        c->bindings = b;
    return b;
}

static void unlink_to_save(struct room_binding *b) {
    struct room_binding **at = &binding_room(b)->to_save;
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
    conn_room(c)->holders -= b->product != NULL;
    cluster_forget(conn_room(c)->cluster, b);
}

void room_binding_free(struct room_binding *b) {
    if (room_binding_state(b) != SESSION_GONE)
        binding_leave(b);
    else if (conn_voice(b->conn)->session_over)
        conn_voice(b->conn)->session_over(b);
    product_let_go(b);
    if (!b->is_awake) {
        free(b->of.names);
    } else {
        free(b->of.awake->names);
        free(b->of.awake->token);
        free(b->of.awake->tags);
        free(b->of.awake->reason);
        free(b->of.awake->known_devices);
        binding_is_awake_no_more(b);
    }
    slab_give(b);
}

void room_binding_end(struct room_binding *b) {
    room_binding_tell_kind(b, EVENT_ENDED);
}

const char *room_binding_user(const struct room_binding *b) {
    return b->is_awake ? b->of.awake->names : b->of.names;
}

const char *room_binding_tags(const struct room_binding *b) {
    const char *user = room_binding_user(b);
    return user + strlen(user) + 1;
}

static size_t tags_bytes(const char *tags) { // with the NUL behind them
    const char *t = tags;
    while (*t)
        t += strlen(t) + 1;
    return (size_t)(t - tags) + 1;
}

bool room_binding_has_tags(const struct room_binding *b, const char *tags) {
    const char *own = room_binding_tags(b), *others = tags ? tags : "";
    size_t bytes = tags_bytes(own);
    return bytes == tags_bytes(others) && memcmp(own, others, bytes) == 0;
}

enum { SLEEPER_BYTES = 32 };

// With place for what most know while they sleep: a block that grows then would leave holes among
// what lives as long. The old names may be among the new ones.
void room_binding_name(struct room_binding *b, const char *user, const char *tags) {
    const char *new_tags = tags ? tags : "";
    size_t user_bytes = strlen(user) + 1, more = tags_bytes(new_tags);
    char *names = hw_malloc(user_bytes + more + SLEEPER_BYTES);
    memcpy(names, user, user_bytes);
    memcpy(names + user_bytes, new_tags, more);
    free(room_binding_wake(b)->names);
    b->of.awake->names = names;
    b->names_bytes = (uint16_t)(user_bytes + more);
}

// --- as others name it. A slot is used again, and many sessions have the same generation: only
// both numbers of the slab name a binding.

uint64_t room_binding_row_slot(const struct room_binding *b) {
    return (uint64_t)slab_turn(b) << 32 | slab_slot(b);
}

struct room_binding *room_binding_of_row_slot(struct room *r, uint64_t row_slot) {
    return room_binding_find(r, (uint32_t)row_slot, (uint32_t)(row_slot >> 32));
}

struct room_binding *room_binding_find(struct room *r, uint32_t slot, uint32_t turn) {
    struct room_binding *b = slab_find(&r->bindings, slot, turn);
    return b && room_binding_state(b) != SESSION_GONE ? b : NULL;
}

uint32_t room_binding_devices_max(const struct room_binding *b) {
    const struct product *p =
        cluster_product_by_number(binding_room(b)->cluster, b->product->number);
    return p ? (uint32_t)p->limits.devices_per_user : 16;
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
        .now_ms = loop_now_ms(r->loop), .lease = &r->lease, .steps = r->count.session_steps};
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

// --- waits

static bool goes_on_now(void *room, uint64_t row_slot) {
    struct room_binding *b = room_binding_of_row_slot(room, row_slot);
    if (b)
        room_binding_tell_kind(b, EVENT_WAITED);
    return false;
}

// What is added meanwhile waits its own time.
static void retry_all(struct timer *t) {
    struct room *r = container_of(t, struct room, retry);
    handles_take(&r->retries, goes_on_now, r);
}

void room_binding_retry_later(struct room_binding *b) {
    struct room *r = binding_room(b);
    handles_add(&r->retries, room_binding_row_slot(b));
    if (!timer_is_armed(&r->retry))
        loop_arm(r->loop, &r->retry, RETRY_MS, retry_all);
}

void retries_deinit(struct room *r) {
    loop_disarm(r->loop, &r->retry);
    handles_deinit(&r->retries);
}

// --- for the passes over all of them

void room_heads_wanted(struct room *r) {
    r->heads_wanted = true;
}

void room_hints_lost(struct room *r) {
    r->heads_wanted = r->heads_twice = true;
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
        r->count.unexpected++;
        log_event(r->env->log, LOG_DEBUG, "unexpected", "state=%s event=%s",
                  session_state_name(room_binding_state(b)), session_event_name(e->kind));
        return;
    }
    bool is_entered = room_binding_is_entered(b);
    if (is_entered && !was_entered)
        product_enter(b);
    if (is_entered && (!was_entered || e->kind == EVENT_WANTS))
        product_keeps_for(b, room_binding_session(b)->wanted);
    if (was_entered && !is_entered)
        product_leave(b);
    if (room_binding_state(b) == SESSION_GONE)
        binding_leave(b);
    add_effects(b, &out);
}

void room_binding_tell_kind(struct room_binding *b, enum session_event_kind kind) {
    room_binding_tell(b, &(struct session_event){.kind = kind});
}

HW_OUT_OF_LINE static bool sleeps_at(const struct room_binding *b, enum feed_stream stream,
                                     const struct stream_position *head) {
    struct session_usual usual = usual_of(b);
    return session_rest_is_level(rest_of(b), &usual, stream, head);
}

bool room_binding_sleeps_at(const struct room_binding *b, enum feed_stream stream,
                            const struct stream_position *head) {
    return !b->is_awake && sleeps_at(b, stream, head);
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
