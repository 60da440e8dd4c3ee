// The Redis store of a saver against a server that answers with what no Redis would: each method
// completes once, and the store goes on with the next connection.
#include "../store/fake_redis.h"
#include "redis_conn.h"
#include "store_bed.h"

static int completions;

static void on_done(void *arg, int error, const ProtobufCMessage *reply) {
    (void)arg;
    ck_assert_int_eq(error != 0, reply == NULL);
    completions++;
}

static Hawser__Internal__AppendRequest append;
static Hawser__Internal__LoadRequest load;
static Hawser__Internal__HeadRequest head;
static Hawser__Internal__ProductHeadsRequest heads;
static Hawser__Internal__AttachRequest attach;
static Hawser__Internal__AckRequest ack;
static Hawser__Internal__SumsRequest sums;
static Hawser__Internal__StatsRequest stats;
static Hawser__Internal__UserRequest user;
static Hawser__Internal__ClockRequest clock_request;
static const ProtobufCMessage *const requests[] = {
    NULL,      &append.base, &load.base,  &head.base, &heads.base,        &attach.base,
    &ack.base, &sums.base,   &stats.base, &user.base, &clock_request.base};
enum { METHODS = sizeof(requests) / sizeof(requests[0]) };

static void make_requests(void) {
    static Hawser__Internal__StoredMessage message = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    static Hawser__Internal__StreamPosition upto = HAWSER__INTERNAL__STREAM_POSITION__INIT;
    static Hawser__Internal__StreamPosition *uptos[] = {&upto};
    static char name[] = "u";
    hawser__internal__append_request__init(&append);
    hawser__internal__load_request__init(&load);
    hawser__internal__head_request__init(&head);
    hawser__internal__product_heads_request__init(&heads);
    hawser__internal__attach_request__init(&attach);
    hawser__internal__ack_request__init(&ack);
    hawser__internal__sums_request__init(&sums);
    hawser__internal__stats_request__init(&stats);
    hawser__internal__user_request__init(&user);
    hawser__internal__clock_request__init(&clock_request);
    message.id = name;
    append.message = &message;
    append.user = load.user = head.user = attach.user = ack.user = user.user = name;
    sums.id = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t) "0123456789abcdef"};
    upto.stream = STREAM_NEWS;
    ack.upto = uptos;
    ack.n_upto = 1;
}

static void call_each(struct fake_redis *f) {
    struct os *os = os_new();
    struct loop *l = loop_new(os);
    fake_start(f);
    struct store *s =
        saver_store_redis(&(struct redis_options){.url = f->url, .timeout_ms = 2000, .loop = l});
    for (int method = 1; method < METHODS; method++) {
        while (store_down_reason(s))
            loop_step(l, -1);
        completions = 0;
        store_call(s, requests[method], on_done, NULL);
        while (completions == 0)
            loop_step(l, -1);
        ck_assert_int_eq(completions, 1);
    }
    store_free(s);
    ck_assert_int_eq(completions, 1);
    loop_step(l, 0);
    ck_assert_int_eq(loop_free(l), 0);
    os_free(os);
    fake_stop(f);
}

START_TEST(test_garbage) {
    make_requests();
    for (size_t i = 0; i < FAKE_GARBAGE; i++)
        call_each(&(struct fake_redis){.reply = fake_garbage[i]});
}
END_TEST

// The second commands of the steps that have two.
START_TEST(test_garbage_behind_heads) {
    make_requests();
    for (size_t i = 0; i < FAKE_GARBAGE; i++)
        call_each(
            &(struct fake_redis){.reply = fake_garbage[i],
                                 .rules = {{.has = "for i = rest, #ARGV, 2 do",
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
                      {.has = "hw:products", .reply = i % 2 ? members[i / 2] : "*1\r\n$1\r\n1\r\n"},
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
