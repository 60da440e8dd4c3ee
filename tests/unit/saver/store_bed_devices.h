// Devices and sums of a store under test.
#ifndef HW_STORE_BED_DEVICES_H
#define HW_STORE_BED_DEVICES_H

#include "store_bed.h"

struct login {
    const char *user, *device;
    uint64_t generation;
    bool have; // of one stream
    uint32_t stream;
    uint64_t epoch, seq;
    uint32_t devices_max; // 0 = 16
    bool twice;           // an ack that says its position twice
    const char *known[4];
};

static bool was_known; // the device, at the last attach

// "0:4 1:0 2:0", a stream that was reset with a "!" behind, or "stale".
static inline const char *bed_attach(struct bed *b, const struct login *l) {
    Hawser__Internal__AttachRequest q = HAWSER__INTERNAL__ATTACH_REQUEST__INIT;
    Hawser__Internal__StreamPosition have = HAWSER__INTERNAL__STREAM_POSITION__INIT;
    Hawser__Internal__StreamPosition *haves[] = {&have};
    q.product = 1;
    q.user = (char *)(uintptr_t)l->user;
    q.device = (char *)(uintptr_t)l->device;
    q.generation = l->generation;
    q.devices_max = l->devices_max ? l->devices_max : 16;
    q.known = (char **)(uintptr_t)l->known;
    while (q.n_known < 4 && l->known[q.n_known])
        q.n_known++;
    have.stream = l->stream;
    have.epoch = l->epoch;
    have.seq = l->seq;
    q.have = haves;
    q.n_have = l->have ? 1 : 0;
    const Hawser__Internal__AttachReply *reply = bed_ask(b, &q.base);
    b->text[0] = '\0';
    was_known = reply->known;
    if (reply->stale)
        bed_printf(b, "stale");
    ck_assert_uint_eq(reply->n_stream, reply->stale ? 0 : STREAMS);
    for (size_t i = 0; i < reply->n_stream; i++) {
        const Hawser__Internal__AttachedStream *s = reply->stream[i];
        ck_assert_uint_eq(s->stream, i);
        ck_assert(s->epoch != 0 && s->after <= s->head);
        bed_printf(b, "%s%zu:%" PRIu64 "%s", i > 0 ? " " : "", i, s->after, s->reset ? "!" : "");
    }
    return b->text;
}
#define ATTACH(b, ...) bed_attach(b, &(const struct login){__VA_ARGS__})

// Whether it was stale.
static inline bool bed_ack(struct bed *b, const struct login *l) {
    Hawser__Internal__AckRequest q = HAWSER__INTERNAL__ACK_REQUEST__INIT;
    Hawser__Internal__StreamPosition upto = HAWSER__INTERNAL__STREAM_POSITION__INIT;
    Hawser__Internal__StreamPosition *uptos[] = {&upto, &upto};
    upto.stream = l->stream;
    upto.epoch = l->epoch ? l->epoch : bed_head(b, l->stream, l->user).epoch;
    upto.seq = l->seq;
    q.product = 1;
    q.user = (char *)(uintptr_t)l->user;
    q.device = (char *)(uintptr_t)l->device;
    q.generation = l->generation;
    q.upto = uptos;
    q.n_upto = l->twice ? 2 : 1;
    return ((const Hawser__Internal__AckReply *)bed_ask(b, &q.base))->stale;
}
#define ACK(b, ...) bed_ack(b, &(const struct login){__VA_ARGS__})

// "pending 2: a=4/0/0 b=1/0/0", devices in the order of their names.
static inline const char *bed_user(struct bed *b, const char *user) {
    Hawser__Internal__UserRequest q = HAWSER__INTERNAL__USER_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)(uintptr_t)user;
    const Hawser__Internal__UserReply *reply = bed_ask(b, &q.base);
    snprintf(b->text, sizeof(b->text), "pending %" PRIu64 ":", reply->pending);
    if (reply->parked > 0)
        snprintf(b->text, sizeof(b->text), "pending %" PRIu64 " parked %" PRIu64 ":",
                 reply->pending, reply->parked);
    const char *last = "";
    for (size_t n = 0; n < reply->n_device; n++) {
        const Hawser__Internal__UserDevice *next = NULL;
        for (size_t i = 0; i < reply->n_device; i++)
            if (strcmp(reply->device[i]->device, last) > 0 &&
                (!next || strcmp(reply->device[i]->device, next->device) < 0))
                next = reply->device[i];
        ck_assert_ptr_nonnull(next);
        ck_assert(next->seen_ms > 0 && next->n_position == STREAMS);
        last = next->device;
        bed_printf(b, " %s=%" PRIu64 "/%" PRIu64 "/%" PRIu64, last, next->position[0]->seq,
                   next->position[1]->seq, next->position[2]->seq);
    }
    return b->text;
}

