// The passes over all sessions, a few at every tick: rows confirmed every 60 s, inbox heads asked
// every 30 s, and both in a hurry when something was lost. A pass is a place in the slab that moves
// on; nothing is kept per session for it but the round of its last confirmation.
#include "room_internal.h"

enum {
    TICK_MS = 100,
    TICKS_A_SECOND = 1000 / TICK_MS,
    CONFIRM_TICKS = 60 * TICKS_A_SECOND,
    CONFIRM_AGAIN_TICKS = 2 * TICKS_A_SECOND,
    HEADS_TICKS = 30 * TICKS_A_SECOND,
    SAVE_TICKS = 300 * TICKS_A_SECOND,
    FAST_PER_TICK = 2000,
    FAST_HEADS_APART_MS = 10000,
    SUPERSEDED_MS = 12000,     // more than a lease
    SUPERSEDED_APART_MS = 2500 // no answer for longer: the register heard nobody else either
};

// --- one session

static void on_head(struct room *r, struct session *s, int error, const uint8_t *body, size_t len) {
    Hawser__Internal__HeadReply *reply =
        error == 0 ? hawser__internal__head_reply__unpack(NULL, len, body) : NULL;
    if (!reply)
        return; // the next pass asks again
    r->count.heads_ahead +=
        s->is_synced && reply->epoch == s->inbox.epoch && reply->head > s->inbox.heard;
    if (s->state == SESSION_LIVE)
        inbox_head_seen(s, reply->epoch, reply->head);
    hawser__internal__head_reply__free_unpacked(reply, NULL);
}

static void ask_head(struct session *s) {
    Hawser__Internal__HeadRequest request = HAWSER__INTERNAL__HEAD_REQUEST__INIT;
    if (s->state != SESSION_LIVE)
        return;
    request.product = s->product->number;
    request.user = s->user;
    session_call(s, session_saver(s), HAWSER__INTERNAL__SAVER_METHOD__SAVER_HEAD, &request.base,
                 on_head);
}

// A higher row may be the late work of a login whose room is gone, or is about to drop it: its
// lease is over, or the drop is done, before this is. Time in which the register did not answer
// does not count: leases go on meanwhile.
static bool superseded_lately(struct session *s, uint64_t generation) {
    uint64_t now = loop_now_ms(s->conn->room->loop), since_ms = now - s->superseded_ms;
    if (s->superseded_by != generation)
        s->superseded_for_ms = 0;
    else
        s->superseded_for_ms +=
            (uint32_t)(since_ms < SUPERSEDED_APART_MS ? since_ms : SUPERSEDED_APART_MS);
    s->superseded_by = generation;
    s->superseded_ms = now;
    return s->superseded_for_ms < SUPERSEDED_MS;
}

// The row is another's, or it is ours by a generation below one that the saver knows.
static bool is_superseded(const struct session *s, const Hawser__Internal__ConfirmReply *reply) {
    return reply->outcome == HAWSER__INTERNAL__CONFIRMED__CONFIRMED_SUPERSEDED ||
           (s->is_stale && reply->generation <= s->generation);
}

static void end_superseded(struct room *r, struct session *s) {
    if (s->is_stale && s->superseded_by <= s->generation) {
        conn_session_over(s->conn, s, 4101, "the store knows a higher generation");
        return;
    }
    r->count.takeovers++;
    conn_session_over(s->conn, s, 4001, "the register knows a newer login");
}

static void on_confirmed(struct room *r, struct session *s, int error, const uint8_t *body,
                         size_t len) {
    Hawser__Internal__ConfirmReply *reply =
        error == 0 ? hawser__internal__confirm_reply__unpack(NULL, len, body) : NULL;
    if (--s->confirms_in_flight == 0 && reply)
        s->is_row_unsure = false;
    if (!reply || s->state != SESSION_LIVE) {
        r->confirm_again = r->confirm_again || !reply;
    } else if (reply->outcome == HAWSER__INTERNAL__CONFIRMED__CONFIRMED_UNDECIDED) {
        s->is_undecided = r->confirm_again = true;
        s->superseded_by = 0; // should that room come back, it has its time once more
    } else if (is_superseded(s, reply)) {
        if (superseded_lately(s, reply->generation))
            r->confirm_again = true; // the other room tells of a takeover itself
        else
            end_superseded(r, s);
    } else {
        bool was_void = s->confirmed_round < r->round_required;
        s->superseded_by = 0;
        s->is_undecided = false;
        if (s->confirms_in_flight == 0) // else this was asked before
            s->confirmed_round = s->asked_round;
        if (was_void || reply->outcome == HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN)
            ask_head(s);
        if (reply->replaced)
            notice_confirm_row(r, reply->replaced);
        if (reply->generation >
            s->generation) { // the saver must know the new one before acks count
            s->generation = reply->generation;
            s->is_stale = false;
            acks_attach_again(s);
        }
        session_try(s);
    }
    if (reply)
        hawser__internal__confirm_reply__free_unpacked(reply, NULL);
}

// What is asked while the lease is void has to be asked again when it is held.
uint32_t upkeep_round(const struct room *r) {
    return cluster_lease_is_held(r->cluster) ? r->round : r->round - 1;
}

