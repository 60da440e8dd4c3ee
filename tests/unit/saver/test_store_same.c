// Both stores answer the same: random steps are put to each, and every answer is compared. Nothing
// here depends on when it happens, so that a difference is one of the rules.
#include "contract_devices.h"
#include "redis_server.h"

enum { STEPS = 2400, USERS = 4, DEVICES = 5 };

static const struct store_factory memory = {"memory", saver_store_memory, NULL};
static const struct store_factory redis = {"redis", redis_open, redis_close};

struct pair {
    struct bed bed[2];
    struct rng rng;
    uint64_t head[USERS], generation[USERS][DEVICES], news, next_id;
    unsigned u, d;
    bool is_narrow; // one user, two devices, no overflow: many dropped ranges
    char user[16], device[16];
    char before[1 << 16]; // what the first answered
};

static uint64_t draw(struct pair *t, uint64_t bound) {
    return rng_below(&t->rng, bound);
}

// The epochs differ; that of each store, or one that no store has.
static uint64_t epoch_of(struct pair *t, struct bed *b, uint32_t stream, bool wrong) {
    return wrong ? 9 : bed_head(b, stream, t->user).epoch;
}

static void compare(struct pair *t, int which, const char *text) {
    ck_assert_uint_lt(strlen(text), sizeof(t->before));
    if (which == 0)
        memcpy(t->before, text, strlen(text) + 1);
    else
        ck_assert_str_eq(t->before, text);
}

static void do_append(struct pair *t) {
    static const char *const devices[] = {"d0", "d1", "d2", "d3", "d4", "d5"};
    struct push p = {.user = t->user, .stream = draw(t, 8) == 0 ? STREAM_NEWS : STREAM_INBOX};
    bool is_repeat = t->next_id > 0 && draw(t, 8) == 0;
    char id[24], text[80];
    snprintf(id, sizeof(id), "%" PRIu64, is_repeat ? draw(t, t->next_id) : t->next_id++);
    p.id = id;
    p.user = p.stream == STREAM_INBOX ? t->user : NULL;
    p.bytes = (size_t)draw(t, 400);
    p.messages = !t->is_narrow && draw(t, 3) == 0 ? 1 + draw(t, 40) : 1000;
    p.limit_bytes = !t->is_narrow && draw(t, 3) == 0 ? 1 + draw(t, 9000) : 1 << 20;
    p.reject_new = draw(t, 3) == 0;
    p.hash = draw(t, 4) == 0 ? "0123456789abcdef" : NULL;
    p.not_after_ms = draw(t, 10) == 0;
    if (draw(t, t->is_narrow ? 2 : 3) == 0)
        p.device[0] = devices[t->is_narrow ? 0 : draw(t, 6)];
    if (p.device[0] && draw(t, 3) == 0)
        p.device[1] = devices[draw(t, 6)];
    for (int i = 0; i < 2; i++) {
        Hawser__Internal__AppendReply reply = bed_append(&t->bed[i], &p);
        snprintf(text, sizeof(text), "%d %" PRIu64, (int)reply.outcome, reply.seq);
        compare(t, i, text);
        if (i == 0 && reply.outcome == HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED)
            *(p.stream == STREAM_INBOX ? &t->head[t->u] : &t->news) = reply.seq;
    }
}

static void do_login(struct pair *t, bool is_ack) {
    struct login l = {.user = t->user, .device = t->device};
    l.stream = draw(t, 4) == 0 ? STREAM_NEWS : STREAM_INBOX;
    l.have = draw(t, 2) == 0;
    uint64_t *generation = &t->generation[t->u][t->d];
    l.generation = draw(t, 8) == 0 ? draw(t, *generation + 1) : *generation;
    if (!is_ack && draw(t, 2) == 0)
        l.generation = ++*generation;
    if (t->is_narrow && t->d == 1 && draw(t, 20) != 0) // it lags behind
        return;
    l.seq = draw(t, (l.stream == STREAM_NEWS ? t->news : t->head[t->u]) + 2);
    bool wrong = draw(t, 12) == 0, none = draw(t, 12) == 0;
    if (none && !is_ack)
        l.seq = 0;
    for (int i = 0; i < 2; i++) {
        l.epoch = none && !is_ack ? 0 : epoch_of(t, &t->bed[i], l.stream, wrong);
        compare(t, i, is_ack ? bed_ack(&t->bed[i], &l) ? "stale" : "" : bed_attach(&t->bed[i], &l));
    }
}

static void do_load(struct pair *t) {
    struct view v = {.stream = draw(t, 5) == 0 ? STREAM_NEWS : STREAM_INBOX};
    bool wrong = draw(t, 12) == 0;
    v.user = t->user;
    v.device = draw(t, 2) == 0 ? t->device : NULL;
    v.after = draw(t, (v.stream == STREAM_NEWS ? t->news : t->head[t->u]) + 2);
    v.messages_max = 1 + (uint32_t)draw(t, t->is_narrow ? 1000 : 30);
    v.bytes_max = 1 + (uint32_t)draw(t, t->is_narrow ? 1 << 20 : 5000);
    for (int i = 0; i < 2; i++) {
        v.epoch = epoch_of(t, &t->bed[i], v.stream, wrong);
        v.user = v.stream == STREAM_INBOX ? t->user : NULL;
        compare(t, i, bed_load(&t->bed[i], &v));
    }
}

static void do_step(struct pair *t) {
    uint64_t dice = draw(t, 100);
    t->u = (unsigned)draw(t, t->is_narrow ? 1 : USERS);
    snprintf(t->user, sizeof(t->user), "user %u", t->u);
    t->d = (unsigned)draw(t, t->is_narrow ? 2 : DEVICES);
    snprintf(t->device, sizeof(t->device), "d%u", t->d);
    if (dice < 45)
        do_append(t);
    else if (dice < 80)
        do_login(t, dice >= 55);
    else
        do_load(t);
    for (int i = 0; i < 2; i++)
        compare(t, i, bed_user(&t->bed[i], t->user));
    for (int i = 0; i < 2; i++)
        compare(t, i, bed_stats(&t->bed[i]));
}

static void run(bool is_narrow) {
    struct pair t = {.is_narrow = is_narrow};
    bed_open(&t.bed[0], &memory);
    bed_open(&t.bed[1], &redis);
    uint64_t seed = os_random(t.bed[0].os);
    printf("seed %" PRIu64 "\n", seed); // of a failure
    fflush(stdout);
    rng_init(&t.rng, seed);
    for (int i = 0; i < STEPS / (is_narrow ? 3 : 1); i++)
        do_step(&t);
    bed_close(&t.bed[1]);
    bed_close(&t.bed[0]);
}

START_TEST(test_same) {
    run(false);
}
END_TEST

START_TEST(test_same_narrow) {
    run(true);
}
END_TEST

RUN_TESTS("store_same", test_same, test_same_narrow)
