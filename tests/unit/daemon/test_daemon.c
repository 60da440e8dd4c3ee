// The frame that roles run in: which hook is called when, and what it does for a role that has
// none. The role here writes down what it is told; no register answers it.
#include "suite.h"

#include "daemon.h"
#include "part.h"

struct fake {
    struct daemon_env *env;
    uint64_t pings, clients;
};

static struct os *os;
static struct loop *loop;
static struct config *config;
static struct buf told;
static const char *down, *missing;
static bool is_coming, is_idle;

static void tell(const char *what) {
    buf_printf(&told, "%s%s", told.len > 0 ? " " : "", what);
}

static int start(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    struct fake *f = hw_calloc(1, sizeof(*f));
    (void)ret_error;
    tell(env->cluster ? "start-joined" : "start");
    *f = (struct fake){.env = env, .pings = 3, .clients = 4};
    *ret_self = f;
    return 0;
}

static int start_not(struct daemon_env *env, struct buf *ret_error, void **ret_self) {
    (void)env;
    (void)ret_self;
    buf_append_str(ret_error, "no port");
    return -HW_ECONFIG;
}

static void joined(void *self) {
    const struct fake *f = self;
    tell(f->env->cluster ? "joined" : "joined-nothing");
}

static void drain(void *self) {
    (void)self;
    tell("drain");
}

static bool is_drained(void *self) {
    (void)self;
    return is_idle;
}

static void store(void *self, struct daemon_store *ret) {
    (void)self;
    *ret = (struct daemon_store){down, "redis.url: memory:", is_coming};
}

static const char *unready(void *self) {
    (void)self;
    return missing;
}

static void stop(void *self) {
    const struct fake *f = self;
    tell(f->env->cluster ? "stop" : "stop-left");
}

static void end(void *self) {
    const struct fake *f = self;
    tell(f->env->cluster ? "free-joined" : "free");
    free(self);
}

static uint64_t sevens(void *self) {
    (void)self;
    return 77;
}

static uint16_t client_port(const void *self) {
    (void)self;
    return 4242;
}

static const struct rpc_method no_methods[] = {{0}};
static const struct daemon_metric metrics[] = {
    DAEMON_COUNTER(fake, pings, "pings_total", "pings"),
    DAEMON_GAUGE(fake, clients, "clients_count", "clients"),
    {.name = "sevens_count", .help = "sevens", .read = sevens},
    {0},
};
static const struct daemon_role whole = {
    .name = "saver",
    .start = start,
    .joined = joined,
    .drain = drain,
    .is_drained = is_drained,
    .stays_listed = true,
    .store = store,
    .unready = unready,
    .stop = stop,
    .free = end,
    .methods = no_methods,
    .rpc_listen_key = "saver.listen",
    .rpc_told_key = "saver.advertise",
    .metrics = metrics,
    .ports = {{"clients", client_port}, {"saver", NULL}},
};
static const struct daemon_role bare = {.name = "coordinator", .start = start, .free = end};

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

static void setup(void) {
    os = os_new();
    loop = loop_new(os);
    config = config_default();
    set("cluster.secrets", "a-secret-of-this-test-0123456789");
    set("cluster.registers", "127.0.0.1:1");
    set("saver.listen", "127.0.0.1:0");
    set("saver.ops_listen", "127.0.0.1:0");
    set("coordinator.listen", "127.0.0.1:0");
    down = missing = NULL;
    is_coming = is_idle = false;
}

static void teardown(void) {
    config_free(config);
    buf_free(&told);
    loop_step(loop, 0);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}

static struct daemon *begin(const struct daemon_role *role) {
    struct buf error = BUF_EMPTY;
    struct daemon *d = NULL;
    struct daemon_options o = {.role = role, .loop = loop, .config = config, .log_sink = no_line};
    ck_assert_msg(daemon_new(&o, &error, &d) == 0, "%s", buf_cstr(&error));
    buf_free(&error);
    return d;
}

START_TEST(test_hooks_come_in_their_order) {
    setup();
    struct daemon *d = begin(&whole);
    daemon_drain(d);
    daemon_drain(d); // once is told
    ck_assert(!daemon_is_drained(d));
    is_idle = true; // the good-bye is said now, to no register
    while (!daemon_is_drained(d))
        loop_step(loop, -1);
    daemon_free(d);
    ck_assert_str_eq(buf_cstr(&told), "start joined drain stop free");
    teardown();
}
END_TEST

