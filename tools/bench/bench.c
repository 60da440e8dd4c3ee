#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "crypto.h"
#include "descriptors.h"
#include "floor.h"
#include "peer.h"
#include "worker.h"

enum {
    STUCK_MS = 30000,
    SHOW_MS = 200,
    LOG_MS = 5000,
    AT_ONCE = 512, // logins of one worker that are under way
    AT_ONCE_OF_ALL = 2048,
    ACK_EVERY = 16,
    STEP_MS = 1,
    CROWD_NICE = 15, // of the clients' processes where there are several
};

bool bench_fail(struct bench *b, const char *format, ...) {
    if (b->error.len > 0)
        return false;
    va_list args;
    va_start(args, format);
    buf_vprintf(&b->error, format, args);
    va_end(args);
    return false;
}

uint64_t bench_now_us(struct bench *b) {
    return loop_clock_us(b->loop);
}

// --- workers

static uint32_t descriptors_raise(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur < UINT32_MAX ? (uint32_t)limit.rlim_cur : UINT32_MAX;
}

// Clients are elsewhere in the field. Where many processes of them share the daemons' cores, they
// go last, or each daemon would have a share of a core that is one of sixty.
static void step_back(const struct bench *b, const struct crew *crew) {
    if (b->share->worker_count > 1 && !crew->is_timed)
        (void)setpriority(PRIO_PROCESS, 0, CROWD_NICE);
}

// Returns in the conductor.
static bool crew_start(struct bench *b, struct crew *crew, uint32_t index) {
    int ends[2];
    bool is_floor = b->floors && crew == &b->floors[index];
    const cpu_set_t *cores =
        is_floor ? cores_of_room(&b->cores, index) : cores_of_clients(&b->cores);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return bench_fail(b, "socketpair: %s", strerror(errno));
    pid_t pid = child_fork(&crew->child, is_floor ? "floor" : "clients", cores);
    if (pid < 0)
        return bench_fail(b, "fork: %s", strerror((int)-pid));
    if (pid == 0) {
        signal(SIGINT, SIG_IGN); // of a terminal's whole group: the conductor ends us
        signal(SIGTERM, SIG_IGN);
        close(ends[0]);
        if (is_floor) {
            floor_send_run(b->share, index, ends[1]);
        } else {
            step_back(b, crew);
            worker_run(b->share, (struct worker_place){index, crew->first, crew->count}, ends[1]);
        }
        _exit(0);
    }
    close(ends[1]);
    crew->orders = ends[0];
    return true;
}

// The first `timed` clients have a process of their own, so that what they get waits behind nobody
// else's frames; the others are dealt out.
static bool crews_start(struct bench *b, uint32_t workers, uint32_t timed) {
    uint32_t first = 0;
    workers += timed > 0;
    b->share = share_new(workers);
    b->crew = hw_calloc(workers, sizeof(b->crew[0]));
    for (uint32_t i = 0; i < workers; i++)
        b->crew[i].orders = -1;
    for (uint32_t i = 0; i < workers; i++) {
        struct crew *crew = &b->crew[i];
        crew->is_timed = i == 0 && timed > 0;
        crew->first = first;
        crew->count = crew->is_timed ? timed : (b->sessions - first) / (workers - i);
        first += crew->count;
        if (!crew_start(b, crew, i))
            return false;
    }
    return true;
}

void bench_swap(struct bench *b) {
    struct floor_side side = b->floor_side;
    b->floor_side = (struct floor_side){b->share, b->crew};
    b->share = side.share;
    b->crew = side.crew;
}

static bool floor_start(struct bench *b, uint32_t workers, uint32_t rooms) {
    if (!b->options->floor || b->options->scenario != SCENARIO_broadcast)
        return true;
    b->floors = hw_calloc(rooms, sizeof(b->floors[0]));
    bench_swap(b);
    bool is_started = crews_start(b, workers, 0);
    for (; is_started && b->floor_count < rooms; b->floor_count++)
        is_started = crew_start(b, &b->floors[b->floor_count], b->floor_count);
    bench_swap(b);
    return is_started;
}

static void crew_end(struct crew *crew) {
    if (crew->orders >= 0)
        close(crew->orders);
    crew->orders = -1;
    child_kill(&crew->child); // it holds nothing that would have to be put in order
}

static void crews_end(struct share *share, struct crew *crew) {
    for (uint32_t i = 0; crew && i < share->worker_count; i++)
        crew_end(&crew[i]);
    free(crew);
}

// --- waiting

