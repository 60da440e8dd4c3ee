// Appends, acks and attaches are written twice in Lua: the short way, which most of them take
// (saver/scripts/part/append_next.lua, ack_next.lua, attach_next.lua), and the long one behind it.
// The same random steps are put to two stores, and the scripts of one have the short way cut out:
// every answer, and after each step every key, is the same in both. Both have the test's clock and
// draw the same epochs, so that nothing differs but the way.
#include <hiredis/hiredis.h>

#include "crypto.h"
#include "redis_server.h"
#include "redis_store.h"
#include "saver_scripts.h"

enum { STEPS = 1500, PHASE_STEPS = 50, USERS = 3, DEVICES = 3, ACTS_MAX = 24, LAST_IDS = 40 };
enum { SHORT_WAY, LONG_WAY, WAYS };
#define A_DAY_MS (UINT64_C(24) * 3600 * 1000)

// --- the scripts

// A script that has a short way, and where it begins in one of its pieces.
static const struct two_ways {
    enum saver_script script;
    const char *begins;
} two_ways[] = {{SAVER_SCRIPT_APPEND, "local write, words"},
                {SAVER_SCRIPT_ACK, "while at < count_of_args"},
                {SAVER_SCRIPT_ATTACH, "local state = call('HGET', logs, user)"}};
enum { TWO_WAYS = sizeof(two_ways) / sizeof(two_ways[0]) };

static void put_piece(struct buf *out, const char *piece, const char *from, const char *to) {
    const char *at = from ? strstr(piece, from) : NULL;
    buf_append(out, piece, at ? (size_t)(at - piece) : strlen(piece));
    buf_append_str(out, at ? to : "");
    buf_append_str(out, at ? at + strlen(from) : "");
}

// By the test's clock; cut: without what follows it in its piece. What goes on behind that piece is
// counted.
static void script_write_anew(struct redis_store *s, enum saver_script which, const char *begins,
                              bool is_cut) {
    struct redis_script_source own = saver_scripts[which];
    const char *pieces[16];
    struct buf texts[16] = {0};
    int count = 0, found = 0;
    for (; own.pieces[count]; count++) {
        ck_assert_int_lt(count, 15);
        put_piece(&texts[count], own.pieces[count], "call('TIME')",
                  "{call('GET', 'test:s'), call('GET', 'test:us')}");
        const char *at = begins ? strstr(own.pieces[count], begins) : NULL;
        found += at != NULL;
        if (at && is_cut)
            texts[count].len = (size_t)(at - own.pieces[count]);
        if (at)
            buf_printf(&texts[count], "call('HINCRBY', 'test:long', '%s', 1)\n", own.name);
        pieces[count] = buf_cstr(&texts[count]);
    }
    ck_assert_int_eq(found, begins ? 1 : 0);
    pieces[count] = NULL;
    own.pieces = pieces;
    redis_script_deinit(&s->scripts[which]);
    redis_script_init(&s->scripts[which], &own);
    while (count-- > 0)
        buf_free(&texts[count]);
}

static struct store *open_way(struct loop *l, int way) {
    char url[140];
    snprintf(url, sizeof(url), "%s?db=%d", redis_url, way);
    struct store *s =
        saver_store_redis(&(struct redis_options){.url = url, .timeout_ms = 20000, .loop = l});
    for (int i = 0; i < SAVER_SCRIPTS; i++) {
        const char *begins = NULL;
        for (int k = 0; k < TWO_WAYS; k++)
            if (two_ways[k].script == (enum saver_script)i)
                begins = two_ways[k].begins;
        script_write_anew((struct redis_store *)s, (enum saver_script)i, begins, way == LONG_WAY);
    }
    until_up(s, l);
    return s;
}

static struct store *open_short(struct loop *l) {
    redis_begin();
    return open_way(l, SHORT_WAY);
}

static struct store *open_long(struct loop *l) {
    redis_cli("COPY " REDIS_HISTORY_KEY " " REDIS_HISTORY_KEY " DB 1"); // else it draws its own
    return open_way(l, LONG_WAY);
}

static const struct store_factory factories[WAYS] = {{"short", open_short, redis_close, NULL},
                                                     {"long", open_long, NULL, NULL}};

// --- the two stores

