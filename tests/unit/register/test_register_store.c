// One contract suite for every register store: each test runs on the memory store and on Redis.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop.h"
#include "message.h"
#include "redis_conn.h"
#include "store.h"
#include "suite.h"

#define ROW(b, ...)                                                                                \
    login(b, &(Hawser__Internal__LoginRequest){                                                    \
                 .base = PROTOBUF_C_MESSAGE_INIT(&hawser__internal__login_request__descriptor),    \
                 .product = 1,                                                                     \
                 .user = (char *)"u",                                                              \
                 .device = (char *)"d",                                                            \
                 .room = (char *)"room-a",                                                         \
                 .address = (char *)"192.0.2.1:5000",                                              \
                 __VA_ARGS__})

struct bed {
    struct os *os;
    struct loop *loop;
    struct register_store *store;
    ProtobufCMessage *reply; // owned, of the last step
    int error;
    bool done;
    char dir[64];
    pid_t redis; // 0: memory
};

// --- the bed

static void redis_start(struct bed *b) {
    char socket_path[96];
    snprintf(socket_path, sizeof(socket_path), "%s/s", b->dir);
    b->redis = fork();
    if (b->redis != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen("/dev/null", "w", stdout))
        _exit(1);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path, "--dir",
           b->dir, "--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction",
           (char *)NULL);
    _exit(1);
}

static struct bed *bed_new(bool on_redis) {
    struct bed *b = hw_calloc(1, sizeof(*b));
    b->os = os_new();
    b->loop = loop_new(b->os);
    if (!on_redis) {
        b->store = register_store_memory(b->loop);
        return b;
    }
    char url[96];
    snprintf(b->dir, sizeof(b->dir), "/tmp/hawser-test-register.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(b->dir));
    redis_start(b);
    snprintf(url, sizeof(url), "unix://%s/s", b->dir);
    b->store = register_store_redis(
        &(struct redis_options){.url = url, .timeout_ms = 20000, .loop = b->loop});
    while (b->store->ops->down_reason(b->store))
        loop_step(b->loop, -1);
    return b;
}

static void bed_free(struct bed *b) {
    if (b->reply)
        protobuf_c_message_free_unpacked(b->reply, NULL);
    b->store->ops->free(b->store);
    loop_step(b->loop, 0);
    ck_assert_int_eq(loop_free(b->loop), 0);
    os_free(b->os);
    if (b->redis) {
        char command[128];
        kill(b->redis, SIGKILL);
        waitpid(b->redis, NULL, 0);
        snprintf(command, sizeof(command), "rm -rf '%s'", b->dir);
        ck_assert_int_eq(system(command), 0);
    }
    free(b);
}

static void on_done(void *arg, int error, const ProtobufCMessage *reply) {
    struct bed *b = arg;
    ck_assert(!b->done);
    b->done = true;
    b->error = error;
    if (b->reply)
        protobuf_c_message_free_unpacked(b->reply, NULL);
    b->reply = message_copy(reply);
}

// Completes once, and not before the call returned. The reply lives until the next step.
static const void *ask(struct bed *b, int method, const ProtobufCMessage *request) {
    b->done = false;
    b->store->ops->call(b->store, method, request, on_done, b);
    ck_assert(!b->done);
    while (!b->done)
        loop_step(b->loop, -1);
    ck_assert_int_eq(b->error, 0);
    return b->reply;
}

// The Redis store's view of who lives is up to 100 ms old.
static void let_it_be_seen(struct bed *b) {
    uint64_t end = loop_now_ms(b->loop) + 250;
    while (b->redis && loop_now_ms(b->loop) < end)
        loop_step(b->loop, 50);
}

// --- steps

static const Hawser__Internal__AnnounceReply *announce(struct bed *b, const char *id,
                                                       uint64_t incarnation, uint64_t sessions,
                                                       uint32_t lease_ms) {
    Hawser__Internal__AnnounceRequest q = HAWSER__INTERNAL__ANNOUNCE_REQUEST__INIT;
    Hawser__Internal__Member m = HAWSER__INTERNAL__MEMBER__INIT;
    m.role = (char *)"room";
    m.id = (char *)(uintptr_t)id;
    m.rpc = m.id;
    m.incarnation = incarnation;
    m.sessions = sessions;
    m.started_ms = incarnation;
    q.member = &m;
    q.lease_ms = lease_ms;
    return ask(b, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_ANNOUNCE, &q.base);
}

static void rooms_live(struct bed *b) {
    announce(b, "a", 11, 0, 60000);
    announce(b, "b", 22, 0, 60000);
    let_it_be_seen(b);
}

static const Hawser__Internal__LoginReply *login(struct bed *b,
                                                 const Hawser__Internal__LoginRequest *q) {
    return ask(b, HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_LOGIN, &q->base);
}

static bool drop(struct bed *b, uint64_t incarnation, uint64_t generation) {
    Hawser__Internal__DropRequest q = HAWSER__INTERNAL__DROP_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)"u";
    q.device = (char *)"d";
    q.incarnation = incarnation;
    q.generation = generation;
    return ((const Hawser__Internal__DropReply *)ask(
                b, HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_DROP, &q.base))
        ->dropped;
}

