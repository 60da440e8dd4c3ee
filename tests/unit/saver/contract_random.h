// Random steps: after each the sum holds, seqs rise by one, and every load is without holes.
#ifndef HW_CONTRACT_RANDOM_H
#define HW_CONTRACT_RANDOM_H

#include "contract_parked.h"

enum { RANDOM_USERS = 3, RANDOM_DEVICES = 4, RANDOM_STEPS = 1500 };

struct random_run {
    struct bed *bed;
    struct rng rng;
    uint64_t head[RANDOM_USERS];
    uint64_t next_id;
    char user[16], device[16];
    unsigned u;
};

static inline uint64_t draw(struct random_run *r, uint64_t bound) {
    return rng_below(&r->rng, bound);
}

static inline void random_append(struct random_run *r) {
    static const char *const devices[] = {"d0", "d1", "d2", "d3", "never here"};
    static const char *const keys[] = {"k", "l", "m", "n", "o", "p"};
    char id[24];
    bool is_repeat = r->next_id > 0 && draw(r, 10) == 0;
    snprintf(id, sizeof(id), "%u %" PRIu64, r->u, is_repeat ? r->next_id - 1 : r->next_id++);
    struct push p = {.user = r->user, .id = id, .bytes = (size_t)draw(r, 300)};
    p.messages = 1 + draw(r, 30);
    p.limit_bytes = 1 + draw(r, 6000);
    p.reject_new = draw(r, 3) == 0;
    if (draw(r, 4) == 0)
        p.expires_ms = draw(r, 2) == 0 ? 1 : bed_clock(r->bed) + draw(r, 50);
    if (draw(r, 4) == 0)
        p.device[0] = devices[draw(r, 5)];
    if (p.device[0] && draw(r, 2) == 0)
        p.device[1] = devices[draw(r, 5)] == p.device[0] ? NULL : "d1";
    if (p.device[1] && strcmp(p.device[0], p.device[1]) == 0)
        p.device[1] = NULL;
    if (draw(r, 4) == 0)
        p.key = keys[draw(r, 6)];
    Hawser__Internal__AppendReply reply = bed_append(r->bed, &p);
    if (reply.outcome == HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED)
        ck_assert_uint_eq(reply.seq, ++r->head[r->u]);
    else
        ck_assert(is_repeat || p.reject_new);
}

static inline void random_attach(struct random_run *r) {
    uint64_t epoch = bed_head(r->bed, STREAM_INBOX, r->user).epoch;
    bed_attach(r->bed, &(struct login){.user = r->user,
                                       .device = r->device,
                                       .generation = 1,
                                       .have = draw(r, 2) == 0,
                                       .epoch = draw(r, 10) == 0 ? 9 : epoch,
                                       .seq = draw(r, r->head[r->u] + 2),
                                       .devices_max = 2 + (uint32_t)draw(r, 3)});
}

static inline void random_attempt(struct random_run *r) {
    Hawser__Internal__ParkLimits *limits = at_once();
    limits->attempts = 1 + (uint32_t)draw(r, 3);
    limits->letters = 1 + (uint32_t)draw(r, 5);
    limits->kept_ms = 1 + draw(r, 200);
    ATTEMPT(r->bed, .user = r->user, .device = r->device, .generation = 1, .upto = r->head[r->u],
            .limits = limits);
}

static inline uint64_t number_at(const char **at) {
    char *end;
    uint64_t n = strtoull(*at, &end, 10);
    ck_assert(end != *at);
    *at = end;
    return n;
}

// Steps of a whole load follow each other from `after` to the head.
static inline void check_load(struct random_run *r) {
    uint64_t after = draw(r, r->head[r->u] + 1);
    const char *at = LOAD(r->bed, .user = r->user, .after = after, .device = r->device);
    while (*at) {
        bool is_gap = strncmp(at, "gap ", 4) == 0;
        at += is_gap ? 4 : 0;
        ck_assert_uint_eq(number_at(&at), after + 1);
        after++;
        if (is_gap) {
            at++;
            after = number_at(&at);
            at += 2;
            number_at(&at);
            at++;
        }
        at += *at == ' ';
    }
    ck_assert_uint_eq(after, r->head[r->u]);
}

static inline void random_step(struct random_run *r) {
    r->u = (unsigned)draw(r, RANDOM_USERS);
    snprintf(r->user, sizeof(r->user), "user %u", r->u);
    snprintf(r->device, sizeof(r->device), "d%u", (unsigned)draw(r, RANDOM_DEVICES));
    uint64_t dice = draw(r, 100);
    if (dice < 50)
        random_append(r);
    else if (dice < 65)
        random_attach(r);
    else if (dice < 70)
        random_attempt(r);
    else if (dice < 71)
        bed_unpark(r->bed, r->user, draw(r, 4) == 0 ? 0 : draw(r, r->head[r->u] + 1));
    else if (dice < 90)
        ACK(r->bed, .user = r->user, .device = r->device, .generation = 1,
            .seq = draw(r, r->head[r->u] + 2));
    else
        check_load(r);
}

static inline uint64_t users_pending(struct bed *b) {
    Hawser__Internal__UserRequest q = HAWSER__INTERNAL__USER_REQUEST__INIT;
    uint64_t pending = 0;
    q.product = 1;
    for (unsigned u = 0; u < RANDOM_USERS; u++) {
        char name[16];
        snprintf(name, sizeof(name), "user %u", u);
        q.user = name;
        pending += ((const Hawser__Internal__UserReply *)bed_ask(b, &q.base))->pending;
    }
    return pending;
}

static inline void case_random(struct bed *b) {
    struct random_run r = {.bed = b};
    uint64_t seed = os_random(b->os);
    printf("seed %" PRIu64 "\n", seed); // of a failure
    rng_init(&r.rng, seed);
    for (int i = 0; i < RANDOM_STEPS; i++) {
        random_step(&r);
        bed_stats(b);
        uint64_t before = bed_sums(b).pending, pending = users_pending(b);
        ck_assert_uint_le(pending, before); // less when something expired between the questions
        ck_assert_uint_le(bed_sums(b).pending, pending);
    }
}

#endif
