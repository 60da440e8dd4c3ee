// A session: one live binding. Everything it waits for is answered to its slot and generation, so
// that an answer for a session that is gone finds nobody.
#include <assert.h>

#include "crypto.h"
#include "room_internal.h"

// --- windows and cursors

void cursor_start(struct cursor *c, uint64_t epoch, uint64_t after) {
    *c = (struct cursor){
        .epoch = epoch, .sent = after, .acked = after, .heard = after, .shown = after};
}

void cursor_rewind(struct cursor *c, uint64_t acked) {
    c->sent = c->acked = acked;
    c->window = (struct window){0};
}

static uint32_t in_flight(const struct cursor *c) {
    uint64_t distance = c->sent - c->acked;
    uint32_t counted = (uint32_t)c->window.first + c->window.second;
    return distance < counted ? (uint32_t)distance : counted;
}

uint32_t cursor_window_messages(const struct cursor *c) {
    uint32_t used = in_flight(c);
    return used < WINDOW_MESSAGES ? WINDOW_MESSAGES - used : 0;
}

uint32_t cursor_window_bytes(const struct cursor *c) {
    uint32_t used = c->sent == c->acked ? 0 : c->window.first_bytes + c->window.second_bytes;
    return used < WINDOW_BYTES ? WINDOW_BYTES - used : 0;
}

bool cursor_window_is_open(const struct cursor *c) {
    return cursor_window_messages(c) > 0 && cursor_window_bytes(c) > 0;
}

void cursor_sent(struct cursor *c, uint64_t last, uint32_t bytes, bool counts) {
    struct window *w = &c->window;
    c->sent = last;
    if (c->heard < last)
        c->heard = last;
    if (c->shown < last)
        c->shown = last;
    if (!counts)
        return;
    bool into_first =
        w->second == 0 && w->first < WINDOW_MESSAGES / 2 && w->first_bytes < WINDOW_BYTES / 2;
    if (into_first) {
        w->mark = last;
        w->first++;
        w->first_bytes += bytes;
    } else {
        w->second++;
        w->second_bytes += bytes;
    }
}

void cursor_acked(struct cursor *c, uint64_t seq) {
    struct window *w = &c->window;
    c->acked = seq;
    w->still_since = 0;
    if (seq >= c->sent) { // above it: acknowledged before it was sent again
        c->sent = seq;
        *w = (struct window){0};
    } else if (seq >= w->mark) {
        w->first = w->second;
        w->first_bytes = w->second_bytes;
        w->second = 0;
        w->second_bytes = 0;
        w->mark = c->sent;
    }
}

// --- calls

struct session_call {
    struct room *room;
    uint32_t slot, generation;
    session_reply_fn *fn;
};

static void on_reply(void *arg, int error, const uint8_t *body, size_t len) {
    struct session_call *call = arg;
    struct session *s = slab_find(&call->room->sessions, call->slot, call->generation);
    if (s && !call->room->is_stopping)
        call->fn(call->room, s, error, body, len);
    free(call);
}

void session_call(struct session *s, struct rpc_link *link, uint16_t method,
                  const ProtobufCMessage *request, session_reply_fn *fn) {
    struct room *r = s->conn->room;
    struct session_call *call = hw_malloc(sizeof(*call));
    *call = (struct session_call){r, s->slot, s->slab_generation, fn};
    cluster_call(r->cluster, link, method, request, CALL_MS, on_reply, call);
}

uint64_t bucket_key(uint32_t product, const char *user) {
    return (uint64_t)product << 10 | bucket_of_user(user, strlen(user));
}

struct rpc_link *session_saver(const struct session *s) {
    return cluster_pick(s->conn->room->cluster, "saver", bucket_key(s->product->number, s->user));
}

uint32_t session_devices_max(const struct session *s) {
    const struct product *p = cluster_product_by_number(s->conn->room->cluster, s->product->number);
    return p ? (uint32_t)p->limits.devices_per_user : 16;
}

// --- life

struct session *session_new(struct conn *c) {
    struct room *r = c->room;
    uint32_t slot, generation;
    bool has_place = c->state == CONN_OPEN || r->sessions.used < r->sessions_max;
    struct session *s = has_place ? slab_take(&r->sessions, &slot, &generation) : NULL;
    if (!s)
        return NULL;
    s->conn = c;
    s->slot = slot;
    s->slab_generation = generation;
    s->confirmed_round = r->round;
    struct session **end = &c->sessions;
    while (*end)
        end = &(*end)->next_in_conn;
    *end = s;
    return s;
}

// A slot is used again, and many sessions have the same generation: only both numbers of the slab
// name a session.
uint64_t session_place(const struct session *s) {
    return (uint64_t)s->slab_generation << 32 | s->slot;
}