struct ways {
    struct bed bed[WAYS];
    redisContext *redis[WAYS];
    struct rng rng;
    uint64_t now_ms, next_id, epoch[USERS], head[USERS], generation[USERS][DEVICES];
    uint64_t news_epoch, news_head;
    char user[USERS][16]; // of one bucket
    bool is_tame;         // nothing that makes a log leave the short way for long
    // What is asked at once, and what each way has answered.
    struct act {
        ProtobufCMessage *request;
        unsigned user;
        struct buf answer[WAYS];
    } act[ACTS_MAX];
    size_t acts, left;
};

static uint64_t draw(struct ways *t, uint64_t bound) {
    return rng_below(&t->rng, bound);
}

static bool one_in(struct ways *t, uint64_t n) {
    return draw(t, n) == 0;
}

static redisReply *ask_redis(struct ways *t, int way, const char *format, ...) {
    va_list args;
    va_start(args, format);
    redisReply *r = redisvCommand(t->redis[way], format, args);
    va_end(args);
    ck_assert(r && r->type != REDIS_REPLY_ERROR);
    return r;
}

static void set_clock(struct ways *t) {
    for (int way = 0; way < WAYS; way++) {
        unsigned us = (unsigned)(t->now_ms % 1000) * 1000;
        freeReplyObject(ask_redis(t, way, "MSET test:s %llu test:us %u",
                                  (unsigned long long)(t->now_ms / 1000), us));
    }
}

static void ways_begin(struct ways *t, uint64_t seed) {
    Hawser__Internal__RestoredRequest back = HAWSER__INTERNAL__RESTORED_REQUEST__INIT;
    char path[128];
    redis_fsync = "everysec"; // nothing is killed here
    t->now_ms = UINT64_C(1800000000000);
    for (int way = 0; way < WAYS; way++) {
        bed_open(&t->bed[way], &factories[way]);
        (void)bed_ask(&t->bed[way], &back.base); // who asks that is told ends, too
        snprintf(path, sizeof(path), "%s/s", redis_dir);
        t->redis[way] = redisConnectUnix(path);
        ck_assert(t->redis[way] && !t->redis[way]->err);
        freeReplyObject(ask_redis(t, way, "SELECT %d", way));
        freeReplyObject(
            ask_redis(t, way, "SET hw:sweep other")); // no sweep, which has a real clock
    }
    printf("seed %" PRIu64 "\n", seed); // of a failure
    fflush(stdout);
    rng_init(&t->rng, seed);
    for (unsigned u = 0, i = 0; u < USERS; i++) {
        snprintf(t->user[u], sizeof(t->user[u]), "u%u", i);
        u += bucket_of_user(t->user[u], strlen(t->user[u])) == bucket_of_user("u0", 2);
    }
}

static void ways_end(struct ways *t) {
    for (int way = WAYS; way-- > 0;) {
        redisFree(t->redis[way]);
        bed_close(&t->bed[way]);
    }
}

// --- what is there

// Each key, and behind it what it has, in an order that is always the same.
static const char all_keys[] =
    "local out, keys = {}, redis.call('KEYS', '*') table.sort(keys) "
    "local function put(list) for _, it in ipairs(list) do out[#out + 1] = it end end "
    "for _, key in ipairs(keys) do if string.sub(key, 1, 5) ~= 'test:' then put({'key', key}) "
    "local kind = redis.call('TYPE', key).ok "
    "if kind == 'hash' then local fields = redis.call('HKEYS', key) table.sort(fields) "
    "for _, f in ipairs(fields) do put({f, redis.call('HGET', key, f)}) end "
    "elseif kind == 'zset' then put(redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')) "
    "elseif kind == 'set' then local m = redis.call('SMEMBERS', key) table.sort(m) put(m) "
    "else put({redis.call('GET', key)}) end end end return out";

static const char *readable(const redisReply *r, struct buf *out) {
    for (size_t i = 0; i < r->len; i++)
        if (r->str[i] >= ' ' && r->str[i] <= '~')
            buf_append(out, r->str + i, 1);
        else
            buf_printf(out, "\\%02x", (unsigned)(uint8_t)r->str[i]);
    return buf_cstr(out);
}

static void compare_keys(struct ways *t) {
    redisReply *is[WAYS];
    for (int way = 0; way < WAYS; way++)
        is[way] = ask_redis(t, way, "EVAL %s 0", all_keys);
    size_t count = is[0]->elements < is[1]->elements ? is[0]->elements : is[1]->elements;
    for (size_t i = 0; i < count; i++) {
        const redisReply *a = is[SHORT_WAY]->element[i], *b = is[LONG_WAY]->element[i];
        struct buf before = BUF_EMPTY, x = BUF_EMPTY, y = BUF_EMPTY;
        if (a->len == b->len && memcmp(a->str, b->str, a->len) == 0)
            continue;
        ck_abort_msg("behind %s:\n short %s\n long  %s",
                     i > 0 ? readable(is[SHORT_WAY]->element[i - 1], &before) : "", readable(a, &x),
                     readable(b, &y));
    }
    ck_assert_uint_eq(is[SHORT_WAY]->elements, is[LONG_WAY]->elements);
    for (int way = 0; way < WAYS; way++)
        freeReplyObject(is[way]);
}

