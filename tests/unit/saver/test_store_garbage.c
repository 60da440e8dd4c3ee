// The Redis store of a saver against a server that answers with what no Redis would: each method
// completes once, and the store goes on with the next connection.
#include "../store/fake_redis.h"
#include "every_saver_request.h"
#include "redis_conn.h"
#include "store_bed.h"

static int completions;

static void on_done(void *arg, int error, const ProtobufCMessage *reply) {
    (void)arg;
    ck_assert_int_eq(error != 0, reply == NULL);
    completions++;
}

// A store for each method: one whose connections end again and again waits ever longer for the
// next.
static void call_one(struct fake_redis *f, size_t method) {
    struct os *os = os_new();
    struct loop *l = loop_new(os);
    struct store *s =
        saver_store_redis(&(struct redis_options){.url = f->url, .timeout_ms = 2000, .loop = l});
    while (store_down_reason(s))
        loop_step(l, -1);
    completions = 0;
    store_call(s, requests[method], on_done, NULL);
    while (completions == 0 || store_down_reason(s)) // it goes on after it
        loop_step(l, -1);
    store_free(s);
    ck_assert_int_eq(completions, 1);
    loop_step(l, 0);
    ck_assert_int_eq(loop_free(l), 0);
    os_free(os);
}

static void call_each(struct fake_redis *f) {
    fake_start(f);
    for (size_t method = 0; method < REQUESTS; method++)
        call_one(f, method);
    fake_stop(f);
}

START_TEST(test_garbage) {
    requests_make();
    for (size_t i = 0; i < FAKE_GARBAGE; i++)
        call_each(&(struct fake_redis){.reply = fake_garbage[i],
                                       .rules = {{.has = "hw:products", .reply = ":0\r\n"}}});
}
END_TEST

// The second commands of the steps that have two.
START_TEST(test_garbage_behind_heads) {
    requests_make();
    for (size_t i = 0; i < FAKE_GARBAGE; i++)
        call_each(
            &(struct fake_redis){.reply = fake_garbage[i],
                                 .rules = {{.has = "hw:products", .reply = ":0\r\n"},
                                           {.has = "are_there = are_there and",
                                            .reply = "*6\r\n:1\r\n:1\r\n:0\r\n:1\r\n:1\r\n:0\r\n"},
                                           {.has = "hw:{0}:b", .reply = "*1\r\n$1\r\n5\r\n"}}});
}
END_TEST

// The sweep, which asks by itself: integers and nothing where the sets' members are due.
START_TEST(test_garbage_in_sets) {
    static const char *const members[] = {"*2\r\n:5\r\n:6\r\n", "*1\r\n$-1\r\n", "*1\r\n*0\r\n",
                                          "$1\r\n5\r\n"};
    for (size_t i = 0; i < 2 * sizeof(members) / sizeof(members[0]); i++) {
        struct os *os = os_new();
        struct loop *l = loop_new(os);
        struct fake_redis f = {
            .reply = FAKE_TEXT(":0\r\n"),
            .rules = {{.has = "hw:sweep", .reply = "+OK\r\n"},
                      {.has = "hw:products", .reply = ":0\r\n"},
                      {.has = "hw:logs", .reply = i % 2 ? members[i / 2] : "*1\r\n$1\r\n1\r\n"},
                      {.has = "hw:{1}:b", .reply = members[i / 2]}}};
        fake_start(&f);
        struct store *s = saver_store_redis(
            &(struct redis_options){.url = f.url, .timeout_ms = 20000, .loop = l});
        for (int turn = 0; turn < 2; turn++) { // it goes on after it
            while (store_down_reason(s))
                loop_step(l, -1);
            const char *reason;
            while (!(reason = store_down_reason(s)))
                loop_step(l, -1);
            ck_assert_ptr_nonnull(strstr(reason, "not what the question asks for"));
        }
        store_free(s);
        loop_step(l, 0);
        ck_assert_int_eq(loop_free(l), 0);
        os_free(os);
        fake_stop(&f);
    }
}
END_TEST

RUN_TESTS("store_garbage", test_garbage, test_garbage_behind_heads, test_garbage_in_sets)