static void bench_on_signal(void *arg, int signal_number) {
    struct bench *b = arg;
    if (signal_number != SIGCHLD) // children are looked after where they are waited for
        b->is_interrupted = true;
}

bool bench_step(struct bench *b) {
    loop_step(b->loop, STEP_MS);
    if (b->is_interrupted)
        return bench_fail(b, "interrupted");
    return b->error.len == 0;
}

static bool all_alive(struct bench *b) {
    struct buf log = BUF_EMPTY;
    const char *fallen = own_cluster_fallen(&b->cluster, &log);
    if (fallen)
        bench_fail(b, "%s has ended%s", fallen, buf_cstr(&log));
    buf_free(&log);
    for (uint32_t i = 0; i < b->share->worker_count; i++)
        if (child_has_ended(&b->crew[i].child))
            bench_fail(b, "a process of clients has ended");
    return b->error.len == 0;
}

// A line that is written over where a person looks; in a file a line when something else begins,
// and one now and then.
void bench_progress(struct bench *b, const char *doing, uint64_t done, uint64_t of) {
    uint64_t now_ms = loop_now_ms(b->loop);
    bool is_terminal = isatty(STDERR_FILENO), is_new = b->shown != doing;
    if (b->options->quiet || !doing ||
        (!is_new && now_ms - b->shown_ms < (is_terminal ? SHOW_MS : LOG_MS)))
        return;
    b->shown_ms = now_ms;
    b->shown = doing;
    fprintf(stderr, "%shawser-bench: %s, %" PRIu64 " of %" PRIu64 "%s",
            is_terminal ? "\r\033[K" : "", doing, done, of, is_terminal ? "" : "\n");
}

static bool bench_stuck(struct bench *b, const struct goal *g, uint64_t now) {
    return bench_fail(b,
                      "%s: stuck at %" PRIu64 " of %" PRIu64 "; calls unanswered %u, open %" PRIu64
                      ", repeats %" PRIu64 ", gaps %" PRIu64 ", jumps %" PRIu64 ", broken %" PRIu64,
                      g->doing ? g->doing : "orders", now, g->value,
                      b->pusher ? pusher_unanswered(b->pusher) : 0, share_sum(b->share, COUNT_OPEN),
                      share_sum(b->share, COUNT_REPEATS), share_sum(b->share, COUNT_GAPS),
                      share_sum(b->share, COUNT_JUMPS), share_sum(b->share, COUNT_BROKEN));
}

bool bench_await(struct bench *b, const struct goal *g) {
    uint64_t seen = 0, moved_ms = loop_now_ms(b->loop), checked_ms = moved_ms;
    for (;;) {
        uint64_t now = share_sum(b->share, g->count), now_ms = loop_now_ms(b->loop);
        if (now >= g->value)
            return true;
        bench_progress(b, g->doing, now, g->value);
        if (now != seen)
            moved_ms = now_ms;
        seen = now;
        if (now_ms - moved_ms > STUCK_MS)
            return bench_stuck(b, g, now);
        if (now_ms - checked_ms > SHOW_MS) {
            checked_ms = now_ms;
            if (!all_alive(b))
                return false;
        }
        if (!bench_step(b))
            return false;
    }
}

bool bench_pause(struct bench *b, uint64_t ms, const char *doing) {
    uint64_t from_ms = loop_now_ms(b->loop), passed;
    while ((passed = loop_now_ms(b->loop) - from_ms) < ms) {
        bench_progress(b, doing, passed / 1000, ms / 1000);
        if (!bench_step(b))
            return false;
    }
    return all_alive(b);
}

// --- orders

bool bench_order_send(struct bench *b, const struct order *o) {
    for (uint32_t i = 0; i < b->share->worker_count; i++) {
        struct order part = *o;
        // A rate is the bench's: each worker has its share, at least 1.
        part.rate = (o->rate * b->crew[i].count + b->sessions - 1) / b->sessions;
        if (send(b->crew[i].orders, &part, sizeof(part), MSG_NOSIGNAL) != (ssize_t)sizeof(part))
            return bench_fail(b, "a process of clients is gone");
    }
    return true;
}

bool bench_order(struct bench *b, const struct order *o) {
    uint64_t before = share_sum(b->share, COUNT_ORDERS);
    const struct goal done = {COUNT_ORDERS, before + b->share->worker_count, NULL};
    return bench_order_send(b, o) && bench_await(b, &done);
}

bool bench_reset(struct bench *b) {
    return bench_order(b, &(struct order){.kind = ORDER_RESET});
}

