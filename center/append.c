// One append of a push: to a user's inbox, to the product's news, or the claim of its key. Whoever
// misses an answer repeats it: the id makes that harmless.
#include "job.h"
#include "send_internal.h"
#include "streams.h"

static void try_append(struct leg *leg);

static void append_try_again(struct timer *t) {
    try_append(container_of(t, struct leg, timer));
}

void append_missed(struct leg *leg, int error) {
    struct center *c = leg->sending->center;
    uint64_t wait_ms = 0;
    enum outcome outcome = outcome_of_error(error, leg->was_up);
    bool again = retry_missed(&leg->retry, outcome, loop_now_ms(c->loop), &wait_ms);
    if (again && !is_lasting_error(error, leg->retry.tries) && !c->is_stopping) {
        c->count.append_retries++;
        loop_arm(c->loop, &leg->timer, wait_ms, append_try_again);
    } else {
        leg->done(leg, error, NULL);
    }
}

static void on_appended(void *arg, int error, const Hawser__Internal__AppendReply *reply) {
    struct leg *leg = arg;
    if (reply)
        leg->done(leg, 0, reply);
    else
        append_missed(leg, error);
}

static void make_claim(const struct leg *leg, Hawser__Internal__AppendRequest *request) {
    const struct sending *s = leg->sending;
    request->claim = s->claim;
    request->id_ttl_ms += s->push.class == PUSH_LIVE ? 0 : CLAIM_KEPT_MORE_MS;
    request->message->payload.len = 0; // nothing of it is kept
    request->message->expires_ms = s->aim.expires_ms;
}

// --- a job is put whole, and answered as an append is

static void on_job_put(void *arg, int error, const Hawser__Internal__JobPutReply *reply) {
    Hawser__Internal__AppendReply as_append = HAWSER__INTERNAL__APPEND_REPLY__INIT;
    if (reply) {
        as_append.outcome = reply->outcome;
        as_append.store_ms = reply->store_ms;
    }
    on_appended(arg, error, reply ? &as_append : NULL);
}

static void try_job(struct leg *leg) {
    struct sending *s = leg->sending;
    struct peer saver = saver_of_product(s->center->cluster, s->aim.product);
    struct job_put put;
    job_put_make(&put, &s->push, &s->aim);
    put.request.claim = s->claim_of_key;
    leg->retry.tries++;
    leg->was_up = peer_is_up(saver);
    saver_job_put(saver, &put.request, on_job_put, leg);
    job_put_deinit(&put);
}

// --- a try

static void try_append(struct leg *leg) {
    struct sending *s = leg->sending;
    if (leg->is_job) {
        try_job(leg);
        return;
    }
    struct cluster *cluster = s->center->cluster;
    Hawser__Internal__AppendRequest request = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    struct aimed aimed;
    const char *user = leg->is_claim ? aim_claim_user(&s->push)
                       : leg->target ? leg->target->user
                                     : NULL;
    aim_message(&s->push, &s->aim, leg->target, &aimed);
    request.product = s->aim.product;
    request.stream = user ? STREAM_INBOX : STREAM_NEWS;
    request.user = (char *)(uintptr_t)(user ? user : "");
    request.message = &aimed.message;
    request.not_after_ms = s->aim.not_after_ms;
    request.id_ttl_ms = s->aim.id_kept_ms;
    request.limits = &s->aim.limits;
    if (leg->is_claim)
        make_claim(leg, &request);
    if (s->push.idempotency_key && leg->is_claim == s->aim.needs_claim) // one hash a key
        request.body_hash = (ProtobufCBinaryData){sizeof(s->push.body_hash), s->push.body_hash};
    struct peer saver =
        user ? saver_of(cluster, s->aim.product, user) : saver_of_product(cluster, s->aim.product);
    leg->retry.tries++;
    leg->was_up = peer_is_up(saver);
    saver_append(saver, &request, on_appended, leg);
}

void append_leg(struct leg *leg, leg_fn *done) {
    leg->done = done;
    leg->retry.give_up_ms = leg->sending->give_up_ms;
    try_append(leg);
}
