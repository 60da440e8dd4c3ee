// The life of a step, which is the same in every store: told once, never before the call returns,
// and cancelled when the store ends. The backend here says by the request when it completes.
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../suite.h"

#include "buf.h"
#include "message.h"
#include "saver.pb-c.h"
#include "store_pair.h"

enum { AT_ONCE = 1, LATER, FAILS, UNKNOWN }; // what a request's product says

static struct os *os;
static struct loop *loop;
static struct store_step *open[8];
static int opens, befores, kept_product;
static char told[256];

static ProtobufCMessage *reply_of(const ProtobufCMessage *request) {
    Hawser__Internal__StatsReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__stats_reply__init(reply);
    reply->pending = ((const Hawser__Internal__StatsRequest *)request)->product;
    return &reply->base;
}

static void begin_stats(struct store_step *p, const ProtobufCMessage *request) {
    uint32_t how = ((const Hawser__Internal__StatsRequest *)request)->product;
    ck_assert_str_eq(p->name, "stats");
    if (how == AT_ONCE) {
        store_step_complete(p, 0, reply_of(request));
        return;
    }
    if (how == FAILS || how == UNKNOWN) { // with a reply that nobody is told
        store_step_complete(p, how == FAILS ? -HW_ESTORE : -HW_EOUTCOME, reply_of(request));
        return;
    }
    store_step_keep(p, request);
    open[opens++] = p;
}

static void before_step(struct store *s) {
    (void)s;
    befores++;
}

static const struct store_method methods[] = {
    {"stats", &hawser__internal__stats_request__descriptor, begin_stats}};
static const struct store_kind kind = {
    .methods = methods, .method_count = 1, .before_step = before_step};

static struct store *store_new(void) {
    struct store *s = hw_calloc(1, sizeof(*s));
    store_init(s, &kind, loop);
    return s;
}

static void on_told(void *arg, int error, const ProtobufCMessage *reply) {
    size_t len = strlen(told);
    ck_assert_int_eq(error != 0, reply == NULL);
    snprintf(told + len, sizeof(told) - len, "%s%s:%s", len ? " " : "", (const char *)arg,
             error == 0                ? "done"
             : error == -HW_ESTORE     ? "not"
             : error == -HW_EOUTCOME   ? "unknown"
             : error == -HW_ECANCELLED ? "cancelled"
                                       : "?");
}

static void ask(struct store *s, uint32_t how, const char *name) {
    Hawser__Internal__StatsRequest q = HAWSER__INTERNAL__STATS_REQUEST__INIT;
    q.product = how;
    char before[sizeof(told)];
    memcpy(before, told, sizeof(told));
    store_call(s, &q.base, on_told, (void *)(uintptr_t)name);
    ck_assert_str_eq(told, before);
    q.product = 99; // the request is the caller's again
}

static void complete_open(int i) {
    kept_product = (int)((Hawser__Internal__StatsRequest *)open[i]->request)->product;
    store_step_complete(open[i], 0, reply_of(open[i]->request));
}

static void set_up(void) {
    os = os_new();
    loop = loop_new(os);
    told[0] = '\0';
    opens = befores = 0;
}

static void tear_down(void) {
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}

// Completed while it begins: told when the iteration ends, in order. Completed later: at once.
START_TEST(test_when_told) {
    set_up();
    struct store *s = store_new();
    ask(s, LATER, "a");
    ask(s, AT_ONCE, "b");
    ask(s, FAILS, "c");
    ask(s, LATER, "d");
    ask(s, AT_ONCE, "e");
    ck_assert_str_eq(told, "");
    loop_step(loop, 0);
    ck_assert_str_eq(told, "b:done c:not e:done");
    complete_open(1);
    complete_open(0);
    ck_assert_str_eq(told, "b:done c:not e:done d:done a:done");
    ck_assert_int_eq(kept_product, LATER);
    ck_assert_int_eq(befores, 5);
    store_free(s);
    ck_assert_str_eq(told, "b:done c:not e:done d:done a:done");
    tear_down();
}
END_TEST

static struct store *asked_again;
static void on_told_ask_again(void *arg, int error, const ProtobufCMessage *reply) {
    on_told(arg, error, reply);
    ask(asked_again, AT_ONCE, "again");
}

// The store ends with steps that have an answer nobody heard, and with others: each is cancelled,
// and so is one that is begun meanwhile.
START_TEST(test_ends_with_steps_open) {
    set_up();
    struct store *s = asked_again = store_new();
    Hawser__Internal__StatsRequest q = HAWSER__INTERNAL__STATS_REQUEST__INIT;
    struct store_counts counts = {0};
    store_count_into(s, &counts);
    ask(s, LATER, "a");
    ask(s, AT_ONCE, "b");
    ask(s, LATER, "c");
    q.product = LATER;
    store_call(s, &q.base, on_told_ask_again, (char[]){"d"});
    store_free(s);
    ck_assert_str_eq(told, "b:cancelled a:cancelled c:cancelled d:cancelled again:cancelled");
    ck_assert_uint_eq(counts.errors, 0);
    ck_assert_int_eq(befores, 4); // the last one did not begin
    loop_step(loop, 0);
    tear_down();
}
END_TEST

START_TEST(test_counts) {
    set_up();
    struct store *s = store_new();
    struct store_counts counts = {0};
    store_count_into(s, &counts);
    ask(s, AT_ONCE, "a");
    ask(s, FAILS, "b");
    ask(s, UNKNOWN, "c");
    loop_step(loop, 0);
    ck_assert_uint_eq(counts.errors, 2);
    ck_assert_uint_eq(counts.outcome_unknown, 1);
    store_free(s);
    tear_down();
}
END_TEST

START_TEST(test_completes_twice) {
    set_up();
    struct store *s = store_new();
    ask(s, AT_ONCE, "a");
    store_step_complete(TAILQ_FIRST(&s->answered), 0, NULL);
}
END_TEST

// Of a pair without rows all is the front's, whose end completes what was passed to it.
START_TEST(test_passed) {
    static const struct store_kind plain_pair = {STORE_PAIR_FUNCTIONS};
    set_up();
    struct store_pair *p = hw_calloc(1, sizeof(*p));
    store_pair_init(p, &plain_pair, store_new(), store_new());
    ask(&p->store, LATER, "a");
    ask(&p->store, AT_ONCE, "b");
    ask(&p->store, UNKNOWN, "c");
    ask(&p->store, LATER, "d");
    loop_step(loop, 0);
    complete_open(0);
    ck_assert_str_eq(told, "b:done c:unknown a:done");
    store_free(&p->store);
    ck_assert_str_eq(told, "b:done c:unknown a:done d:cancelled");
    tear_down();
}
END_TEST

int main(void) {
    TCase *test_case = tcase_create("store_step");
    tcase_add_test(test_case, test_when_told);
    tcase_add_test(test_case, test_ends_with_steps_open);
    tcase_add_test(test_case, test_counts);
    tcase_add_test(test_case, test_passed);
    tcase_add_test_raise_signal(test_case, test_completes_twice, SIGABRT);
    return run_case("store_step", test_case);
}