static const Hawser__Internal__ConfirmReply *confirm_login(struct bed *b, uint64_t incarnation,
                                                           uint32_t slot, uint64_t generation,
                                                           uint64_t login) {
    Hawser__Internal__ConfirmRequest q = HAWSER__INTERNAL__CONFIRM_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)"u";
    q.device = (char *)"d";
    q.room = (char *)"room-a";
    q.incarnation = incarnation;
    q.slot = slot;
    q.generation = generation;
    q.since_ms = 5;
    q.login = login;
    return ask(b, HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_CONFIRM, &q.base);
}

static const Hawser__Internal__ConfirmReply *confirm(struct bed *b, uint64_t incarnation,
                                                     uint32_t slot, uint64_t generation) {
    return confirm_login(b, incarnation, slot, generation, 0);
}

static const Hawser__Internal__FindReply *find(struct bed *b) {
    Hawser__Internal__FindRequest q = HAWSER__INTERNAL__FIND_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)"u";
    return ask(b, HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_FIND, &q.base);
}

static uint64_t online(struct bed *b) {
    Hawser__Internal__OnlineRequest q = HAWSER__INTERNAL__ONLINE_REQUEST__INIT;
    q.product = 1;
    return ((const Hawser__Internal__OnlineReply *)ask(
                b, HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_ONLINE, &q.base))
        ->sessions;
}

static const Hawser__Internal__WatchReply *watch(struct bed *b, uint64_t de, uint64_t dv,
                                                 uint64_t ce, uint64_t cv) {
    Hawser__Internal__WatchRequest q = HAWSER__INTERNAL__WATCH_REQUEST__INIT;
    q.directory_epoch = de;
    q.directory_version = dv;
    q.catalog_epoch = ce;
    q.catalog_version = cv;
    return ask(b, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_WATCH, &q.base);
}

static const Hawser__Internal__CatalogPutReply *
put(struct bed *b, const char *name, uint32_t number, uint64_t expect, bool deleted) {
    Hawser__Internal__CatalogPutRequest q = HAWSER__INTERNAL__CATALOG_PUT_REQUEST__INIT;
    Hawser__Internal__Product p = HAWSER__INTERNAL__PRODUCT__INIT;
    uint8_t value[128];
    char key[64];
    p.name = (char *)(uintptr_t)name;
    p.number = number;
    snprintf(key, sizeof(key), "product/%s", name);
    q.key = key;
    q.value = (ProtobufCBinaryData){hawser__internal__product__pack(&p, value), value};
    q.expect = expect;
    q.deleted = deleted;
    return ask(b, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_CATALOG_PUT, &q.base);
}

