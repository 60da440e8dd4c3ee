// Links and servers over real loopback sockets in one loop: every call completes exactly once, in a
// later turn, whatever happens to the link.
#include "suite.h"

#include "cluster.pb-c.h"
#include "rpc.h"

enum { ECHO = 1, NEVER = 2, LATER = 3, REFUSE = 4, GROW = 5 };

static struct os *os;
static struct loop *loop;
static struct rpc_identity server_self = {
    .role = "saver", .incarnation = 7, .secrets = {"secret-a"}, .secret_count = 1};
static struct rpc_identity client_self = {
    .role = "room", .incarnation = 8, .secrets = {"secret-a"}, .secret_count = 1};
static struct loop *server_loop; // loop, unless the peer is to stand still
static struct rpc_server *server;
static struct rpc_call *kept;
static int kept_count;

struct outcome {
    int completions, error;
    char key[64];
};

static void on_echo(void *daemon, const ProtobufCMessage *request, struct rpc_call *call) {
    (void)daemon;
    ck_assert_str_eq(rpc_call_peer_role(call), "room");
    rpc_reply(call, request);
}

static void on_keep(void *daemon, const ProtobufCMessage *request, struct rpc_call *call) {
    (void)daemon;
    (void)request;
    kept = call;
    kept_count++;
}

static void on_fail(void *daemon, const ProtobufCMessage *request, struct rpc_call *call) {
    (void)daemon;
    (void)request;
    rpc_fail(call, -HW_ESTORE);
}

// As many bytes as the request says.
static void on_grow(void *daemon, const ProtobufCMessage *request, struct rpc_call *call) {
    Hawser__Internal__CatalogGetRequest reply = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    (void)daemon;
    size_t bytes = strtoul(((const Hawser__Internal__CatalogGetRequest *)request)->key, NULL, 10);
    reply.key = malloc(bytes + 1);
    memset(reply.key, 'x', bytes);
    reply.key[bytes] = '\0';
    rpc_reply(call, &reply.base);
    free(reply.key);
}

#define METHOD(number_, handler_)                                                                  \
    {                                                                                              \
        .number = (number_), .name = #number_, .callers = RPC_ROOM,                                \
        .request = &hawser__internal__catalog_get_request__descriptor,                             \
        .reply = &hawser__internal__catalog_get_request__descriptor, .handler = (handler_)         \
    }
static const struct rpc_method methods[] = {METHOD(ECHO, on_echo),  METHOD(NEVER, on_keep),
                                            METHOD(LATER, on_keep), METHOD(REFUSE, on_fail),
                                            METHOD(GROW, on_grow),  {0}};

static void on_done(void *arg, int error, const uint8_t *body, size_t len) {
    struct outcome *o = arg;
    o->completions++;
    o->error = error;
    if (error != 0)
        return;
    Hawser__Internal__CatalogGetRequest *m =
        hawser__internal__catalog_get_request__unpack(NULL, len, body);
    ck_assert_ptr_nonnull(m);
    snprintf(o->key, sizeof(o->key), "%.63s", m->key);
    hawser__internal__catalog_get_request__free_unpacked(m, NULL);
}

static void call(struct rpc_link *link, uint16_t method, const char *key, uint32_t deadline_ms,
                 struct outcome *o) {
    Hawser__Internal__CatalogGetRequest m = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    m.key = (char *)(uintptr_t)key;
    int before = o->completions;
    rpc_call(link, &(struct rpc_question){method, deadline_ms, &m.base, ONCE}, on_done, o);
    ck_assert_int_eq(o->completions, before);
}

static void wait_for(struct outcome *o) {
    while (o->completions == 0)
        loop_step(loop, -1);
    ck_assert_int_eq(o->completions, 1);
}

static struct rpc_link *new_link(size_t in_flight_max, uint64_t incarnation) {
    return rpc_link_new(loop, &client_self, NULL,
                        &(struct rpc_link_options){.host = "127.0.0.1",
                                                   .port = rpc_server_port(server),
                                                   .peer_role = "saver",
                                                   .in_flight_bytes_max = in_flight_max,
                                                   .peer_incarnation = incarnation});
}

