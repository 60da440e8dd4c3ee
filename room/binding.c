// A binding: how it is found, and the steps of its session.
#include <assert.h>

#include "close_codes.h"
#include "room_internal.h"

// --- awake or asleep

// Each that is awake stands in room.awake_ones once.
static void binding_begin(struct room_binding *b) {
    struct room *r = b->conn->room;
    uint32_t slot, turn;
    b->awake = slab_take(&r->awake, &slot, &turn);
    assert(b->awake); // there is one for each binding
    b->awake->slot = slot;
    handles_add(&r->awake_ones, b);
}

struct awake *room_binding_wake(struct room_binding *b) {
    if (!b->awake) {
        binding_begin(b);
        session_gets_up(&b->rest, &b->awake->session);
    }
    return b->awake;
}

struct session *room_binding_session(struct room_binding *b) {
    return &room_binding_wake(b)->session;
}

enum session_state room_binding_state(const struct room_binding *b) {
    return b->awake ? b->awake->session.state : SESSION_LIVE;
}

bool room_binding_is_entered(const struct room_binding *b) {
    return !b->awake || session_is_entered(&b->awake->session);
}

bool room_binding_leaves_out(const struct room_binding *b, enum feed_stream stream) {
    return b->awake ? b->awake->session.is_left_out[stream] : b->rest.is_left_out[stream];
}

uint64_t room_binding_generation(const struct room_binding *b) {
    return b->awake ? b->awake->session.fence.generation : b->rest.generation;
}

static bool lies_down(struct room_binding *b) {
    struct awake *a = b->awake;
    if (a->is_to_save || a->token || a->reason || a->known_devices ||
        !session_lies_down(&a->session, &b->rest))
        return false;
    slab_give(&b->conn->room->awake, a->slot);
    b->awake = NULL;
    return true;
}

void room_bindings_rest(struct room *r) {
    struct handles *all = &r->awake_ones;
    for (size_t i = 0; i < all->count;) {
        const struct handle *h = &all->list[i];
        struct room_binding *b = slab_find(&r->bindings, h->slot, h->turn);
        if (!b || lies_down(b))
            all->list[i] = all->list[--all->count];
        else
            i++;
    }
    r->awake_count = all->count;
}

// --- life

struct room_binding *room_binding_new(struct conn *c, const struct session_terms *terms) {
    struct room *r = c->room;
    uint32_t slot, turn;
    // The rest is kept for those that are in: a Bind that renews stands beside the one that it is
    // for.
    bool has_place =
        c->state == CONN_OPEN || r->bindings.used < r->sessions_max + BINDINGS_UNCHECKED_MAX;
    struct room_binding *b = has_place ? slab_take(&r->bindings, &slot, &turn) : NULL;
    if (!b)
        return NULL;
    b->conn = c;
    b->slot = slot;
    b->turn = turn;
    binding_begin(b);
    session_init(&b->awake->session, terms, &r->lease);
    struct room_binding **end = &c->bindings;
    while (*end)
        end = &(*end)->next_in_conn;
    *end = b;
    return b;
}

static void unlink_to_save(struct room_binding *b) {
    struct room_binding **at = &b->conn->room->to_save;
    if (!b->awake || !b->awake->is_to_save)
        return;
    while (*at != b)
        at = &(*at)->awake->next_to_save;
    *at = b->awake->next_to_save;
}

// Nobody finds the binding any more. The binding stays until what its session wrote down is done.
static void binding_leave(struct room_binding *b) {
    struct conn *c = b->conn;
    struct room_binding **at = &c->bindings;
    unlink_to_save(b);
    while (*at != b)
        at = &(*at)->next_in_conn;
    *at = b->next_in_conn;
    b->was_awaited = c->binding == b;
    if (b->was_awaited)
        c->binding = NULL;
    c->room->holders -= b->product != NULL;
    cluster_forget(c->room->cluster, b);
}

void room_binding_free(struct room_binding *b) {
    struct room *r = b->conn->room;
    if (room_binding_state(b) != SESSION_GONE)
        binding_leave(b);
    product_let_go(b);
    free(b->user);
    free(b->tags);
    if (b->awake) {
        free(b->awake->token);
        free(b->awake->reason);
        free(b->awake->known_devices);
        slab_give(&r->awake, b->awake->slot);
    }
    slab_give(&r->bindings, b->slot);
}

void room_binding_end(struct room_binding *b) {
    room_binding_tell_kind(b, EVENT_ENDED);
}

// --- as others name it. A slot is used again, and many sessions have the same generation: only
// both numbers of the slab name a binding.

uint64_t room_binding_row_slot(const struct room_binding *b) {
    return (uint64_t)b->turn << 32 | b->slot;
}

struct room_binding *room_binding_of_row_slot(struct room *r, uint64_t row_slot) {
    return room_binding_find(r, (uint32_t)row_slot, (uint32_t)(row_slot >> 32));
}

