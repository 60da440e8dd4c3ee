// A register's store on a Redis that is full: what would take memory is refused and changes
// nothing, what is there goes on: leases, renewed logins, drops, reads, deletions.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "loop.h"
#include "redis_conn.h"
#include "register_store.h"
#include "suite.h"

static char dir[] = "/tmp/hawser-test-full.XXXXXX";
static pid_t server;
static struct loop *loop;
static struct store *store;
static int answered, last_error;
static uint64_t version;

static void on_done(void *arg, int error, const ProtobufCMessage *reply) {
    (void)arg;
    answered++;
    last_error = error;
    if (reply && reply->descriptor == &hawser__internal__catalog_put_reply__descriptor)
        version = ((const Hawser__Internal__CatalogPutReply *)reply)->entry->version;
}

static int ask(const ProtobufCMessage *request) {
    answered = 0;
    store_call(store, request, on_done, NULL);
    while (answered == 0)
        loop_step(loop, -1);
    return last_error;
}

static void cli(const char *words) {
    char line[160];
    snprintf(line, sizeof(line), "redis-cli -s %s/s %s >/dev/null", dir, words);
    ck_assert_int_eq(system(line), 0);
}

static void start_server(void) {
    char path[96];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/s", dir);
    server = fork();
    if (server != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen("/dev/null", "w", stdout))
        _exit(1);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path, "--dir", dir,
           "--save", "", "--appendonly", "yes", (char *)NULL);
    _exit(1);
}

static int announce(const char *id, uint64_t incarnation) {
    Hawser__Internal__Member m = HAWSER__INTERNAL__MEMBER__INIT;
    Hawser__Internal__AnnounceRequest q = HAWSER__INTERNAL__ANNOUNCE_REQUEST__INIT;
    q.member = &m;
    q.lease_ms = 10000;
    m.id = (char *)(uintptr_t)id;
    m.incarnation = m.started_ms = incarnation;
    return ask(&q.base);
}

static int login(const char *device) {
    Hawser__Internal__LoginRequest q = HAWSER__INTERNAL__LOGIN_REQUEST__INIT;
    q.product = 1;
    q.incarnation = 1;
    q.user = (char *)"u";
    q.room = (char *)"r";
    q.device = (char *)(uintptr_t)device;
    return ask(&q.base);
}

static int put(const char *key, uint64_t expect, bool deleted) {
    Hawser__Internal__CatalogPutRequest q = HAWSER__INTERNAL__CATALOG_PUT_REQUEST__INIT;
    q.key = (char *)(uintptr_t)key;
    q.expect = expect;
    q.deleted = deleted;
    q.value = (ProtobufCBinaryData){1, (uint8_t *)(uintptr_t) "v"};
    return ask(&q.base);
}

START_TEST(test_full) {
    struct os *os = os_new();
    char url[96];
    loop = loop_new(os);
    start_server();
    snprintf(url, sizeof(url), "unix://%s/s", dir);
    store = register_store_redis(
        &(struct redis_options){.url = url, .timeout_ms = 20000, .loop = loop});
    while (store_down_reason(store))
        loop_step(loop, -1);
    ck_assert(announce("a", 1) == 0 && login("d") == 0 && put("k", 0, false) == 0);
    uint64_t kept = version;
    cli("CONFIG SET maxmemory 1");
    ck_assert_int_eq(announce("b", 3), -HW_ESTORE);
    ck_assert_int_eq(login("e"), -HW_ESTORE);
    ck_assert_int_eq(put("l", 0, false), -HW_ESTORE);
    ck_assert_int_eq(put("k", kept, false), -HW_ESTORE);
    ck_assert(announce("a", 1) == 0 && announce("a", 2) == 0); // renewed; a successor
    Hawser__Internal__WatchRequest watch = HAWSER__INTERNAL__WATCH_REQUEST__INIT;
    ck_assert_int_eq(ask(&watch.base), 0);
    ck_assert_int_eq(login("d"), 0);
    ck_assert_int_eq(put("k", kept, true), 0);
    ck_assert_ptr_null(store_down_reason(store));
    cli("CONFIG SET maxmemory 0");
    ck_assert(announce("b", 3) == 0 && login("e") == 0 && put("l", 0, false) == 0);
    store_free(store);
    loop_step(loop, 0);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    char line[96];
    snprintf(line, sizeof(line), "rm -rf '%s'", dir);
    ck_assert_int_eq(system(line), 0);
}
END_TEST

RUN_TESTS("register_full", test_full)
