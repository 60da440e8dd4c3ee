// What is not known here is asked of the registers: found when one has it, unknown when all say so.
#include "suite.h"

#include "buf.h"
#include "cluster.h"
#include "rpc.h"
#include "serve.h"

enum { REGISTERS = 2 };

struct fake { // a register that has the product, or not
    struct os *os;
    struct loop *loop;
    struct rpc_server *server;
    bool has_it, stands_still, has_no_store, is_settled;
    int asked;
};

static struct os *os;
static struct loop *loop;
static struct fake fakes[REGISTERS];
static struct rpc_identity registers_self = {
    .role = "register", .incarnation = 7, .secrets = {"secret"}, .secret_count = 1};
static struct rpc_identity self = {
    .role = "room", .incarnation = 8, .secrets = {"secret"}, .secret_count = 1};

struct answer {
    bool came, found;
    int error;
};

static void register_on_catalog_get(void *daemon, const Hawser__Internal__CatalogGetRequest *q,
                                    struct rpc_call *call) {
    struct fake *f = daemon;
    Hawser__Internal__CatalogGetReply reply = HAWSER__INTERNAL__CATALOG_GET_REPLY__INIT;
    Hawser__Internal__CatalogEntry entry = HAWSER__INTERNAL__CATALOG_ENTRY__INIT;
    Hawser__Internal__Product product = HAWSER__INTERNAL__PRODUCT__INIT;
    uint8_t value[64];
    (void)q;
    f->asked++;
    if (f->has_no_store) {
        rpc_fail(call, -HW_ESTORE);
        return;
    }
    product.name = (char *)(uintptr_t) "demo";
    product.number = 3;
    entry.key = (char *)(uintptr_t) "product/demo";
    entry.version = 1;
    entry.value = (ProtobufCBinaryData){hawser__internal__product__pack(&product, value), value};
    reply.found = f->has_it;
    reply.settled = f->is_settled;
    reply.entry = f->has_it ? &entry : NULL;
    register_catalog_get_reply(call, &reply);
}

#define METHODS(X)                                                                                 \
    X(register, catalog_get, CLUSTER_METHOD__CLUSTER_CATALOG_GET, CatalogGet, catalog_get, 3000,   \
      REPEATABLE, RPC_ROOM, MEMORY_SMALL, catalog_gets)
METHODS(SERVE)
static const struct rpc_method methods[] = {METHODS(SERVED){0}};

static void on_asked(void *arg, int error, const struct product *p) {
    struct answer *a = arg;
    ck_assert(!a->came);
    *a = (struct answer){.came = true, .found = p != NULL, .error = error};
}

static struct cluster *setup(void) {
    char *seeds[REGISTERS];
    os = os_new();
    loop = loop_new(os);
    for (int i = 0; i < REGISTERS; i++) {
        fakes[i] = (struct fake){.os = os_new()};
        fakes[i].loop = loop_new(fakes[i].os);
        ck_assert_int_eq(rpc_server_new(&(struct rpc_server_options){.loop = fakes[i].loop,
                                                                     .self = &registers_self,
                                                                     .host = "127.0.0.1",
                                                                     .methods = methods,
                                                                     .daemon = &fakes[i]},
                                        &fakes[i].server),
                         0);
        seeds[i] = hw_malloc(32);
        snprintf(seeds[i], 32, "127.0.0.1:%u", rpc_server_port(fakes[i].server));
    }
    struct cluster *c = cluster_new(&(struct cluster_options){
        .loop = loop, .self = &self, .registers = seeds, .register_count = REGISTERS});
    for (int i = 0; i < REGISTERS; i++)
        free(seeds[i]);
    return c;
}

static void step_all(void) {
    for (int i = 0; i < REGISTERS; i++)
        if (!fakes[i].stands_still)
            loop_step(fakes[i].loop, 0);
    loop_step(loop, 1);
}

static struct answer ask_key(struct cluster *c, const char *name, const char *kid) {
    struct answer a = {0};
    cluster_product_ask(c, name, kid, on_asked, &a);
    while (!a.came)
        step_all();
    return a;
}

static struct answer ask_once(struct cluster *c, const char *name) {
    return ask_key(c, name, NULL);
}

// Until a register answers: the links are being made.
static struct answer ask(struct cluster *c) {
    struct answer a;
    do
        a = ask_once(c, "demo");
    while (fakes[0].asked + fakes[1].asked == 0);
    return a;
}

static void until_both_are_there(struct cluster *c) {
    while (ask_once(c, "none").error != -HW_EUNKNOWN)
        ;
}

static void teardown(struct cluster *c) {
    cluster_free(c);
    for (int i = 0; i < REGISTERS; i++) {
        if (fakes[i].server)
            rpc_server_free(fakes[i].server);
        loop_step(fakes[i].loop, 0);
        ck_assert_int_eq(loop_free(fakes[i].loop), 0);
        os_free(fakes[i].os);
    }
    loop_step(loop, 0);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}