// --- what is asked

static ProtobufCMessage *act_add(struct ways *t, const ProtobufCMessage *request, unsigned user) {
    ck_assert_uint_lt(t->acts, ACTS_MAX);
    struct act *a = &t->act[t->acts++];
    *a = (struct act){.request = message_copy(request), .user = user};
    return a->request;
}

static void limits_draw(struct ways *t, Hawser__Internal__InboxLimits *l) {
    bool is_narrow = !t->is_tame && one_in(t, 4);
    l->messages = is_narrow ? 1 + draw(t, 12) : 200;
    l->bytes = is_narrow ? 1 + draw(t, 3000) : one_in(t, 8) ? 500 + draw(t, 3000) : 20000;
    l->retention_ms = !t->is_tame && one_in(t, 8) ? 3 * A_DAY_MS : 0;
    l->reject_new = one_in(t, 3);
}

static void add_append(struct ways *t) {
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    Hawser__Internal__InboxLimits limits = HAWSER__INTERNAL__INBOX_LIMITS__INIT;
    static uint8_t payload[200];
    static char keys[5][2] = {"k", "l", "m", "n", "o"};
    unsigned u = (unsigned)draw(t, USERS);
    uint64_t last = t->next_id < LAST_IDS ? t->next_id : LAST_IDS;
    char id[24], *devices[] = {(char[]){"d1"}};
    snprintf(id, sizeof(id), "%" PRIu64,
             last > 0 && one_in(t, 8) ? t->next_id - 1 - draw(t, last) : t->next_id++);
    q.product = 1;
    q.stream = !t->is_tame && one_in(t, 12) ? STREAM_NEWS : STREAM_INBOX;
    q.user = q.stream == STREAM_INBOX ? t->user[u] : (char[]){""};
    q.message = &m;
    q.limits = &limits;
    limits_draw(t, &limits);
    m.id = id;
    m.payload = (ProtobufCBinaryData){draw(t, sizeof(payload)), payload};
    m.sent_ms = one_in(t, 2) ? t->now_ms - draw(t, 5000) : 0;
    m.collapse_key = one_in(t, 12) ? keys[draw(t, 5)] : m.collapse_key;
    if (one_in(t, 3)) { // as the one before, or longer: in order, mostly
        q.ttl_ms = one_in(t, 2) ? 9 * A_DAY_MS : 0;
        m.expires_ms = one_in(t, 2) ? t->now_ms + 8 * A_DAY_MS : 0;
    }
    if (one_in(t, 4))
        q.body_hash = (ProtobufCBinaryData){
            16, (uint8_t *)(uintptr_t)(one_in(t, 9) ? "fedcba9876543210" : "0123456789abcdef")};
    q.id_ttl_ms = q.body_hash.len && one_in(t, 2) ? 600000 : 0;
    q.not_after_ms = one_in(t, 10) ? t->now_ms - 1 + draw(t, 3) : 0;
    if (!t->is_tame) {
        m.expires_ms = one_in(t, 6) ? t->now_ms + draw(t, 1200000) : m.expires_ms;
        q.id_ttl_ms = one_in(t, 10) ? 600000 : q.id_ttl_ms;
        q.claim = one_in(t, 20);
        m.device = devices;
        m.n_device = one_in(t, 10);
    }
    act_add(t, &q.base, q.stream == STREAM_INBOX ? u : USERS);
}

// A position as a client has it: the head, or a lower one; sometimes beyond it, or of another log.
static void position_draw(struct ways *t, unsigned u, Hawser__Internal__StreamPosition *p) {
    uint64_t rare = t->is_tame ? 60 : 12;
    p->stream = one_in(t, rare) ? STREAM_NEWS : STREAM_INBOX;
    uint64_t head = p->stream == STREAM_INBOX ? t->head[u] : t->news_head;
    p->epoch = p->stream == STREAM_INBOX ? t->epoch[u] : t->news_epoch;
    p->epoch = one_in(t, rare) ? 9 : p->epoch;
    p->seq = one_in(t, 3) ? head - draw(t, head < 20 ? head + 1 : 20) : head + one_in(t, 12);
    if (one_in(t, rare))
        p->epoch = p->seq = 0;
}