START_TEST(test_good_bye_waits_for_who_stays_listed) {
    setup();
    struct daemon *d = begin(&whole);
    daemon_drain(d);
    for (int i = 0; i < 3; i++)
        loop_step(loop, 0);
    ck_assert(!part_is_withdrawn(daemon_env(d)->part));
    daemon_free(d);
    teardown();
}
END_TEST

START_TEST(test_a_bare_role) {
    setup();
    struct daemon *d = begin(&bare);
    ck_assert_str_eq(daemon_unready(d), "no register answers");
    ck_assert_int_eq(daemon_port(d, "coordinator"), 0);
    daemon_drain(d);
    ck_assert_str_eq(daemon_unready(d), "draining");
    while (!daemon_is_drained(d))
        loop_step(loop, -1);
    daemon_free(d);
    ck_assert_str_eq(buf_cstr(&told), "start free");
    teardown();
}
END_TEST

// The store comes first, since the rest fails with it; what the role misses comes last.
START_TEST(test_why_it_is_not_ready) {
    setup();
    struct daemon *d = begin(&whole);
    missing = "no clock";
    down = "no answer";
    ck_assert_str_eq(daemon_unready(d), "no answer");
    ck_assert_ptr_null(daemon_hopeless(d)); // it was only just started
    down = NULL;
    ck_assert_str_eq(daemon_unready(d), "no register answers");
    daemon_free(d);
    teardown();
}
END_TEST

START_TEST(test_a_store_that_never_came) {
    setup();
    struct daemon *d = begin(&whole);
    struct fake *f = daemon_self(d);
    down = "no answer";
    f->env->started_ms -= 5000;
    ck_assert_str_eq(daemon_hopeless(d), "redis.url: memory:: no answer");
    is_coming = true; // it loads, say
    ck_assert_ptr_null(daemon_hopeless(d));
    daemon_free(d);
    teardown();
}
END_TEST

START_TEST(test_ports_and_metrics) {
    setup();
    struct buf text = BUF_EMPTY;
    struct daemon *d = begin(&whole);
    struct daemon_port ports[DAEMON_PORTS_MAX];
    ck_assert_int_eq(daemon_ports(d, ports), 2);
    ck_assert_int_eq(daemon_port(d, "clients"), 4242);
    ck_assert_int_ne(daemon_port(d, "saver"), 0);
    ck_assert_int_eq(daemon_port(d, "nobody"), 0);
    metrics_print(daemon_env(d)->metrics, &text);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&text), "saver_pings_total counter\nhawser_saver_"
                                                  "pings_total 3\n"));
    ck_assert_ptr_nonnull(strstr(buf_cstr(&text), "saver_clients_count gauge\nhawser_saver_"
                                                  "clients_count 4\n"));
    ck_assert_ptr_nonnull(strstr(buf_cstr(&text), "hawser_saver_sevens_count 77\n"));
    ck_assert_ptr_nonnull(strstr(buf_cstr(&text), "hawser_saver_store_up 1\n"));
    buf_free(&text);
    daemon_free(d);
    teardown();
}
END_TEST

// What failed to start is ended by itself; what failed behind it is ended by the frame.
START_TEST(test_a_start_that_fails) {
    setup();
    struct buf error = BUF_EMPTY;
    struct daemon *d = NULL, *first = begin(&whole);
    struct daemon_role role = whole;
    struct daemon_options o = {.role = &role, .loop = loop, .config = config, .log_sink = no_line};
    char taken[32];
    snprintf(taken, sizeof(taken), "127.0.0.1:%u", daemon_port(first, "saver"));
    set("saver.listen", taken);
    buf_reset(&told);
    ck_assert_int_ne(daemon_new(&o, &error, &d), 0);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&error), "saver.listen: cannot listen at 127.0.0.1:"));
    ck_assert_str_eq(buf_cstr(&told), "start stop-left free");
    role.start = start_not;
    buf_reset(&told);
    buf_reset(&error);
    ck_assert_int_eq(daemon_new(&o, &error, &d), -HW_ECONFIG);
    ck_assert_str_eq(buf_cstr(&error), "no port");
    ck_assert_int_eq((int)told.len, 0);
    ck_assert_ptr_null(d);
    daemon_free(first);
    buf_free(&error);
    teardown();
}
END_TEST

RUN_TESTS("daemon", test_hooks_come_in_their_order, test_good_bye_waits_for_who_stays_listed,
          test_a_bare_role, test_why_it_is_not_ready, test_a_store_that_never_came,
          test_ports_and_metrics, test_a_start_that_fails)