struct room_binding *room_binding_find(struct room *r, uint32_t slot, uint32_t turn) {
    struct room_binding *b = slab_find(&r->bindings, slot, turn);
    return b && room_binding_state(b) != SESSION_GONE ? b : NULL;
}

void handles_add(struct handles *h, const struct room_binding *b) {
    if (h->count == h->capacity) {
        h->capacity = h->capacity ? h->capacity * 2 : 16;
        h->list = hw_realloc(h->list, h->capacity * sizeof(h->list[0]));
    }
    h->list[h->count++] = (struct handle){b->slot, b->turn};
}

uint32_t room_binding_devices_max(const struct room_binding *b) {
    const struct product *p = cluster_product_by_number(b->conn->room->cluster, b->product->number);
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
    room_env(b->conn->room, b->product, ret_env);
    ret_env->socket_takes = room_binding_socket_takes(b);
}

bool room_binding_can_send_in(const struct room_binding *b, const struct session_env *env) {
    return b->awake ? session_can_send(&b->awake->session, env)
                    : session_rest_can_send(&b->rest, env);
}

bool room_binding_can_send(const struct room_binding *b) {
    struct session_env env;
    room_binding_env(b, &env);
    return room_binding_can_send_in(b, &env);
}

// What is under way is looked at until all is acknowledged.
static void binding_watch(struct room_binding *b) {
    if (b->is_watched || !b->awake || session_is_at_rest(&b->awake->session))
        return;
    b->is_watched = true;
    handles_add(&b->conn->room->watched, b);
}

void room_binding_sent(struct room_binding *b) {
    struct session_env env;
    binding_watch(b);
    if (!b->awake || b->awake->session.is_synced) // as most are, of those that a walk comes to
        return;
    room_binding_env(b, &env);
    if (session_becomes_synced(room_binding_session(b), &env))
        b->conn->voice->say_synced(b);
}

void room_binding_say_reset(struct room_binding *b, enum feed_stream stream, const char *reason) {
    b->conn->voice->say_reset(b, stream, reason);
}

// --- waits

static void retry_all(struct timer *t) {
    struct room *r = container_of(t, struct room, retry);
    struct handles due = r->retries;
    r->retries = (struct handles){0}; // what is added meanwhile waits its own time
    for (size_t i = 0; i < due.count; i++) {
        struct room_binding *b = room_binding_find(r, due.list[i].slot, due.list[i].turn);
        if (b)
            room_binding_tell_kind(b, EVENT_WAITED);
    }
    free(due.list);
}

void room_binding_retry_later(struct room_binding *b) {
    struct room *r = b->conn->room;
    handles_add(&r->retries, b);
    if (!timer_is_armed(&r->retry))
        loop_arm(r->loop, &r->retry, RETRY_MS, retry_all);
}

void retries_deinit(struct room *r) {
    loop_disarm(r->loop, &r->retry);
    free(r->retries.list);
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
    struct effects *q = &b->conn->room->effects;
    struct effects_item item = {.slot = b->slot, .turn = b->turn};
    for (size_t i = 0; i < out->count; i++) {
        item.effect = out->list[i];
        effects_add(q, &item);
    }
    item.kind = room_binding_state(b) == SESSION_GONE ? EFFECTS_SESSION_OVER : EFFECTS_STEP_OVER;
    effects_add(q, &item);
}

void room_binding_tell(struct room_binding *b, const struct session_event *e) {
    struct room *r = b->conn->room;
    struct session_env env;
    struct session_effects out = {.count = 0};
    bool was_entered = room_binding_is_entered(b);
    room_binding_env(b, &env);
    if (!session_step(room_binding_session(b), e, &env, &out)) {
        r->count.unexpected++;
        log_event(r->env->log, LOG_DEBUG, "unexpected", "state=%s event=%s",
                  session_state_name(room_binding_state(b)), session_event_name(e->kind));
        return;
    }
    bool is_entered = room_binding_is_entered(b);
    if (is_entered && !was_entered)
        product_enter(b);
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
    for (int i = 0; i < LOGS && !b->awake; i++) {
        struct stream_position head = {heads->log[i].epoch, heads->log[i].heard};
        if (!session_rest_is_level(&b->rest, (enum feed_stream)(FEED_NEWS + i), &head))
            return false;
    }
    return !b->awake;
}

void room_binding_go_on(struct room_binding *b) {
    struct product_heads heads = room_binding_heads(b);
    if (!sleeps_level(b, &heads) && session_has_to_go_on(room_binding_session(b), &heads))
        room_binding_tell_kind(b, EVENT_READY);
}

void room_binding_over(const struct room_binding *b, const struct session_refusal *why) {
    struct effects_item item = {.slot = b->slot, .turn = b->turn};
    item.effect = (struct session_effect){.kind = EFFECT_OVER, .of.refusal = *why};
    effects_add(&b->conn->room->effects, &item);
}