static uint32_t number_of(const Hawser__Internal__CatalogEntry *e) {
    Hawser__Internal__Product *p =
        hawser__internal__product__unpack(NULL, e->value.len, e->value.data);
    ck_assert_ptr_nonnull(p);
    uint32_t number = p->number;
    hawser__internal__product__free_unpacked(p, NULL);
    return number;
}

// --- the contract

// Generations rise and are not below the store's clock; a live session is named when it is
// replaced.
static void check_login(struct bed *b) {
    rooms_live(b);
    uint64_t store_ms = announce(b, "a", 11, 0, 60000)->store_ms;
    const Hawser__Internal__LoginReply *r = ROW(b, .incarnation = 11, .slot = 7);
    uint64_t first = r->generation;
    ck_assert_uint_ge(first, store_ms);
    ck_assert_ptr_null(r->replaced);
    r = ROW(b, .incarnation = 22, .slot = 8);
    ck_assert_uint_gt(r->generation, first);
    ck_assert_ptr_nonnull(r->replaced);
    ck_assert_uint_eq(r->replaced->incarnation, 11);
    ck_assert_uint_eq(r->replaced->slot, 7);
    ck_assert_uint_eq(r->replaced->generation, first);
    const Hawser__Internal__FindReply *f = find(b);
    ck_assert_uint_eq(f->n_row, 1);
    ck_assert(f->row[0]->online);
    ck_assert_str_eq(f->row[0]->device, "d");
    ck_assert_str_eq(f->row[0]->room, "room-a");
    ck_assert_str_eq(f->row[0]->address, "192.0.2.1:5000");
    ck_assert_uint_eq(online(b), 1);
}

// A step that comes too late, or a sixth takeover in a minute, writes nothing.
static void check_refusals(struct bed *b) {
    rooms_live(b);
    ck_assert_uint_eq(ROW(b, .incarnation = 11, .not_after_ms = 1)->refused, 4101);
    const Hawser__Internal__FindReply *f = find(b);
    ck_assert(f->n_row == 0 || !f->row[0]->online);
    for (int i = 0; i < 6; i++)
        ck_assert_uint_eq(ROW(b, .incarnation = 11, .slot = 1)->refused, 0);
    const Hawser__Internal__LoginReply *r = ROW(b, .incarnation = 22, .slot = 2);
    ck_assert_uint_eq(r->refused, 4103);
    ck_assert_uint_gt(r->retry_after_ms, 0);
    ck_assert_uint_le(r->retry_after_ms, 60000);
    ck_assert_uint_eq(find(b)->row[0]->incarnation, 11);
}

// Rows change only by the incarnation and generation they hold.
static void check_drop(struct bed *b) {
    rooms_live(b);
    uint64_t g = ROW(b, .incarnation = 11, .slot = 7)->generation;
    ck_assert(!drop(b, 22, g));
    ck_assert(!drop(b, 11, g - 1));
    ck_assert_uint_eq(online(b), 1);
    ck_assert(drop(b, 11, g));
    ck_assert(!drop(b, 11, g));
    ck_assert_uint_eq(online(b), 0);
    const Hawser__Internal__FindReply *f = find(b);
    ck_assert_uint_eq(f->n_row, 1);
    ck_assert(!f->row[0]->online);
    ck_assert_uint_gt(f->row[0]->last_seen_ms, 0);
    ck_assert_uint_gt(ROW(b, .incarnation = 22)->generation, g);
}

