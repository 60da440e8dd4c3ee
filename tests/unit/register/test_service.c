// A register with everything around it but Redis: real sockets, the RPC service, and daemons' own
// side of it (common/cluster). Its store can be exchanged for an empty one while it runs.
#include "suite.h"

#include "cluster.h"
#include "message.h"
#include "register.h"
#include "store_step.h"

// --- a store that can be lost

struct losable {
    struct store store; // first
    struct store *inner;
    struct loop *loop;
    uint64_t watches; // reads of what is new
    bool hides;       // it tells nobody of its catalog
};

static void on_hidden(void *arg, int error, const ProtobufCMessage *message) {
    struct store_step *p = arg;
    const Hawser__Internal__WatchRequest *q = (const Hawser__Internal__WatchRequest *)p->request;
    Hawser__Internal__WatchReply *reply = (Hawser__Internal__WatchReply *)message_copy(message);
    ck_assert(error == 0 && reply->n_entry == 0);
    reply->catalog_epoch = q->catalog_epoch;
    reply->catalog_version = q->catalog_version;
    reply->catalog_whole = false;
    store_step_complete(p, 0, &reply->base);
}

static void losable_begin(struct store_step *p, const ProtobufCMessage *request) {
    // What a watch holds on to is its versions, not what stood in the message that is gone.
    if (request->descriptor == &hawser__internal__watch_request__descriptor) {
        ck_assert_uint_eq(request->n_unknown_fields, 0);
        ((struct losable *)p->store)->watches++;
        if (((struct losable *)p->store)->hides) {
            store_step_keep(p, request);
            store_call(((struct losable *)p->store)->inner, request, on_hidden, p);
            return;
        }
    }
    store_step_pass(p, ((struct losable *)p->store)->inner, request);
}

static void losable_stop(struct store *s) {
    store_free(((struct losable *)s)->inner);
}

static const struct store_kind losable_kind = {.other = losable_begin, .stop = losable_stop};

// --- the bed: a register, and two daemons that follow it

struct fake {
    struct rpc_identity identity;
    struct cluster *cluster;
    int members, gone, gone_clean, leases, index_losses;
};

static struct os *os;
static struct loop *loop;
static struct log quiet;
static struct config *config;
static struct daemon *registrar;
static struct losable *store;
static struct fake a, b, center;

static void on_member(void *arg, const Hawser__Internal__Member *m) {
    ((struct fake *)arg)->members += strcmp(m->role, "room") == 0;
}
static void on_member_gone(void *arg, const Hawser__Internal__Member *m, bool clean) {
    struct fake *d = arg;
    if (strcmp(m->role, "room") == 0)
        *(clean ? &d->gone_clean : &d->gone) += 1;
}
static void on_lease(void *arg, bool held) {
    ((struct fake *)arg)->leases += held;
}
static void on_index_lost(void *arg) {
    ((struct fake *)arg)->index_losses++;
}
static bool no_line(void *arg, const char *line, size_t len) {
    (void)arg;
    (void)line;
    (void)len;
    return true;
}

static void set(const char *key, const char *value) {
    struct buf error = BUF_EMPTY;
    ck_assert_msg(config_set(config, key, value, &error) == 0, "%s", buf_cstr(&error));
    buf_free(&error);
}

static void fake_begin(struct fake *d, const char *role, uint64_t incarnation) {
    char at[32];
    char *registers[] = {at};
    snprintf(at, sizeof(at), "127.0.0.1:%u", daemon_port(registrar, "register"));
    *d = (struct fake){.identity = {.role = role,
                                    .incarnation = incarnation,
                                    .secrets = {"a-secret-of-this-test-0123456789"},
                                    .secret_count = 1}};
    d->cluster = cluster_new(&(struct cluster_options){.loop = loop,
                                                       .log = &quiet,
                                                       .self = &d->identity,
                                                       .registers = registers,
                                                       .register_count = 1,
                                                       .on_member = on_member,
                                                       .on_member_gone = on_member_gone,
                                                       .on_lease = on_lease,
                                                       .on_index_lost = on_index_lost,
                                                       .arg = d});
}

#define WAIT_FOR(condition)                                                                        \
    while (!(condition))                                                                           \
    loop_step(loop, -1)

static int start_on_losable(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    (void)ret_error;
    return register_start_on(env, &store->store, ret_self);
}

