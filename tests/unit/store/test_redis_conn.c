// The Redis connection against a private redis-server on a UNIX socket: every command completes
// once, also when the server is unfit, frozen, killed, or has forgotten its scripts; and the
// connection heals by itself.
#include "suite.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bytes.h"
#include "redis_conn_bed.h"
#include "redis_info.h"
#include "redis_reply.h"

static char dir[] = "/tmp/hawser-test-redis.XXXXXX", url[128];
static pid_t server;

static void start_server(const char *aof) {
    server = fork();
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        char socket_path[128];
        snprintf(socket_path, sizeof(socket_path), "%s/s", dir);
        if (!freopen("/dev/null", "w", stdout))
            _exit(1);
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path, "--dir",
               dir, "--save", "", "--appendonly", aof, "--maxmemory-policy", "noeviction",
               (char *)NULL);
        _exit(1);
    }
}

static void end_server(int how) {
    kill(server, how);
    waitpid(server, NULL, 0);
}

static struct redis_conn *setup(const char *aof, bool allow_volatile, uint32_t timeout_ms) {
    static char fresh[sizeof(dir)]; // as it was before mkdtemp: a test may set up twice
    if (!fresh[0])
        memcpy(fresh, dir, sizeof(dir));
    memcpy(dir, fresh, sizeof(dir));
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(url, sizeof(url), "unix://%s/s", dir);
    start_server(aof);
    os = os_new();
    loop = loop_new(os);
    return redis_conn_new(&(struct redis_options){
        .url = url, .timeout_ms = timeout_ms, .allow_volatile = allow_volatile, .loop = loop});
}