struct drawn { // a device, and two positions of it
    unsigned user, device;
    char name[8];
    Hawser__Internal__StreamPosition at[2], *list[2];
};

static void device_draw(struct ways *t, struct drawn *a) {
    a->user = (unsigned)draw(t, USERS);
    a->device = (unsigned)draw(t, DEVICES);
    snprintf(a->name, sizeof(a->name), "d%u", a->device);
    for (int i = 0; i < 2; i++) {
        a->list[i] = &a->at[i];
        hawser__internal__stream_position__init(&a->at[i]);
        position_draw(t, a->user, &a->at[i]);
    }
}

static void add_ack(struct ways *t) {
    Hawser__Internal__AckRequest q = HAWSER__INTERNAL__ACK_REQUEST__INIT;
    struct drawn a;
    device_draw(t, &a);
    unsigned u = a.user, d = a.device;
    q.product = 1;
    q.user = t->user[u];
    q.device = a.name;
    q.generation = t->generation[u][d] + (one_in(t, 20) ? 1 : 0) - (one_in(t, 20) ? 1 : 0);
    q.upto = a.list;
    q.n_upto = one_in(t, t->is_tame ? 60 : 12) ? 2 : 1;
    act_add(t, &q.base, u);
}

static void add_attach(struct ways *t) {
    Hawser__Internal__AttachRequest q = HAWSER__INTERNAL__ATTACH_REQUEST__INIT;
    struct drawn a;
    device_draw(t, &a);
    unsigned u = a.user, d = a.device;
    q.product = 1;
    q.user = t->user[u];
    q.device = a.name;
    q.generation = one_in(t, 12) ? draw(t, t->generation[u][d] + 1) : ++t->generation[u][d];
    q.devices_max = one_in(t, 30) ? 2 : 16;
    q.have = a.list;
    q.n_have = draw(t, 3);
    act_add(t, &q.base, u);
}

// --- what is answered

struct awaited {
    struct ways *ways;
    struct act *act;
    int way;
};

static void take_heads(struct ways *t, const struct act *a, const ProtobufCMessage *reply) {
    if (a->request->descriptor == &hawser__internal__append_request__descriptor) {
        const Hawser__Internal__AppendReply *r = (const Hawser__Internal__AppendReply *)reply;
        bool is_stored = r->outcome == HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED;
        if (!is_stored || r->seq == 0)
            return;
        *(a->user < USERS ? &t->epoch[a->user] : &t->news_epoch) = r->epoch;
        *(a->user < USERS ? &t->head[a->user] : &t->news_head) = r->seq;
    }
}

static void on_act(void *arg, int error, const ProtobufCMessage *reply) {
    struct awaited *w = arg;
    struct buf *out = &w->act->answer[w->way];
    ck_assert_int_eq(error, 0);
    buf_printf(out, "%s ", reply->descriptor->short_name);
    size_t size = protobuf_c_message_get_packed_size(reply);
    protobuf_c_message_pack(reply, buf_reserve(out, size));
    out->len += size;
    take_heads(w->ways, w->act, reply);
    w->ways->left--;
    free(w);
}

static void ask_all(struct ways *t, int way, uint64_t seed) {
    struct bed *b = &t->bed[way];
    rng_init(loop_rng(b->loop), seed); // epochs are drawn of it
    t->left = t->acts;
    for (size_t i = 0; i < t->acts; i++) {
        struct awaited *w = hw_malloc(sizeof(*w));
        *w = (struct awaited){t, &t->act[i], way};
        store_call(b->store, t->act[i].request, on_act, w);
    }
    while (t->left > 0)
        loop_step(b->loop, -1);
}

static void compare_answers(struct ways *t) {
    for (size_t i = 0; i < t->acts; i++) {
        struct act *a = &t->act[i];
        struct buf *x = &a->answer[SHORT_WAY], *y = &a->answer[LONG_WAY];
        ck_assert_msg(x->len == y->len && memcmp(x->data, y->data, x->len) == 0,
                      "act %zu of %zu, %s: another answer", i, t->acts,
                      a->request->descriptor->short_name);
        buf_free(x);
        buf_free(y);
        protobuf_c_message_free_unpacked(a->request, NULL);
    }
    t->acts = 0;
}

