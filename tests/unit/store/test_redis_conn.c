// The Redis connection against a private redis-server on a UNIX socket: every command completes
// once, also when the server is unfit, frozen, killed, or has forgotten its scripts; and the
// connection heals by itself.
#include "suite.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "redis_conn.h"

static char dir[] = "/tmp/hawser-test-redis.XXXXXX", url[128];
static pid_t server;
static struct os *os;
static struct loop *loop;

struct outcome {
    int completions, error;
    long long integer;
    char text[64];
};

static void on_done(void *arg, int error, const redisReply *reply) {
    struct outcome *o = arg;
    o->completions++;
    o->error = error;
    if (reply) {
        o->integer = reply->integer;
        snprintf(o->text, sizeof(o->text), "%.60s", reply->str ? reply->str : "");
    }
}

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

static void until_up(struct redis_conn *c) {
    while (!redis_conn_is_up(c))
        loop_step(loop, -1);
}

static void command(struct redis_conn *c, const char *name, const char *a, const char *b,
                    struct outcome *o) {
    const char *argv[] = {name, a, b};
    size_t lens[] = {strlen(name), a ? strlen(a) : 0, b ? strlen(b) : 0};
    *o = (struct outcome){0};
    redis_command(c, 1 + (a != NULL) + (b != NULL), argv, lens, on_done, o);
    ck_assert_int_eq(o->completions, 0);
}

static void wait_for(struct outcome *o) {
    while (o->completions == 0)
        loop_step(loop, -1);
    ck_assert_int_eq(o->completions, 1);
}

START_TEST(test_commands_and_scripts) {
    static struct redis_script script = {.name = "double",
                                         .source = "return tonumber(ARGV[1]) * 2"};
    struct redis_conn *c = setup("yes", false, 20000);
    struct outcome o, before = {0};
    command(c, "PING", NULL, NULL, &before); // down: fails, in a later turn
    wait_for(&before);
    ck_assert_int_eq(before.error, -HW_ESTORE);
    until_up(c);
    ck_assert_uint_eq(strlen(redis_conn_run_id(c)), 40);
    command(c, "SET", "k", "v", &o);
    wait_for(&o);
    ck_assert_int_eq(o.error, 0);
    command(c, "INCR", "k", NULL, &o);
    wait_for(&o);
    ck_assert_int_eq(o.error, -HW_ESTORE);
    const char *argv[] = {"21"};
    size_t lens[] = {2};
    for (int i = 0; i < 3; i++) {
        o = (struct outcome){0};
        redis_script_call(c, &script, 0, 1, argv, lens, on_done, &o);
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
    teardown(c);
}
END_TEST

// A frozen server never answers: what was sent has an unknown outcome after the deadline; thawed,
// the connection heals.
START_TEST(test_frozen_server) {
    struct redis_conn *c = setup("yes", false, 1000);
    struct outcome o;
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

// A killed server: calls fail at once, the next server is another run.
START_TEST(test_killed_server) {
    struct redis_conn *c = setup("yes", false, 20000);
    struct outcome o;
    char run_id[64];
    until_up(c);
    snprintf(run_id, sizeof(run_id), "%s", redis_conn_run_id(c));
    end_server(SIGKILL);
    while (redis_conn_is_up(c))
        loop_step(loop, -1);
    command(c, "PING", NULL, NULL, &o);
    wait_for(&o);
    ck_assert_int_eq(o.error, -HW_ESTORE);
    start_server("yes");
    until_up(c);
    ck_assert_str_ne(redis_conn_run_id(c), run_id);
    teardown(c);
}
END_TEST

RUN_TESTS("redis_conn", test_commands_and_scripts, test_volatile_server, test_frozen_server,
          test_killed_server)