// More than the cluster gets through before a room gives up waiting would be work in vain.
static uint32_t at_once(const struct bench *b) {
    uint32_t each = AT_ONCE_OF_ALL / b->share->worker_count;
    return each < 1 ? 1 : each > AT_ONCE ? AT_ONCE : each;
}

struct order bench_login_order(struct bench *b, uint32_t first, uint32_t end, uint64_t rate) {
    return (struct order){.kind = ORDER_LOGIN,
                          .first = first,
                          .end = end,
                          .at_once = at_once(b),
                          .rate = rate,
                          .due_us = bench_now_us(b)};
}

bool bench_login_begin(struct bench *b, uint32_t first, uint32_t end, uint64_t rate) {
    const struct order o = bench_login_order(b, first, end, rate);
    return bench_order(b, &o);
}

bool bench_login(struct bench *b, uint32_t first, uint32_t end) {
    uint64_t open = share_sum(b->share, COUNT_OPEN), synced = share_sum(b->share, COUNT_SYNCED);
    const struct goal logged_in = {COUNT_OPEN, open + end - first, "logged in"};
    const struct goal up_to_date = {COUNT_SYNCED, synced + end - first, "up to date"};
    return bench_login_begin(b, first, end, 0) && bench_await(b, &logged_in) &&
           bench_await(b, &up_to_date);
}

static bool bench_logout(struct bench *b) {
    const struct order o = {.kind = ORDER_LOGOUT, .end = b->sessions};
    return bench_order(b, &o);
}

// --- the API

struct waited {
    bool is_done;
    int status;
    struct buf body;
};

static void waited_done(void *arg, int status, const char *body, size_t body_len) {
    struct waited *w = arg;
    w->is_done = true;
    w->status = status;
    buf_append(&w->body, body, body_len);
}

struct api_call {
    const char *method, *path, *body; // body NULL: none
    int expect;
};
// It is waited for. False unless it was answered with `expect`; ret_body may be NULL.
static bool bench_api(struct bench *b, const struct api_call *call, struct buf *ret_body) {
    struct waited w = {0};
    const struct call c = {
        call->method, call->path, call->body, call->body ? strlen(call->body) : 0, waited_done, &w};
    uint64_t from_ms = loop_now_ms(b->loop);
    pusher_call(b->pusher, &c);
    // w must outlive the call, so an interrupt waits for the answer too.
    while (!w.is_done && loop_now_ms(b->loop) - from_ms < STUCK_MS)
        loop_step(b->loop, STEP_MS);
    if (!w.is_done) {
        pusher_free(b->pusher);
        b->pusher = NULL;
        return bench_fail(b, "%s %s: no answer", call->method, call->path);
    }
    bool is_right = w.status == call->expect;
    if (!is_right)
        bench_fail(b, "%s %s: %d %s", call->method, call->path, w.status, buf_cstr(&w.body));
    if (is_right && ret_body)
        buf_append(ret_body, w.body.data, w.body.len);
    buf_free(&w.body);
    return is_right;
}

// --- the product

static bool plan_fill(struct bench *b, const char *answer) {
    struct plan *plan = &b->share->plan;
    json_t *root = json_loads(answer, 0, NULL);
    size_t i;
    json_t *key;
    json_array_foreach(json_object_get(root, "keys"), i, key) {
        const char *kind = json_string_value(json_object_get(key, "kind"));
        const char *kid = json_string_value(json_object_get(key, "kid"));
        const char *secret = json_string_value(json_object_get(key, "secret"));
        if (!kind || strcmp(kind, "token") != 0 || !kid || !secret)
            continue;
        snprintf(plan->kid, sizeof(plan->kid), "%s", kid);
        snprintf(plan->secret, sizeof(plan->secret), "%s", secret);
    }
    json_decref(root);
    snprintf(plan->product, sizeof(plan->product), "%s", b->product);
    plan->port_count = b->cluster.room_count;
    memcpy(plan->ports, b->cluster.rooms, sizeof(plan->ports));
    plan->tags = (uint32_t)b->options->tags;
    return plan->kid[0] ? true : bench_fail(b, "the product has no token key: %s", answer);
}

static bool product_create(struct bench *b) {
    uint8_t random[6];
    char suffix[13], path[64];
    crypto_random(random, sizeof(random));
    hex_encode(random, sizeof(random), suffix);
    snprintf(b->product, sizeof(b->product), "bench-%s", suffix);
    snprintf(path, sizeof(path), "/v1/products/%s", b->product);
    // Nothing that is due to be delivered may fall to a limit.
    const struct api_call call = {"PUT", path,
                                  "{\"limits\":{\"payload_bytes\":61440,\"inbox_messages\":100000,"
                                  "\"inbox_bytes\":1073741824}}",
                                  201};
    struct buf answer = BUF_EMPTY;
    bool is_made = bench_api(b, &call, &answer) && plan_fill(b, buf_cstr(&answer));
    buf_free(&answer);
    return is_made;
}