static void check_confirm(struct bed *b) {
    rooms_live(b);
    uint64_t g = ROW(b, .incarnation = 11, .slot = 7)->generation;
    ck_assert_int_eq(confirm(b, 11, 7, g)->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_HELD);
    // A newer session elsewhere.
    uint64_t newer = ROW(b, .incarnation = 22, .slot = 8)->generation;
    const Hawser__Internal__ConfirmReply *c = confirm(b, 11, 7, g);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_SUPERSEDED);
    ck_assert_uint_eq(c->generation, newer);
    // It is dropped: the older one takes its place, above it.
    ck_assert(drop(b, 22, newer));
    c = confirm(b, 11, 7, g);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
    uint64_t own = c->generation;
    ck_assert_uint_gt(own, newer);
    ck_assert_uint_eq(find(b)->row[0]->incarnation, 11);
    // The answer was lost: the same question again is answered the same.
    c = confirm(b, 11, 7, g);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
    ck_assert_uint_eq(c->generation, own);
    // What its room dropped is not brought back by a question that was held up.
    ck_assert(drop(b, 11, own));
    ck_assert_int_eq(confirm(b, 11, 7, own)->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_HELD);
    ck_assert_uint_eq(online(b), 0);
}

// Two sessions below the row of a third that is over. The older one asks first and is given the
// row; the newer one is given it back, and it is said who had it.
static void check_confirm_two_below(struct bed *b) {
    rooms_live(b);
    uint64_t older = ROW(b, .incarnation = 11, .slot = 7)->generation;
    uint64_t newer = ROW(b, .incarnation = 22, .slot = 8)->generation;
    uint64_t late = ROW(b, .incarnation = 11, .slot = 9)->generation;
    ck_assert(drop(b, 11, late));
    const Hawser__Internal__ConfirmReply *c = confirm(b, 11, 7, older);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
    ck_assert_ptr_null(c->replaced);
    uint64_t given = c->generation;
    ck_assert_uint_gt(given, late);
    c = confirm(b, 22, 8, newer);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
    ck_assert_uint_gt(c->generation, given);
    ck_assert_uint_eq(c->replaced->incarnation, 11);
    ck_assert_uint_eq(c->replaced->slot, 7);
    ck_assert_uint_eq(c->replaced->generation, given);
    uint64_t again = c->generation;
    ck_assert_uint_eq(online(b), 1);
    // By what its login gave it the older one stays below, however high the row has made it.
    c = confirm_login(b, 11, 7, given, older);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_SUPERSEDED);
    ck_assert_ptr_null(c->replaced);
    ck_assert(drop(b, 22, again));
    ck_assert_int_eq(confirm_login(b, 11, 7, given, older)->outcome,
                     HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
}

// A store that went back has a row below the session that asks: it takes that, and it is said who
// had it.
static void check_confirm_above(struct bed *b) {
    rooms_live(b);
    uint64_t held = ROW(b, .incarnation = 22, .slot = 8)->generation;
    const Hawser__Internal__ConfirmReply *c = confirm(b, 11, 7, held + 100);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
    ck_assert_uint_eq(c->generation, held + 100);
    ck_assert_uint_eq(c->replaced->incarnation, 22);
    ck_assert_uint_eq(c->replaced->slot, 8);
    ck_assert_uint_eq(c->replaced->generation, held);
    // What is one's own is nobody else's.
    ck_assert_ptr_null(confirm(b, 11, 7, held + 200)->replaced);
    ck_assert_uint_eq(online(b), 1);
}

// A missing row is written again.
static void check_confirm_missing(struct bed *b) {
    rooms_live(b);
    const Hawser__Internal__ConfirmReply *c = confirm(b, 11, 3, 500);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
    ck_assert_uint_eq(c->generation, 500);
    ck_assert_uint_eq(find(b)->row[0]->generation, 500);
    ck_assert_uint_eq(online(b), 1);
}

