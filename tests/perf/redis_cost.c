// What a login and a stored push cost Redis: the stores themselves, as saver and register have
// them, on a private redis-server that they reach by a UNIX socket. Every number is the server's
// own (INFO), so that what the client side costs does not enter.
//
//   redis-cost [USERS [ROUNDS [DEPTH]]]
//
// USERS log in, one device each; then, ROUNDS times, each of them gets a message and acks it. DEPTH
// steps are under way at any time.
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "loop.h"
#include "redis_conn.h"
#include "register_store.h"
#include "saver_store.h"

enum { PAYLOAD_BYTES = 256, A_DAY_MS = 24 * 3600 * 1000 };

struct run {
    struct loop *loop;
    struct store *saver, *reg;
    redisContext *raw;
    pid_t server;
    char dir[64], path[96], url[112];
    unsigned users, rounds, depth, open;
    unsigned long long failed;
    bool is_keyed;         // pushes have an Idempotency-Key
    uint64_t *epoch, *seq; // by user: of its last message
};

// --- the server

static void fail(const char *why) {
    fprintf(stderr, "redis-cost: %s\n", why);
    exit(1);
}

static void server_start(struct run *r) {
    snprintf(r->dir, sizeof(r->dir), "/tmp/hawser-redis-cost.XXXXXX");
    if (!mkdtemp(r->dir))
        fail("no folder for the server");
    snprintf(r->path, sizeof(r->path), "%s/s", r->dir);
    snprintf(r->url, sizeof(r->url), "unix://%s", r->path);
    r->server = fork();
    if (r->server != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen("/dev/null", "w", stdout))
        _exit(1);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", r->path, "--dir", r->dir,
           "--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy",
           "noeviction", (char *)NULL);
    _exit(1);
}

static void server_stop(struct run *r) {
    char command[128];
    redisFree(r->raw);
    kill(r->server, SIGKILL);
    waitpid(r->server, NULL, 0);
    snprintf(command, sizeof(command), "rm -rf '%s'", r->dir);
    if (system(command) != 0)
        fail("the server's folder stays");
}

static redisReply *raw(struct run *r, const char *command) {
    redisReply *reply = redisCommand(r->raw, command);
    if (!reply || reply->type == REDIS_REPLY_ERROR)
        fail(reply ? reply->str : "the server is gone");
    return reply;
}

// A number of INFO behind that text, or 0.
static double info_number(struct run *r, const char *section, const char *name) {
    char command[64];
    snprintf(command, sizeof(command), "INFO %s", section);
    redisReply *reply = raw(r, command);
    const char *at = strstr(reply->str, name);
    double n = at ? strtod(at + strlen(name), NULL) : 0;
    freeReplyObject(reply);
    return n;
}

// --- the costs of a phase

struct costs {
    double scripts, script_us, commands, server_us, memory;
};

static struct costs costs_now(struct run *r) {
    struct costs f = {0};
    redisReply *reply = raw(r, "INFO commandstats");
    for (const char *line = strstr(reply->str, "cmdstat_"); line;
         line = strstr(line + 1, "cmdstat_")) {
        double calls = strtod(strstr(line, "calls=") + 6, NULL);
        if (strncmp(line, "cmdstat_evalsha:", 16) == 0) {
            f.scripts = calls;
            f.script_us = strtod(strstr(line, "usec=") + 5, NULL);
        } else if (strncmp(line, "cmdstat_info", 12) != 0) {
            f.commands += calls;
        }
    }
    freeReplyObject(reply);
    f.server_us =
        1e6 * (info_number(r, "cpu", "used_cpu_user:") + info_number(r, "cpu", "used_cpu_sys:"));
    f.memory = info_number(r, "memory", "used_memory:");
    return f;
}