static void teardown(struct redis_conn *c) {
    redis_conn_free(c);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
    end_server(SIGKILL);
    char command[160];
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

static struct redis_script script_of(const char *text) {
    struct redis_script s;
    redis_script_init(
        &s, &(struct redis_script_source){.shape = "i",
                                          .constants = (const struct redis_script_constant[]){{0}},
                                          .pieces = (const char *const[]){text, NULL}});
    return s;
}

START_TEST(test_commands_and_scripts) {
    struct redis_script script = script_of("return tonumber(ARGV[1]) * 2");
    struct redis_conn *c = setup("yes", false, 20000);
    struct outcome o, before = {0};
    shape = "+";
    command(c, "PING", NULL, NULL, &before); // down: fails, in a later turn
    wait_for(&before);
    ck_assert_int_eq(before.error, -HW_ESTORE);
    until_up(c);
    command(c, "SET", "k", "v", &o);
    wait_for(&o);
    ck_assert_int_eq(o.error, 0);
    command(c, "INCR", "k", NULL, &o);
    wait_for(&o);
    ck_assert_int_eq(o.error, -HW_ESTORE);
    struct redis_args args = {0};
    redis_arg_text(&args, "21");
    for (int i = 0; i < 3; i++) {
        o = (struct outcome){0};
        redis_ask(c, &(struct redis_command){.script = &script, .args = &args}, on_done, &o);
        wait_for(&o);
        if (i == 1) { // flushed before: refused, and loaded again by the next call
            ck_assert_int_eq(o.error, -HW_ESTORE);
            continue;
        }
        ck_assert_int_eq(o.integer, 42);
        if (i == 0) {
            command(c, "SCRIPT", "FLUSH", NULL, &o);
            wait_for(&o);
        }
    }
    teardown(c);
    redis_script_deinit(&script);
}
END_TEST

// A Redis without AOF is refused with the reason, unless that is allowed.
START_TEST(test_volatile_server) {
    struct redis_conn *c = setup("no", false, 20000);
    while (!strstr(redis_conn_down_reason(c), "without AOF"))
        loop_step(loop, -1);
    ck_assert(!redis_conn_is_up(c));
    struct redis_conn *allowed = redis_conn_new(&(struct redis_options){
        .url = url, .timeout_ms = 20000, .allow_volatile = true, .loop = loop});
    until_up(allowed);
    redis_conn_free(allowed);
    // What it said of itself is over when it is gone.
    struct outcome o;
    command(c, "PING", NULL, NULL, &o);
    wait_for(&o);
    ck_assert_int_eq(o.error, -HW_EUNSAFE);
    end_server(SIGKILL);
    while (strstr(redis_conn_down_reason(c), "without AOF"))
        loop_step(loop, -1);
    command(c, "PING", NULL, NULL, &o);
    wait_for(&o);
    ck_assert_int_eq(o.error, -HW_ESTORE);
    start_server("no");
    teardown(c);
}
END_TEST

// A frozen server never answers: what was sent has an unknown outcome after the deadline; thawed,
// the connection heals.
START_TEST(test_frozen_server) {
    struct redis_conn *c = setup("yes", false, 1000);
    struct outcome o;
    shape = "+";
    until_up(c);
    kill(server, SIGSTOP);
    command(c, "SET", "k", "v", &o);
    wait_for(&o);
    ck_assert_int_eq(o.error, -HW_EOUTCOME);
    ck_assert(!redis_conn_is_up(c));
    kill(server, SIGCONT);
    until_up(c);
    teardown(c);
}
END_TEST

// We stand still ourselves, for longer than the timeout: what the server answered meanwhile counts,
// also when it is more than one read.
START_TEST(test_frozen_ourselves) {
    struct redis_conn *c = setup("yes", false, 300);
    struct outcome o[200];
    struct redis_args args = {0};
    char text[1001];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    redis_arg_text(&args, "ECHO");
    redis_arg_text(&args, text);
    shape = "s";
    until_up(c);
    for (size_t i = 0; i < sizeof(o) / sizeof(o[0]); i++) {
        o[i] = (struct outcome){0};
        redis_ask(c, &(struct redis_command){.shape = shape, .args = &args}, on_done, &o[i]);
    }
    loop_step(loop, 0);
    uint64_t from = os_now_ms(os);
    while (os_now_ms(os) < from + 1500)
        ; // the loop stands still
    for (size_t i = 0; i < sizeof(o) / sizeof(o[0]); i++) {
        wait_for(&o[i]);
        ck_assert_int_eq(o[i].error, 0);
    }
    ck_assert(redis_conn_is_up(c));
    teardown(c);
}
END_TEST

static uint64_t history(const struct redis_conn *c) {
    struct redis_bytes h = redis_conn_history(c);
    return le_get(h.data, h.len);
}

// A killed server: calls fail at once; the data of the next one is of another history.
START_TEST(test_killed_server) {
    struct redis_conn *c = setup("yes", false, 20000);
    struct outcome o;
    uint64_t before;
    shape = "+";
    until_up(c);
    before = history(c);
    end_server(SIGKILL);
    while (redis_conn_is_up(c))
        loop_step(loop, -1);
    command(c, "PING", NULL, NULL, &o);
    wait_for(&o);
    ck_assert_int_eq(o.error, -HW_ESTORE);
    start_server("yes");
    until_up(c);
    ck_assert_uint_ne(history(c), before);
    teardown(c);
}
END_TEST

static void cli(const char *words) {
    char line[240];
    snprintf(line, sizeof(line), "redis-cli -s %s/s %s >/dev/null", dir, words);
    ck_assert_int_eq(system(line), 0);
}

// A primary that became a replica refuses one command; then it is left, as not fit, until it is a
// primary again. From within a script it says the same.
START_TEST(test_demoted) {
    struct redis_script script = script_of("return redis.call('INCR', 'k')");
    for (int in_script = 0; in_script < 2; in_script++) {
        struct redis_conn *c = setup("yes", false, 20000);
        struct outcome o;
        shape = "+";
        until_up(c);
        command(c, "REPLICAOF", "127.0.0.1", "1", &o);
        wait_for(&o);
        ck_assert_int_eq(o.error, 0);
        o = (struct outcome){0};
        if (in_script)
            redis_ask(c,
                      &(struct redis_command){.script = &script, .args = &(struct redis_args){0}},
                      on_done, &o);
        else
            command(c, "SET", "k", "v", &o);
        wait_for(&o);
        ck_assert_int_eq(o.error, -HW_ESTORE);
        ck_assert_ptr_nonnull(strstr(o.text, "READONLY"));
        ck_assert(!redis_conn_is_up(c));
        until_down(c, "replica");
        cli("REPLICAOF NO ONE");
        until_up(c);
        teardown(c);
    }
    redis_script_deinit(&script);
}
END_TEST

// Primary, replica and primary again: the run id is the same, the history is another one. Whoever
// slept meanwhile is refused, and finds it out.
START_TEST(test_history) {
    struct redis_conn *c = setup("yes", false, 20000);
    struct redis_script script =
        script_of("if redis.call('GET', '" REDIS_HISTORY_KEY "') ~= ARGV[1] then return "
                  "redis.error_reply('HISTORY it is another one') end return 1");
    struct redis_args args = {0};
    struct outcome o = {0};
    until_up(c);
    uint64_t first = history(c);
    struct redis_bytes known = redis_conn_history(c);
    redis_arg_bytes(&args, known.data, known.len);
    cli("REPLICAOF 127.0.0.1 1");
    cli("REPLICAOF NO ONE");
    cli("SET " REDIS_HISTORY_KEY " others"); // by one who saw it
    redis_ask(c, &(struct redis_command){.script = &script, .args = &args}, on_done, &o);
    wait_for(&o);
    ck_assert_int_eq(o.error, -HW_ESTORE);
    until_down(c, "HISTORY");
    until_up(c);
    ck_assert_uint_ne(history(c), first);
    args.count = 0;
    redis_arg_bytes(&args, known.data, known.len);
    o = (struct outcome){0};
    redis_ask(c, &(struct redis_command){.script = &script, .args = &args}, on_done, &o);
    wait_for(&o);
    ck_assert_int_eq(o.error, 0); // the key says what it found
    teardown(c);
    redis_script_deinit(&script);
}
END_TEST

// Two that ask at once: the later one finds the key as the first one made it, and that is right.
START_TEST(test_one_history) {
    struct redis_conn *a = setup("yes", false, 20000), *b;
    b = redis_conn_new(&(struct redis_options){.url = url, .timeout_ms = 20000, .loop = loop});
    while (!redis_conn_is_up(a) || !redis_conn_is_up(b)) {
        loop_step(loop, -1);
        ck_assert_ptr_null(strstr(redis_conn_down_reason(a), "HISTORY"));
        ck_assert_ptr_null(strstr(redis_conn_down_reason(b), "HISTORY"));
    }
    ck_assert_uint_eq(history(a), history(b));
    redis_conn_free(b);
    teardown(a);
}
END_TEST

// What made a server fit is looked at again while it runs.
START_TEST(test_changed_under_us) {
    struct redis_conn *c = setup("yes", false, 20000);
    until_up(c);
    for (int i = 0; i < 2; i++) {
        cli(i == 0 ? "CONFIG SET maxmemory-policy allkeys-lru"
                   : "CONFIG SET maxmemory-policy noeviction");
        struct outcome o;
        if (i == 0)
            until_down(c, "noeviction");
        else
            until_up(c);
        shape = "+";
        command(c, "PING", NULL, NULL, &o);
        wait_for(&o);
        ck_assert_int_eq(o.error, i == 0 ? -HW_EUNSAFE : 0); // callers can say why
    }
    teardown(c);
}
END_TEST

// A host that does not answer the connect: it is down, and tried again.
START_TEST(test_connect_hangs) {
    enum { FILLERS = 4 };
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), filler[FILLERS];
    ck_assert_int_eq(bind(listening, (struct sockaddr *)&at, len), 0);
    ck_assert_int_eq(listen(listening, 0), 0);
    ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&at, &len), 0);
    for (int i = 0; i < FILLERS; i++) { // nobody takes them, and there is no place for more
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(filler[i], (struct sockaddr *)&at, len);
    }
    os = os_new();
    loop = loop_new(os);
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", ntohs(at.sin_port));
    struct redis_conn *c =
        redis_conn_new(&(struct redis_options){.url = url, .timeout_ms = 100, .loop = loop});
    until_down(c, "no answer within");
    for (int i = 0; i < 8; i++)
        loop_step(loop, -1);
    ck_assert(!redis_conn_is_up(c));
    redis_conn_free(c);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
    for (int i = 0; i < FILLERS; i++)
        close(filler[i]);
    close(listening);
}
END_TEST

