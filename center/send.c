// One push on its way: append, and only then find and deliver. The answer is ready when the log has
// it everywhere; what follows is a hint that may get lost.
//
// Whoever misses an answer repeats the append: the id makes it harmless. A push ends as
// "outcome unknown" only when the last try may have been done.
#include "center_internal.h"
#include "message.h"

enum {
    LEGS_AT_ONCE = 512,
    APPEND_MS = 2000,       // deadline of one try
    LAST_MOMENT_MS = 10000, // an append later than this is refused by the store
    GIVE_UP_MS = 8000,
    RETRY_FIRST_MS = 20,
    ID_KEPT_MS = 30000,
};

struct sending { // one push
    struct center *center;
    uint32_t product;
    struct push push; // owned
    Hawser__Internal__InboxLimits limits;
    uint64_t id_kept_ms, not_after_ms, give_up_ms;
    struct sent result;
    size_t leg_count, started, ended, stored, refused, replays;
    sent_fn *done;
    void *arg;
    struct hook end; // completes a push that could not begin
};

struct leg {                 // one inbox of it, or the broadcast log
    struct leg *next, *prev; // in center.legs
    struct sending *sending;
    const struct target *target; // NULL: the broadcast log
    struct timer retry;
    int tries;
    bool may_be_done;
};

// --- deliver

struct delivery { // hints for one appended message; goes on after the answer
    struct center *center;
    uint32_t product;
    char user[65];
    uint64_t epoch, seq, change;
    Hawser__Internal__StoredMessage *message; // owned
    size_t open;                              // calls
    bool looked_again, look_again;
    // live only: the sending that waits for the counts
    struct leg *leg;
    uint64_t handed_over;
    bool failed;
};

struct delivery_call {
    struct delivery *delivery;
    Hawser__Internal__SessionRow *row; // owned
};

static void find(struct delivery *d);
static void leg_ended(struct leg *leg);

static void fill_message(const struct sending *s, const struct target *t,
                         Hawser__Internal__StoredMessage *m, Hawser__Internal__Audience *audience) {
    const struct push *push = &s->push;
    hawser__internal__stored_message__init(m);
    m->id = (char *)(uintptr_t)s->result.id;
    m->payload = (ProtobufCBinaryData){push->payload.len, push->payload.data};
    m->sent_ms = s->result.sent_ms;
    m->expires_ms = push->ttl_ms ? s->result.sent_ms + push->ttl_ms : 0;
    m->content_type = (char *)(uintptr_t)(push->content_type ? push->content_type : "");
    m->class_ = push->is_live ? HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_LIVE
                              : HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_STORED;
    if (t) {
        m->n_device = t->device_count;
        m->device = (char **)(uintptr_t)t->devices;
    }
    if (push->kind == TO_TAGS) {
        hawser__internal__audience__init(audience);
        audience->n_any = push->any_count;
        audience->any = (char **)(uintptr_t)push->any;
        audience->n_all = push->all_count;
        audience->all = (char **)(uintptr_t)push->all;
        audience->n_none = push->none_count;
        audience->none = (char **)(uintptr_t)push->none;
        m->audience = audience;
    }
}

static void delivery_over(struct delivery *d) {
    struct leg *leg = d->leg;
    if (leg) {
        struct sending *s = leg->sending;
        s->result.online += d->handed_over;
        if (d->failed)
            problem_set(&s->result.problem, PROBLEM_store_unavailable, NULL,
                        "no register can be asked where the user is");
    }
    hawser__internal__stored_message__free_unpacked(d->message, NULL);
    free(d);
    if (leg)
        leg_ended(leg);
}

static void delivery_step(struct delivery *d) {
    if (d->open > 0)
        return;
    if (d->look_again && !d->looked_again) {
        d->looked_again = true;
        find(d);
        return;
    }
    delivery_over(d);
}

static void on_delivered(void *arg, int error, const uint8_t *body, size_t len) {
    struct delivery_call *call = arg;
    struct delivery *d = call->delivery;
    struct center *c = d->center;
    Hawser__Internal__DeliverReply *reply =
        error == 0 ? hawser__internal__deliver_reply__unpack(NULL, len, body) : NULL;
    d->open--;
    if (reply) {
        c->count.delivered++;
        d->handed_over += reply->sent ? 1 : 0;
        hawser__internal__deliver_reply__free_unpacked(reply, NULL);
    } else if (error == -HW_ENOTHERE) {
        c->count.not_here++;
        d->look_again = true;
    } else if (error != -HW_ECANCELLED && d->seq != 0) {
        hint_keep(c, call->row, d->product, d->epoch, d->seq);
    }
    hawser__internal__session_row__free_unpacked(call->row, NULL);
    free(call);
    delivery_step(d);
}