// The rooms have heard of the product once a client is in: each has one for a moment. And what a
// daemon makes at its first message is not counted as a session's.
static bool bench_warm_up(struct bench *b) {
    uint32_t doors = b->share->plan.port_count;
    if (!bench_login(b, 0, doors < b->sessions ? doors : b->sessions) || !bench_logout(b))
        return false;
    b->base = hw_calloc(b->cluster.watched_count, sizeof(b->base[0]));
    for (uint32_t i = 0; i < b->cluster.watched_count; i++)
        probe_process(b->cluster.watched[i].child.pid, &b->base[i]);
    probe_kernel(&b->kernel_base);
    return bench_reset(b);
}

// --- begin and end

static bool cluster_begin(struct bench *b, uint32_t rooms) {
    struct buf error = BUF_EMPTY;
    int failed = b->options->cluster ? own_cluster_read(&b->cluster, b->options, &error)
                                     : own_cluster_start(&b->cluster, b->options, rooms, &error);
    if (failed != 0)
        bench_fail(b, "%s", buf_cstr(&error));
    buf_free(&error);
    return failed == 0;
}

static bool hawser_begin(struct bench *b, uint32_t rooms) {
    if (!cluster_begin(b, rooms))
        return false;
    b->pusher =
        pusher_new(&(struct pusher_options){.loop = b->loop,
                                            .port = b->cluster.center,
                                            .key = b->cluster.admin_key,
                                            .connections = (uint32_t)b->options->connections});
    for (int i = 0; i < 3; i++)
        b->share->plan.ack_every[i] = ACK_EVERY;
    return product_create(b);
}

static bool rooms_fit(struct bench *b, uint32_t rooms) {
    if (b->options->peer && rooms > 1)
        return bench_fail(b, "--sessions: more than one process of a peer can hold");
    return rooms <= PORTS_MAX ||
           bench_fail(b, "--sessions: %u rooms would be needed, at most %d", rooms, PORTS_MAX);
}

static uint32_t scenario_timed(const struct bench *b) {
    return b->options->scenario == SCENARIO_mixed ? mixed_users(b) : 0;
}

bool bench_begin(struct bench *b) {
    const struct options *o = b->options;
    uint32_t each = descriptors_for_clients(descriptors_raise()); // of a worker, and of a room
    uint32_t needed = (b->sessions + each - 1) / each;
    uint32_t rooms = o->rooms > needed ? (uint32_t)o->rooms : needed;
    b->report = json_object();
    cores_plan(&b->cores, rooms, !o->no_pin);
    b->cores.is_room_idle = o->scenario == SCENARIO_unicast;
    b->cluster.cores = &b->cores;
    // Forked before there is anything in this process that they would share.
    if (!rooms_fit(b, rooms) || !crews_start(b, needed, scenario_timed(b)) ||
        !floor_start(b, needed, rooms))
        return false;
    if (cores_of_clients(&b->cores))
        (void)sched_setaffinity(0, sizeof(cpu_set_t), cores_of_clients(&b->cores));
    b->os = os_new();
    b->loop = loop_new(b->os);
    loop_on_signal(b->loop, bench_on_signal, b);
    return (o->peer ? peer_begin(b) : hawser_begin(b, rooms)) && bench_warm_up(b);
}

void bench_end(struct bench *b) {
    char path[64];
    snprintf(path, sizeof(path), "/v1/products/%s", b->product);
    if (b->options->cluster && b->pusher && b->product[0]) { // somebody else's: left as it was
        (void)bench_logout(b);
        (void)bench_api(b, &(struct api_call){"DELETE", path, NULL, 204}, NULL);
    }
    pusher_free(b->pusher);
    peer_end(b);
    crews_end(b->share, b->crew);
    crews_end(b->floor_side.share, b->floor_side.crew);
    for (uint32_t i = 0; i < b->floor_count; i++)
        crew_end(&b->floors[i]);
    free(b->floors);
    own_cluster_end(&b->cluster);
    if (b->loop) {
        loop_free(b->loop);
        os_free(b->os);
    }
    json_decref(b->report);
    buf_free(&b->error);
    free(b->base);
}
