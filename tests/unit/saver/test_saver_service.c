// A list that a saver's step has no place for is refused and counted, not cut: over a link, at the
// longest that is taken and at one more.
#include "suite.h"

#include "cluster_internal.h"
#include "daemon.h"
#include "rpc.h"
#include "saver.h"

enum { ID_BYTES_MAX = 64 }; // of a message's id
enum { LONGEST = KNOWN_MAX > ACKS_MAX ? KNOWN_MAX : ACKS_MAX };

static const char secret[] = "a-secret-of-this-test-0123456789";
static struct os *os;
static struct loop *loop;
static struct config *config;
static struct daemon *saver;
static struct rpc_link *link_to;
static struct rpc_identity peer = {.incarnation = 5, .secrets = {secret}, .secret_count = 1};

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

static void setup(const char *role) {
    peer.role = role;
    struct buf error = BUF_EMPTY;
    os = os_new();
    loop = loop_new(os);
    config = config_default();
    set("cluster.secrets", secret);
    set("cluster.registers", "127.0.0.1:1");
    set("saver.listen", "127.0.0.1:0");
    struct daemon_options o = {
        .role = &saver_role, .loop = loop, .config = config, .log_sink = no_line};
    ck_assert_msg(daemon_new(&o, &error, &saver) == 0, "%s", buf_cstr(&error));
    link_to = rpc_link_new(loop, &peer, NULL,
                           &(struct rpc_link_options){.host = "127.0.0.1",
                                                      .port = daemon_port(saver, "saver"),
                                                      .peer_role = "saver"});
    while (!rpc_link_is_up(link_to))
        loop_step(loop, -1);
}

static void teardown(void) {
    rpc_link_free(link_to);
    daemon_free(saver);
    config_free(config);
    loop_step(loop, 0);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}

static void on_answer(void *arg, int error, const uint8_t *body, size_t len) {
    (void)body;
    (void)len;
    *(int *)arg = error;
}

// 1: no answer yet.
static int ask(uint16_t method, const ProtobufCMessage *request) {
    int error = 1;
    rpc_call(link_to, &(struct rpc_question){method, 20000, request, ONCE}, on_answer, &error);
    while (error == 1)
        loop_step(loop, -1);
    return error;
}

static bool are_refused(int count) {
    struct buf text = BUF_EMPTY;
    char line[64];
    metrics_print(daemon_env(saver)->metrics, &text);
    snprintf(line, sizeof(line), "\nhawser_saver_refused_calls_total %d\n", count);
    bool are = strstr(buf_cstr(&text), line) != NULL;
    buf_free(&text);
    return are;
}

START_TEST(test_known_devices) {
    Hawser__Internal__AttachRequest q = HAWSER__INTERNAL__ATTACH_REQUEST__INIT;
    char *known[LONGEST + 1];
    setup("room");
    for (int i = 0; i <= LONGEST; i++)
        known[i] = (char *)(uintptr_t) "d";
    q.product = 1;
    q.user = q.device = (char *)(uintptr_t) "u";
    q.generation = 1;
    q.known = known;
    q.n_known = KNOWN_MAX;
    ck_assert_int_eq(ask(HAWSER__INTERNAL__SAVER_METHOD__SAVER_ATTACH, &q.base), 0);
    ck_assert(are_refused(0));
    q.n_known = KNOWN_MAX + 1;
    ck_assert_int_eq(ask(HAWSER__INTERNAL__SAVER_METHOD__SAVER_ATTACH, &q.base), -HW_EMALFORMED);
    ck_assert(are_refused(1));
    teardown();
}
END_TEST

