// One contract suite for every register store: each test runs on the memory store and on Redis.
#include "crypto.h"

#include "../../../register/memory_internal.h"
#include "contract_directory.h"
#include "contract_logins.h"
#include "contract_rows.h"

typedef void check_fn(struct bed *b);
static const struct {
    const char *name;
    check_fn *check;
} checks[] = {
    {"login", check_login},
    {"long texts", check_long_texts},
    {"login above a row that is ahead", check_login_above},
    {"refusals", check_refusals},
    {"restarts", check_restarts},
    {"asked before", check_asked_before},
    {"devices", check_devices},
    {"devices of a run that is away", check_devices_void},
    {"drop", check_drop},
    {"confirm", check_confirm},
    {"confirm below a session that is over", check_confirm_two_below},
    {"confirm above the row", check_confirm_above},
    {"confirm zeros", check_confirm_zeros},
    {"confirm a missing row", check_confirm_missing},
    {"confirm too late", check_confirm_late},
    {"void rows", check_void_rows},
    {"directory", check_directory},
    {"catalog", check_catalog},
    {"catalog, deleted without a value", check_catalog_deletes_bare},
    {"catalog in parts", check_catalog_in_parts},
};
enum { CHECKS = sizeof(checks) / sizeof(checks[0]) };

static void run_checks(bool on_redis) {
    for (int i = 0; i < CHECKS; i++) {
        printf("%s: %s\n", on_redis ? "redis" : "memory", checks[i].name);
        struct bed *b = bed_new(on_redis);
        checks[i].check(b);
        bed_free(b);
    }
}

START_TEST(test_memory) {
    run_checks(false);
}
END_TEST

START_TEST(test_redis) {
    run_checks(true);
}
END_TEST

// Whoever is the first to ask is refused, and the server is taken for another one.
static void ask_emptied(struct bed *b) {
    Hawser__Internal__WatchRequest q = HAWSER__INTERNAL__WATCH_REQUEST__INIT;
    b->done = false;
    store_call(b->store, &q.base, on_done, b);
    while (!b->done)
        loop_step(b->loop, -1);
    ck_assert_int_eq(b->error, -HW_ESTORE);
    while (!store_down_reason(b->store))
        loop_step(b->loop, -1);
    while (store_down_reason(b->store))
        loop_step(b->loop, -1);
}

// A store that was emptied is another index and another directory; who announces is back in it.
START_TEST(test_redis_emptied) {
    struct bed *b = bed_new(true);
    rooms_live(b);
    const Hawser__Internal__WatchReply *w = watch(b, 0, 0, 0, 0);
    uint64_t index = w->index_epoch, directory = w->directory_epoch;
    char command[160];
    snprintf(command, sizeof(command), "redis-cli -s '%s/s' flushall >/dev/null", b->dir);
    ck_assert_int_eq(system(command), 0);
    ask_emptied(b);
    ck_assert_uint_ne(announce(b, "a", 11, 0, 60000)->index_epoch, index);
    w = watch(b, directory, 1, 0, 0);
    ck_assert(w->directory_whole);
    ck_assert_uint_ne(w->directory_epoch, directory);
    ck_assert_uint_eq(w->n_member, 1);
    bed_free(b);
}
END_TEST

static void check_other_run(struct bed *b, const Hawser__Internal__WatchReply *before) {
    uint64_t directory = before->directory_epoch, dv = before->directory_version;
    uint64_t catalog = before->catalog_epoch, cv = before->catalog_version;
    uint64_t index = before->index_epoch;
    if (b->redis) {
        kill(b->redis, SIGKILL);
        waitpid(b->redis, NULL, 0);
        while (!store_down_reason(b->store))
            loop_step(b->loop, -1);
        redis_start(b);
        while (store_down_reason(b->store))
            loop_step(b->loop, -1);
    } else {
        register_store_memory_next_history(b->store);
    }
    const Hawser__Internal__WatchReply *w = watch(b, directory, dv, catalog, cv);
    ck_assert(w->directory_whole && w->catalog_whole);
    ck_assert_uint_ne(w->directory_epoch, directory);
    ck_assert_uint_ne(w->catalog_epoch, catalog);
    ck_assert_uint_ne(w->index_epoch, index);
    ck_assert_uint_eq(w->n_member, 2);
    ck_assert_uint_eq(w->n_entry, 1);
}

// Another history of the data: it may have gone back: everybody reads everything again.
START_TEST(test_other_run) {
    for (int on_redis = 0; on_redis < 2; on_redis++) {
        struct bed *b = bed_new(on_redis == 1);
        rooms_live(b);
        put(b, "one", 0, 0, false);
        check_other_run(b, watch(b, 0, 0, 0, 0));
        bed_free(b);
    }
}
END_TEST

