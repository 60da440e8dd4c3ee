// What only the Redis store owes: nothing that was answered is lost with a killed server, another
// server's seqs lie above all that was given, a log that is gone comes back in a new epoch, and
// every call completes once whatever the server does.
#include <hiredis/hiredis.h>

#include "contract_parked.h"
#include "crypto.h"
#include "every_saver_request.h"
#include "redis_server.h"

static const struct store_factory factory = {"redis", redis_open, redis_close, redis_next_history};
#define SERVER_EPOCH_SEQ (bed_clock(&b) / 1000 << 20)

static long long raw_integer;
static void raw(const char *command) {
    char path[128];
    snprintf(path, sizeof(path), "%s/s", redis_dir);
    redisContext *c = redisConnectUnix(path);
    ck_assert(c && !c->err);
    char *copy = hw_strdup(command);
    const char *argv[16];
    size_t lens[16], len = strlen(copy);
    int argc = 0;
    for (char *at = copy; *at && argc < 16; argc++) {
        argv[argc] = at;
        lens[argc] = strcspn(at, " ");
        at += lens[argc];
        if (*at)
            *at++ = '\0';
    }
    for (size_t i = 0; i < len; i++) // a space inside an argument, or a zero
        copy[i] = copy[i] == '~' ? ' ' : copy[i] == '^' ? '\0' : copy[i];
    redisReply *r = redisCommandArgv(c, argc, argv, lens);
    ck_assert(r && r->type != REDIS_REPLY_ERROR);
    raw_integer = r->integer;
    freeReplyObject(r);
    redisFree(c);
    free(copy);
}

// How often the server has done that command.
static unsigned long calls_of(const char *command) {
    char path[128], name[64];
    snprintf(path, sizeof(path), "%s/s", redis_dir);
    snprintf(name, sizeof(name), "cmdstat_%s:calls=", command);
    redisContext *c = redisConnectUnix(path);
    ck_assert(c && !c->err);
    redisReply *r = redisCommand(c, "INFO commandstats");
    const char *at = strstr(r->str, name);
    unsigned long calls = at ? strtoul(at + strlen(name), NULL, 10) : 0;
    freeReplyObject(r);
    redisFree(c);
    return calls;
}

static void restart(struct bed *b) {
    redis_kill();
    while (!store_down_reason(b->store))
        loop_step(b->loop, -1);
    redis_start();
    until_up(b->store, b->loop);
}

// A killed server comes back with all that was answered; the next seq lies above every older one,
// and the jump is a gap of that reason. Positions stay good.
START_TEST(test_restart) {
    struct bed b;
    bed_open(&b, &factory);
    ATTACH(&b, .user = "u", .device = "a", .generation = 1);
    store_many(&b, STREAM_INBOX, "u", 1, 3);
    store_many(&b, STREAM_NEWS, NULL, 1, 2);
    ACK(&b, .user = "u", .device = "a", .generation = 1, .seq = 1);
    uint64_t epoch = bed_head(&b, STREAM_INBOX, "u").epoch, least = SERVER_EPOCH_SEQ;
    restart(&b);
    ck_assert_str_eq(bed_stats(&b), "1/2/0/0");
    ck_assert_int_eq(APPEND(&b, .user = "u", .id = "3").outcome, OUTCOME(REPLAYED));
    Hawser__Internal__AppendReply reply = APPEND(&b, .user = "u", .id = "4");
    ck_assert(reply.epoch == epoch && reply.seq >= least && reply.seq <= SERVER_EPOCH_SEQ);
    ck_assert_uint_eq(STORE(&b, .user = "u", .id = "5"), reply.seq + 1);
    char want[160];
    snprintf(want, sizeof(want), "2 3 gap 4-%" PRIu64 " (7) %" PRIu64 " %" PRIu64, reply.seq - 1,
             reply.seq, reply.seq + 1);
    ck_assert_str_eq(LOAD(&b, .user = "u", .after = 1), want);
    uint64_t news = bed_head(&b, STREAM_NEWS, NULL).head;
    ck_assert(news >= least - 1);
    snprintf(want, sizeof(want), "1 2 gap 3-%" PRIu64 " (7)", news);
    ck_assert_str_eq(LOAD(&b, .stream = STREAM_NEWS), want);
    ACK(&b, .user = "u", .device = "a", .generation = 1, .seq = reply.seq);
    ck_assert_str_eq(bed_stats(&b), "4/1/0/0");
    bed_close(&b);
}
END_TEST

