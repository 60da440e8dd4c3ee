// More commands than a Redis gets through: what waits, what is refused, and in which order they go.
#include "suite.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include "fake_redis.h"
#include "redis_conn.h"

enum { WORD_BYTES = 300 * 1024, IN_FLIGHT = 4 }; // IN_FLIGHT: so many of them are more than 1 MiB

static struct fake_redis fake = {.reply = FAKE_TEXT("+OK\r\n")};
static struct os *os;
static struct loop *loop;
static struct redis_conn *conn;
static char *word;

struct asked {
    int error, place; // place: of its completion, from 1
};
static int completions;

static void on_asked(void *arg, int error, const redisReply *reply) {
    (void)reply;
    struct asked *a = arg;
    ck_assert_int_eq(a->place, 0);
    *a = (struct asked){error, ++completions};
}

static void ask_with(struct asked *a, const char *value, size_t len) {
    struct redis_args args = {0};
    redis_arg_text(&args, "SET");
    redis_arg_text(&args, "k");
    redis_arg_bytes(&args, value, len);
    ck_assert_ptr_nonnull(args.v[2]); // whoever copies words copies from somewhere
    redis_ask(conn, &(struct redis_command){.shape = "+", .args = &args}, on_asked, a);
    ck_assert_int_eq(a->place, 0); // never before it returns
}

static void ask(struct asked *a) {
    ask_with(a, word, WORD_BYTES);
}

static void until(int count) {
    while (completions < count)
        loop_step(loop, -1);
}

static void setup(uint32_t timeout_ms) {
    fake_start(&fake);
    os = os_new();
    loop = loop_new(os);
    word = hw_calloc(1, WORD_BYTES);
    completions = 0;
    conn = redis_conn_new(
        &(struct redis_options){.url = fake.url, .timeout_ms = timeout_ms, .loop = loop});
    while (!redis_conn_is_up(conn))
        loop_step(loop, -1);
}

static void teardown(void) {
    redis_conn_free(conn);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
    free(word);
    fake_stop(&fake);
}

START_TEST(test_all_go_in_order) {
    struct asked asked[40] = {{0}};
    setup(20000);
    for (int i = 0; i < 40; i++)
        ask(&asked[i]);
    until(40);
    for (int i = 0; i < 40; i++) {
        ck_assert_int_eq(asked[i].error, 0);
        ck_assert_int_eq(asked[i].place, i + 1);
    }
    teardown();
}
END_TEST

// A word of no bytes, as of an empty message, waits like any other, and goes out.
START_TEST(test_an_empty_word_waits) {
    struct asked asked[IN_FLIGHT + 2] = {{0}};
    setup(20000);
    for (int i = 0; i < IN_FLIGHT; i++)
        ask(&asked[i]);
    ask_with(&asked[IN_FLIGHT], NULL, 0);
    ask_with(&asked[IN_FLIGHT + 1], "", 0);
    until(IN_FLIGHT + 2);
    for (int i = 0; i < IN_FLIGHT + 2; i++) {
        ck_assert_int_eq(asked[i].error, 0);
        ck_assert_int_eq(asked[i].place, i + 1);
    }
    teardown();
}
END_TEST

// Of a server that stands still: what it may have is of unknown outcome, what it never got is not
// done, and what is too much is told so at once.
START_TEST(test_a_server_that_stands_still) {
    static struct asked asked[260];
    setup(500);
    kill(fake.process, SIGSTOP);
    for (int i = 0; i < 260; i++)
        ask(&asked[i]);
    loop_step(loop, 0);
    ck_assert_int_eq(asked[200].place, 0);
    ck_assert_int_ne(asked[259].place, 0); // more than 64 MiB wait
    ck_assert_int_eq(asked[259].error, -HW_ESTORE);
    until(260);
    for (int i = 0; i < 260; i++)
        ck_assert_int_eq(asked[i].error, i < IN_FLIGHT ? -HW_EOUTCOME : -HW_ESTORE);
    kill(fake.process, SIGCONT);
    while (!redis_conn_is_up(conn))
        loop_step(loop, -1);
    struct asked again = {0};
    ask(&again);
    until(261);
    ck_assert_int_eq(again.error, 0);
    teardown();
}
END_TEST

// A server that is slow is no dead one: what has waited for too long is given up, the rest goes on.
START_TEST(test_a_slow_server) {
    static struct asked asked[60];
    setup(1000);
    fake.is_slow[0] = true;
    for (int i = 0; i < 60; i++)
        ask(&asked[i]);
    until(60);
    int done = 0;
    for (int i = 0; i < 60; i++) {
        ck_assert(asked[i].error == 0 || asked[i].error == -HW_ESTORE);
        done += asked[i].error == 0;
        ck_assert(i == 0 || asked[i].error == -HW_ESTORE || asked[i - 1].error == 0);
    }
    ck_assert_int_ge(done, IN_FLIGHT);
    ck_assert_int_lt(done, 60);
    ck_assert(redis_conn_is_up(conn));
    teardown();
}
END_TEST

RUN_TESTS("redis behind", test_all_go_in_order, test_an_empty_word_waits,
          test_a_server_that_stands_still, test_a_slow_server)