void upkeep_ask_row(struct session *s, session_reply_fn *done) {
    Hawser__Internal__ConfirmRequest request = HAWSER__INTERNAL__CONFIRM_REQUEST__INIT;
    struct room *r = s->conn->room;
    request.product = s->product->number;
    request.user = s->user;
    request.device = s->conn->device;
    request.room = r->id;
    request.incarnation = r->env->incarnation;
    request.slot = session_place(s);
    request.generation = s->generation;
    request.login = s->login_generation;
    request.since_ms = s->since_ms;
    request.devices_max = session_devices_max(s);
    s->asked_round = upkeep_round(r);
    s->confirms_in_flight++;
    s->is_row_unsure = true;
    session_call(s, cluster_register(r->cluster),
                 HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_CONFIRM, &request.base, done);
}

void upkeep_confirm(struct session *s) {
    if (s->state == SESSION_LIVE)
        upkeep_ask_row(s, on_confirmed);
}

static void confirm_if_old(struct session *s) {
    if (s->confirmed_round != s->conn->room->round || s->superseded_by != 0 || s->is_undecided)
        upkeep_confirm(s);
}

// --- passes

static void visit(struct room *r, uint32_t *at, uint32_t count, void (*what)(struct session *s)) {
    uint32_t slots = r->sessions.high_water;
    for (; count > 0 && slots > 0; count--) {
        *at = *at + 1 < slots ? *at + 1 : 0;
        struct session *s = slab_at(&r->sessions, *at);
        if (s)
            what(s);
    }
}

// How many slots are this tick's, so that all are visited once in so many ticks. The rest of a
// division is kept for the next one: a small room does not ask more often than a large one.
static uint32_t share(const struct room *r, uint32_t *rest, uint32_t ticks) {
    uint32_t due = *rest + r->sessions.high_water;
    *rest = due % ticks;
    return due / ticks;
}

// From the first slot: sessions that begin meanwhile need no visit, and must not shift the others.
static void fast_begin(const struct room *r, uint32_t *at, uint32_t *left) {
    *at = UINT32_MAX;
    *left = r->sessions.high_water;
}

static void visit_fast(struct room *r, uint32_t *at, uint32_t *left,
                       void (*what)(struct session *s)) {
    uint32_t count = *left < FAST_PER_TICK ? *left : FAST_PER_TICK;
    *left -= count;
    visit(r, at, count, what);
}

void upkeep_tick(struct timer *t) {
    struct room *r = container_of(t, struct room, tick);
    uint64_t now = loop_now_ms(r->loop);
    loop_arm(r->loop, &r->tick, TICK_MS, upkeep_tick);
    r->tick_count++;
    unacked_tick(r);
    room_tick(r);
    visit(r, &r->confirm_at, share(r, &r->confirm_rest, CONFIRM_TICKS), upkeep_confirm);
    visit(r, &r->heads_at, share(r, &r->heads_rest, HEADS_TICKS), ask_head);
    visit(r, &r->save_at, share(r, &r->save_rest, SAVE_TICKS), acks_save_last);
    if (r->fast_heads_wanted && now >= r->fast_heads_ms + FAST_HEADS_APART_MS) {
        r->fast_heads_wanted = r->fast_heads_twice;
        r->fast_heads_twice = false;
        r->fast_heads_ms = now;
        fast_begin(r, &r->fast_heads_at, &r->fast_heads_left);
    }
    visit_fast(r, &r->fast_heads_at, &r->fast_heads_left, ask_head);
    if (r->confirm_again && r->fast_confirm_left == 0 && r->tick_count % CONFIRM_AGAIN_TICKS == 0) {
        r->confirm_again = false;
        fast_begin(r, &r->fast_confirm_at, &r->fast_confirm_left);
    }
    if (cluster_lease_is_held(r->cluster))
        visit_fast(r, &r->fast_confirm_at, &r->fast_confirm_left, confirm_if_old);
    if (r->tick_count % TICKS_A_SECOND == 0)
        products_tick(r);
}

// --- what starts them

void upkeep_confirm_all(struct room *r) {
    r->round++;
    fast_begin(r, &r->fast_confirm_at, &r->fast_confirm_left);
}

void upkeep_heads_all(struct room *r) {
    r->fast_heads_wanted = true;
}

// Centers could not ask where users are, or were answered by what is not there any more. They may
// find their register back later than this room does, so it asks once more when that is over.
void upkeep_hints_lost(struct room *r) {
    r->fast_heads_wanted = r->fast_heads_twice = true;
}

// Another run of the store: what was being told while it was away may have reached nobody.
void upkeep_store_seen(struct room_product *p, uint64_t run) {
    if (p->store != 0 && run != 0 && run != p->store)
        upkeep_hints_lost(p->room);
    p->store = run != 0 ? run : p->store;
}

// While the lease is void so are our rows: another login would not name ours. Nothing is sent until
// each is confirmed again.
void upkeep_on_lease(struct room *r, bool held) {
    log_event(r->env->log, held ? LOG_INFO : LOG_WARN, held ? "lease held" : "lease lost", "%s",
              "");
    if (held) {
        fast_begin(r, &r->fast_confirm_at, &r->fast_confirm_left);
    } else {
        upkeep_confirm_all(r);
        r->round_required = r->round;
    }
}