// A server that went back (it had not written the last two): a client that has them goes on behind
// them with a gap, and is not reset; what it acked is not lost either.
START_TEST(test_gone_back) {
    struct bed b;
    char want[80];
    bed_open(&b, &factory);
    char command[320];
    unsigned bucket = bucket_of_user("u", 1);
    ATTACH(&b, .user = "u", .device = "a", .generation = 1);
    store_many(&b, STREAM_INBOX, "u", 1, 1);
    snprintf(command, sizeof(command), "COPY hw:{1:%u}:l saved", bucket);
    raw(command);
    store_many(&b, STREAM_INBOX, "u", 2, 3);
    uint64_t epoch = bed_head(&b, STREAM_INBOX, "u").epoch;
    snprintf(command, sizeof(command), "COPY saved hw:{1:%u}:l REPLACE", bucket);
    raw(command);
    restart(&b);
    ck_assert_str_eq(ATTACH(&b, .user = "u", .device = "a", .generation = 2, .have = true,
                            .epoch = epoch, .seq = 3),
                     "0:3 1:0 2:0");
    uint64_t seq = STORE(&b, .user = "u", .id = "new");
    ck_assert_uint_gt(seq, 3);
    snprintf(want, sizeof(want), "gap 4-%" PRIu64 " (7) %" PRIu64, seq - 1, seq);
    ck_assert_str_eq(LOAD(&b, .user = "u", .after = 3), want);
    bed_close(&b);
}
END_TEST

// Whoever is the first to ask is refused: it may be that something is put back first.
static void bed_ask_flushed(struct bed *b) {
    Hawser__Internal__HeadRequest q = HAWSER__INTERNAL__HEAD_REQUEST__INIT;
    q.product = 1;
    q.user = (char[]){"somebody"};
    ck_assert_ptr_null(bed_try(b, &q.base));
    ck_assert_int_eq(b->error, -HW_ESTORE);
    while (!store_down_reason(b->store))
        loop_step(b->loop, -1);
    until_up(b->store, b->loop);
}

// Everything gone: new epochs, resets for whoever was here, counters from nothing, and the buckets
// are found again.
START_TEST(test_flushed) {
    struct bed b;
    bed_open(&b, &factory);
    ATTACH(&b, .user = "u", .device = "a", .generation = 1);
    store_many(&b, STREAM_INBOX, "u", 1, 3);
    store_many(&b, STREAM_NEWS, NULL, 1, 2);
    uint64_t epoch = bed_head(&b, STREAM_INBOX, "u").epoch;
    uint64_t news = bed_head(&b, STREAM_NEWS, NULL).epoch;
    raw("FLUSHALL");
    bed_ask_flushed(&b);
    ck_assert_str_eq(LOAD(&b, .user = "u", .epoch = epoch, .after = 3), "reset 0");
    ck_assert(bed_head(&b, STREAM_INBOX, "u").epoch != epoch);
    ck_assert(bed_head(&b, STREAM_NEWS, NULL).epoch != news);
    ck_assert(!ACK(&b, .user = "u", .device = "a", .generation = 1, .epoch = epoch, .seq = 3));
    ck_assert_str_eq(ATTACH(&b, .user = "u", .device = "a", .generation = 2, .have = true,
                            .epoch = epoch, .seq = 3),
                     "0:0! 1:0 2:0");
    ck_assert_uint_eq(STORE(&b, .user = "u", .id = "1"), 1);
    ck_assert_str_eq(bed_stats(&b), "0/1/0/0");
    ck_assert_str_eq(LOAD(&b, .user = "u"), "1");
    bed_close(&b);
}
END_TEST

static long long raw_number(const char *command) {
    raw(command);
    return raw_integer;
}