// An id and a collapse key are kept with their message: the longest that are taken, and one byte
// more.
START_TEST(test_id_of_a_message) {
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    char id[ID_BYTES_MAX + 2];
    setup("center");
    memset(id, 'i', sizeof(id));
    id[ID_BYTES_MAX] = '\0';
    m.id = id;
    q.product = 1;
    q.user = (char *)(uintptr_t) "u";
    q.message = &m;
    ck_assert_int_eq(ask(HAWSER__INTERNAL__SAVER_METHOD__SAVER_APPEND, &q.base), 0);
    ck_assert(are_refused(0));
    id[ID_BYTES_MAX] = 'i';
    id[ID_BYTES_MAX + 1] = '\0';
    ck_assert_int_eq(ask(HAWSER__INTERNAL__SAVER_METHOD__SAVER_APPEND, &q.base), -HW_EMALFORMED);
    ck_assert(are_refused(1));
    m.collapse_key = id;
    m.id = id + 1;
    ck_assert_int_eq(ask(HAWSER__INTERNAL__SAVER_METHOD__SAVER_APPEND, &q.base), -HW_EMALFORMED);
    m.collapse_key = id + 1;
    ck_assert_int_eq(ask(HAWSER__INTERNAL__SAVER_METHOD__SAVER_APPEND, &q.base), 0);
    teardown();
}
END_TEST

START_TEST(test_positions_of_an_ack) {
    Hawser__Internal__AckRequest q = HAWSER__INTERNAL__ACK_REQUEST__INIT;
    Hawser__Internal__StreamPosition at = HAWSER__INTERNAL__STREAM_POSITION__INIT;
    Hawser__Internal__StreamPosition *upto[LONGEST + 1];
    setup("room");
    for (int i = 0; i <= LONGEST; i++)
        upto[i] = &at;
    q.product = 1;
    q.user = q.device = (char *)(uintptr_t) "u";
    q.upto = upto;
    q.n_upto = ACKS_MAX;
    ck_assert_int_eq(ask(HAWSER__INTERNAL__SAVER_METHOD__SAVER_ACK, &q.base), 0);
    q.n_upto = ACKS_MAX + 1;
    ck_assert_int_eq(ask(HAWSER__INTERNAL__SAVER_METHOD__SAVER_ACK, &q.base), -HW_EMALFORMED);
    ck_assert(are_refused(1));
    teardown();
}
END_TEST

START_TEST(test_sums_of_a_report) {
    Hawser__Internal__SumsRequest q = HAWSER__INTERNAL__SUMS_REQUEST__INIT;
    Hawser__Internal__StreamSum sum = HAWSER__INTERNAL__STREAM_SUM__INIT;
    Hawser__Internal__StreamSum *sums[LONGEST + 1];
    uint8_t id[16] = {1};
    setup("room");
    for (int i = 0; i <= LONGEST; i++)
        sums[i] = &sum;
    q.product = 1;
    q.id = (ProtobufCBinaryData){sizeof(id), id};
    q.sum = sums;
    q.n_sum = ACKS_MAX;
    ck_assert_int_eq(ask(HAWSER__INTERNAL__SAVER_METHOD__SAVER_SUMS, &q.base), 0);
    q.n_sum = ACKS_MAX + 1;
    ck_assert_int_eq(ask(HAWSER__INTERNAL__SAVER_METHOD__SAVER_SUMS, &q.base), -HW_EMALFORMED);
    ck_assert(are_refused(1));
    teardown();
}
END_TEST

static void directory_has(const char *role, uint64_t incarnation) {
    Hawser__Internal__Member m = HAWSER__INTERNAL__MEMBER__INIT, *list[1] = {&m};
    Hawser__Internal__WatchReply reply = HAWSER__INTERNAL__WATCH_REPLY__INIT;
    m.role = (char *)(uintptr_t)role;
    m.incarnation = incarnation;
    reply.n_member = 1;
    reply.member = list;
    directory_apply(daemon_env(saver)->cluster, &reply);
}

// One that keeps all in memory is ready alone, and not beside another run.
START_TEST(test_memory_beside_others) {
    setup("room");
    uint64_t own = daemon_env(saver)->incarnation;
    ck_assert_ptr_null(saver_role.unready(daemon_self(saver)));
    directory_has("room", own + 1);
    directory_has("saver", own);
    ck_assert_ptr_null(saver_role.unready(daemon_self(saver)));
    directory_has("saver", own + 2);
    ck_assert_ptr_nonnull(saver_role.unready(daemon_self(saver)));
    teardown();
}
END_TEST

RUN_TESTS("saver service", test_known_devices, test_id_of_a_message, test_memory_beside_others,
          test_positions_of_an_ack, test_sums_of_a_report)