static void setup(void) {
    struct buf error = BUF_EMPTY;
    os = os_new();
    loop = loop_new(os);
    config = config_default();
    set("cluster.secrets", "a-secret-of-this-test-0123456789");
    set("register.listen", "127.0.0.1:0");
    log_init(&quiet, "register", LOG_ERROR);
    quiet.sink = no_line;
    store = hw_calloc(1, sizeof(*store));
    store_init(&store->store, &losable_kind, loop);
    store->inner = register_store_memory(loop);
    static struct daemon_role role;
    role = register_role;
    role.start = start_on_losable;
    struct daemon_options o = {.role = &role, .loop = loop, .config = config, .log_sink = no_line};
    ck_assert_msg(daemon_new(&o, &error, &registrar) == 0, "%s", buf_cstr(&error));
    fake_begin(&a, "room", 11);
    fake_begin(&b, "room", 22);
    fake_begin(&center, "center", 66);
    WAIT_FOR(cluster_is_ready(a.cluster) && cluster_is_ready(b.cluster));
}

static void teardown(void) {
    cluster_free(a.cluster);
    cluster_free(b.cluster);
    cluster_free(center.cluster);
    daemon_free(registrar);
    config_free(config);
    loop_step(loop, 0);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}

static void announce(struct fake *d, const char *id, uint64_t sessions) {
    Hawser__Internal__Member m = HAWSER__INTERNAL__MEMBER__INIT;
    m.role = (char *)"room";
    m.id = m.rpc = (char *)(uintptr_t)id;
    m.sessions = sessions;
    m.started_ms = 1;
    cluster_announce(d->cluster, &m);
}

// --- one call at a time

struct answer {
    bool done;
    int error;
    const ProtobufCMessageDescriptor *type;
    ProtobufCMessage *reply;
};

static void on_answer(void *arg, int error, const uint8_t *body, size_t len) {
    struct answer *w = arg;
    w->done = true;
    w->error = error;
    w->reply = error == 0 ? protobuf_c_message_unpack(w->type, NULL, len, body) : NULL;
}

static ProtobufCMessage *ask(struct fake *d, uint16_t method, const ProtobufCMessage *request,
                             const ProtobufCMessageDescriptor *reply) {
    struct answer w = {.type = reply};
    WAIT_FOR(rpc_link_is_up(cluster_register(d->cluster)));
    rpc_call(cluster_register(d->cluster), &(struct rpc_question){method, 5000, request, ONCE},
             on_answer, &w);
    ck_assert(!w.done);
    WAIT_FOR(w.done);
    ck_assert_int_eq(w.error, 0);
    ck_assert_ptr_nonnull(w.reply);
    return w.reply;
}

static int refusal(struct fake *d, uint16_t method, const ProtobufCMessage *request) {
    struct answer w = {.type = &hawser__internal__withdraw_reply__descriptor};
    WAIT_FOR(rpc_link_is_up(cluster_register(d->cluster)));
    rpc_call(cluster_register(d->cluster), &(struct rpc_question){method, 5000, request, ONCE},
             on_answer, &w);
    WAIT_FOR(w.done);
    return w.error;
}

static uint32_t put_product(const char *name) {
    Hawser__Internal__CatalogPutRequest q = HAWSER__INTERNAL__CATALOG_PUT_REQUEST__INIT;
    Hawser__Internal__Product p = HAWSER__INTERNAL__PRODUCT__INIT;
    uint8_t value[128];
    char key[64];
    snprintf(key, sizeof(key), "product/%s", name);
    p.name = (char *)(uintptr_t)name;
    q.key = key;
    q.value = (ProtobufCBinaryData){hawser__internal__product__pack(&p, value), value};
    Hawser__Internal__CatalogPutReply *reply = (Hawser__Internal__CatalogPutReply *)ask(
        &center, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_CATALOG_PUT, &q.base,
        &hawser__internal__catalog_put_reply__descriptor);
    ck_assert(!reply->conflict);
    Hawser__Internal__Product *stored =
        hawser__internal__product__unpack(NULL, reply->entry->value.len, reply->entry->value.data);
    uint32_t number = stored->number;
    hawser__internal__product__free_unpacked(stored, NULL);
    hawser__internal__catalog_put_reply__free_unpacked(reply, NULL);
    return number;
}

struct asked {
    bool done;
    int error;
    uint32_t number;
};

static void on_product(void *arg, int error, const struct product *p) {
    *(struct asked *)arg = (struct asked){true, error, p ? p->number : 0};
}

