// With an Idempotency-Key the append of one inbox or log is its own claim of the key: one step of
// the store. A push to many, and a live one, which is not appended, first claim the key in a record
// of its own: another body is refused before anything is stored, and the same body goes on where
// the first call ended, since the ids are made from the key. A push to more targets than are stored
// before its answer is stored whole, as a job (core/job.h), and spread behind the answer
// (spread.h).
#include "send.h"

#include "deliver.h"
#include "send_internal.h"
#include "shared_limits.h"
#include "spread.h"

enum {
    LEGS_AT_ONCE = 512,
    LEGS_AT_ONCE_MIN = 8,
    LEGS_BYTES = 1024 * 1024, // of payload, to be packed at once
    GIVE_UP_MS = 8000,
};

// --- the end of it

static void complete(struct sending *s) {
    struct sent *result = &s->result;
    bool is_live = s->push.class == PUSH_LIVE, has_claim = s->aim.needs_claim;
    bool all_replayed = s->replays > 0 && s->replays == s->stored;
    result->replayed = has_claim ? s->claim_replayed && (is_live || s->replays > 0) : all_replayed;
    bool some_have_it = s->stored > 0 || (is_live && result->online > 0);
    problem_of_push(&result->problem, some_have_it);
    s->sender.done(s->sender.arg, result);
    push_deinit(&s->push);
    free(s);
}

static void on_rejected(void *arg, int error, const Hawser__Internal__SumsReply *reply) {
    (void)error; // a count that is lost is no reason to refuse what is stored
    (void)reply;
    complete(arg);
}

// Targets whose inbox was full, of a push that others have: counted once, however often it is
// repeated.
static void tell_rejected(struct sending *s) {
    Hawser__Internal__SumsRequest request = HAWSER__INTERNAL__SUMS_REQUEST__INIT;
    uint8_t digest[32];
    crypto_sha256(s->aim.id, strlen(s->aim.id), digest);
    request.product = s->aim.product;
    request.rejected = s->refused;
    request.id = (ProtobufCBinaryData){SUMS_ID_BYTES, digest};
    saver_sums(saver_of_product(s->center->cluster, s->aim.product), &request, on_rejected, s);
}

static void all_ended(struct sending *s) {
    if (s->refused > 0 && s->result.problem.code == PROBLEM_NONE && !s->center->is_stopping)
        tell_rejected(s);
    else
        complete(s);
}

// --- its legs

static void start_legs(struct sending *s);

static struct leg *leg_new(struct sending *s, const struct target *t) {
    struct leg *leg = hw_calloc(1, sizeof(*leg));
    leg->sending = s;
    leg->target = t;
    LIST_INSERT_HEAD(&s->center->legs, leg, at_center);
    return leg;
}

static void leg_free(struct leg *leg) {
    loop_disarm(leg->sending->center->loop, &leg->timer);
    LIST_REMOVE(leg, at_center);
    free(leg);
}

static void claim_ended(struct sending *s) {
    bool is_over = s->push.class == PUSH_LIVE && s->claim_replayed;
    if (is_over || s->result.problem.code != PROBLEM_NONE)
        complete(s);
    else
        start_legs(s);
}

static void leg_ended(struct leg *leg) {
    struct sending *s = leg->sending;
    bool is_claim = leg->is_claim, is_job = leg->is_job;
    leg_free(leg);
    if (is_job) {
        complete(s);
        return;
    }
    if (is_claim) {
        claim_ended(s);
        return;
    }
    s->ended++;
    if (s->center->is_stopping)
        s->aim.logs = s->started; // no more of them
    if (s->ended == s->aim.logs)
        all_ended(s);
    else
        start_legs(s);
}

// --- found and delivered

static struct letter letter_of(const struct leg *leg, struct aimed *aimed) {
    const struct sending *s = leg->sending;
    aim_message(&s->push, &s->aim, leg->target, aimed);
    return (struct letter){.product = s->aim.product,
                           .user = leg->target ? leg->target->user : "",
                           .message = &aimed->message};
}

// The push does not wait for it: what is stored will be found.
static void deliver_stored(struct leg *leg, const Hawser__Internal__AppendReply *appended) {
    struct center *c = leg->sending->center;
    struct aimed aimed;
    struct letter letter = letter_of(leg, &aimed);
    aimed.message.sent_ms = appended->sent_ms;
    letter.epoch = appended->epoch;
    letter.seq = appended->seq;
    letter.change = appended->change;
    letter.arrivals = (struct arrivals){appended->epoch, appended->store, appended->arrivals};
    if (leg->target)
        deliver_to_user(c, &letter, NULL, NULL);
    else
        deliver_to_rooms(c, &letter, NULL, NULL);
}

static void on_live(void *arg, const struct delivered *d) {
    struct leg *leg = arg;
    struct sent *result = &leg->sending->result;
    result->online += d->handed_over;
    if (d->failed)
        problem_set(&result->problem, PROBLEM_store_unavailable, NULL,
                    "no register can be asked where the user is");
    leg_ended(leg);
}

static void deliver_live(struct leg *leg) {
    struct center *c = leg->sending->center;
    struct aimed aimed;
    struct letter letter = letter_of(leg, &aimed);
    if (leg->target)
        deliver_to_user(c, &letter, on_live, leg);
    else
        deliver_to_rooms(c, &letter, on_live, leg);
}

// --- appended

// A claim alone has stored no message; but a live one is not handed over again behind its claim.
static bool may_be_stored(const struct leg *leg) {
    return leg->retry.may_be_done && (!leg->is_claim || leg->sending->push.class == PUSH_LIVE);
}

