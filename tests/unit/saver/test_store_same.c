// All stores answer the same: random steps are put to each, and every answer is compared. Nothing
// here depends on when it happens, so that a difference is one of the rules. Redis has them twice:
// the second time every step is made to take the long way of its script, which the most leave
// early.
#include "contract_recall.h"
#include "redis_server.h"

enum { STEPS = 2400, LONG_STEPS = 20000, USERS = 4, DEVICES = 5, BURST_MAX = 40, LAST_IDS = 60 };
#define A_DAY_MS (UINT64_C(24) * 3600 * 1000)
#define LONG_SEED UINT64_C(20260)

// The last of them takes the long way, in a database of its own.
enum { BEDS = 3, LONG_WAY = 2 };

static struct store *redis_open_again(struct loop *l) {
    char url[140];
    snprintf(url, sizeof(url), "%s?db=1", redis_url);
    struct store *s =
        saver_store_redis(&(struct redis_options){.url = url, .timeout_ms = 20000, .loop = l});
    until_up(s, l);
    return s;
}

static const struct store_factory factories[BEDS] = {
    {"memory", saver_store_memory, NULL, NULL},
    {"redis", redis_open, redis_close, redis_next_history},
    {"redis again", redis_open_again, NULL, NULL}};

struct pair {
    struct bed bed[BEDS];
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
    static const char *const keys[] = {"k", "l", "m", "n", "o", "p"};
    struct push p = {.user = t->user, .stream = draw(t, 8) == 0 ? STREAM_NEWS : STREAM_INBOX};
    // Of the last ones: who repeats an older one may come when it is forgotten.
    bool is_repeat = t->next_id > 0 && draw(t, 8) == 0;
    char id[24], text[80];
    uint64_t last = t->next_id < LAST_IDS ? t->next_id : LAST_IDS;
    snprintf(id, sizeof(id), "%" PRIu64, is_repeat ? t->next_id - 1 - draw(t, last) : t->next_id++);
    p.id = id;
    p.user = p.stream == STREAM_INBOX ? t->user : NULL;
    p.bytes = (size_t)draw(t, 400);
    p.messages = !t->is_narrow && draw(t, 3) == 0 ? 1 + draw(t, 40) : 1000;
    p.limit_bytes = !t->is_narrow && draw(t, 3) == 0 ? 1 + draw(t, 9000) : 1 << 20;
    p.reject_new = draw(t, 3) == 0;
    p.hash = draw(t, 6) == 0 ? "0123456789abcdef" : NULL;
    p.not_after_ms = draw(t, 10) == 0;
    p.claim = draw(t, 30) == 0;
    p.is_undated = draw(t, 2) == 0;
    p.ttl_ms = draw(t, 6) == 0 ? A_DAY_MS + draw(t, A_DAY_MS) : 0;
    p.retention_ms = draw(t, 20) == 0 ? 3 * A_DAY_MS : 0;
    p.key = draw(t, 4) == 0 ? keys[draw(t, 6)] : NULL;
    if (draw(t, t->is_narrow ? 2 : 8) == 0)
        p.device[0] = devices[t->is_narrow ? 0 : draw(t, 6)];
    if (p.device[0] && draw(t, 3) == 0)
        p.device[1] = devices[draw(t, 6)];
    if (p.stream != STREAM_INBOX) // a broadcast is for no device by name
        p.device[0] = p.device[1] = NULL;
    for (int i = 0; i < BEDS; i++) {
        p.id_ttl_ms = i == LONG_WAY ? ID_KEPT_MIN_MS + 600000 : 600000 * (uint64_t)(p.hash != NULL);
        Hawser__Internal__AppendReply reply = bed_append(&t->bed[i], &p);
        snprintf(text, sizeof(text), "%d %" PRIu64 " %" PRIu64 " %" PRIu64, (int)reply.outcome,
                 reply.seq, reply.arrivals, reply.change);
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
    for (int i = 0; i < BEDS; i++) {
        l.epoch = none && !is_ack ? 0 : epoch_of(t, &t->bed[i], l.stream, wrong);
        l.twice = i == LONG_WAY;
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
    for (int i = 0; i < BEDS; i++) {
        v.epoch = epoch_of(t, &t->bed[i], v.stream, wrong);
        v.user = v.stream == STREAM_INBOX ? t->user : NULL;
        compare(t, i, bed_load(&t->bed[i], &v));
    }
}

// Of the device's own position, mostly, so that it is the first that it has not handled; parked
// soon.
static void do_attempt(struct pair *t) {
    Hawser__Internal__ParkLimits *limits = at_once();
    struct tried a = {.user = t->user, .device = t->device, .limits = limits};
    limits->attempts = 1 + (uint32_t)draw(t, 3);
    limits->sessions = 1 + (uint32_t)draw(t, 3);
    limits->letters = 1 + (uint32_t)draw(t, 8);
    a.generation = 1 + draw(t, t->generation[t->u][t->d] + 1);
    a.upto = draw(t, 4) == 0 ? draw(t, t->head[t->u] + 2) : t->head[t->u];
    a.after = draw(t, 4) == 0 ? draw(t, t->head[t->u] + 2) : 0;
    a.of_another_log = draw(t, 12) == 0;
    for (int i = 0; i < BEDS; i++)
        compare(t, i, bed_attempt(&t->bed[i], &a));
}

static void do_letters(struct pair *t) {
    uint64_t after = draw(t, 3) == 0 ? draw(t, t->head[t->u] + 1) : 0;
    uint32_t max = 1 + (uint32_t)draw(t, 9);
    uint64_t seq = draw(t, 9) == 0 ? 0 : draw(t, t->head[t->u] + 1);
    bool unparks = draw(t, 3) == 0;
    char text[40];
    for (int i = 0; i < BEDS; i++)
        compare(t, i, bed_letters(&t->bed[i], t->user, after, max));
    for (int i = 0; i < BEDS && unparks; i++) {
        snprintf(text, sizeof(text), "%" PRIu64, bed_unpark(&t->bed[i], t->user, seq));
        compare(t, i, text);
    }
}

// Many at once, which go to the store together, with an id twice, and with a key or without.
struct burst {
    char text[BURST_MAX * 48];
    size_t left;
};

static void on_burst(void *arg, int error, const ProtobufCMessage *reply) {
    struct burst *b = arg;
    const Hawser__Internal__AppendReply *a = (const Hawser__Internal__AppendReply *)reply;
    ck_assert_int_eq(error, 0);
    size_t len = strlen(b->text);
    snprintf(b->text + len, sizeof(b->text) - len, "%d %" PRIu64 " %" PRIu64 ", ", (int)a->outcome,
             a->seq, a->arrivals);
    b->left--;
}

static void put_burst(struct pair *t, int which, uint64_t seed) {
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    Hawser__Internal__InboxLimits limits = HAWSER__INTERNAL__INBOX_LIMITS__INIT;
    static uint8_t payload[64];
    struct burst b = {.left = 1 + seed % BURST_MAX};
    char id[40];
    q.product = 1;
    q.user = t->user;
    q.message = &m;
    q.limits = &limits;
    q.id_ttl_ms = which == LONG_WAY ? ID_KEPT_MIN_MS + 600000 : 0;
    limits.messages = 1 + seed % 1000;
    limits.bytes = 1 << 20;
    m.id = id;
    m.payload = (ProtobufCBinaryData){sizeof(payload), payload};
    for (size_t i = 0, count = b.left; i < count; i++) {
        snprintf(id, sizeof(id), "burst %" PRIu64 " %zu", t->next_id, i % 7 == 6 ? i - 1 : i);
        q.body_hash = (ProtobufCBinaryData){i % 3 == 2 || seed % 4 == 0 ? 16 : 0, payload};
        store_call(t->bed[which].store, &q.base, on_burst, &b);
    }
    while (b.left > 0)
        loop_step(t->bed[which].loop, -1);
    compare(t, which, b.text);
}

static void do_burst(struct pair *t) {
    uint64_t seed = draw(t, UINT64_MAX);
    for (int i = 0; i < BEDS; i++)
        put_burst(t, i, seed);
    t->next_id++;
    t->head[t->u] = bed_head(&t->bed[0], STREAM_INBOX, t->user).head;
}

static const char *bed_taken_out(struct bed *b) {
    const Hawser__Internal__StatsReply s = bed_sums(b);
    snprintf(b->text, sizeof(b->text), "%" PRIu64 " %" PRIu64, s.collapsed, s.recalled);
    return b->text;
}

// One of the last ids, which may not be there.
static void do_recall(struct pair *t) {
    char id[24], text[128];
    const struct push p = {
        .user = t->user, .stream = draw(t, 4) == 0 ? STREAM_NEWS : STREAM_INBOX, .id = id};
    snprintf(id, sizeof(id), "%" PRIu64, t->next_id - draw(t, LAST_IDS / 2));
    for (int i = 0; i < BEDS; i++) {
        const struct push at = {
            .user = p.stream == STREAM_INBOX ? p.user : "", .stream = p.stream, .id = id};
        Hawser__Internal__RecallReply r = bed_recall(&t->bed[i], &at, 0);
        snprintf(text, sizeof(text), "%d %" PRIu64 " %" PRIu64 " %" PRIu64, (int)r.outcome, r.head,
                 r.change, r.seq);
        compare(t, i, text);
    }
}

static void do_step(struct pair *t) {
    uint64_t dice = draw(t, 100);
    t->u = (unsigned)draw(t, t->is_narrow ? 1 : USERS);
    snprintf(t->user, sizeof(t->user), "user %u", t->u);
    t->d = (unsigned)draw(t, t->is_narrow ? 2 : DEVICES);
    snprintf(t->device, sizeof(t->device), "d%u", t->d);
    if (dice < 44)
        do_append(t);
    else if (dice < 45)
        do_burst(t);
    else if (dice < 72)
        do_login(t, dice >= 53);
    else if (dice < 80)
        do_attempt(t);
    else if (dice < 82)
        do_letters(t);
    else if (dice < 84)
        do_recall(t);
    else
        do_load(t);
    for (int i = 0; i < BEDS; i++)
        compare(t, i, bed_user(&t->bed[i], t->user));
    for (int i = 0; i < BEDS; i++)
        compare(t, i, bed_ends(&t->bed[i]));
    for (int i = 0; i < BEDS; i++)
        compare(t, i, bed_taken_out(&t->bed[i]));
}

static void run(uint64_t seed, int steps, bool is_narrow) {
    struct pair t = {.is_narrow = is_narrow};
    redis_fsync = "everysec"; // nothing is killed here
    for (int i = 0; i < BEDS; i++)
        bed_open(&t.bed[i], &factories[i]);
    if (seed == 0)
        seed = os_random(t.bed[0].os);
    printf("seed %" PRIu64 "\n", seed); // of a failure
    fflush(stdout);
    rng_init(&t.rng, seed);
    for (int i = 0; i < steps; i++)
        do_step(&t);
    for (int i = BEDS; i-- > 0;)
        bed_close(&t.bed[i]);
}

START_TEST(test_same) {
    run(0, STEPS, false);
}
END_TEST

START_TEST(test_same_narrow) {
    run(0, STEPS / 3, true);
}
END_TEST

START_TEST(test_same_long) {
    run(LONG_SEED, LONG_STEPS, false);
}
END_TEST

RUN_TESTS("store_same", test_same, test_same_narrow, test_same_long)