// While nobody could renew no lease ends, and a clock that is set ends none either.
START_TEST(test_redis_away) {
    static const int away_s[] = {3600, -3600};
    for (int i = 0; i < 2; i++) {
        struct bed *b = bed_new(true);
        announce(b, "a", 11, 0, 60000);
        announce(b, "b", 22, 0, 1500);
        const char *script = "local h, n = 'hw:{dir}:h', tonumber(ARGV[1]) * 1000 "
                             "redis.call('HINCRBY', h, 'seen', -n) "
                             "for _, m in ipairs(redis.call('ZRANGE', 'hw:{dir}:l', 0, -1)) do "
                             "redis.call('ZINCRBY', 'hw:{dir}:l', -n, m) end";
        char command[640];
        snprintf(command, sizeof(command), "redis-cli -s '%s/s' eval \"%s\" 0 %d >/dev/null",
                 b->dir, script, away_s[i]);
        ck_assert_int_eq(system(command), 0);
        ck_assert_uint_eq(watch(b, 0, 0, 0, 0)->n_member, 2);
        while (watch(b, 0, 0, 0, 0)->n_member == 2) // b's time goes on all the same
            loop_step(b->loop, 20);
        const Hawser__Internal__WatchReply *w = watch(b, 0, 0, 0, 0);
        ck_assert_uint_eq(w->n_member, 1);
        ck_assert_str_eq(w->member[0]->id, "a");
        bed_free(b);
    }
}
END_TEST

static uint64_t ask_redis(const struct bed *b, const char *what) {
    char command[1024], line[64] = "";
    snprintf(command, sizeof(command), "redis-cli -s '%s/s' %s", b->dir, what);
    FILE *out = popen(command, "r");
    ck_assert_ptr_nonnull(out);
    ck_assert_ptr_nonnull(fgets(line, sizeof(line), out));
    pclose(out);
    return strtoull(line, NULL, 10);
}

#define ALL_KEYS "\"for _, k in ipairs(redis.call('KEYS', 'hw:{1:*')) do "

#define PACKED_ROW(device, seen)                                                                   \
    "struct.pack('<B', #(" device ")) .. (" device ") .. struct.pack('<I7I7I7', 7, 7, 8) .. "      \
    "'12345678' .. struct.pack('<BI6I6B', 0, 5, " seen ", 6) .. 'room-a' .. struct.pack('<B', 0)"

// What nobody has seen for 30 days is not told of, and goes with the next new device. Of the rows
// of a store that had no bound only so many stay.
START_TEST(test_redis_forgets) {
    struct bed *b = bed_new(true);
    rooms_live(b);
    uint64_t g = ROW(b, .incarnation = 11)->generation;
    ck_assert(drop(b, 11, g));
    ask_redis(b, "eval " ALL_KEYS "local v = redis.call('HGET', k, 'u') for i = 1, 3000 do "
                 "v = v .. " PACKED_ROW("'x' .. i", "i") " end redis.call('HSET', k, 'u', v) "
                                                         "return 1 end\" 0");
    ck_assert_uint_eq(find(b)->n_row, 1);
    ck_assert_uint_ne(ROW(b, .incarnation = 11)->generation, 0);
    ck_assert_uint_eq(ask_redis(b, "eval " ALL_KEYS
                                   "local _, n = string.gsub(redis.call('HGET', k, 'u'), "
                                   "'room[-]a', '') return n end\" 0"),
                      1);
    bed_free(b);
}
END_TEST

// Another user whose rows lie in the bucket of u.
static void login_neighbour(struct bed *b) {
    Hawser__Internal__LoginRequest q = HAWSER__INTERNAL__LOGIN_REQUEST__INIT;
    char user[24];
    unsigned i = 0;
    do
        snprintf(user, sizeof(user), "n%u", i++);
    while (bucket_of_user(user, strlen(user)) != bucket_of_user("u", 1));
    q.product = 1;
    q.user = user;
    q.device = (char *)"d";
    q.room = (char *)"room-a";
    q.incarnation = 11;
    ask(b, &q.base);
}

// A user of whom no device was seen for 30 days goes when another comes to the bucket; who was seen
// since, by one device, stays.
START_TEST(test_redis_forgets_users) {
    for (int seen_lately = 0; seen_lately < 2; seen_lately++) {
        struct bed *b = bed_new(true);
        rooms_live(b);
        ck_assert(drop(b, 11, ROW(b, .incarnation = 11)->generation));
        ask_redis(b, seen_lately
                         ? "eval " ALL_KEYS "redis.call('HSET', k, 'u', " PACKED_ROW(
                               "'x'", "1") " .. redis.call('HGET', k, 'u')) return 1 end\" 0"
                         : "eval " ALL_KEYS "redis.call('HSET', k, 'u', " PACKED_ROW(
                               "'x'", "1") ") return 1 end\" 0");
        login_neighbour(b);
        ck_assert_uint_eq(ask_redis(b, "eval " ALL_KEYS "return redis.call('HLEN', k) end\" 0"),
                          seen_lately ? 2 : 1);
        bed_free(b);
    }
}
END_TEST

