// hawser: all six daemons in one process and one loop, on the memory stores, for trying it out.
//
//   hawser --dir D [--fixed-ports]   keeps all of it in D, and writes D/cluster.json once ready
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "center.h"
#include "coordinator.h"
#include "crypto.h"
#include "daemon.h"
#include "dispatcher.h"
#include "publish.h"
#include "register.h"
#include "room.h"
#include "saver.h"

enum { ROLES = 6, TRIAL_POLL_MS = 10, DRAIN_MS = 5000 };

// In the order of their start: the first tells the others where it is.
static const struct daemon_role *const roles[ROLES] = {
    &register_role, &saver_role, &room_role, &center_role, &coordinator_role, &dispatcher_role};

struct trial {
    const char *dir;
    bool fixed_ports, is_written;
    char admin_key[49];
    struct config *config; // owned
    struct loop *loop;
    struct daemon *daemons[ROLES]; // owned
    struct timer poll;
    uint64_t drain_end_ms;
    int exit_code;
};

static void set(struct trial *t, const char *key, const char *text) {
    struct buf error = BUF_EMPTY;
    if (config_set(t->config, key, text, &error) != 0) {
        fprintf(stderr, "hawser: %s\n", buf_cstr(&error));
        abort(); // keys and values are written here
    }
    buf_free(&error);
}

static void random_hex(char *out, size_t bytes) {
    uint8_t data[32];
    crypto_random(data, bytes);
    hex_encode(data, bytes, out);
}

static void configure(struct trial *t) {
    static const char *const listens[] = {
        "register.listen",    "saver.listen",      "room.listen",           "center.listen",
        "coordinator.listen", "dispatcher.listen", "dispatcher.http_listen"};
    static const char *const fixed[] = {"127.0.0.1:7400", "127.0.0.1:7500", "127.0.0.1:7200",
                                        "127.0.0.1:7300", "127.0.0.1:7600", "127.0.0.1:7100",
                                        "127.0.0.1:7180"};
    char secret[65];
    random_hex(secret, 32);
    set(t, "cluster.secrets", secret);
    random_hex(t->admin_key, 24);
    set(t, "cluster.admin_keys", t->admin_key);
    set(t, "redis.url", "memory:");
    set(t, "room.drain_within", "3s");
    for (size_t i = 0; i < sizeof(listens) / sizeof(listens[0]); i++)
        set(t, listens[i], t->fixed_ports ? fixed[i] : "127.0.0.1:0");
}

static bool start_all(struct trial *t) {
    struct buf error = BUF_EMPTY;
    for (int i = 0; i < ROLES; i++) {
        struct daemon_options o = {.role = roles[i], .loop = t->loop, .config = t->config};
        char at[32];
        if (daemon_new(&o, &error, &t->daemons[i]) != 0) {
            fprintf(stderr, "hawser: %s\n", buf_cstr(&error));
            buf_free(&error);
            return false;
        }
        if (i > 0)
            continue;
        snprintf(at, sizeof(at), "127.0.0.1:%u", daemon_port(t->daemons[0], "register"));
        set(t, "cluster.registers", at);
    }
    return true;
}

// --- D/cluster.json

static uint16_t port_of(struct trial *t, const char *name) {
    uint16_t port = 0;
    for (int i = 0; i < ROLES && port == 0; i++)
        port = daemon_port(t->daemons[i], name);
    return port;
}

static void info_path(const struct trial *t, struct buf *out) {
    buf_printf(out, "%s/cluster.json", t->dir);
}

// What another run left there is of ports and a key that are no more. Not before ours are taken: it
// may be that of a cluster that runs here.
static bool remove_stale_info(const struct trial *t) {
    struct buf path = BUF_EMPTY;
    info_path(t, &path);
    bool is_gone = unlink(buf_cstr(&path)) == 0 || errno == ENOENT;
    if (!is_gone)
        fprintf(stderr, "hawser: %s: %s\n", buf_cstr(&path), strerror(errno));
    buf_free(&path);
    return is_gone;
}

static void write_info(struct trial *t) {
    struct buf text = BUF_EMPTY, path = BUF_EMPTY;
    buf_printf(&text,
               "{\"dispatcher\": %u, \"dispatcher_http\": %u, \"rooms\": [%u], \"center\": %u, "
               "\"ops\": {",
               port_of(t, "dispatcher"), port_of(t, "dispatcher_http"), port_of(t, "room"),
               port_of(t, "center"));
    for (int i = 0; i < ROLES; i++)
        buf_printf(&text, "%s\"%s\": %u", i ? ", " : "", roles[i]->name,
                   daemon_ops_port(t->daemons[i]));
    buf_printf(&text, "}, \"admin_key\": \"%s\"}\n", t->admin_key);
    info_path(t, &path);
    int error = publish(buf_cstr(&path), &text, 0600);
    if (error != 0) {
        fprintf(stderr, "hawser: %s: %s\n", buf_cstr(&path), hw_strerror(error));
        t->exit_code = 1;
        loop_stop(t->loop);
    }
    buf_free(&path);
    t->is_written = true;
    buf_free(&text);
}