// Rows of a run whose lease ended are void at once, but it may come back; after a good-bye not.
static void check_void_rows(struct bed *b) {
    rooms_live(b);
    uint64_t g = ROW(b, .incarnation = 11, .slot = 7)->generation;
    uint64_t newer = ROW(b, .incarnation = 22, .slot = 8)->generation;
    announce(b, "b", 22, 0, 1);
    let_it_be_seen(b);
    loop_step(b->loop, 20);
    watch(b, 0, 0, 0, 0);
    let_it_be_seen(b);
    ck_assert(!find(b)->row[0]->online);
    ck_assert_uint_eq(online(b), 0);
    ck_assert_int_eq(confirm(b, 11, 7, g)->outcome,
                     HAWSER__INTERNAL__CONFIRMED__CONFIRMED_UNDECIDED);
    announce(b, "b", 22, 0, 60000);
    let_it_be_seen(b);
    ck_assert(find(b)->row[0]->online);
    Hawser__Internal__WithdrawRequest w = HAWSER__INTERNAL__WITHDRAW_REQUEST__INIT;
    w.incarnation = 22;
    ask(b, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_WITHDRAW, &w.base);
    let_it_be_seen(b);
    const Hawser__Internal__ConfirmReply *c = confirm(b, 11, 7, g);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
    ck_assert_uint_gt(c->generation, newer);
}

static void check_directory(struct bed *b) {
    rooms_live(b);
    const Hawser__Internal__WatchReply *w = watch(b, 0, 0, 0, 0);
    ck_assert(w->directory_whole);
    ck_assert_uint_eq(w->n_member, 2);
    uint64_t epoch = w->directory_epoch, version = w->directory_version, ce = w->catalog_epoch;
    ck_assert_uint_gt(epoch, 0);
    ck_assert_uint_gt(w->index_epoch, 0);
    // A renewal, also with a little more load, is no news.
    announce(b, "a", 11, 10, 60000);
    w = watch(b, epoch, version, ce, 0);
    ck_assert_uint_eq(w->n_member + w->n_gone, 0);
    announce(b, "a", 11, 5000, 60000);
    w = watch(b, epoch, version, ce, 0);
    ck_assert_uint_eq(w->n_member, 1);
    ck_assert_uint_eq(w->member[0]->sessions, 5000);
    version = w->directory_version;
    // Another run at the same place ends the older one.
    announce(b, "a", 12, 0, 60000);
    w = watch(b, epoch, version, ce, 0);
    ck_assert_uint_eq(w->n_member, 1);
    ck_assert_uint_eq(w->n_gone, 1);
    ck_assert_uint_eq(w->gone[0]->incarnation, 11);
    ck_assert(!w->gone[0]->clean);
    version = w->directory_version;
    Hawser__Internal__WithdrawRequest q = HAWSER__INTERNAL__WITHDRAW_REQUEST__INIT;
    q.incarnation = 22;
    ask(b, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_WITHDRAW, &q.base);
    w = watch(b, epoch, version, ce, 0);
    ck_assert_uint_eq(w->n_gone, 1);
    ck_assert(w->gone[0]->clean);
    version = w->directory_version;
    // A run that was given up and announces again is back.
    announce(b, "b", 22, 0, 60000);
    w = watch(b, epoch, version, ce, 0);
    ck_assert_uint_eq(w->n_member, 1);
    ck_assert_uint_eq(w->n_gone, 0);
    // Another epoch: everything that lives, and nothing of what is gone.
    w = watch(b, epoch + 1, 0, ce, 0);
    ck_assert(w->directory_whole);
    ck_assert_uint_eq(w->n_member, 2);
    ck_assert_uint_eq(w->n_gone, 0);
}