static struct asked ask_product(struct fake *d, const char *name) {
    struct asked w = {0};
    cluster_product_ask(d->cluster, name, "", on_product, &w);
    ck_assert(!w.done);
    WAIT_FOR(w.done);
    return w;
}

// Of the directory as that daemon has it; NULL: not there.
static const Hawser__Internal__Member *room_of(const struct fake *d, uint64_t incarnation) {
    const Hawser__Internal__Member *m = cluster_member_next(d->cluster, "room", NULL);
    while (m && m->incarnation != incarnation)
        m = cluster_member_next(d->cluster, "room", m);
    return m;
}

// --- tests

START_TEST(test_directory) {
    setup();
    announce(&a, "room-a", 0);
    WAIT_FOR(a.leases == 1 && b.members == 1);
    const Hawser__Internal__Member *m = room_of(&b, 11);
    ck_assert_ptr_nonnull(m);
    ck_assert_str_eq(m->id, "room-a");
    announce(&a, "room-a", 5000); // a real change is told at once
    WAIT_FOR(b.members == 2);
    ck_assert_uint_eq(room_of(&b, 11)->sessions, 5000);
    cluster_withdraw(a.cluster, NULL, NULL);
    WAIT_FOR(b.gone_clean == 1);
    ck_assert_int_eq(b.gone, 0);
    ck_assert_ptr_null(room_of(&b, 11));
    teardown();
}
END_TEST

// A room may not change the catalog, nor speak for another daemon: it is told so, and nothing
// changes.
START_TEST(test_what_a_room_may_not) {
    setup();
    Hawser__Internal__CatalogPutRequest put = HAWSER__INTERNAL__CATALOG_PUT_REQUEST__INIT;
    Hawser__Internal__WithdrawRequest other = HAWSER__INTERNAL__WITHDRAW_REQUEST__INIT;
    Hawser__Internal__AnnounceRequest q = HAWSER__INTERNAL__ANNOUNCE_REQUEST__INIT;
    Hawser__Internal__Member m = HAWSER__INTERNAL__MEMBER__INIT;
    put.key = (char *)"settings";
    ck_assert_int_eq(refusal(&a, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_CATALOG_PUT, &put.base),
                     -HW_EFORBIDDEN);
    announce(&b, "r2", 0);
    WAIT_FOR(room_of(&a, 22));
    other.incarnation = 22;
    ck_assert_int_eq(refusal(&a, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_WITHDRAW, &other.base),
                     -HW_EMALFORMED);
    m.role = (char *)"center";
    m.incarnation = 11;
    q.member = &m;
    q.lease_ms = 1000;
    ck_assert_int_eq(refusal(&a, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_ANNOUNCE, &q.base),
                     -HW_EMALFORMED);
    m.role = (char *)"room";
    m.incarnation = 22;
    ck_assert_int_eq(refusal(&a, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_ANNOUNCE, &q.base),
                     -HW_EMALFORMED);
    ck_assert_ptr_nonnull(room_of(&a, 22));
    teardown();
}
END_TEST

// An entry of nothing is refused, and is not there; a deletion needs no value.
START_TEST(test_empty_values) {
    static char *const keys[] = {(char *)"settings", (char *)"product/none"};
    setup();
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        Hawser__Internal__CatalogPutRequest put = HAWSER__INTERNAL__CATALOG_PUT_REQUEST__INIT;
        Hawser__Internal__CatalogGetRequest get = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
        put.key = get.key = keys[i];
        ck_assert_int_eq(
            refusal(&center, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_CATALOG_PUT, &put.base),
            -HW_EMALFORMED);
        ProtobufCMessage *got = ask(&center, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_CATALOG_GET,
                                    &get.base, &hawser__internal__catalog_get_reply__descriptor);
        ck_assert(!((Hawser__Internal__CatalogGetReply *)got)->found);
        protobuf_c_message_free_unpacked(got, NULL);
        put.deleted = true;
        got = ask(&center, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_CATALOG_PUT, &put.base,
                  &hawser__internal__catalog_put_reply__descriptor);
        ck_assert(((Hawser__Internal__CatalogPutReply *)got)->entry->deleted);
        protobuf_c_message_free_unpacked(got, NULL);
    }
    teardown();
}
END_TEST