static int serve_at(uint16_t port) {
    return rpc_server_new(&(struct rpc_server_options){.loop = server_loop,
                                                       .self = &server_self,
                                                       .host = "127.0.0.1",
                                                       .first = port,
                                                       .last = port,
                                                       .methods = methods},
                          &server);
}

static struct rpc_link *setup(void) {
    os = os_new();
    server_loop = loop = loop_new(os);
    ck_assert_int_eq(serve_at(0), 0);
    struct rpc_link *link = new_link(100000, 7);
    while (!rpc_link_is_up(link))
        loop_step(loop, -1);
    ck_assert_uint_eq(rpc_link_peer_incarnation(link), 7);
    return link;
}

static void teardown(struct rpc_link *link) {
    rpc_link_free(link);
    rpc_server_free(server);
    loop_step(loop, 0);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}

// A thousand calls of one iteration all come back, each with its own reply.
START_TEST(test_pipelined) {
    struct rpc_link *link = setup();
    static struct outcome outcomes[1000];
    char key[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        call(link, ECHO, key, 10000, &outcomes[i]);
    }
    ck_assert_uint_eq(rpc_link_in_flight(link), 1000);
    for (int i = 0; i < 1000; i++) {
        wait_for(&outcomes[i]);
        snprintf(key, sizeof(key), "key-%d", i);
        ck_assert_str_eq(outcomes[i].key, key);
    }
    ck_assert_uint_eq(rpc_link_in_flight(link), 0);
    teardown(link);
}
END_TEST

static int silences;

static void on_silent(void *arg, struct rpc_link *link) {
    (void)arg;
    ck_assert(rpc_link_is_silent(link));
    silences++;
}

static void step_both(void) {
    loop_step(server_loop, 0);
    loop_step(loop, 1);
}

static void call_again(struct rpc_link *link, uint16_t method, struct outcome *o) {
    Hawser__Internal__CatalogGetRequest m = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    m.key = (char *)(uintptr_t) "key";
    rpc_call(link, &(struct rpc_question){method, 20000, &m.base, REPEATABLE}, on_done, o);
}

// A peer whose loop runs is not silent, however long its answer takes; one whose loop stands still
// is, until it says something. What may be repeated can be given up then; the rest still waits.
START_TEST(test_silent_peer) {
    os = os_new();
    loop = loop_new(os);
    struct os *server_os = os_new(); // or one loop would take the other's events
    server_loop = loop_new(server_os);
    silences = kept_count = 0;
    ck_assert_int_eq(serve_at(0), 0);
    struct rpc_link *link = rpc_link_new(loop, &client_self, NULL,
                                         &(struct rpc_link_options){.host = "127.0.0.1",
                                                                    .port = rpc_server_port(server),
                                                                    .peer_role = "saver",
                                                                    .on_silent = on_silent});
    while (!rpc_link_is_up(link))
        step_both();
    struct outcome slow = {0}, once = {0}, again = {0}, later = {0};
    call_again(link, LATER, &slow);
    for (uint64_t from = os_now_ms(os); os_now_ms(os) < from + 1000;)
        step_both();
    ck_assert(silences == 0 && !rpc_link_is_silent(link));
    rpc_fail(kept, -HW_ESTORE);
    while (slow.completions == 0)
        step_both();
    call(link, ECHO, "once", 20000, &once);
    while (silences == 0)
        loop_step(loop, -1);
    call_again(link, ECHO, &again);
    for (int before = silences; silences == before;) // it is told again
        loop_step(loop, -1);
    ck_assert(once.completions == 0 && again.completions == 0);
    rpc_link_give_up_repeatable(link);
    wait_for(&again);
    ck_assert_int_eq(again.error, -HW_EDEADLINE);
    ck_assert_int_eq(once.completions, 0);
    while (once.completions == 0)
        step_both();
    ck_assert_str_eq(once.key, "once");
    ck_assert(!rpc_link_is_silent(link)); // mostly heard in the millisecond of the last look
    call_again(link, ECHO, &later);
    while (later.completions == 0)
        step_both();
    ck_assert_int_eq(later.error, 0);
    ck_assert_int_eq(again.completions, 1);
    rpc_link_free(link);
    rpc_server_free(server);
    loop_step(server_loop, 0);
    loop_step(loop, 0);
    ck_assert_int_eq(loop_free(server_loop), 0);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(server_os);
    os_free(os);
}
END_TEST

