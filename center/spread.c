#include "spread.h"

#include <string.h>

#include "center_internal.h"
#include "deliver.h"
#include "job.h"
#include "message.h"
#include "retry.h"
#include "streams.h"

enum {
    SPREAD_ASK_MS = 1000, // a part that is free is seen by then
    PARTS_AT_ONCE = 2,
    ROUND_MAX = 128, // targets between two words of how far it has come
    ROUND_MIN = 2,
    ROUND_BYTES = 256 * 1024, // of payload: what else goes to that saver waits behind it
};

struct job_part {
    LIST_ENTRY(job_part) at_center;
    struct center *center;
    Hawser__Internal__JobTakeReply *taken; // owned
    uint64_t held_ms;                      // by the loop: the lease lasts from then on, at least
    uint64_t asked_ms;                     // when it was last to be renewed
    uint64_t until_ms;                     // its end, by the store's clock
    uint64_t cursor, rejected;
    size_t count, open, missed; // of this round: targets, calls, those without an answer
    bool is_done[ROUND_MAX];    // of these targets
    bool is_lost;
    struct retry retry;
    struct timer timer; // until the next try
};

struct part_append {
    struct job_part *part;
    size_t at; // in the round
};

static void spread_ask(struct center *c);

static void part_over(struct job_part *part, bool is_done) {
    struct center *c = part->center;
    if (is_done)
        c->count.parts++;
    else
        c->count.parts_lost++;
    loop_disarm(c->loop, &part->timer);
    LIST_REMOVE(part, at_center);
    c->spread.under_way--;
    hawser__internal__job_take_reply__free_unpacked(part->taken, NULL);
    free(part);
}

// When its lease has ended another center has it.
static void part_given_up(struct job_part *part) {
    part_over(part, false);
}

// --- its targets' inboxes

static const Hawser__Internal__JobTarget *part_target(const struct job_part *part, size_t i) {
    return part->taken->targets->target[i];
}

static void message_for(const struct job_part *part, size_t i,
                        Hawser__Internal__StoredMessage *ret) {
    const Hawser__Internal__JobTarget *target = part_target(part, i);
    *ret = *part->taken->job->message;
    ret->n_device = target->n_device;
    ret->device = target->device;
}

static void append_for(const struct job_part *part, size_t i,
                       Hawser__Internal__StoredMessage *message,
                       Hawser__Internal__AppendRequest *ret) {
    hawser__internal__append_request__init(ret);
    message_for(part, i, message);
    ret->product = part->taken->product;
    ret->stream = STREAM_INBOX;
    ret->user = part_target(part, i)->user;
    ret->message = message;
    ret->limits = part->taken->job->limits;
}

// --- a part that is done needs its ids no longer than others are kept: no lease of it is left

static void on_id_settled(void *arg, int error, const Hawser__Internal__AppendReply *reply) {
    (void)arg; // then the id is remembered as long as the message lives
    (void)error;
    (void)reply;
}

static void settle_ids(const struct job_part *part) {
    struct cluster *cluster = part->center->cluster;
    for (size_t i = 0; i < part->taken->targets->n_target; i++) {
        Hawser__Internal__StoredMessage message;
        Hawser__Internal__AppendRequest request;
        append_for(part, i, &message, &request);
        message.payload.len = 0;
        request.settles = true;
        request.id_ttl_ms = ID_KEPT_MS;
        saver_append(saver_of(cluster, request.product, request.user), &request, on_id_settled,
                     NULL);
    }
}

// --- how far it has come

static void next_round(struct job_part *part);
static void try_round(struct job_part *part);
static void advance(struct job_part *part);

// Whether another try is due, and in how long: as long as the lease lasts for sure.
static bool part_waits(struct job_part *part, timer_fn *again) {
    struct center *c = part->center;
    uint64_t wait_ms = 0;
    part->retry.give_up_ms = part->held_ms + JOB_LEASE_MS;
    if (c->is_stopping ||
        !retry_missed(&part->retry, OUTCOME_UNKNOWN, loop_now_ms(c->loop), &wait_ms))
        return false;
    loop_arm(c->loop, &part->timer, wait_ms, again);
    return true;
}

static void advance_again(struct timer *t) {
    advance(container_of(t, struct job_part, timer));
}

static void on_advanced(void *arg, int error, const Hawser__Internal__JobAdvanceReply *reply) {
    struct job_part *part = arg;
    struct center *c = part->center;
    (void)error;
    if (!reply) {
        if (!part_waits(part, advance_again))
            part_given_up(part);
        return;
    }
    if (reply->stale) {
        part_given_up(part);
        return;
    }
    part->held_ms = part->asked_ms;
    part->until_ms = reply->until_ms;
    if (part->cursor < part->taken->targets->n_target) {
        next_round(part);
        return;
    }
    settle_ids(part);
    part_over(part, true);
    spread_ask(c);
}

static void advance(struct job_part *part) {
    Hawser__Internal__JobAdvanceRequest request = HAWSER__INTERNAL__JOB_ADVANCE_REQUEST__INIT;
    struct center *c = part->center;
    request.product = part->taken->product;
    request.job = part->taken->job->message->id;
    request.part = part->taken->part;
    request.number = part->taken->number;
    request.cursor = part->cursor;
    request.rejected = part->rejected;
    request.ends = part->cursor == part->taken->targets->n_target;
    request.lease_ms = JOB_LEASE_MS;
    part->asked_ms = loop_now_ms(c->loop);
    part->retry.tries++;
    saver_job_advance(saver_of_product(c->cluster, request.product), &request, on_advanced, part);
}

// --- a round: so many targets at once

static void round_again(struct timer *t) {
    try_round(container_of(t, struct job_part, timer));
}