// While the loop stands still nobody is late: what was not even sent gets its time.
START_TEST(test_loop_stands_still) {
    enum { TIMEOUT_MS = 300 };
    struct fake_redis f = {.reply = FAKE_TEXT("+OK\r\n")};
    struct redis_conn *c = fake_setup(&f, TIMEOUT_MS);
    struct outcome o;
    *f.info = FAKE_INFO("0", "1");
    until_up(c);
    shape = "+";
    command(c, "PING", NULL, NULL, &o);
    kill(f.process, SIGSTOP);
    uint64_t over_ms = os_now_ms(os) + TIMEOUT_MS + 150;
    while (os_now_ms(os) < over_ms)
        ;
    loop_step(loop, 0);
    kill(f.process, SIGCONT);
    wait_for(&o);
    ck_assert_int_eq(o.error, 0);
    fake_teardown(&f, c);
}
END_TEST

// What was changed at the server while the loop stood still comes to light before anything is done
// there: a primary that was a replica meanwhile has lost what it had. Where nothing was changed the
// command is late, and done.
START_TEST(test_flipped_while_we_stood) {
    for (int is_flipped = 0; is_flipped < 2; is_flipped++) {
        struct redis_conn *c = setup("yes", false, 20000);
        struct outcome o;
        shape = "+";
        until_up(c);
        uint64_t over_ms = os_now_ms(os) + 1000;
        if (is_flipped) {
            cli("REPLICAOF 127.0.0.1 1");
            cli("REPLICAOF NO ONE");
        }
        while (os_now_ms(os) < over_ms)
            ;
        loop_step(loop, 0);
        command(c, "SET", "k", "v", &o);
        wait_for(&o);
        ck_assert_int_eq(o.error, is_flipped ? -HW_ESTORE : 0);
        until_up(c);
        shape = "?s";
        command(c, "GET", "k", NULL, &o);
        wait_for(&o);
        ck_assert_str_eq(o.text, is_flipped ? "" : "v");
        teardown(c);
    }
}
END_TEST