// What is over leaves by the sweep of a saver that was asked nothing; nothing is left behind of it
// but the gap. Ids are forgotten too.
START_TEST(test_sweep) {
    struct bed b;
    bed_open(&b, &factory);
    STORE(&b, .user = "u", .id = "1", .expires_ms = 1, .hash = "0123456789abcdef");
    STORE(&b, .stream = STREAM_BULK, .id = "1", .expires_ms = 1);
    char base[40], command[320];
    unsigned long long slice = bed_clock(&b) / ID_KEPT_MIN_MS;
    snprintf(base, sizeof(base), "hw:{1:%u}:", bucket_of_user("u", 1));
    snprintf(command, sizeof(command), "ZADD %sdue 1 ku^i1", base); // remembered until now
    raw(command);
    for (unsigned long long i = slice - 1; i <= slice; i++) { // one of them has the other id
        snprintf(command, sizeof(command), "ZADD hw:{1}:due 1 i%llu", i);
        raw(command);
    }
    snprintf(command, sizeof(command), "EXISTS %sdue hw:{1}:due hw:{1}:i:%llu hw:{1}:i:%llu", base,
             slice - 1, slice);
    while (raw_number(command) > 0)
        loop_step(b.loop, 20);
    snprintf(command, sizeof(command), "HLEN %sl", base);
    ck_assert_int_eq(raw_number(command), 1);
    ck_assert_int_eq(raw_number("HLEN hw:{1}:l"), 1);
    ck_assert_str_eq(bed_stats(&b), "0/0/1/0");
    ck_assert_str_eq(LOAD(&b, .user = "u"), "gap 1-1 (1)");
    ck_assert_str_eq(LOAD(&b, .stream = STREAM_BULK), "gap 1-1 (1)");
    ck_assert_int_eq( // its number was given back as well
        APPEND(&b, .user = "u", .id = "1", .hash = "0123456789abcdef", .ids_max = 1).outcome,
        OUTCOME(STORED));
    bed_close(&b);
}
END_TEST

// Logs of an older layout are not taken for none: the saver says which key it met and what is to be
// done, does nothing, and begins when they are gone.
START_TEST(test_old_layout) {
    struct bed b;
    bed_open(&b, &factory);
    raw("FLUSHALL");
    raw("SADD hw:products 1");
    raw("CLIENT KILL TYPE normal SKIPME yes");
    while (!store_down_reason(b.store) || !strstr(store_down_reason(b.store), "hw:products"))
        loop_step(b.loop, -1);
    ck_assert_ptr_nonnull(strstr(store_down_reason(b.store), "older layout"));
    ck_assert_ptr_nonnull(strstr(store_down_reason(b.store), "delete all keys hw:*"));
    Hawser__Internal__HeadRequest q = HAWSER__INTERNAL__HEAD_REQUEST__INIT;
    q.product = 1;
    q.user = (char[]){"u"};
    ck_assert_ptr_null(bed_try(&b, &q.base));
    ck_assert_int_eq(b.error, -HW_ESTORE);
    raw("DEL hw:products");
    ck_assert_int_eq(raw_number("DBSIZE"), 0);
    until_up(b.store, b.loop);
    ck_assert_uint_eq(STORE(&b, .user = "u", .id = "1"), 1);
    ck_assert_int_eq(raw_number("EXISTS hw:products"), 0);
    bed_close(&b);
}
END_TEST

static int completions, last_error;
static void on_open(void *arg, int error, const ProtobufCMessage *reply) {
    (void)arg;
    ck_assert_int_eq(error != 0, reply == NULL);
    completions++;
    last_error = error;
}

static void on_failed(void *arg, int error, const ProtobufCMessage *reply) {
    on_open(arg, error, reply);
    ck_assert_int_ne(error, 0);
}

// Every method, while the server is frozen, killed, and away, and at the end: completed once, with
// an error, and nothing is left.
START_TEST(test_every_call_completes) {
    struct bed b;
    bed_open(&b, &factory);
    requests_make();
    for (int round = 0; round < 3; round++) {
        completions = 0;
        if (round != 1) // the second finds no server
            kill(redis_pid, SIGSTOP);
        for (size_t method = 0; method < REQUESTS; method++)
            store_call(b.store, requests[method], on_failed, NULL);
        ck_assert_int_eq(completions, 0);
        loop_step(b.loop, 0);
        if (round == 0)
            redis_kill();
        while (round < 2 && completions < REQUESTS)
            loop_step(b.loop, -1);
        if (round == 1) {
            redis_start();
            until_up(b.store, b.loop);
        }
    }
    bed_close(&b);
    ck_assert_int_eq(completions, REQUESTS);
    ck_assert_int_eq(last_error, -HW_ECANCELLED);
}
END_TEST