// The moment at which something in a user's log is due, if there is one.
static uint64_t next_due(struct ways *t) {
    redisReply *r =
        ask_redis(t, SHORT_WAY, "ZRANGE hw:{1:%u}:due 0 -1 WITHSCORES", bucket_of_user("u0", 2));
    uint64_t at = t->now_ms;
    for (size_t i = 0; i + 1 < r->elements && at == t->now_ms; i += 2)
        if (*r->element[i]->str == 'l') // a log
            at = strtoull(r->element[i + 1]->str, NULL, 10);
    freeReplyObject(r);
    return at > t->now_ms ? at : t->now_ms;
}

static void pass_time(struct ways *t) {
    uint64_t dice = draw(t, 400);
    t->now_ms += dice < 200 ? draw(t, 300) : dice < 230 ? 10000 + draw(t, 30000) : 0;
    t->now_ms += dice == 300 ? 10 * A_DAY_MS : dice == 301 ? 40 * A_DAY_MS : 0;
    t->now_ms += dice > 396 ? 3 * A_DAY_MS : 0;
    t->now_ms = dice > 310 && dice < 320 ? next_due(t) : t->now_ms;
    set_clock(t);
}

static void on_ways_swept(void *arg, int error, const redisReply *r) {
    (void)r;
    ck_assert_int_eq(error, 0);
    ((struct ways *)arg)->left--;
}

// What is due leaves, of the users' bucket and of the product.
static void sweep_both(struct ways *t) {
    char base[2][40];
    snprintf(base[0], sizeof(base[0]), "hw:{1:%u}:", bucket_of_user("u0", 2));
    snprintf(base[1], sizeof(base[1]), "hw:{1}:");
    for (int i = 0; i < 2 * WAYS; i++) {
        struct bed *b = &t->bed[i / 2];
        t->left = 1;
        saver_sweep_run((struct redis_store *)b->store,
                        &(struct saver_sweep_args){base[i % 2], 200}, on_ways_swept, t);
        while (t->left > 0)
            loop_step(b->loop, -1);
    }
}

static void ways_step(struct ways *t) {
    size_t acts = one_in(t, 4) ? 1 + draw(t, ACTS_MAX) : 1;
    uint64_t seed = draw(t, UINT64_MAX);
    pass_time(t);
    if (one_in(t, 12))
        sweep_both(t);
    for (size_t i = 0; i < acts; i++) {
        uint64_t dice = draw(t, 100);
        if (dice < 50)
            add_append(t);
        else if (dice < 85)
            add_ack(t);
        else
            add_attach(t);
    }
    for (int way = 0; way < WAYS; way++)
        ask_all(t, way, seed);
    compare_answers(t);
    compare_keys(t);
}

// How many scripts of that name went the long way.
static uint64_t went_long(struct ways *t, int way, enum saver_script which) {
    redisReply *r = ask_redis(t, way, "HGET test:long %s", saver_scripts[which].name);
    uint64_t n = r->str ? strtoull(r->str, NULL, 10) : 0;
    freeReplyObject(r);
    return n;
}

// A tame one begins with logs from which all has left.
static void begin_phase(struct ways *t) {
    t->is_tame = !one_in(t, 3);
    if (!t->is_tame)
        return;
    t->now_ms += 10 * A_DAY_MS;
    set_clock(t);
    for (int i = 0; i < 4; i++)
        sweep_both(t);
}

static void ways_run(uint64_t seed) {
    struct ways t = {0};
    ways_begin(&t, seed);
    for (int i = 0; i < STEPS; i++) {
        if (i % PHASE_STEPS == 0)
            begin_phase(&t);
        ways_step(&t);
    }
    for (int i = 0; i < TWO_WAYS; i++) { // the one goes both ways, and often
        uint64_t some = went_long(&t, SHORT_WAY, two_ways[i].script);
        uint64_t all = went_long(&t, LONG_WAY, two_ways[i].script);
        printf("%s: %" PRIu64 " of %" PRIu64 "\n", saver_scripts[two_ways[i].script].name, some,
               all);
        ck_assert_uint_gt(some * 10, all);
        ck_assert_uint_lt(some * 10, all * 9);
    }
    ways_end(&t);
}

START_TEST(test_both_ways) {
    struct os *os = os_new();
    uint64_t seed = os_random(os);
    os_free(os);
    ways_run(seed);
}
END_TEST

// One that is always the same.
START_TEST(test_both_ways_again) {
    ways_run(20261);
}
END_TEST

RUN_TESTS("store_ways", test_both_ways, test_both_ways_again)