// The server is asked so often that its time as a replica is not missed by one who asks nothing
// else.
START_TEST(test_flipped_while_idle) {
    struct redis_conn *c = setup("yes", false, 20000);
    until_up(c);
    cli("REPLICAOF 127.0.0.1 1");
    until_down(c, "not the primary that it was");
    cli("REPLICAOF NO ONE");
    until_up(c);
    teardown(c);
}
END_TEST

// A server that loads its data says that it has no AOF: it is waited for, with its own reason.
START_TEST(test_loading) {
    struct fake_redis f = {.reply = FAKE_TEXT("+OK\r\n")};
    struct redis_conn *c = fake_setup(&f, 20000);
    *f.info = FAKE_INFO("1", "0");
    until_down(c, "loading");
    ck_assert(redis_conn_is_loading(c));
    *f.info = FAKE_INFO("0", "0");
    until_down(c, "without AOF");
    ck_assert(!redis_conn_is_loading(c));
    *f.info = FAKE_INFO("0", "1");
    until_up(c);
    fake_teardown(&f, c);
}
END_TEST

// It is coming until it is there: also while the key of its history is made to say which one it is.
START_TEST(test_loading_is_over) {
    struct fake_redis f = {.reply = FAKE_TEXT("+OK\r\n")};
    struct redis_conn *c = fake_setup(&f, 20000);
    *f.info = FAKE_INFO("1", "0");
    until_down(c, "loading");
    *f.info = FAKE_INFO("0", "1");
    for (; !redis_conn_is_up(c); loop_step(loop, -1))
        ck_assert(redis_conn_is_loading(c));
    ck_assert(!redis_conn_is_loading(c));
    fake_teardown(&f, c);
}
END_TEST

// And if the key can't be had, it is not.
START_TEST(test_loading_ends_badly) {
    struct fake_redis f = {.reply = FAKE_TEXT("+OK\r\n"),
                           .rules = {{.has = "EVAL", .reply = "-NOPERM no\r\n"}}};
    struct redis_conn *c = fake_setup(&f, 20000);
    *f.info = FAKE_INFO("1", "0");
    until_down(c, "loading");
    *f.info = FAKE_INFO("0", "1");
    until_down(c, "NOPERM");
    ck_assert(!redis_conn_is_loading(c));
    fake_teardown(&f, c);
}
END_TEST

// A server that loads looks at its connections now and then only: one that says nothing meanwhile
// is loading still, until it is gone.
START_TEST(test_loading_says_nothing) {
    struct fake_redis f = {.reply = FAKE_TEXT("+OK\r\n")};
    struct redis_conn *c = fake_setup(&f, 300);
    *f.info = FAKE_INFO("1", "0");
    until_down(c, "loading");
    kill(f.process, SIGSTOP);
    until_down(c, "no answer within");
    ck_assert(redis_conn_is_loading(c));
    kill(f.process, SIGKILL);
    while (redis_conn_is_loading(c))
        loop_step(loop, -1);
    fake_teardown(&f, c);
}
END_TEST

RUN_TESTS("redis_conn", test_commands_and_scripts, test_volatile_server, test_frozen_server,
          test_frozen_ourselves, test_loop_stands_still, test_connect_hangs, test_killed_server,
          test_demoted, test_history, test_one_history, test_changed_under_us,
          test_flipped_while_we_stood, test_flipped_while_idle, test_loading, test_loading_is_over,
          test_loading_ends_badly, test_loading_says_nothing)