static int stored;
static void on_keyed(void *arg, int error, const ProtobufCMessage *reply) {
    const Hawser__Internal__AppendReply *a = (const Hawser__Internal__AppendReply *)reply;
    (void)arg;
    ck_assert_int_eq(error != 0, reply == NULL);
    completions++;
    stored += a && a->outcome == HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED;
}

static void expect_refused(struct bed *b, const ProtobufCMessage *request) {
    ck_assert_ptr_null(bed_try(b, request));
    ck_assert_int_eq(b->error, -HW_ESTORE);
}

// What would take memory: messages, to users that are there and new ones, where something is due
// too; new logs and devices; sums.
static void expect_no_growth(struct bed *b) {
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    Hawser__Internal__HeadRequest head = HAWSER__INTERNAL__HEAD_REQUEST__INIT;
    Hawser__Internal__LoadRequest load = HAWSER__INTERNAL__LOAD_REQUEST__INIT;
    Hawser__Internal__AttachRequest attach = HAWSER__INTERNAL__ATTACH_REQUEST__INIT;
    Hawser__Internal__SumsRequest sums = HAWSER__INTERNAL__SUMS_REQUEST__INIT;
    static char *const users[] = {(char *)"u", (char *)"new", (char *)"due", (char *)""};
    q.product = head.product = load.product = attach.product = sums.product = 1;
    q.message = &m;
    m.id = (char[]){"3"};
    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        q.user = users[i];
        q.stream = *q.user ? STREAM_INBOX : STREAM_BULK;
        expect_refused(b, &q.base);
    }
    head.user = load.user = attach.user = users[1];
    attach.device = (char[]){"d"};
    sums.id = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t) "0123456789abcdef"};
    expect_refused(b, &head.base);
    expect_refused(b, &load.base);
    expect_refused(b, &attach.base);
    expect_refused(b, &sums.base);
    attach.user = users[0]; // a device more
    expect_refused(b, &attach.base);
}

// A Redis that is full refuses what would take memory, whatever the step has done before, and
// changes nothing; but repeats, logins of who is known, loads and acks go on: they let go.
START_TEST(test_full_server) {
    struct bed b;
    bed_open(&b, &factory);
    raw("SET hw:sweep other"); // no sweep
    store_many(&b, STREAM_INBOX, "u", 1, 2);
    STORE(&b, .user = "due", .id = "1", .expires_ms = 1);
    ATTACH(&b, .user = "u", .device = "a", .generation = 1);
    bed_head(&b, STREAM_NEWS, NULL);
    raw("CONFIG SET maxmemory 1");
    expect_no_growth(&b);
    ck_assert_int_eq(APPEND(&b, .user = "u", .id = "2").outcome, OUTCOME(REPLAYED));
    ck_assert_str_eq(LOAD(&b, .user = "u"), "1 2");
    ck_assert_str_eq(ATTACH(&b, .user = "u", .device = "a", .generation = 2), "0:0 1:0 2:0");
    ACK(&b, .user = "u", .device = "a", .generation = 2, .seq = 1);
    ck_assert_str_eq(bed_stats(&b), "1/2/0/0");
    raw("CONFIG SET maxmemory 0");
    store_many(&b, STREAM_INBOX, "u", 3, 3);
    ck_assert_str_eq(LOAD(&b, .user = "u"), "gap 1-1 (0) 2 3");
    bed_close(&b);
}
END_TEST