static void deliver_to(struct delivery *d, const Hawser__Internal__SessionRow *row) {
    struct rpc_link *room = cluster_peer(d->center->cluster, row->incarnation);
    Hawser__Internal__DeliverRequest request = HAWSER__INTERNAL__DELIVER_REQUEST__INIT;
    if (!row->online || !room)
        return;
    struct delivery_call *call = hw_malloc(sizeof(*call));
    *call = (struct delivery_call){d, (Hawser__Internal__SessionRow *)message_copy(&row->base)};
    request.incarnation = row->incarnation;
    request.slot = row->slot;
    request.generation = row->generation;
    request.product = d->product;
    request.epoch = d->epoch;
    request.seq = d->seq;
    request.change = d->change;
    request.message = d->message;
    d->open++;
    rpc_call(room, HAWSER__INTERNAL__ROOM_METHOD__ROOM_DELIVER, &request.base, CALL_DEADLINE_MS,
             on_delivered, call);
}

static void on_found(void *arg, int error, const uint8_t *body, size_t len) {
    struct delivery *d = arg;
    Hawser__Internal__FindReply *reply =
        error == 0 ? hawser__internal__find_reply__unpack(NULL, len, body) : NULL;
    d->open--;
    d->failed = d->failed || !reply;
    for (size_t i = 0; reply && i < reply->n_row; i++)
        deliver_to(d, reply->row[i]);
    if (reply)
        hawser__internal__find_reply__free_unpacked(reply, NULL);
    delivery_step(d);
}

static void find(struct delivery *d) {
    Hawser__Internal__FindRequest request = HAWSER__INTERNAL__FIND_REQUEST__INIT;
    request.product = d->product;
    request.user = d->user;
    d->open++;
    rpc_call(cluster_register(d->center->cluster), HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_FIND,
             &request.base, CALL_DEADLINE_MS, on_found, d);
}

static void deliver_inbox(struct leg *leg, const Hawser__Internal__AppendReply *appended) {
    struct sending *s = leg->sending;
    struct delivery *d = hw_calloc(1, sizeof(*d));
    Hawser__Internal__StoredMessage m;
    fill_message(s, leg->target, &m, NULL);
    d->center = s->center;
    d->product = s->product;
    snprintf(d->user, sizeof(d->user), "%s", leg->target->user);
    if (appended) {
        d->epoch = appended->epoch;
        d->seq = appended->seq;
        d->change = appended->change;
        m.sent_ms = appended->sent_ms;
        m.expires_ms = appended->expires_ms;
    } else {
        d->leg = leg;
    }
    d->message = (Hawser__Internal__StoredMessage *)message_copy(&m.base);
    find(d);
}

// --- broadcasts

struct news_call {
    struct leg *leg; // of a live one, which waits for the counts; else NULL
    size_t *open;    // owned by the last to come
};

static void on_news(void *arg, int error, const uint8_t *body, size_t len) {
    struct news_call *call = arg;
    Hawser__Internal__NewsReply *reply =
        error == 0 ? hawser__internal__news_reply__unpack(NULL, len, body) : NULL;
    if (reply && call->leg)
        call->leg->sending->result.online += reply->sessions;
    if (reply)
        hawser__internal__news_reply__free_unpacked(reply, NULL);
    if (call->leg && --*call->open == 0) {
        free(call->open);
        leg_ended(call->leg);
    }
    free(call);
}

// A room that misses it hears of the head within a second.
static void deliver_news(struct leg *leg, const Hawser__Internal__AppendReply *appended) {
    struct sending *s = leg->sending;
    struct cluster *cluster = s->center->cluster;
    Hawser__Internal__NewsRequest request = HAWSER__INTERNAL__NEWS_REQUEST__INIT;
    Hawser__Internal__StoredMessage m;
    Hawser__Internal__Audience audience;
    const Hawser__Internal__Member *room = NULL;
    bool is_live = !appended;
    size_t *open = is_live ? hw_calloc(1, sizeof(*open)) : NULL;
    fill_message(s, NULL, &m, &audience);
    request.product = s->product;
    request.message = &m;
    if (appended) {
        request.epoch = appended->epoch;
        request.seq = appended->seq;
        request.change = appended->change;
        m.sent_ms = appended->sent_ms;
        m.expires_ms = appended->expires_ms;
    }
    while ((room = cluster_member_next(cluster, "room", room)) != NULL) {
        struct news_call *call = hw_malloc(sizeof(*call));
        *call = (struct news_call){is_live ? leg : NULL, open};
        if (open)
            ++*open;
        cluster_call(cluster, cluster_peer(cluster, room->incarnation),
                     HAWSER__INTERNAL__ROOM_METHOD__ROOM_NEWS, &request.base, CALL_DEADLINE_MS,
                     on_news, call);
    }
    if (open && *open == 0) {
        free(open);
        leg_ended(leg);
    }
}