static void tell(struct run *r, const char *what, const struct costs *before, double done) {
    struct costs f = costs_now(r);
    double scripts = f.scripts - before->scripts, us = f.script_us - before->script_us;
    printf("%-22s %6.2f scripts of %6.1f us, %5.1f commands in each; %6.1f us of scripts, "
           "%6.1f us of the server\n",
           what, scripts / done, us / scripts, (f.commands - before->commands) / scripts, us / done,
           (f.server_us - before->server_us) / done);
    fflush(stdout);
}

// --- steps, DEPTH at a time

static void until_open(struct run *r, unsigned most) {
    while (r->open > most)
        loop_step(r->loop, -1);
}

static void on_step(void *arg, int error, const ProtobufCMessage *reply) {
    struct run *r = arg;
    (void)reply;
    r->open--;
    r->failed += error != 0;
}

struct append {
    struct run *run;
    unsigned user;
};

static void on_append(void *arg, int error, const ProtobufCMessage *reply) {
    struct append *a = arg;
    const Hawser__Internal__AppendReply *answer = (const Hawser__Internal__AppendReply *)reply;
    struct run *r = a->run;
    if (error == 0 && answer->outcome == HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED) {
        r->epoch[a->user] = answer->epoch;
        r->seq[a->user] = answer->seq;
    } else {
        error = -1;
    }
    free(a);
    on_step(r, error, NULL);
}

static void step(struct run *r, struct store *s, const ProtobufCMessage *request) {
    until_open(r, r->depth - 1);
    r->open++;
    store_call(s, request, on_step, r);
}

static void name_of(char name[32], unsigned user) {
    snprintf(name, 32, "user-%06u", user);
}

static void login(struct run *r, unsigned user, uint64_t generation) {
    Hawser__Internal__LoginRequest q = HAWSER__INTERNAL__LOGIN_REQUEST__INIT;
    char name[32];
    name_of(name, user);
    q.product = 1;
    q.user = name;
    q.device = (char[]){"phone-1"};
    q.room = (char[]){"room-1"};
    q.incarnation = 123456789;
    q.slot = user + (UINT64_C(1) << 32) * generation;
    q.address = (char[]){"192.168.17.23"};
    step(r, r->reg, &q.base);
}

static void attach(struct run *r, unsigned user, uint64_t generation) {
    Hawser__Internal__AttachRequest q = HAWSER__INTERNAL__ATTACH_REQUEST__INIT;
    char name[32];
    name_of(name, user);
    q.product = 1;
    q.user = name;
    q.device = (char[]){"phone-1"};
    q.generation = generation;
    q.devices_max = 16;
    step(r, r->saver, &q.base);
}

static void append(struct run *r, unsigned user, unsigned round) {
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    Hawser__Internal__InboxLimits limits = HAWSER__INTERNAL__INBOX_LIMITS__INIT;
    static uint8_t payload[PAYLOAD_BYTES];
    char name[32], id[32];
    struct append *a = hw_malloc(sizeof(*a));
    *a = (struct append){r, user};
    name_of(name, user);
    snprintf(id, sizeof(id), "AAAAAAAA%06u%08u", user, round);
    q.product = 1;
    q.user = name;
    q.message = &m;
    q.limits = &limits;
    q.not_after_ms = UINT64_C(1) << 42;
    q.id_ttl_ms = r->is_keyed ? A_DAY_MS : 0;
    q.body_hash = (ProtobufCBinaryData){r->is_keyed ? 16 : 0, payload};
    limits.messages = 1000;
    limits.bytes = 4 * 1024 * 1024;
    m.id = id;
    m.payload = (ProtobufCBinaryData){PAYLOAD_BYTES, payload};
    until_open(r, r->depth - 1);
    r->open++;
    store_call(r->saver, &q.base, on_append, a);
}

static void ack(struct run *r, unsigned user, uint64_t generation) {
    Hawser__Internal__AckRequest q = HAWSER__INTERNAL__ACK_REQUEST__INIT;
    Hawser__Internal__StreamPosition upto = HAWSER__INTERNAL__STREAM_POSITION__INIT;
    Hawser__Internal__StreamPosition *uptos[] = {&upto};
    char name[32];
    name_of(name, user);
    upto.epoch = r->epoch[user];
    upto.seq = r->seq[user];
    q.product = 1;
    q.user = name;
    q.device = (char[]){"phone-1"};
    q.generation = generation;
    q.upto = uptos;
    q.n_upto = 1;
    step(r, r->saver, &q.base);
}