// While its store tells nobody of a catalog, who knows one hears of members all the same, and who
// knows none is told nothing.
START_TEST(test_no_catalog_yet) {
    setup();
    static struct fake fresh;
    announce(&a, "room-a", 0);
    WAIT_FOR(room_of(&b, 11));
    store->hides = true;
    fake_begin(&fresh, "room", 44);
    announce(&a, "room-a", 5000);
    uint64_t watches = store->watches;
    WAIT_FOR(room_of(&b, 11)->sessions == 5000 && store->watches > watches + 20);
    ck_assert(!cluster_is_ready(fresh.cluster));
    store->hides = false;
    WAIT_FOR(cluster_is_ready(fresh.cluster));
    cluster_free(fresh.cluster);
    teardown();
}
END_TEST

START_TEST(test_lease_ends) {
    setup();
    static struct fake silent;
    fake_begin(&silent, "room", 33);
    Hawser__Internal__AnnounceRequest q = HAWSER__INTERNAL__ANNOUNCE_REQUEST__INIT;
    Hawser__Internal__Member m = HAWSER__INTERNAL__MEMBER__INIT;
    m.role = m.id = m.rpc = (char *)"room";
    m.incarnation = 33;
    q.member = &m;
    q.lease_ms = 1000;
    hawser__internal__announce_reply__free_unpacked(
        (Hawser__Internal__AnnounceReply *)ask(
            &silent, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_ANNOUNCE, &q.base,
            &hawser__internal__announce_reply__descriptor),
        NULL);
    WAIT_FOR(room_of(&a, 33) && room_of(&b, 33));
    WAIT_FOR(a.gone == 1 && b.gone == 1);
    ck_assert_int_eq(a.gone_clean + b.gone_clean, 0);
    cluster_free(silent.cluster);
    teardown();
}
END_TEST

START_TEST(test_products) {
    setup();
    ck_assert_int_eq(ask_product(&b, "shop").error, -HW_EUNKNOWN);
    uint32_t number = put_product("shop");
    ck_assert_uint_gt(number, 0);
    WAIT_FOR(cluster_product_find(b.cluster, "shop", 4) != NULL); // by the stream
    ck_assert_uint_eq(cluster_product_by_number(b.cluster, number)->number, number);
    ck_assert_uint_gt(put_product("bank"), number);
    ck_assert_int_eq(ask_product(&a, "bank").error, 0);
    teardown();
}
END_TEST

static uint64_t login(struct fake *d, uint64_t slot, uint64_t expect_replaced) {
    Hawser__Internal__LoginRequest q = HAWSER__INTERNAL__LOGIN_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)"u";
    q.device = (char *)"d";
    q.room = (char *)"room";
    q.incarnation = d->identity.incarnation;
    q.slot = slot;
    Hawser__Internal__LoginReply *reply =
        (Hawser__Internal__LoginReply *)ask(d, HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_LOGIN,
                                            &q.base, &hawser__internal__login_reply__descriptor);
    ck_assert_uint_eq(reply->refused, 0);
    ck_assert_uint_eq(reply->replaced ? reply->replaced->slot : 0, expect_replaced);
    uint64_t generation = reply->generation;
    hawser__internal__login_reply__free_unpacked(reply, NULL);
    return generation;
}

static void expect_login_refused(const Hawser__Internal__LoginRequest *q) {
    Hawser__Internal__ConfirmRequest confirm = HAWSER__INTERNAL__CONFIRM_REQUEST__INIT;
    ck_assert_int_eq(refusal(&a, HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_LOGIN, &q->base),
                     -HW_EMALFORMED);
    confirm.product = q->product;
    confirm.user = q->user;
    confirm.device = q->device;
    confirm.room = q->room;
    confirm.address = q->address;
    confirm.incarnation = q->incarnation;
    confirm.generation = 1;
    ck_assert_int_eq(
        refusal(&a, HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_CONFIRM, &confirm.base),
        -HW_EMALFORMED);
}

// A room's name or an address that a row cannot have is refused, and not cut: whatever store is
// behind, it is not asked.
START_TEST(test_long_texts) {
    static char just[ROW_TEXT_MAX + 1], over[ROW_TEXT_MAX + 2];
    Hawser__Internal__LoginRequest q = HAWSER__INTERNAL__LOGIN_REQUEST__INIT;
    memset(just, 'x', ROW_TEXT_MAX);
    memset(over, 'x', ROW_TEXT_MAX + 1);
    setup();
    q.product = 1;
    q.user = (char *)"u";
    q.device = (char *)"d";
    q.incarnation = a.identity.incarnation;
    q.room = over;
    q.address = just;
    expect_login_refused(&q);
    q.room = just;
    q.address = over;
    expect_login_refused(&q);
    q.address = just;
    hawser__internal__login_reply__free_unpacked(
        (Hawser__Internal__LoginReply *)ask(&a, HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_LOGIN,
                                            &q.base, &hawser__internal__login_reply__descriptor),
        NULL);
    teardown();
}
END_TEST

