// The Redis connection against a server that answers with what no Redis would: what was asked
// completes once, and the connection heals, but not in a tight circle.
#include "suite.h"

#include "redis_conn_bed.h"
#include "redis_reply.h"

// Whatever comes as an answer, to a question of each shape: it is the answer, or it costs the
// connection, and the call completes once. Each has a connection of its own: one that ends again
// and again waits ever longer.
START_TEST(test_garbage) {
    static const char *const shapes[] = {"i",    "s", "n", "+", "?+", "[*n]", "[nnnin[*[ns*i]]]",
                                         "[*?n]"};
    enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };
    for (size_t i = 0; i < FAKE_GARBAGE * SHAPES; i++) {
        struct fake_redis f = {.reply = fake_garbage[i / SHAPES]};
        struct redis_conn *c = fake_setup(&f, 2000);
        struct outcome o;
        until_up(c);
        shape = shapes[i % SHAPES];
        command(c, "PING", NULL, NULL, &o);
        wait_for(&o);
        until_up(c);
        fake_teardown(&f, c);
    }
}
END_TEST

// Answers that nobody asked for, before and between the others.
START_TEST(test_unasked) {
    struct fake_redis f = {.reply = FAKE_TEXT("+OK\r\n+OK\r\n")};
    struct redis_conn *c = fake_setup(&f, 20000);
    struct outcome o;
    shape = "+";
    until_up(c);
    command(c, "PING", NULL, NULL, &o);
    wait_for(&o);
    ck_assert_int_eq(o.error, 0);
    until_down(c, "nobody asked");
    until_up(c);
    fake_teardown(&f, c);
}
END_TEST

static void count_up(void *arg, bool up) {
    *(int *)arg += up;
}

// A server that is fit, and at once says what nobody asked for: it is not met again and again
// without a pause. Pauses of 50 ms would be some 40 of them in this time, and 12 take longer than
// it in nearly all draws.
START_TEST(test_flaps) {
    enum { WINDOW_MS = 1500, TIMES_MAX = 20 };
    struct fake_redis f = {.behind_claim = ":1\r\n"};
    int times = 0;
    struct redis_conn *c = NULL;
    fake_start(&f);
    os = os_new();
    loop = loop_new(os);
    c = redis_conn_new(&(struct redis_options){
        .url = f.url, .timeout_ms = 20000, .loop = loop, .on_state = count_up, .arg = &times});
    while (times == 0)
        loop_step(loop, -1);
    for (uint64_t end_ms = loop_now_ms(loop) + WINDOW_MS; loop_now_ms(loop) < end_ms;)
        loop_step(loop, 10);
    until_down(c, "nobody asked");
    ck_assert_int_gt(times, 1);
    ck_assert_int_le(times, TIMES_MAX);
    fake_teardown(&f, c);
}
END_TEST

// A reply that never ends is read up to a bound.
START_TEST(test_endless) {
    size_t len = REPLY_BYTES_MAX + (1 << 20);
    char *bytes = calloc(1, len);
    for (int i = 0; i < 2; i++) {
        memcpy(bytes, i == 0 ? "$2000000000\r\n" : "+abcdefghijklmnop", 13);
        struct fake_redis f = {.reply = {bytes, len}};
        struct redis_conn *c = fake_setup(&f, 100000);
        struct outcome o;
        until_up(c);
        shape = "s";
        command(c, "PING", NULL, NULL, &o);
        wait_for(&o);
        ck_assert_int_eq(o.error, -HW_EOUTCOME);
        ck_assert_ptr_nonnull(strstr(redis_conn_down_reason(c), "too large"));
        fake_teardown(&f, c);
    }
    free(bytes);
}
END_TEST

RUN_TESTS("redis strange", test_garbage, test_unasked, test_flaps, test_endless)