// --- phases

static void logins(struct run *r, const char *what, uint64_t generation) {
    struct costs before = costs_now(r);
    for (unsigned u = 0; u < r->users; u++)
        login(r, u, generation);
    until_open(r, 0);
    tell(r, what, &before, r->users);
    struct costs middle = costs_now(r);
    for (unsigned u = 0; u < r->users; u++)
        attach(r, u, generation);
    until_open(r, 0);
    tell(r, "  and attach", &middle, r->users);
    struct costs after = costs_now(r);
    if (generation == 1)
        printf("  bytes a session: register %.0f, saver %.0f\n",
               (middle.memory - before.memory) / r->users,
               (after.memory - middle.memory) / r->users);
}

// Each user's message, then each one's ack; `burst` of them to a user at a time.
static void pushes(struct run *r, const char *what, unsigned burst) {
    struct costs begin = costs_now(r), before;
    double appends_us = 0, acks_us = 0, appends = 0, acks = 0;
    static unsigned round;
    unsigned rounds = (r->rounds + burst - 1) / burst;
    for (unsigned i = 0; i < rounds; i++) {
        before = costs_now(r);
        for (unsigned u = 0; u < r->users; u++)
            for (unsigned k = 0; k < burst; k++)
                append(r, u, round + k);
        until_open(r, 0);
        round += burst;
        struct costs middle = costs_now(r);
        for (unsigned u = 0; u < r->users; u++)
            ack(r, u, 2);
        until_open(r, 0);
        struct costs after = costs_now(r);
        appends_us += middle.script_us - before.script_us;
        appends += middle.scripts - before.scripts;
        acks_us += after.script_us - middle.script_us;
        acks += after.scripts - middle.scripts;
    }
    tell(r, what, &begin, (double)r->users * rounds * burst);
    printf("  a script of appends %.1f us, of acks %.1f us\n", appends_us / appends,
           acks_us / acks);
}

static void stores_open(struct run *r) {
    struct redis_options o = {.url = r->url, .timeout_ms = 20000, .loop = r->loop};
    r->saver = saver_store_redis(&o);
    r->reg = register_store_redis(&o);
    while (store_down_reason(r->saver) || store_down_reason(r->reg))
        loop_step(r->loop, -1);
    r->raw = redisConnectUnix(r->path);
    if (!r->raw || r->raw->err)
        fail("cannot connect");
}

static unsigned number(int argc, char **argv, int i, unsigned otherwise) {
    return argc > i ? (unsigned)strtoul(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv) {
    struct os *os = os_new();
    struct run r = {.users = number(argc, argv, 1, 1000),
                    .rounds = number(argc, argv, 2, 20),
                    .depth = number(argc, argv, 3, 32),
                    .loop = loop_new(os)};
    if (r.users == 0 || r.rounds == 0 || r.depth == 0)
        fail("redis-cost [USERS [ROUNDS [DEPTH]]]");
    r.epoch = hw_calloc(r.users, sizeof(r.epoch[0]));
    r.seq = hw_calloc(r.users, sizeof(r.seq[0]));
    server_start(&r);
    stores_open(&r);
    logins(&r, "first login", 1);
    logins(&r, "login again", 2);
    pushes(&r, "push", 1);
    pushes(&r, "push, 10 to a user", 10);
    r.is_keyed = true;
    pushes(&r, "push with a key", 1);
    if (r.failed > 0)
        fprintf(stderr, "redis-cost: %llu steps failed\n", r.failed);
    store_free(r.saver);
    store_free(r.reg);
    server_stop(&r);
    free(r.epoch);
    free(r.seq);
    (void)loop_free(r.loop);
    os_free(os);
    return r.failed > 0;
}