START_TEST(test_takeover) {
    setup();
    announce(&a, "room-a", 0);
    announce(&b, "room-b", 0);
    WAIT_FOR(a.leases == 1 && b.leases == 1 && room_of(&a, 22));
    uint64_t place = UINT64_C(7) << 32 | 3; // both halves arrive
    uint64_t first = login(&a, place, 0);
    uint64_t second = login(&b, 8, place);
    ck_assert_uint_gt(second, first);
    cluster_withdraw(b.cluster, NULL, NULL);
    WAIT_FOR(a.gone_clean == 1);
    login(&a, 9, 0); // a run that said good-bye has no sessions to replace
    teardown();
}
END_TEST

// An empty store: what was acknowledged stays known, and is put back under its number; daemons hear
// that the index is another one, and are in the directory again.
START_TEST(test_store_lost) {
    setup();
    uint32_t number = put_product("shop");
    announce(&a, "room-a", 0);
    WAIT_FOR(b.members == 1 && cluster_product_find(b.cluster, "shop", 4));
    int members = b.members;
    store_free(store->inner);
    store->inner = register_store_memory(loop);
    struct fake late; // it knows of nothing
    fake_begin(&late, "room", 44);
    WAIT_FOR(rpc_link_is_up(cluster_register(late.cluster)));
    struct asked w = ask_product(&late, "shop");
    ck_assert_int_eq(w.error, 0);
    ck_assert_uint_eq(w.number, number);
    WAIT_FOR(a.index_losses > 0 && b.index_losses > 0 && b.members > members);
    WAIT_FOR(cluster_product_find(late.cluster, "shop", 4));
    bool is_back = false;
    while (!is_back) { // in the store itself
        Hawser__Internal__WatchRequest q = HAWSER__INTERNAL__WATCH_REQUEST__INIT;
        Hawser__Internal__WatchReply *reply = (Hawser__Internal__WatchReply *)ask(
            &b, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_WATCH, &q.base,
            &hawser__internal__watch_reply__descriptor);
        is_back = reply->n_entry == 1 && !reply->entry[0]->deleted;
        hawser__internal__watch_reply__free_unpacked(reply, NULL);
    }
    ck_assert_uint_gt(put_product("bank"), number);
    cluster_free(late.cluster);
    teardown();
}
END_TEST

// The store is asked what is new ten times a second and once for each change, however many daemons
// follow.
START_TEST(test_followers_cost_no_reads) {
    enum { CHANGES = 20, POLL_MS = 100, FIRST_READS = 8 };
    setup();
    announce(&a, "room-a", 0);
    WAIT_FOR(b.members == 1 && center.members == 1);
    uint64_t from_ms = loop_now_ms(loop), before = store->watches;
    for (int i = 2; i <= CHANGES; i++) {
        announce(&a, i % 2 ? "room-a" : "room-b", 0);
        WAIT_FOR(b.members == i && center.members == i);
    }
    ck_assert_uint_le(store->watches - before,
                      CHANGES + (loop_now_ms(loop) - from_ms) / POLL_MS + FIRST_READS);
    teardown();
}
END_TEST

// A newer daemon's watch says more than this register knows: it is answered all the same, when the
// message has long gone.
START_TEST(test_watch_of_a_newer_daemon) {
    uint8_t more[] = {5};
    ProtobufCMessageUnknownField unknown = {
        .tag = 100, .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT, .len = 1, .data = more};
    Hawser__Internal__WatchRequest q = HAWSER__INTERNAL__WATCH_REQUEST__INIT;
    setup();
    q.base.unknown_fields = &unknown;
    q.base.n_unknown_fields = 1;
    ProtobufCMessage *reply = ask(&a, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_WATCH, &q.base,
                                  &hawser__internal__watch_reply__descriptor);
    ck_assert(((Hawser__Internal__WatchReply *)reply)->directory_whole);
    protobuf_c_message_free_unpacked(reply, NULL);
    teardown();
}
END_TEST

RUN_TESTS("register service", test_directory, test_followers_cost_no_reads,
          test_watch_of_a_newer_daemon, test_what_a_room_may_not, test_empty_values,
          test_lease_ends, test_no_catalog_yet, test_products, test_long_texts, test_takeover,
          test_store_lost)