// When the row of device `d` was seen, in ms before Redis' now; behind the name, and 36 bytes more.
static uint64_t seen_ago_ms(const struct bed *b) {
    return ask_redis(b, "eval " ALL_KEYS "local t = redis.call('TIME') "
                        "return t[1] * 1000 + math.floor(t[2] / 1000) - "
                        "struct.unpack('<I6', redis.call('HGET', k, 'u'), 39) end\" 0");
}

static void let_it_be_seen_before(const struct bed *b, const char *ago_ms) {
    char command[512];
    snprintf(command, sizeof(command),
             "eval " ALL_KEYS "local t, v = redis.call('TIME'), redis.call('HGET', k, 'u') "
             "redis.call('HSET', k, 'u', string.sub(v, 1, 38) .. struct.pack('<I6', "
             "t[1] * 1000 + math.floor(t[2] / 1000) - %s) .. string.sub(v, 45)) return 1 end\" 0",
             ago_ms);
    ask_redis(b, command);
}

// All sessions are confirmed each minute; their rows are not written as often.
START_TEST(test_redis_row_is_seldom_written) {
    struct bed *b = bed_new(true);
    rooms_live(b);
    uint64_t g = ROW(b, .incarnation = 11, .slot = 7)->generation;
    ck_assert_uint_lt(seen_ago_ms(b), 60000);
    let_it_be_seen_before(b, "200000");
    ck_assert_int_eq(confirm(b, 11, 7, g)->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_HELD);
    ck_assert_uint_ge(seen_ago_ms(b), 200000);
    let_it_be_seen_before(b, "300001");
    ck_assert_int_eq(confirm(b, 11, 7, g)->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_HELD);
    ck_assert_uint_lt(seen_ago_ms(b), 60000);
    bed_free(b);
}
END_TEST

// What is counted for a run, and the place it announced, go when it is gone for good.
START_TEST(test_redis_forgets_runs) {
    struct bed *b = bed_new(true);
    rooms_live(b);
    ck_assert_uint_ne(ROW(b, .incarnation = 11)->generation, 0);
    Hawser__Internal__WithdrawRequest w = HAWSER__INTERNAL__WITHDRAW_REQUEST__INIT;
    w.incarnation = 11;
    ask(b, &w.base);
    while (ask_redis(b, "hexists hw:{1}:on 11") != 0) { // a new directory forgets nobody for 15 s
        ask_redis(b, "hset hw:{dir}:h since 1");
        let_it_be_seen(b);
        ck_assert_uint_eq(online(b), 0);
    }
    ck_assert_uint_eq(ask_redis(b, "hlen hw:{dir}:p"), 2);
    ask_redis(b, "hset hw:{dir}:g 11 '1 1'");
    ck_assert_uint_eq(watch(b, 0, 0, 0, 0)->n_member, 1);
    ck_assert_uint_eq(ask_redis(b, "hlen hw:{dir}:p"), 1);
    bed_free(b);
}
END_TEST

static bool is_settled(struct bed *b) {
    Hawser__Internal__CatalogGetRequest q = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    q.key = (char *)(uintptr_t) "product/none";
    return ((const Hawser__Internal__CatalogGetReply *)ask(b, &q.base))->settled;
}

// Of one history for a while, a store knows alone what there is; in another one it does not yet.
START_TEST(test_settled) {
    for (int on_redis = 0; on_redis < 2; on_redis++) {
        struct bed *b = bed_new(on_redis == 1);
        rooms_live(b);
        put(b, "one", 0, 0, false);
        ck_assert(!is_settled(b));
        if (b->redis)
            (void)ask_redis(b, "HINCRBY 'hw:{dir}:h' since -15001");
        else
            ((struct register_memory *)b->store)->run_ms -= GONE_FOR_GOOD_MS + 1;
        ck_assert(is_settled(b));
        check_other_run(b, watch(b, 0, 0, 0, 0));
        ck_assert(!is_settled(b));
        bed_free(b);
    }
}
END_TEST

RUN_TESTS("register store", test_memory, test_redis, test_redis_row_is_seldom_written,
          test_redis_emptied, test_other_run, test_settled, test_redis_away, test_redis_forgets,
          test_redis_forgets_users, test_redis_forgets_runs)