// Whichever of them has it, and whichever is asked first.
START_TEST(test_one_has_it) {
    for (int i = 0; i < REGISTERS; i++) {
        struct cluster *c = setup();
        struct answer a = {0};
        fakes[i].has_it = true;
        do // the other one's link may still be down
            a = ask(c);
        while (a.error == -HW_ELINK);
        ck_assert_int_eq(a.error, 0);
        ck_assert(a.found);
        teardown(c);
    }
}
END_TEST

START_TEST(test_none_has_it) {
    struct cluster *c = setup();
    struct answer a;
    do
        a = ask(c);
    while (a.error == -HW_ELINK);
    ck_assert_int_eq(a.error, -HW_EUNKNOWN);
    ck_assert_int_gt(fakes[0].asked, 0);
    ck_assert_int_gt(fakes[1].asked, 0);
    teardown(c);
}
END_TEST

// One that is away may have it: nobody knows.
START_TEST(test_one_is_away) {
    struct cluster *c = setup();
    rpc_server_free(fakes[1].server);
    fakes[1].server = NULL;
    ck_assert_int_eq(ask(c).error, -HW_ELINK);
    teardown(c);
}
END_TEST

// But one whose store is settled knows it alone.
START_TEST(test_one_is_away_the_other_settled) {
    struct cluster *c = setup();
    fakes[0].is_settled = true;
    rpc_server_free(fakes[1].server);
    fakes[1].server = NULL;
    ck_assert_int_eq(ask(c).error, -HW_EUNKNOWN);
    fakes[0].is_settled = false;
    ck_assert_int_eq(ask_once(c, "other").error, -HW_ELINK);
    teardown(c);
}
END_TEST

// One that stands still is passed over: the other one has the product. What that one does not have
// either may be known to it.
START_TEST(test_one_stands_still) {
    struct cluster *c = setup();
    until_both_are_there(c);
    fakes[0].stands_still = fakes[1].has_it = true;
    struct answer a = ask_once(c, "demo");
    ck_assert(a.found && a.error == 0);
    fakes[1].has_it = false;
    ck_assert_int_eq(ask_once(c, "other").error, -HW_EDEADLINE);
    teardown(c);
}
END_TEST

// One whose store is away says so at once: the other one is asked.
START_TEST(test_one_has_no_store) {
    struct cluster *c = setup();
    until_both_are_there(c);
    fakes[0].has_no_store = fakes[1].has_it = true;
    struct answer a = ask_once(c, "demo");
    ck_assert(a.found && a.error == 0);
    fakes[1].has_it = false;
    ck_assert_int_eq(ask_once(c, "other").error, -HW_ELINK);
    teardown(c);
}
END_TEST

// Whatever no answer helps to is not asked again at once, whoever asks for it: a key that a known
// product does not have, a product that one cannot be asked for. But it is, a while later.
START_TEST(test_not_again_at_once) {
    struct cluster *c = setup();
    fakes[0].has_it = fakes[1].has_it = true;
    while (ask_once(c, "demo").error != 0)
        ;
    for (int way = 0; way < 2; way++) {
        if (way == 1) {
            rpc_server_free(fakes[1].server);
            fakes[1].server = NULL;
            fakes[0].has_it = false;
        }
        (void)ask_key(c, way == 0 ? "demo" : "other", "made-up");
        int before = fakes[0].asked + fakes[1].asked, asks = 0;
        while (fakes[0].asked + fakes[1].asked == before) { // once a loop's iteration
            (void)ask_key(c, way == 0 ? "demo" : "other", "made-up");
            asks++;
        }
        ck_assert_int_gt(asks, 5);
    }
    teardown(c);
}
END_TEST

struct leaver { // takes the other along when it is told
    struct cluster *cluster;
    struct leaver *other;
    int told;
};

static void on_leaver(void *arg, int error, const struct product *p) {
    struct leaver *a = arg;
    (void)error;
    (void)p;
    a->told++;
    cluster_forget(a->cluster, a->other);
}

// Who leaves is not told, from whichever of its questions, also when it leaves while others are
// being told; who stays is told once for each question.
START_TEST(test_forgotten) {
    static const char *const names[] = {"demo", "other", "third"};
    struct cluster *c = setup();
    struct leaver stays = {0}, leaves = {0}, gone = {0};
    stays = (struct leaver){.cluster = c, .other = &leaves};
    leaves.cluster = gone.cluster = c;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cluster_product_ask(c, names[i], NULL, on_leaver, &gone);
        cluster_product_ask(c, names[i], NULL, on_leaver, &stays);
        cluster_product_ask(c, names[i], NULL, on_leaver, &leaves);
    }
    cluster_forget(c, &gone);
    cluster_forget(c, &gone); // knows nobody of this name any more
    while (stays.told < 3)
        step_all();
    ck_assert_int_eq(leaves.told, 0);
    ck_assert_int_eq(gone.told, 0);
    cluster_product_ask(c, "fourth", NULL, on_leaver, &stays); // still open when the cluster ends
    teardown(c);
    ck_assert_int_eq(stays.told, 3);
}
END_TEST

RUN_TESTS("ask", test_forgotten, test_one_has_it, test_none_has_it, test_one_is_away,
          test_one_stands_still, test_one_has_no_store, test_one_is_away_the_other_settled,
          test_not_again_at_once)