struct session *session_at_place(struct room *r, uint64_t place) {
    return slab_find(&r->sessions, (uint32_t)place, (uint32_t)(place >> 32));
}

struct session *session_by_row(struct room *r, uint64_t place, uint64_t generation) {
    struct session *s = session_at_place(r, place);
    return s && s->generation == generation && generation != 0 ? s : NULL;
}

void session_live(struct session *s) {
    struct room_product *p = s->product;
    assert(s->state == SESSION_ATTACHED);
    s->state = SESSION_LIVE;
    free(s->token);
    s->token = NULL;
    s->prev = NULL;
    s->next = p->sessions;
    if (s->next)
        s->next->prev = s;
    p->sessions = s;
    p->session_count++;
    p->room->live_sessions++;
    p->room->confirm_again = p->room->confirm_again || s->is_undecided;
}

static void leave_product(struct session *s) {
    struct room_product *p = s->product;
    if (s->state != SESSION_LIVE)
        return;
    news_session_leaves(s);
    *(s->prev ? &s->prev->next : &p->sessions) = s->next;
    if (s->next)
        s->next->prev = s->prev;
    p->session_count--;
    p->room->live_sessions--;
}

void session_free(struct session *s) {
    struct room *r = s->conn->room;
    struct session **at = &s->conn->sessions;
    leave_product(s);
    product_let_go(s);
    while (*at != s)
        at = &(*at)->next_in_conn;
    *at = s->next_in_conn;
    if (s->conn->binding == s)
        s->conn->binding = NULL;
    for (at = &r->dirty; s->is_dirty && *at; at = &(*at)->next_dirty)
        if (*at == s) {
            *at = s->next_dirty;
            break;
        }
    cluster_forget(r->cluster, s);
    free(s->user);
    free(s->tags);
    free(s->token);
    slab_give(&r->sessions, s->slot);
}

// While the register has not answered, the row's generation is not known: the session waits for it.
void session_end(struct session *s) {
    if (s->state == SESSION_REGISTERING) {
        s->state = SESSION_LEAVING;
        return;
    }
    if (s->state == SESSION_LEAVING)
        return;
    if (s->state == SESSION_LIVE)
        acks_save_last(s);
    if (s->generation != 0)
        orphan_drop(s);
    if (s->is_row_unsure) // it may be another than was dropped
        orphan_expect(s);
    session_free(s);
}

static void on_counted(void *arg, int error, const uint8_t *body, size_t len) {
    (void)arg; // one that is lost was not counted
    (void)error;
    (void)body;
    (void)len;
}

// Only here is it known whether its client was still there: one that comes back after a crash takes
// nobody's place.
static void count_takeover(const struct session *s) {
    struct room *r = s->conn->room;
    Hawser__Internal__TakeoverRequest request = HAWSER__INTERNAL__TAKEOVER_REQUEST__INIT;
    if (!s->conn->stream || stream_peer_is_gone(s->conn->stream))
        return;
    request.product = s->product->number;
    request.user = s->user;
    request.device = s->conn->device;
    rpc_call(cluster_register(r->cluster), HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_TAKEOVER,
             &request.base, CALL_MS, on_counted, r);
}

void session_replaced(struct room *r, uint64_t place, uint64_t generation, uint32_t code,
                      const char *reason) {
    struct session *s = session_at_place(r, place);
    if (!s || s->generation > generation) // the row was given back since
        return;
    if (s->replaced_generation == 0)
        count_takeover(s);
    if (s->state != SESSION_LIVE) {
        s->replaced_generation = generation; // told before it goes live
        return;
    }
    r->count.takeovers++;
    conn_session_over(s->conn, s, code, reason);
}

void session_row_has_changed(struct session *s) {
    s->is_undecided = s->conn->room->confirm_again = true;
    upkeep_confirm(s);
}

// --- sending

bool session_can_send(const struct session *s) {
    const struct room *r = s->conn->room;
    return s->state == SESSION_LIVE && s->conn->state == CONN_OPEN &&
           cluster_lease_is_held(r->cluster) && s->confirmed_round >= r->round_required &&
           conn_can_push(s->conn);
}

void push_from_message(Hawser__V1__Push *push, uint32_t product, int stream, uint64_t seq,
                       const Hawser__Internal__StoredMessage *m) {
    hawser__v1__push__init(push);
    push->product = product;
    push->stream = (Hawser__V1__Stream)stream;
    push->seq = seq;
    push->id = m->id;
    push->payload = m->payload;
    push->sent_ms = m->sent_ms;
    push->expires_ms = m->expires_ms;
    push->collapse_key = m->collapse_key;
    push->content_type = m->content_type;
}