// A deadline that passes before the batch has left still completes the call, once.
START_TEST(test_deadline_before_flush) {
    struct rpc_link *link = setup();
    struct outcome late = {0};
    call(link, NEVER, "", 1, &late);
    uint64_t from = os_now_ms(os);
    while (os_now_ms(os) < from + 3)
        ; // the loop stands still while the deadline passes
    wait_for(&late);
    ck_assert_int_eq(late.error, -HW_EDEADLINE);
    while (kept_count == 0)
        loop_step(loop, -1);
    rpc_fail(kept, -HW_ESTORE);
    teardown(link);
}
END_TEST

// An answer that lay unread until its deadline had passed is none, whoever comes first.
START_TEST(test_answer_read_too_late) {
    struct rpc_link *link = setup();
    struct outcome late = {0};
    Hawser__Internal__CatalogGetRequest m = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    uint64_t from = os_now_ms(os);
    call(link, LATER, "", 100, &late);
    while (kept_count == 0)
        loop_step(loop, -1);
    rpc_reply(kept, &m.base);
    loop_step(loop, 0);
    while (os_now_ms(os) < from + 110)
        ; // the loop stands still
    wait_for(&late);
    ck_assert_int_eq(late.error, -HW_EDEADLINE);
    teardown(link);
}
END_TEST

START_TEST(test_failures) {
    struct rpc_link *link = setup();
    struct outcome refused = {0}, unknown = {0}, late = {0}, busy = {0};
    char *large = malloc(100001);
    memset(large, 'x', 100000);
    large[100000] = '\0';
    call(link, REFUSE, "", 10000, &refused);
    call(link, 99, "", 10000, &unknown);
    call(link, NEVER, "", 1, &late);
    call(link, ECHO, large, 10000, &busy);
    free(large);
    wait_for(&refused);
    wait_for(&unknown);
    wait_for(&late);
    wait_for(&busy);
    ck_assert_int_eq(refused.error, -HW_ESTORE);
    ck_assert_int_eq(unknown.error, -HW_EUNIMPLEMENTED);
    ck_assert_int_eq(late.error, -HW_EDEADLINE);
    ck_assert_int_eq(busy.error, -HW_EBUSY);
    // The answer after the deadline finds nobody, and the link goes on.
    while (kept_count == 0)
        loop_step(loop, -1);
    rpc_fail(kept, -HW_ESTORE);
    struct outcome echo = {0};
    call(link, ECHO, "still here", 10000, &echo);
    wait_for(&echo);
    ck_assert_str_eq(echo.key, "still here");
    ck_assert_int_eq(late.completions, 1);
    teardown(link);
}
END_TEST

// A reply that does not go into a frame is its caller's error, and nobody else's.
START_TEST(test_large_reply) {
    struct rpc_link *link = setup();
    struct outcome before = {0}, large = {0}, fits = {0}, after = {0};
    call(link, GROW, "100000", 60000, &before); // in the same batch
    call(link, GROW, "17000000", 60000, &large);
    call(link, GROW, "16000000", 60000, &fits);
    call(link, ECHO, "still here", 60000, &after);
    wait_for(&before);
    wait_for(&large);
    wait_for(&fits);
    wait_for(&after);
    ck_assert_int_eq(before.error, 0);
    ck_assert_int_eq(large.error, -HW_ETOOBIG);
    ck_assert_int_eq(fits.error, 0);
    ck_assert_str_eq(after.key, "still here");
    ck_assert(rpc_link_is_up(link));
    teardown(link);
}
END_TEST

// The server goes while a call is open: the call fails, later calls fail at once, and the link
// heals with the next server at that port.
START_TEST(test_server_restart) {
    struct rpc_link *link = setup();
    uint16_t port = rpc_server_port(server);
    struct outcome open_call = {0}, down = {0}, healed = {0};
    call(link, LATER, "", 60000, &open_call);
    while (kept_count == 0)
        loop_step(loop, -1);
    rpc_server_free(server);
    wait_for(&open_call);
    ck_assert_int_eq(open_call.error, -HW_ELINK);
    rpc_fail(kept, -HW_ESTORE); // into nothing
    call(link, ECHO, "", 1000, &down);
    wait_for(&down);
    ck_assert_int_eq(down.error, -HW_ELINK);
    ck_assert_int_eq(serve_at(port), 0);
    while (!rpc_link_is_up(link))
        loop_step(loop, -1);
    call(link, ECHO, "back", 10000, &healed);
    wait_for(&healed);
    ck_assert_str_eq(healed.key, "back");
    teardown(link);
}
END_TEST