// --- append

static void append(struct leg *leg);

static void start_legs(struct sending *s);

static void complete(struct sending *s) {
    struct sent *result = &s->result;
    result->replayed = s->replays > 0 && s->replays == s->stored;
    if (s->stored > 0 && result->problem.code != PROBLEM_NONE &&
        result->problem.code != PROBLEM_idempotency_mismatch) { // some have it
        result->problem.code = PROBLEM_store_unavailable;
        result->problem.outcome_unknown = true;
    }
    s->done(s->arg, result);
    push_deinit(&s->push);
    free(s);
}

static void leg_ended(struct leg *leg) {
    struct sending *s = leg->sending;
    struct center *c = s->center;
    loop_disarm(c->loop, &leg->retry);
    *(leg->prev ? &leg->prev->next : &c->legs) = leg->next;
    if (leg->next)
        leg->next->prev = leg->prev;
    free(leg);
    s->ended++;
    if (c->is_stopping)
        s->leg_count = s->started; // no more of them
    if (s->ended == s->leg_count)
        complete(s);
    else
        start_legs(s);
}

static void append_again(struct timer *t) {
    append(container_of(t, struct leg, retry));
}

static void missed_answer(struct leg *leg, int error) {
    struct sending *s = leg->sending;
    struct center *c = s->center;
    uint64_t wait_ms = (uint64_t)RETRY_FIRST_MS << (leg->tries < 6 ? leg->tries : 6);
    if (error != -HW_EBUSY && error != -HW_ESTORE && error != -HW_EDRAINING)
        leg->may_be_done = true;
    if (!c->is_stopping && loop_now_ms(c->loop) + wait_ms < s->give_up_ms) {
        c->count.append_retries++;
        loop_arm(c->loop, &leg->retry, wait_ms, append_again);
        return;
    }
    s->result.problem.outcome_unknown = s->result.problem.outcome_unknown || leg->may_be_done;
    problem_set(&s->result.problem, PROBLEM_store_unavailable, NULL, "the store: %s",
                hw_strerror(error));
    leg_ended(leg);
}

// No room for it; but an earlier try may still be on its way, and find some.
static void no_room(struct leg *leg, enum problem_code code, const char *why) {
    struct sending *s = leg->sending;
    struct problem *p = &s->result.problem;
    if (leg->may_be_done) {
        p->outcome_unknown = true;
        problem_set(p, PROBLEM_store_unavailable, NULL, "%s, or an earlier try has stored it", why);
    } else if (code == PROBLEM_idempotency_full || ++s->refused == s->leg_count) {
        problem_set(p, code, NULL, "%s", why); // a full inbox among many is left out
    }
}

static bool refusal(struct leg *leg, Hawser__Internal__AppendOutcome outcome) {
    struct problem *p = &leg->sending->result.problem;
    switch (outcome) {
    case HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED:
    case HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED:
        return false;
    case HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_MISMATCH:
        problem_set(p, PROBLEM_idempotency_mismatch, NULL,
                    "this Idempotency-Key was used with another body");
        break;
    case HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_TOO_LATE:
        problem_set(p, PROBLEM_store_unavailable, NULL, "the store was reached too late");
        break;
    case HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_FULL:
        no_room(leg, PROBLEM_inbox_full, "the inbox is full, and the product refuses more");
        break;
    case HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_IDS_FULL:
        no_room(leg, PROBLEM_idempotency_full, "too many Idempotency-Keys are remembered");
        break;
    case _HAWSER__INTERNAL__APPEND_OUTCOME_IS_INT_SIZE:
        break;
    }
    return true;
}

// An id that is there already is a client's replay, or our own repeat of an append that was done.
static void stored(struct leg *leg, const Hawser__Internal__AppendReply *reply) {
    struct sending *s = leg->sending;
    bool replayed = reply->outcome == HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED &&
                    s->push.idempotency_key && !leg->may_be_done;
    s->stored++;
    s->replays += replayed ? 1 : 0;
    if (s->leg_count == 1) {
        s->result.has_seq = true;
        s->result.seq = reply->seq;
    }
    if (s->leg_count == 1 || replayed) {
        s->result.sent_ms = reply->sent_ms;
        s->result.expires_ms = reply->expires_ms;
    }
    s->center->count.appends++;
    if (leg->target && !replayed)
        deliver_inbox(leg, reply);
    else if (!leg->target && !replayed)
        deliver_news(leg, reply);
    leg_ended(leg);
}