// Nor does a full one count attempts, which take memory; but what is parked is told of,
// acknowledged and thrown away.
START_TEST(test_full_server_parks_nothing) {
    Hawser__Internal__AttemptRequest q = HAWSER__INTERNAL__ATTEMPT_REQUEST__INIT;
    struct bed b;
    bed_open(&b, &factory);
    raw("SET hw:sweep other"); // no sweep
    store_many(&b, STREAM_INBOX, "u", 1, 3);
    ATTACH(&b, .user = "u", .device = "a", .generation = 1);
    PARK_AT_ONCE(&b, "a", 1);
    q.product = 1;
    q.user = (char *)(uintptr_t) "u";
    q.device = (char *)(uintptr_t) "a";
    q.epoch = bed_head(&b, STREAM_INBOX, "u").epoch;
    q.upto = 3;
    q.limits = at_once();
    raw("CONFIG SET maxmemory 1");
    ck_assert_str_eq(LOAD(&b, .user = "u", .device = "a"), "gap 1-1 (4) 2 3");
    ACK(&b, .user = "u", .device = "a", .generation = 1, .seq = 1);
    ck_assert_ptr_null(bed_try(&b, &q.base));
    ck_assert_int_eq(b.error, -HW_ESTORE);
    ck_assert_str_eq(bed_letters(&b, "u", 0, 9), "1(a)");
    ck_assert_str_eq(bed_ends(&b), "0/2/0/0 1");
    ck_assert_uint_eq(bed_unpark(&b, "u", 0), 1);
    raw("CONFIG SET maxmemory 0");
    PARK_AT_ONCE(&b, "a", 2);
    bed_close(&b);
}
END_TEST

// At the bound of a product's keys, and one below it, no append makes the saver ask all buckets: it
// asks at most ten times a second, and 16 times in advance, for new keys and repeats alike.
START_TEST(test_keys_at_the_bound) {
    struct bed b;
    bed_open(&b, &factory);
    raw("SET hw:sweep other"); // no sweep, which reads the same set
    struct push p = {.id = "k", .hash = "0123456789abcdef", .ids_max = 3};
    static const char *const users[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        p.user = users[i];
        ck_assert_int_eq(bed_append(&b, &p).outcome, OUTCOME(STORED));
    }
    raw("CONFIG RESETSTAT");
    uint64_t begin = loop_now_ms(b.loop);
    for (int i = 0; i < 300; i++) {
        p.user = "d"; // a new one, where three may be
        p.ids_max = 3;
        ck_assert_int_eq(bed_append(&b, &p).outcome, OUTCOME(IDS_FULL));
        p.user = "a"; // a known one, where four may be
        p.ids_max = 4;
        ck_assert_int_eq(bed_append(&b, &p).outcome, OUTCOME(REPLAYED));
    }
    ck_assert_uint_gt(calls_of("smembers"), 0);
    ck_assert_uint_le(calls_of("smembers"), 17 + (loop_now_ms(b.loop) - begin) / 100);
    bed_close(&b);
}
END_TEST

// The last places go to those that came first, though all are under way at once; nobody is left
// waiting when the store ends.
START_TEST(test_keys_side_by_side) {
    struct bed b;
    bed_open(&b, &factory);
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    Hawser__Internal__InboxLimits limits = HAWSER__INTERNAL__INBOX_LIMITS__INIT;
    char id[8];
    q.product = 1;
    q.user = (char[]){"u"};
    q.message = &m;
    q.limits = &limits;
    q.body_hash = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t) "0123456789abcdef"};
    m.id = id;
    limits.messages = limits.bytes = 1000000;
    limits.ids_max = 5;
    completions = stored = 0;
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof(id), "%d", i);
        store_call(b.store, &q.base, on_keyed, NULL);
    }
    while (completions < 40)
        loop_step(b.loop, -1);
    ck_assert_int_eq(stored, 5);
    for (int i = 40; i < 60; i++) { // some under way, and some that wait
        snprintf(id, sizeof(id), "%d", i);
        limits.ids_max = 6;
        store_call(b.store, &q.base, on_keyed, NULL);
    }
    bed_close(&b);
    ck_assert_int_eq(completions, 60);
}
END_TEST

static uint64_t seqs_sum;
static void on_in_turn(void *arg, int error, const ProtobufCMessage *reply) {
    const Hawser__Internal__AppendReply *a = (const Hawser__Internal__AppendReply *)reply;
    (void)arg;
    ck_assert_int_eq(error, 0);
    ck_assert_int_eq(a->outcome, OUTCOME(STORED));
    completions++;
    seqs_sum += a->seq;
}