// A server that goes whenever somebody has come, and is there again at once: the link does not meet
// it again and again without a pause. Pauses of 50 ms would be some 40 of them in this time.
START_TEST(test_flapping_server) {
    enum { WINDOW_MS = 1500, TIMES_MAX = 20 };
    struct rpc_link *link = setup();
    uint16_t port = rpc_server_port(server);
    uint64_t end_ms = loop_now_ms(loop) + WINDOW_MS;
    int times = 0;
    while (loop_now_ms(loop) < end_ms || times == 0) {
        if (rpc_link_is_up(link)) {
            rpc_server_free(server);
            while (rpc_link_is_up(link))
                loop_step(loop, -1);
            ck_assert_int_eq(serve_at(port), 0);
            times++;
        }
        loop_step(loop, 10);
    }
    ck_assert_int_gt(times, 1);
    ck_assert_int_le(times, TIMES_MAX);
    teardown(link);
}
END_TEST

// Either side without the secret, a wrong role, and a wrong run are refused; a rotated secret is
// accepted.
START_TEST(test_identity) {
    struct rpc_link *link = setup();
    client_self.secrets[0] = "secret-b";
    struct rpc_link *stranger = new_link(0, 0);
    while (strcmp(rpc_link_last_error(stranger), hw_strerror(-HW_EAUTH)) != 0)
        loop_step(loop, -1);
    ck_assert(!rpc_link_is_up(stranger));
    rpc_link_free(stranger);
    server_self.secrets[server_self.secret_count++] = "secret-b";
    struct rpc_link *rotated = new_link(0, 0);
    while (!rpc_link_is_up(rotated))
        loop_step(loop, -1);
    rpc_link_free(rotated);
    struct rpc_link *older = new_link(0, 6);
    while (strcmp(rpc_link_last_error(older), hw_strerror(-HW_ESTALE)) != 0)
        loop_step(loop, -1);
    rpc_link_free(older);
    server_self.role = "center";
    struct rpc_link *misled = new_link(0, 0);
    while (strcmp(rpc_link_last_error(misled), hw_strerror(-HW_EROLE)) != 0)
        loop_step(loop, -1);
    rpc_link_free(misled);
    server_self.role = "saver";
    teardown(link);
}
END_TEST

static struct rpc_link *freed_inside;

static void free_link_inside(void *arg, int error, const uint8_t *body, size_t len) {
    (void)body;
    (void)len;
    struct outcome *o = arg;
    o->completions++;
    o->error = error;
    if (freed_inside) {
        struct rpc_link *link = freed_inside;
        freed_inside = NULL;
        rpc_link_free(link);
    }
}

// A completion may free its link; what else was in flight is cancelled, once each.
START_TEST(test_freed_by_completion) {
    struct rpc_link *link = freed_inside = setup();
    Hawser__Internal__CatalogGetRequest m = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    struct outcome first = {0}, second = {0};
    rpc_call(link, &(struct rpc_question){ECHO, 10000, &m.base, ONCE}, free_link_inside, &first);
    rpc_call(link, &(struct rpc_question){NEVER, 10000, &m.base, ONCE}, free_link_inside, &second);
    while (first.completions + second.completions < 2)
        loop_step(loop, -1);
    ck_assert_int_eq(first.error, 0);
    ck_assert_int_eq(second.error, -HW_ECANCELLED);
    if (kept_count > 0)
        rpc_fail(kept, -HW_ESTORE);
    teardown(NULL);
}
END_TEST

RUN_TESTS("rpc", test_pipelined, test_deadline_before_flush, test_answer_read_too_late,
          test_failures, test_large_reply, test_server_restart, test_flapping_server, test_identity,
          test_freed_by_completion, test_silent_peer)