static void check_catalog(struct bed *b) {
    const Hawser__Internal__CatalogPutReply *r = put(b, "one", 0, 0, false);
    ck_assert(!r->conflict);
    uint64_t version = r->entry->version;
    uint32_t number = number_of(r->entry);
    ck_assert_uint_gt(number, 0);
    ck_assert(put(b, "one", 0, 0, false)->conflict);
    ck_assert(put(b, "one", number, version + 1, false)->conflict);
    r = put(b, "one", number, version, false);
    ck_assert(!r->conflict);
    ck_assert_uint_eq(number_of(r->entry), number);
    version = r->entry->version;
    r = put(b, "one", number, version, true);
    ck_assert(!r->conflict && r->entry->deleted);
    // Made again it is another product; a deletion is an entry, never an absence.
    const Hawser__Internal__WatchReply *w = watch(b, 0, 0, 0, 0);
    ck_assert_uint_eq(w->n_entry, 1);
    ck_assert(w->entry[0]->deleted);
    uint64_t de = w->directory_epoch, dv = w->directory_version;
    uint64_t ce = w->catalog_epoch, cv = w->catalog_version;
    r = put(b, "one", 0, 0, false);
    ck_assert(!r->conflict && !r->entry->deleted);
    ck_assert_uint_gt(number_of(r->entry), number);
    w = watch(b, de, dv, ce, cv);
    ck_assert_uint_eq(w->n_entry, 1);
    Hawser__Internal__CatalogGetRequest g = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    g.key = (char *)"product/one";
    const Hawser__Internal__CatalogGetReply *got =
        ask(b, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_CATALOG_GET, &g.base);
    ck_assert(got->found && got->entry->value.len > 0);
    g.key = (char *)"product/none";
    got = ask(b, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_CATALOG_GET, &g.base);
    ck_assert(!got->found);
}

// A catalog of many entries comes in parts, and none is left out.
static void check_catalog_in_parts(struct bed *b) {
    enum { ENTRIES = 40 };
    Hawser__Internal__CatalogPutRequest q = HAWSER__INTERNAL__CATALOG_PUT_REQUEST__INIT;
    static uint8_t value[32 * 1024];
    char key[32];
    q.key = key;
    q.value = (ProtobufCBinaryData){sizeof(value), value};
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(key, sizeof(key), "other/%d", i);
        ask(b, HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_CATALOG_PUT, &q.base);
    }
    uint64_t epoch = 0, version = 0;
    size_t seen = 0;
    bool more = true;
    for (int i = 0; i < ENTRIES && more; i++) {
        const Hawser__Internal__WatchReply *w = watch(b, 0, 0, epoch, version);
        epoch = w->catalog_epoch;
        version = w->catalog_version;
        seen += w->n_entry;
        more = w->more;
    }
    ck_assert_uint_eq(seen, ENTRIES);
}

typedef void check_fn(struct bed *b);
static const struct {
    const char *name;
    check_fn *check;
} checks[] = {
    {"login", check_login},
    {"refusals", check_refusals},
    {"drop", check_drop},
    {"confirm", check_confirm},
    {"confirm below a session that is over", check_confirm_two_below},
    {"confirm above the row", check_confirm_above},
    {"confirm a missing row", check_confirm_missing},
    {"void rows", check_void_rows},
    {"directory", check_directory},
    {"catalog", check_catalog},
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

// A store that was emptied is another index and another directory; who announces is back in it.
START_TEST(test_redis_emptied) {
    struct bed *b = bed_new(true);
    rooms_live(b);
    const Hawser__Internal__WatchReply *w = watch(b, 0, 0, 0, 0);
    uint64_t index = w->index_epoch, directory = w->directory_epoch;
    char command[160];
    snprintf(command, sizeof(command), "redis-cli -s '%s/s' flushall >/dev/null", b->dir);
    ck_assert_int_eq(system(command), 0);
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
        while (!b->store->ops->down_reason(b->store))
            loop_step(b->loop, -1);
        redis_start(b);
        while (b->store->ops->down_reason(b->store))
            loop_step(b->loop, -1);
    } else {
        register_store_memory_next_run(b->store);
    }
    const Hawser__Internal__WatchReply *w = watch(b, directory, dv, catalog, cv);
    ck_assert(w->directory_whole && w->catalog_whole);
    ck_assert_uint_ne(w->directory_epoch, directory);
    ck_assert_uint_ne(w->catalog_epoch, catalog);
    ck_assert_uint_ne(w->index_epoch, index);
    ck_assert_uint_eq(w->n_member, 2);
    ck_assert_uint_eq(w->n_entry, 1);
}

// Another run of the server may have gone back: everybody reads everything again.
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

RUN_TESTS("register store", test_memory, test_redis, test_redis_emptied, test_other_run,
          test_redis_away)