// Messages for two users of one bucket in turn, all in one script: none takes the seq of another.
START_TEST(test_two_logs_in_turn) {
    struct bed b;
    bed_open(&b, &factory);
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    Hawser__Internal__InboxLimits limits = HAWSER__INTERNAL__INBOX_LIMITS__INIT;
    char id[8], users[2][16] = {"u"};
    for (int i = 0; i == 0 || bucket_of_user(users[1], strlen(users[1])) != bucket_of_user("u", 1);)
        snprintf(users[1], sizeof(users[1]), "v%d", i++);
    limits.messages = limits.bytes = 1000000;
    q.product = 1;
    q.message = &m;
    q.limits = &limits;
    m.id = id;
    for (int user = 0; user < 2; user++)
        ck_assert_uint_eq(bed_store(&b, &(struct push){.user = users[user], .id = "first"}), 1);
    completions = 0;
    for (int i = 0; i < 6; i++) {
        snprintf(id, sizeof(id), "%d", i);
        q.user = users[i % 2];
        store_call(b.store, &q.base, on_in_turn, NULL);
    }
    while (completions < 6)
        loop_step(b.loop, -1);
    ck_assert_uint_eq(seqs_sum, 2 * (2 + 3 + 4));
    ck_assert_str_eq(LOAD(&b, .user = "u"), "1 2 3 4");
    bed_close(&b);
}
END_TEST

// Says of u's device b when it was seen: the state is read field by field (docs/REDIS.md), since
// the bytes of the name may also stand by chance in an epoch or in the run's mark.
static void b_was_seen(uint64_t at_ms) {
    char command[720];
    snprintf(command, sizeof(command),
             "EVAL local~s=redis.call('HGET',KEYS[1],'u')~local~form=s:byte(1)~"
             "local~at=1+struct.size('<BI7I7I4c8')~"
             "if~form>0~then~at=at+struct.size('<I6I6')~end~"
             "if~form>1~then~at=at+struct.size('<I7BI4I4I4I4I7I6I6I6I6')~end~"
             "local~n,name~n,at=struct.unpack('<I2',s,at)~"
             "for~i=1,n~do~name,at=struct.unpack('<Bc0',s,at)~"
             "local~seen=at+struct.size('<I7')~if~name=='b'~then~"
             "return~redis.call('HSET',KEYS[1],'u',s:sub(1,seen-1)..struct.pack('<I6',ARGV[1])..s:"
             "sub(seen+6))~end~at=seen+struct.size('<I6I7I7I7I7I7I7')~end~"
             "return~redis.error_reply('no~b') 1 hw:{1:%u}:l %" PRIu64,
             bucket_of_user("u", 1), at_ms);
    raw(command);
}

// A device that was not seen for 30 days is forgotten when another comes new.
START_TEST(test_forgotten) {
    struct bed b;
    bed_open(&b, &factory);
    ATTACH(&b, .user = "u", .device = "a", .generation = 1);
    ATTACH(&b, .user = "u", .device = "b", .generation = 1);
    store_many(&b, STREAM_INBOX, "u", 1, 2);
    ACK(&b, .user = "u", .device = "a", .generation = 1, .seq = 2);
    uint64_t month = UINT64_C(30) * 24 * 3600 * 1000, now = bed_clock(&b);
    for (int i = 0; i < 2; i++) {
        b_was_seen(i == 0 ? now - month + 100000 : now - month - 1);
        ATTACH(&b, .user = "u", .device = i == 0 ? "c" : "d", .generation = 1);
        bed_user(&b, "u");
        ck_assert_int_eq(strstr(b.text, "b=") != NULL, i == 0);
    }
    ck_assert_str_eq(LOAD(&b, .user = "u"), "gap 1-2 (0)"); // nobody is left who lacks them
    bed_close(&b);
}
END_TEST

RUN_TESTS("store_redis", test_restart, test_gone_back, test_flushed, test_sweep, test_old_layout,
          test_every_call_completes, test_full_server, test_full_server_parks_nothing,
          test_keys_at_the_bound, test_keys_side_by_side, test_two_logs_in_turn, test_forgotten)