// A full inbox among many is left out.
static void refused(struct sending *s, const struct verdict *v) {
    struct problem *p = &s->result.problem;
    if (v->problem == PROBLEM_inbox_full && ++s->refused < s->aim.logs)
        return;
    p->outcome_unknown = p->outcome_unknown || v->outcome == OUTCOME_UNKNOWN;
    problem_set(p, v->problem, v->field, "%s%s", v->why,
                v->outcome == OUTCOME_UNKNOWN ? "; it may have been stored" : "");
}

static void claimed(struct sending *s, const Hawser__Internal__AppendReply *reply) {
    s->claim_replayed = reply->outcome == HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED &&
                        reply->epoch != s->claim;
    s->claim_of_key = reply->epoch;
    aim_claimed(&s->aim, reply);
    s->result.expires_ms = s->aim.expires_ms;
}

static void stored(struct leg *leg, const Hawser__Internal__AppendReply *reply) {
    struct sending *s = leg->sending;
    bool replayed = s->push.idempotency_key && retry_is_replay(&leg->retry, reply->outcome);
    s->stored++;
    s->replays += replayed ? 1 : 0;
    if (leg->is_job) {
        spread_wake(s->center);
        return;
    }
    if (s->aim.logs == 1) {
        s->result.has_seq = true;
        s->result.seq = reply->seq;
    }
    if (s->aim.logs == 1 && !s->aim.needs_claim)
        s->result.expires_ms = reply->expires_ms;
    s->center->count.appends++;
    if (!replayed)
        deliver_stored(leg, reply);
}

static void send_on_answer(struct leg *leg, int error, const Hawser__Internal__AppendReply *reply) {
    bool before = may_be_stored(leg);
    struct verdict v =
        reply ? verdict_of_append(reply->outcome, before) : verdict_of_silence(error, before);
    if (v.outcome != OUTCOME_DONE)
        refused(leg->sending, &v);
    else if (leg->is_claim)
        claimed(leg->sending, reply);
    else
        stored(leg, reply);
    leg_ended(leg);
}

// --- a push

static void start_leg(struct sending *s, const struct target *t) {
    struct leg *leg = leg_new(s, t);
    if (s->push.class != PUSH_LIVE)
        append_leg(leg, send_on_answer);
    else
        deliver_live(leg);
}

static void start_job(struct sending *s) {
    struct leg *leg = leg_new(s, NULL);
    leg->is_job = true;
    append_leg(leg, send_on_answer);
}

// A leg may end at once and come back here: started counts first.
static void start_legs(struct sending *s) {
    if (s->aim.is_job) {
        start_job(s);
        return;
    }
    size_t count = s->aim.logs, at_once = LEGS_BYTES / (s->push.payload.len + 1);
    at_once = at_once > LEGS_AT_ONCE ? LEGS_AT_ONCE : at_once;
    at_once = at_once < LEGS_AT_ONCE_MIN ? LEGS_AT_ONCE_MIN : at_once;
    while (s->started < count && s->started - s->ended < at_once) {
        const struct target *t = aim_target(&s->push, s->started);
        bool is_last = ++s->started == count;
        start_leg(s, t);
        if (is_last)
            return; // s may be gone
    }
}

static void start_claim(struct sending *s) {
    struct leg *leg = leg_new(s, NULL);
    leg->is_claim = true;
    s->claim = rng_epoch(loop_rng(s->center->loop));
    append_leg(leg, send_on_answer);
}

// Whether it can be done now: asked before it is aimed, which takes long for many targets.
static bool is_admitted(struct sending *s, const struct product *product) {
    struct center *c = s->center;
    const struct pace_ask ask = {product->number, product->limits.push_per_s, aim_logs(&s->push)};
    bool needs_store = s->push.class != PUSH_LIVE || s->push.idempotency_key;
    if (needs_store && !c->clock.is_known)
        return problem_set(&s->result.problem, PROBLEM_store_unavailable, NULL, "no saver answers");
    return pace_take(&c->paces, &ask, loop_now_ms(c->loop)) ||
           problem_set(&s->result.problem, PROBLEM_rate_limited, NULL,
                       "more than %llu pushes a second", (unsigned long long)ask.per_s);
}

static void aim(struct sending *s, const struct product *product) {
    struct center *c = s->center;
    struct aim_from from = {.product = product->number,
                            .limits = &product->limits,
                            .store_ms = store_clock_ms(&c->clock),
                            .wall_ms = loop_wall_ms(c->loop)};
    rng_16_bytes(loop_rng(c->loop), from.random);
    s->aim = aim_push(&s->push, &from);
    s->result.expires_ms = s->aim.expires_ms;
    memcpy(s->result.id, s->aim.id, sizeof(s->result.id));
    c->count.pushes++;
    c->count.targets += s->aim.logs;
}

void send_push(struct center *c, const struct product *product, struct push *push,
               struct sender sender) {
    struct sending *s = hw_calloc(1, sizeof(*s));
    s->center = c;
    s->push = *push;
    *push = (struct push){0};
    s->sender = sender;
    s->give_up_ms = loop_now_ms(c->loop) + GIVE_UP_MS;
    if (!is_admitted(s, product)) {
        complete(s);
        return;
    }
    aim(s, product);
    if (s->aim.needs_claim)
        start_claim(s);
    else
        start_legs(s);
}

void sends_end(struct center *c) {
    while (!LIST_EMPTY(&c->legs))
        append_missed(LIST_FIRST(&c->legs), -HW_ECANCELLED);
}