static void on_appended(void *arg, int error, const uint8_t *body, size_t len) {
    struct leg *leg = arg;
    Hawser__Internal__AppendReply *reply =
        error == 0 ? hawser__internal__append_reply__unpack(NULL, len, body) : NULL;
    if (!reply)
        missed_answer(leg, error ? error : -HW_EMALFORMED);
    else if (refusal(leg, reply->outcome))
        leg_ended(leg);
    else
        stored(leg, reply);
    if (reply)
        hawser__internal__append_reply__free_unpacked(reply, NULL);
}

static void append(struct leg *leg) {
    struct sending *s = leg->sending;
    struct cluster *cluster = s->center->cluster;
    Hawser__Internal__AppendRequest request = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m;
    Hawser__Internal__Audience audience;
    fill_message(s, leg->target, &m, &audience);
    request.product = s->product;
    request.stream = leg->target ? 0 : 1;
    request.user = (char *)(uintptr_t)(leg->target ? leg->target->user : "");
    request.message = &m;
    request.not_after_ms = s->not_after_ms;
    if (s->push.idempotency_key)
        request.body_hash = (ProtobufCBinaryData){sizeof(s->push.body_hash), s->push.body_hash};
    request.id_ttl_ms = s->id_kept_ms;
    request.limits = &s->limits;
    uint64_t key = (uint64_t)s->product << 10;
    if (leg->target)
        key |= bucket_of_user(leg->target->user, strlen(leg->target->user));
    leg->tries++;
    cluster_call(cluster, cluster_pick(cluster, "saver", key),
                 HAWSER__INTERNAL__SAVER_METHOD__SAVER_APPEND, &request.base, APPEND_MS,
                 on_appended, leg);
}

// --- a push

static void start_leg(struct sending *s, const struct target *t) {
    struct leg *leg = hw_calloc(1, sizeof(*leg));
    struct center *c = s->center;
    leg->sending = s;
    leg->target = t;
    leg->next = c->legs;
    if (leg->next)
        leg->next->prev = leg;
    c->legs = leg;
    if (!s->push.is_live)
        append(leg);
    else if (t)
        deliver_inbox(leg, NULL);
    else
        deliver_news(leg, NULL);
}

// A leg may end at once and come back here: started counts first.
static void start_legs(struct sending *s) {
    size_t count = s->leg_count;
    while (s->started < count && s->started - s->ended < LEGS_AT_ONCE) {
        const struct target *t = s->push.target_count ? &s->push.targets[s->started] : NULL;
        bool is_last = ++s->started == count;
        start_leg(s, t);
        if (is_last)
            return; // s may be gone
    }
}

void sends_end(struct center *c) {
    while (c->legs)
        missed_answer(c->legs, -HW_ECANCELLED);
}

static void refused(struct hook *h) {
    complete(container_of(h, struct sending, end));
}

static void take_limits(struct sending *s, const struct product *product) {
    const Hawser__Internal__ProductLimits *l = &product->limits;
    hawser__internal__inbox_limits__init(&s->limits);
    s->limits.messages = l->inbox_messages;
    s->limits.bytes = l->inbox_bytes;
    s->limits.retention_ms = l->retention_s * 1000;
    s->limits.reject_new = l->reject_new;
    s->limits.devices = (uint32_t)l->devices_per_user;
    s->limits.ids_max = l->idempotency_keys;
    s->id_kept_ms = s->push.idempotency_key ? l->idempotency_s * 1000 : ID_KEPT_MS;
}

void send_push(struct center *c, const struct product *product, struct push *push, sent_fn *done,
               void *arg) {
    struct sending *s = hw_calloc(1, sizeof(*s));
    uint64_t now = loop_now_ms(c->loop);
    s->center = c;
    s->product = product->number;
    s->push = *push;
    *push = (struct push){0};
    s->done = done;
    s->arg = arg;
    s->leg_count = s->push.target_count ? s->push.target_count : 1;
    s->give_up_ms = now + GIVE_UP_MS;
    s->not_after_ms = store_clock_ms(&c->clock) + LAST_MOMENT_MS;
    s->result.sent_ms = loop_wall_ms(c->loop);
    s->result.expires_ms =
        s->result.sent_ms + (s->push.ttl_ms ? s->push.ttl_ms : product->limits.retention_s * 1000);
    take_limits(s, product);
    message_id_make(loop_rng(c->loop), product, &s->push, s->result.id);
    c->count.pushes++;
    c->count.targets += s->leg_count;
    if (!s->push.is_live && !c->clock.is_known)
        problem_set(&s->result.problem, PROBLEM_store_unavailable, NULL, "no saver answers");
    else
        rate_take(c, product, s->leg_count, &s->result.problem);
    if (s->result.problem.code != PROBLEM_NONE)
        hook_schedule(c->loop, &s->end, refused);
    else
        start_legs(s); // calls complete later, but for a live broadcast without rooms
}