static void round_over(struct job_part *part) {
    if (part->is_lost || part->center->is_stopping) {
        part_given_up(part);
    } else if (part->missed > 0) {
        if (!part_waits(part, round_again))
            part_given_up(part);
    } else {
        part->cursor += part->count;
        part->retry = (struct retry){0};
        advance(part);
    }
}

// Also of one that was there: who appended it may have died before it told anybody.
static void deliver_of_part(struct job_part *part, size_t i,
                            const Hawser__Internal__AppendReply *reply) {
    Hawser__Internal__StoredMessage message;
    message_for(part, i, &message);
    message.sent_ms = reply->sent_ms;
    const struct letter letter = {
        .product = part->taken->product,
        .user = part_target(part, i)->user,
        .message = &message,
        .epoch = reply->epoch,
        .seq = reply->seq,
        .change = reply->change,
        .arrivals = {reply->epoch, reply->store, reply->arrivals},
    };
    deliver_to_user(part->center, &letter, NULL, NULL);
}

static void part_appended(struct job_part *part, size_t at,
                          const Hawser__Internal__AppendReply *reply) {
    struct verdict v = verdict_of_append(reply->outcome, false);
    if (reply->outcome == HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_TOO_LATE) {
        part->is_lost = true; // the lease is over
        return;
    }
    part->is_done[at] = true;
    if (v.outcome == OUTCOME_DONE) {
        part->center->count.appends++;
        deliver_of_part(part, part->cursor + at, reply);
    } else { // nobody could store it
        part->center->count.rejected++;
        part->rejected++;
    }
}

static void on_part_appended(void *arg, int error, const Hawser__Internal__AppendReply *reply) {
    struct part_append *append = arg;
    struct job_part *part = append->part;
    (void)error;
    if (reply)
        part_appended(part, append->at, reply);
    else
        part->missed++;
    free(append);
    if (--part->open == 0)
        round_over(part);
}

static void append_one(struct job_part *part, size_t at) {
    struct cluster *cluster = part->center->cluster;
    Hawser__Internal__StoredMessage message;
    Hawser__Internal__AppendRequest request;
    struct part_append *append = hw_malloc(sizeof(*append));
    *append = (struct part_append){part, at};
    append_for(part, part->cursor + at, &message, &request);
    uint64_t end_ms = part->taken->job->expires_ms + JOB_ID_KEPT_MORE_MS;
    request.not_after_ms = part->until_ms;
    request.id_ttl_ms = end_ms > part->until_ms ? end_ms - part->until_ms : ID_KEPT_MS;
    part->open++;
    saver_append(saver_of(cluster, request.product, request.user), &request, on_part_appended,
                 append);
}

static void try_round(struct job_part *part) {
    part->missed = 0;
    part->retry.tries++;
    for (size_t at = 0; at < part->count; at++)
        if (!part->is_done[at])
            append_one(part, at);
}

static void next_round(struct job_part *part) {
    size_t left = part->taken->targets->n_target - part->cursor;
    size_t most = ROUND_BYTES / (part->taken->job->message->payload.len + 1);
    most = most > ROUND_MAX ? ROUND_MAX : most < ROUND_MIN ? ROUND_MIN : most;
    part->count = left < most ? left : most;
    part->retry = (struct retry){0};
    memset(part->is_done, 0, sizeof(part->is_done));
    try_round(part);
}

// --- parts are taken

static void part_begin(struct center *c, const Hawser__Internal__JobTakeReply *taken,
                       uint64_t asked_ms) {
    struct job_part *part = hw_calloc(1, sizeof(*part));
    part->center = c;
    part->taken = (Hawser__Internal__JobTakeReply *)message_copy(&taken->base);
    part->held_ms = asked_ms;
    part->until_ms = taken->until_ms;
    part->cursor = taken->cursor;
    part->rejected = taken->rejected;
    LIST_INSERT_HEAD(&c->spread.parts, part, at_center);
    c->spread.under_way++;
    if (part->cursor < part->taken->targets->n_target)
        next_round(part);
    else
        advance(part); // all but the last word of it was said
}

static void on_taken(void *arg, int error, const Hawser__Internal__JobTakeReply *reply) {
    struct center *c = arg;
    (void)error;
    c->spread.is_asking = false;
    if (!reply || reply->product == 0 || !reply->job || !reply->targets || c->is_stopping)
        return;
    part_begin(c, reply, c->spread.asked_ms);
    spread_ask(c); // there may be more
}

static void spread_ask(struct center *c) {
    Hawser__Internal__JobTakeRequest request = HAWSER__INTERNAL__JOB_TAKE_REQUEST__INIT;
    struct spread *s = &c->spread;
    if (s->is_asking || s->under_way >= PARTS_AT_ONCE || c->is_draining || c->is_stopping)
        return;
    s->is_asking = true;
    s->asked_ms = loop_now_ms(c->loop);
    request.lease_ms = JOB_LEASE_MS;
    saver_job_take(saver_of_product(c->cluster, 0), &request, on_taken, c);
}

static void on_spread_tick(struct timer *t) {
    struct center *c = container_of(t, struct center, spread.timer);
    loop_arm(c->loop, &c->spread.timer, SPREAD_ASK_MS, on_spread_tick);
    spread_ask(c);
}

void spread_wake(struct center *c) {
    spread_ask(c);
}

void spread_start(struct center *c) {
    loop_arm(c->loop, &c->spread.timer, SPREAD_ASK_MS, on_spread_tick);
}

void spread_end(struct center *c) {
    loop_disarm(c->loop, &c->spread.timer);
    while (!LIST_EMPTY(&c->spread.parts))
        part_given_up(LIST_FIRST(&c->spread.parts));
}