void session_send_gap(struct session *s, int stream, uint64_t first, uint64_t last,
                      uint32_t reason) {
    Hawser__V1__Gap gap = HAWSER__V1__GAP__INIT;
    gap.product = s->product->number;
    gap.stream = (Hawser__V1__Stream)stream;
    gap.first = first;
    gap.last = last;
    gap.reason = (Hawser__V1__GapReason)reason;
    s->conn->room->count.gaps++;
    conn_send(s->conn, FRAME_GAP, &gap.base);
}

void session_send_reset(struct session *s, int stream, uint64_t epoch, uint64_t seq,
                        const char *reason) {
    Hawser__V1__Reset reset = HAWSER__V1__RESET__INIT;
    Hawser__V1__Position at = HAWSER__V1__POSITION__INIT;
    at.stream = (Hawser__V1__Stream)stream;
    at.epoch = epoch;
    at.seq = seq;
    reset.product = s->product->number;
    reset.position = &at;
    reset.reason = (char *)(uintptr_t)reason;
    conn_send(s->conn, FRAME_RESET, &reset.base);
}

void handles_add(struct handle **list, size_t *count, size_t *capacity, const struct session *s) {
    if (*count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 16;
        *list = hw_realloc(*list, *capacity * sizeof(**list));
    }
    (*list)[(*count)++] = (struct handle){s->slot, s->slab_generation};
}

static void retry_all(struct timer *t) {
    struct room *r = container_of(t, struct room, retry);
    size_t count = r->retry_count;
    for (size_t i = 0; i < count; i++) {
        struct session *s = slab_find(&r->sessions, r->retries[i].slot, r->retries[i].generation);
        if (!s)
            continue;
        s->in_retry = false;
        session_try(s);
    }
    r->retry_count -= count; // what was added meanwhile stands behind
    memmove(r->retries, r->retries + count, r->retry_count * sizeof(r->retries[0]));
    if (r->retry_count > 0)
        loop_arm(r->loop, &r->retry, RETRY_MS, retry_all);
}

void session_retry_later(struct session *s) {
    struct room *r = s->conn->room;
    if (s->in_retry)
        return;
    s->in_retry = true;
    handles_add(&r->retries, &r->retry_count, &r->retry_capacity, s);
    if (!timer_is_armed(&r->retry))
        loop_arm(r->loop, &r->retry, RETRY_MS, retry_all);
}

static void fill_position(Hawser__V1__Position *p, int stream, uint64_t epoch, uint64_t seq) {
    hawser__v1__position__init(p);
    p->stream = (Hawser__V1__Stream)stream;
    p->epoch = epoch;
    p->seq = seq;
}

void session_fill_bound(const struct session *s, Hawser__V1__Bound *bound,
                        Hawser__V1__Position after[3]) {
    bound->product = s->product->number;
    bound->name = s->product->name;
    bound->user = s->user;
    bound->generation = s->generation;
    bound->resumed = s->is_resumed;
    bound->expires_ms = s->expires_ms;
    fill_position(&after[0], HAWSER__V1__STREAM__INBOX, s->inbox.epoch, s->inbox.sent);
    fill_position(&after[1], HAWSER__V1__STREAM__NEWS, s->news.epoch, s->news.sent);
    fill_position(&after[2], HAWSER__V1__STREAM__BULK, s->bulk_epoch, s->bulk_seq);
}

// Everything accepted before the login has been sent: inbox up to the head that was read after the
// registration, news up to a head that was asked for after the login began.
void session_check_synced(struct session *s) {
    Hawser__V1__Synced synced = HAWSER__V1__SYNCED__INIT;
    Hawser__V1__Position at[3], *list[3] = {&at[0], &at[1], &at[2]};
    unacked_watch(s);
    if (!s->has_news_target && s->product->heads_done >= s->news_round) {
        s->has_news_target = true;
        s->news_target = s->product->heard;
    }
    if (s->is_synced || s->is_log_another || !s->has_news_target || !session_can_send(s) ||
        s->inbox.sent < s->inbox_target || s->news.sent < s->news_target)
        return;
    fill_position(&at[0], HAWSER__V1__STREAM__INBOX, s->inbox.epoch, s->inbox.sent);
    fill_position(&at[1], HAWSER__V1__STREAM__NEWS, s->news.epoch, s->news.sent);
    fill_position(&at[2], HAWSER__V1__STREAM__BULK, s->bulk_epoch, s->bulk_seq);
    synced.product = s->product->number;
    synced.n_at = 3;
    synced.at = list;
    s->is_synced = true;
    conn_send(s->conn, FRAME_SYNCED, &synced.base);
}

void session_try(struct session *s) {
    acks_note(s);
    inbox_try(s);
    news_try(s);
    session_check_synced(s);
}
