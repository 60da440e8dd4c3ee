// One push on its way: append, and only then find and deliver. The answer is ready when the log has
// it everywhere; what follows is a hint that may get lost.
//
// Whoever misses an answer repeats the append: the id makes it harmless. A push ends as
// "outcome unknown" only when the last try may have been done.
//
// With an Idempotency-Key the append of one inbox or log is its own claim of the key: one step of
// the store. A push to many, and a live one, which is not appended, first claim the key in a record
// of its own: another body is refused before anything is stored, and the same body goes on where
// the first call ended, since the ids are made from the key.
#include "message.h"
#include "send_internal.h"

enum {
    LEGS_AT_ONCE = 512,
    LEGS_AT_ONCE_MIN = 8,
    LEGS_BYTES = 1024 * 1024, // of payload, to be packed at once
    LAST_MOMENT_MS = 10000,   // an append later than this is refused by the store
    GIVE_UP_MS = 8000,
    RETRY_FIRST_MS = 20,
    ID_KEPT_MS = 30000,
    CLAIM_KEPT_MORE_MS = 60000, // than the ids of its appends
    SUMS_ID_BYTES = 16,
};

void message_fill(const struct sending *s, const struct target *t,
                  Hawser__Internal__StoredMessage *m, Hawser__Internal__Audience *audience) {
    const struct push *push = &s->push;
    hawser__internal__stored_message__init(m);
    m->id = (char *)(uintptr_t)s->result.id;
    m->payload = (ProtobufCBinaryData){push->payload.len, push->payload.data};
    m->sent_ms = s->result.sent_ms;
    m->expires_ms = push->ttl_ms ? s->result.expires_ms : 0;
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

// --- the end of it

static void append(struct leg *leg);

static void start_legs(struct sending *s);

static void complete(struct sending *s) {
    struct sent *result = &s->result;
    bool all_replayed = s->replays > 0 && s->replays == s->stored;
    result->replayed =
        s->claim ? s->claim_replayed && (s->push.is_live || s->replays > 0) : all_replayed;
    bool some_have_it = s->stored > 0 || (s->push.is_live && result->online > 0);
    if (some_have_it && result->problem.code != PROBLEM_NONE) {
        result->problem.code = PROBLEM_store_unavailable;
        result->problem.outcome_unknown = true;
    }
    s->done(s->arg, result);
    push_deinit(&s->push);
    free(s);
}

static void on_rejected(void *arg, int error, const Hawser__Internal__SumsReply *reply) {
    (void)error; // a figure that is lost is no reason to refuse what is stored
    (void)reply;
    complete(arg);
}

// Targets that had no room, of a push that others have: counted once, however often it is repeated.
static void tell_rejected(struct sending *s) {
    struct cluster *cluster = s->center->cluster;
    Hawser__Internal__SumsRequest request = HAWSER__INTERNAL__SUMS_REQUEST__INIT;
    uint8_t digest[32];
    crypto_sha256(s->result.id, strlen(s->result.id), digest);
    request.product = s->product;
    request.rejected = s->refused;
    request.id = (ProtobufCBinaryData){SUMS_ID_BYTES, digest};
    saver_sums(saver_of_product(cluster, s->product), &request, on_rejected, s);
}

static void all_ended(struct sending *s) {
    if (s->refused > 0 && s->result.problem.code == PROBLEM_NONE && !s->center->is_stopping)
        tell_rejected(s);
    else
        complete(s);
}

static void claim_ended(struct sending *s) {
    bool is_over = s->push.is_live && s->claim_replayed;
    if (is_over || s->result.problem.code != PROBLEM_NONE)
        complete(s);
    else
        start_legs(s);
}

void leg_ended(struct leg *leg) {
    struct sending *s = leg->sending;
    struct center *c = s->center;
    bool is_claim = leg->is_claim;
    loop_disarm(c->loop, &leg->retry);
    *(leg->prev ? &leg->prev->next : &c->legs) = leg->next;
    if (leg->next)
        leg->next->prev = leg->prev;
    free(leg);
    if (is_claim) {
        claim_ended(s);
        return;
    }
    s->ended++;
    if (c->is_stopping)
        s->leg_count = s->started; // no more of them
    if (s->ended == s->leg_count)
        all_ended(s);
    else
        start_legs(s);
}

// --- append

static void append_again(struct timer *t) {
    append(container_of(t, struct leg, retry));
}

// A claim alone has stored no message; but a live one is not handed over again behind its claim.
static bool may_be_stored(const struct leg *leg) {
    return leg->may_be_done && (!leg->is_claim || leg->sending->push.is_live);
}

static void missed_answer(struct leg *leg, int error) {
    struct sending *s = leg->sending;
    struct center *c = s->center;
    struct problem *p = &s->result.problem;
    uint64_t wait_ms = (uint64_t)RETRY_FIRST_MS << (leg->tries < 6 ? leg->tries : 6);
    if (may_be_done(error, leg->was_up))
        leg->may_be_done = true;
    if (!c->is_stopping && loop_now_ms(c->loop) + wait_ms < s->give_up_ms) {
        c->count.append_retries++;
        loop_arm(c->loop, &leg->retry, wait_ms, append_again);
        return;
    }
    p->outcome_unknown = p->outcome_unknown || may_be_stored(leg);
    problem_set(p, PROBLEM_store_unavailable, NULL, "the store: %s", hw_strerror(error));
    leg_ended(leg);
}

// No room for it; but an earlier try may still be on its way, and find some.
static void no_room(struct leg *leg, enum problem_code code, const char *why) {
    struct sending *s = leg->sending;
    struct problem *p = &s->result.problem;
    if (may_be_stored(leg)) {
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

// The first claim gives the times, and how long its appends are remembered: never longer than the
// claim, or another body would later be taken for one that is there.
static void claimed(struct sending *s, const Hawser__Internal__AppendReply *reply) {
    uint64_t end_ms = reply->sent_ms + s->id_kept_ms, now_ms = reply->store_ms;
    s->claim_replayed = reply->outcome == HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED &&
                        reply->epoch != s->claim;
    s->result.sent_ms = reply->sent_ms;
    s->result.expires_ms = reply->expires_ms;
    s->id_kept_ms = end_ms > now_ms + ID_KEPT_MS ? end_ms - now_ms : ID_KEPT_MS;
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
    if (s->leg_count == 1 && !s->claim) {
        s->result.sent_ms = reply->sent_ms;
        s->result.expires_ms = reply->expires_ms;
    }
    s->center->count.appends++;
    if (leg->target && !replayed)
        deliver_inbox(leg, reply);
    else if (!leg->target && !replayed)
        deliver_news(leg, reply);
}

static void on_appended(void *arg, int error, const Hawser__Internal__AppendReply *reply) {
    struct leg *leg = arg;
    if (!reply) {
        missed_answer(leg, error);
        return;
    }
    if (!refusal(leg, reply->outcome)) {
        if (leg->is_claim)
            claimed(leg->sending, reply);
        else
            stored(leg, reply);
    }
    leg_ended(leg);
}

// A claim lies where the one append would: in the user's bucket, or in the product's own.
static const struct target *place_of(const struct leg *leg) {
    const struct push *push = &leg->sending->push;
    return leg->is_claim && push->kind == TO_USER ? &push->targets[0] : leg->target;
}

static void append_fill(const struct leg *leg, Hawser__Internal__AppendRequest *request,
                        Hawser__Internal__StoredMessage *m) {
    struct sending *s = leg->sending;
    const struct target *at = place_of(leg);
    request->product = s->product;
    request->stream = at ? 0 : 1;
    request->user = (char *)(uintptr_t)(at ? at->user : "");
    request->message = m;
    request->not_after_ms = s->not_after_ms;
    request->id_ttl_ms = s->id_kept_ms;
    request->limits = &s->limits;
    if (leg->is_claim) {
        request->claim = s->claim;
        request->id_ttl_ms += s->push.is_live ? 0 : CLAIM_KEPT_MORE_MS;
        m->payload.len = 0; // nothing of it is kept
        m->expires_ms = s->result.expires_ms;
    }
    if (s->push.idempotency_key && (leg->is_claim || !s->claim)) // one hash a key
        request->body_hash = (ProtobufCBinaryData){sizeof(s->push.body_hash), s->push.body_hash};
}

static void append(struct leg *leg) {
    struct sending *s = leg->sending;
    struct cluster *cluster = s->center->cluster;
    Hawser__Internal__AppendRequest request = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m;
    Hawser__Internal__Audience audience;
    const struct target *at = place_of(leg);
    message_fill(s, leg->target, &m, &audience);
    append_fill(leg, &request, &m);
    struct peer saver =
        at ? saver_of(cluster, s->product, at->user) : saver_of_product(cluster, s->product);
    leg->tries++;
    leg->was_up = peer_is_up(saver);
    saver_append(saver, &request, on_appended, leg);
}

// --- a push

static struct leg *leg_new(struct sending *s, const struct target *t) {
    struct leg *leg = hw_calloc(1, sizeof(*leg));
    struct center *c = s->center;
    leg->sending = s;
    leg->target = t;
    leg->next = c->legs;
    if (leg->next)
        leg->next->prev = leg;
    c->legs = leg;
    return leg;
}

static void start_leg(struct sending *s, const struct target *t) {
    struct leg *leg = leg_new(s, t);
    if (!s->push.is_live)
        append(leg);
    else if (t)
        deliver_inbox(leg, NULL);
    else
        deliver_news(leg, NULL);
}

// A leg may end at once and come back here: started counts first.
static void start_legs(struct sending *s) {
    size_t count = s->leg_count, at_once = LEGS_BYTES / (s->push.payload.len + 1);
    at_once = at_once > LEGS_AT_ONCE ? LEGS_AT_ONCE : at_once;
    at_once = at_once < LEGS_AT_ONCE_MIN ? LEGS_AT_ONCE_MIN : at_once;
    while (s->started < count && s->started - s->ended < at_once) {
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

static void on_refused(struct timer *t) {
    leg_ended(container_of(t, struct leg, retry));
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

// All times are the store's: a message lives as long everywhere, whatever a center's clock says.
static void take_times(struct sending *s, const struct product *product) {
    const struct center *c = s->center;
    uint64_t now = loop_now_ms(c->loop);
    uint64_t store_ms = store_clock_ms(&c->clock);
    uint64_t life_ms = s->push.ttl_ms ? s->push.ttl_ms : product->limits.retention_s * 1000;
    s->give_up_ms = now + GIVE_UP_MS;
    s->not_after_ms = store_ms + LAST_MOMENT_MS;
    s->result.sent_ms = store_ms ? store_ms : loop_wall_ms(c->loop);
    s->result.expires_ms = s->result.sent_ms + life_ms;
}

static bool needs_claim(const struct push *push) {
    return push->idempotency_key &&
           (push->is_live || push->kind == TO_USERS || push->kind == TO_DEVICES);
}

static void begin(struct sending *s) {
    struct center *c = s->center;
    if (s->result.problem.code != PROBLEM_NONE || needs_claim(&s->push)) {
        struct leg *leg = leg_new(s, NULL);
        leg->is_claim = true;
        s->claim = rng_epoch(loop_rng(c->loop));
        if (s->result.problem.code == PROBLEM_NONE)
            append(leg);
        else
            loop_arm(c->loop, &leg->retry, 0, on_refused); // not before this call returns
    } else {
        start_legs(s); // calls complete later, but for a live broadcast without rooms
    }
}

void send_push(struct center *c, const struct product *product, struct push *push, sent_fn *done,
               void *arg) {
    struct sending *s = hw_calloc(1, sizeof(*s));
    s->center = c;
    s->product = product->number;
    s->push = *push;
    *push = (struct push){0};
    s->done = done;
    s->arg = arg;
    s->leg_count = s->push.target_count ? s->push.target_count : 1;
    take_limits(s, product);
    take_times(s, product);
    message_id_make(loop_rng(c->loop), product, &s->push, s->result.id);
    c->count.pushes++;
    c->count.targets += s->leg_count;
    if (!c->clock.is_known && (!s->push.is_live || s->push.idempotency_key))
        problem_set(&s->result.problem, PROBLEM_store_unavailable, NULL, "no saver answers");
    else
        rate_take(c, product, s->leg_count, &s->result.problem);
    begin(s);
}