// --- attempts and dead letters

struct tried {
    const char *user, *device;
    uint64_t generation, after, upto;
    bool of_another_log;
    Hawser__Internal__ParkLimits *limits; // NULL: those of DELIVERY
};

// "", "counted" or "parked".
static inline const char *bed_attempt(struct bed *b, const struct tried *t) {
    Hawser__Internal__AttemptRequest q = HAWSER__INTERNAL__ATTEMPT_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)(uintptr_t)t->user;
    q.device = (char *)(uintptr_t)t->device;
    q.generation = t->generation;
    q.epoch = bed_head(b, STREAM_INBOX, t->user).epoch + t->of_another_log;
    q.after = t->after;
    q.upto = t->upto;
    q.limits = t->limits;
    const Hawser__Internal__AttemptReply *reply = bed_ask(b, &q.base);
    ck_assert(reply->counted || !reply->parked);
    return reply->parked ? "parked" : reply->counted ? "counted" : "";
}
#define ATTEMPT(b, ...) bed_attempt(b, &(const struct tried){__VA_ARGS__})

// "3(a) 7(b) more": seq and device of each.
static inline const char *bed_letters(struct bed *b, const char *user, uint64_t after,
                                      uint32_t max) {
    Hawser__Internal__ParkedRequest q = HAWSER__INTERNAL__PARKED_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)(uintptr_t)user;
    q.after = after;
    q.max_letters = max;
    const Hawser__Internal__ParkedReply *reply = bed_ask(b, &q.base);
    b->text[0] = '\0';
    for (size_t i = 0; i < reply->n_letter; i++) {
        const Hawser__Internal__DeadLetter *d = reply->letter[i];
        ck_assert(d->message && d->parked_ms > 0);
        bed_printf(b, "%s%" PRIu64 "(%s)", i > 0 ? " " : "", d->seq, d->device);
    }
    bed_printf(b, "%s", reply->more ? " more" : "");
    return b->text;
}

// How many went.
static inline uint64_t bed_unpark(struct bed *b, const char *user, uint64_t seq) { // 0: all
    Hawser__Internal__UnparkRequest q = HAWSER__INTERNAL__UNPARK_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)(uintptr_t)user;
    q.all = seq == 0;
    q.seq = &seq;
    q.n_seq = 1;
    return ((const Hawser__Internal__UnparkReply *)bed_ask(b, &q.base))->count;
}

static inline Hawser__Internal__StatsReply bed_sums(struct bed *b) {
    Hawser__Internal__StatsRequest q = HAWSER__INTERNAL__STATS_REQUEST__INIT;
    q.product = 1;
    return *(const Hawser__Internal__StatsReply *)bed_ask(b, &q.base);
}

// "acked/pending/expired/overflowed", and that their sum is what was accepted.
static inline const char *bed_stats(struct bed *b) {
    Hawser__Internal__StatsReply s = bed_sums(b);
    ck_assert_uint_eq(s.accepted, s.acked + s.pending + s.expired + s.overflowed + s.collapsed +
                                      s.recalled + s.parked);
    snprintf(b->text, sizeof(b->text), "%" PRIu64 "/%" PRIu64 "/%" PRIu64 "/%" PRIu64, s.acked,
             s.pending, s.expired, s.overflowed);
    return b->text;
}

static inline uint64_t bed_clock(struct bed *b) {
    Hawser__Internal__ClockRequest q = HAWSER__INTERNAL__CLOCK_REQUEST__INIT;
    return ((const Hawser__Internal__ClockReply *)bed_ask(b, &q.base))->store_ms;
}

#endif