// --- running

static bool all(struct trial *t, bool (*is)(struct daemon *d)) {
    for (int i = 0; i < ROLES; i++)
        if (!is(t->daemons[i]))
            return false;
    return true;
}

static bool daemon_is_ready(struct daemon *d) {
    return daemon_unready(d) == NULL;
}

// The room goes first, the register last: each still needs those before it in the list.
static void drain_next(struct trial *t) {
    static const int order[ROLES] = {5, 2, 3, 4, 1, 0};
    for (int i = 0; i < ROLES; i++) {
        struct daemon *d = t->daemons[order[i]];
        daemon_drain(d);
        if (!daemon_is_drained(d))
            return;
    }
}

static void trial_poll(struct timer *timer) {
    struct trial *t = container_of(timer, struct trial, poll);
    if (!t->is_written && !t->drain_end_ms && all(t, daemon_is_ready))
        write_info(t);
    if (t->drain_end_ms) {
        drain_next(t);
        if (all(t, daemon_is_drained) || loop_now_ms(t->loop) >= t->drain_end_ms)
            loop_stop(t->loop);
    }
    if (!t->is_written || t->drain_end_ms)
        loop_arm(t->loop, &t->poll, TRIAL_POLL_MS, trial_poll);
}

static void trial_signal(void *arg, int signal_number) {
    struct trial *t = arg;
    if (signal_number != SIGTERM && signal_number != SIGINT)
        return;
    if (t->drain_end_ms) {
        loop_stop(t->loop); // the second one
        return;
    }
    t->drain_end_ms = loop_now_ms(t->loop) + DRAIN_MS;
    loop_arm(t->loop, &t->poll, 0, trial_poll);
}

static void trial_run(struct trial *t) {
    struct os *os = os_new();
    t->loop = loop_new(os);
    loop_on_signal(t->loop, trial_signal, t);
    if (start_all(t) && remove_stale_info(t)) {
        loop_arm(t->loop, &t->poll, 0, trial_poll);
        loop_run(t->loop);
        loop_disarm(t->loop, &t->poll);
    } else {
        t->exit_code = 1;
    }
    for (int i = ROLES - 1; i >= 0; i--)
        daemon_free(t->daemons[i]);
    loop_on_signal(t->loop, NULL, NULL);
    loop_step(t->loop, 0);
    if (loop_free(t->loop) != 0)
        t->exit_code = 1;
    os_free(os);
}

static bool trial_arguments(struct trial *t, int argc, char **argv) {
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"fixed-ports", no_argument, NULL, 'f'},
                                            {"version", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'd')
            t->dir = optarg;
        else if (c == 'f')
            t->fixed_ports = true;
        else if (c == 'v')
            printf("hawser %s\n", HAWSER_VERSION);
        else
            fprintf(c == 'h' ? stdout : stderr,
                    "usage: hawser --dir FOLDER [--fixed-ports] | --version | --help\n");
        if (c == 'v' || c == 'h' || c == '?') {
            t->exit_code = c == '?' ? 2 : 0;
            return false;
        }
    }
    if (t->dir && optind == argc)
        return true;
    fprintf(stderr, "hawser: --dir FOLDER is needed, and nothing else but --fixed-ports\n");
    t->exit_code = 2;
    return false;
}

// Until this process ends: two clusters in one folder would write each other's keys over.
static bool take_folder(const char *dir) {
    const char *wrong = NULL;
    int fd = -1;
    if (mkdir(dir, 0700) == 0 || errno == EEXIST)
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || access(dir, W_OK) != 0)
        wrong = strerror(errno);
    else if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        wrong = errno == EWOULDBLOCK ? "another hawser runs here" : strerror(errno);
    if (wrong)
        fprintf(stderr, "hawser: --dir %s: %s\n", dir, wrong);
    return !wrong;
}

int main(int argc, char **argv) {
    struct trial t = {0};
    struct rlimit limit;
    signal(SIGPIPE, SIG_IGN); // whoever reads the log may go
    if (!trial_arguments(&t, argc, argv))
        return t.exit_code;
    if (!take_folder(t.dir))
        return 1;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    t.config = config_default();
    configure(&t);
    trial_run(&t);
    config_free(t.config);
    return t.exit_code;
}
