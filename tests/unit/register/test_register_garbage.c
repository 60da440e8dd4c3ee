// The Redis store of a register against a server that answers with what no Redis would: each method
// completes once, the store goes on with the next connection, and a record that is none is no
// entry.
#include "../every_request.h"
#include "../store/fake_redis.h"
#include "loop.h"
#include "methods.h"
#include "redis_conn.h"
#include "register_store.h"

static int completions, last_error;
static size_t entries;

static void on_done(void *arg, int error, const ProtobufCMessage *reply) {
    (void)arg;
    ck_assert_int_eq(error != 0, reply == NULL);
    completions++;
    last_error = error;
    if (reply && reply->descriptor == &hawser__internal__watch_reply__descriptor)
        entries = ((const Hawser__Internal__WatchReply *)reply)->n_entry;
    if (reply && reply->descriptor == &hawser__internal__catalog_get_reply__descriptor)
        entries = ((const Hawser__Internal__CatalogGetReply *)reply)->found ? 1 : 0;
}

struct bed {
    struct os *os;
    struct loop *loop;
    struct store *store;
};

static void serve(struct fake_redis *f) {
    f->rules[0] = (struct fake_rule){.has = "undead[#undead",
                                     .reply = "*3\r\n*1\r\n$1\r\n7\r\n*0\r\n:0\r\n"}; // the view
    fake_start(f);
}

static void bed_open(struct bed *b, struct fake_redis *f) {
    *b = (struct bed){.os = os_new()};
    b->loop = loop_new(b->os);
    b->store = register_store_redis(
        &(struct redis_options){.url = f->url, .timeout_ms = 2000, .loop = b->loop});
}

static void bed_close(struct bed *b) {
    store_free(b->store);
    loop_step(b->loop, 0);
    ck_assert_int_eq(loop_free(b->loop), 0);
    os_free(b->os);
}

static void call(struct bed *b, const ProtobufCMessage *request) {
    while (store_down_reason(b->store))
        loop_step(b->loop, -1);
    completions = 0;
    entries = 0;
    store_call(b->store, request, on_done, NULL);
    while (completions == 0)
        loop_step(b->loop, -1);
    ck_assert_int_eq(completions, 1);
}

REGISTER_METHODS(REQUEST_DECLARATION)
static const ProtobufCMessage *const requests[] = {REGISTER_METHODS(REQUEST_ROW)};

// A store for each call: one whose connections end again and again waits ever longer for the next.
static void call_one(struct fake_redis *f, const ProtobufCMessage *request) {
    struct bed b;
    bed_open(&b, f);
    call(&b, request);
    while (store_down_reason(b.store)) // it goes on after it
        loop_step(b.loop, -1);
    bed_close(&b);
}

static void call_each(struct fake_redis *f) {
    Hawser__Internal__Member member = HAWSER__INTERNAL__MEMBER__INIT;
    REGISTER_METHODS(REQUEST_INIT)
    announce_request.member = &member;
    serve(f);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
        call_one(f, requests[i]);
    catalog_put_request.key = (char[]){"product/p"}; // it needs a number first
    call_one(f, &catalog_put_request.base);
    fake_stop(f);
}

START_TEST(test_garbage) {
    for (size_t i = 0; i < FAKE_GARBAGE; i++)
        call_each(&(struct fake_redis){.reply = fake_garbage[i]});
}
END_TEST

// The catalog's values stand at the end of what was read: looked at no further than that.
START_TEST(test_no_records) {
    static const char *const values[] = {"",     "1",    "12",    "1234",
                                         "1 ",   "1 1",  "1 x",   "1 2 ",
                                         "1 0x", "a 1 ", "12  1", "99999999999999999 1 v"};
    Hawser__Internal__CatalogGetRequest get = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    Hawser__Internal__WatchRequest watch = HAWSER__INTERNAL__WATCH_REQUEST__INIT;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char as_watch[256], as_get[80], value[64];
        snprintf(value, sizeof(value), "$%zu\r\n%s\r\n", strlen(values[i]), values[i]);
        snprintf(as_get, sizeof(as_get), "*2\r\n%s:1\r\n", value);
        snprintf(as_watch, sizeof(as_watch),
                 "*11\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:0\r\n*0\r\n*0\r\n"
                 "*4\r\n$1\r\nk\r\n%s$1\r\nl\r\n$5\r\n2 0 v\r\n",
                 value);
        struct fake_redis f = {
            .reply = FAKE_TEXT("+OK\r\n"),
            .rules = {{0},
                      {.has = "return {call('HGET', dir .. ':c'", .reply = as_get},
                      {.has = "more = 1", .reply = as_watch}}};
        struct bed b;
        serve(&f);
        bed_open(&b, &f);
        call(&b, &get.base);
        ck_assert_int_eq(last_error, 0);
        ck_assert_uint_eq(entries, 0);
        call(&b, &watch.base);
        ck_assert_int_eq(last_error, 0);
        ck_assert_uint_eq(entries, 1); // the other one
        bed_close(&b);
        fake_stop(&f);
    }
}
END_TEST

RUN_TESTS("register_garbage", test_garbage, test_no_records)
