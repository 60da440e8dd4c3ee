#include "workers.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "publish.h"

enum {
    WORKERS_MAX = 256,
    RESTART_MS = 1000,
    RESTART_MAX_MS = 30000,
    STEADY_MS = 60000, // who lived that long did not fail at its start
    PORTS_POLL_MS = 20
};

struct worker {
    pid_t pid; // 0: not running
    uint32_t starts, failures;
    uint64_t started_ms, due_ms;
};

struct workers {
    int count;
    struct worker all[WORKERS_MAX];
    char **argv;            // of a worker, without --ports-file
    const char *ports_path; // NULL: none
    struct log log;
    bool ending, ports_written;
    int exit_code;
};

int workers_wanted(int *argc, char **argv) {
    for (int i = 1; i < *argc; i++) {
        const char *value = strncmp(argv[i], "--workers=", 10) == 0 ? argv[i] + 10 : NULL;
        int taken = 1;
        if (!value && strcmp(argv[i], "--workers") == 0) {
            value = i + 1 < *argc ? argv[i + 1] : "";
            taken = 2;
        }
        if (!value)
            continue;
        char *end;
        long count = strtol(value, &end, 10);
        if (*value == '\0' || *end || count < 1 || count > WORKERS_MAX) {
            fprintf(stderr, "hawser-room: --workers: '%s' is not a number from 1 to %d\n", value,
                    WORKERS_MAX);
            return -1;
        }
        for (int j = i; j + taken <= *argc; j++)
            argv[j] = argv[j + taken];
        *argc -= taken;
        return (int)count;
    }
    return 0;
}

// The caller frees it.
static char *ports_name(const struct workers *w, int i) {
    struct buf name = BUF_EMPTY;
    buf_printf(&name, "%s.%d", w->ports_path, i);
    char *copy = hw_strdup(buf_cstr(&name));
    buf_free(&name);
    return copy;
}

static uint64_t workers_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void worker_start(struct workers *w, int i) {
    enum { MORE_ARGS = 3 }; // the option, its value and the end
    int n = 0;
    while (w->argv[n])
        n++;
    char **args = hw_calloc((size_t)n + MORE_ARGS, sizeof(args[0]));
    memcpy(args, w->argv, (size_t)n * sizeof(args[0]));
    if (w->ports_path) {
        args[n] = (char *)(uintptr_t) "--ports-file";
        args[n + 1] = ports_name(w, i);
        unlink(args[n + 1]); // of another run: its ports are not to be taken for those of this one
    }
    w->all[i].starts++;
    w->all[i].started_ms = workers_now_ms();
    w->all[i].pid = fork();
    if (w->all[i].pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execv("/proc/self/exe", args);
        _exit(127);
    }
    if (w->ports_path)
        free(args[n + 1]);
    free(args);
}

// {"rooms": [...], "rooms_rpc": [...], "ops": [...]} once each worker has written its own.
static bool merge_ports(struct workers *w) {
    static const char *const names[3][2] = {
        {"room", "rooms"}, {"room_rpc", "rooms_rpc"}, {"ops", "ops"}};
    unsigned values[3][WORKERS_MAX];
    for (int i = 0; i < w->count; i++) {
        char *path = ports_name(w, i), text[512], key[32];
        FILE *f = fopen(path, "r");
        free(path);
        size_t len = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
        if (f)
            fclose(f);
        text[len] = '\0';
        for (int k = 0; k < 3; k++) {
            snprintf(key, sizeof(key), "\"%s\": ", names[k][0]);
            const char *at = strstr(text, key);
            if (!at || sscanf(at + strlen(key), "%u", &values[k][i]) != 1)
                return false;
        }
    }
    struct buf out = BUF_EMPTY;
    for (int k = 0; k < 3; k++) {
        buf_printf(&out, "%s\"%s\": [", k ? ", " : "{", names[k][1]);
        for (int i = 0; i < w->count; i++)
            buf_printf(&out, "%s%u", i ? ", " : "", values[k][i]);
        buf_append_str(&out, "]");
    }
    buf_append_str(&out, "}\n");
    int error = publish(w->ports_path, &out, 0644);
    buf_free(&out);
    if (error != 0)
        fprintf(stderr, "hawser-room: --ports-file %s: %s\n", w->ports_path, hw_strerror(error));
    return true;
}

static void tell_all(const struct workers *w, int signal_number) {
    for (int i = 0; i < w->count; i++)
        if (w->all[i].pid > 0)
            kill(w->all[i].pid, signal_number);
}

// The worker's own log may have no last word: who was killed could not write one.
static void say_ended(struct workers *w, int i, int status, uint64_t rest_ms) {
    bool by_signal = WIFSIGNALED(status);
    log_event(&w->log, LOG_WARN, "a worker ended",
              "worker=%d workers=%d pid=%d %s=%d restart_in_ms=%llu", i + 1, w->count,
              (int)w->all[i].pid, by_signal ? "signal" : "exit_code",
              by_signal ? WTERMSIG(status) : WEXITSTATUS(status), (unsigned long long)rest_ms);
}

// Returns in how many ms.
static uint64_t restart_later(struct worker *one) {
    uint64_t now = workers_now_ms(), rest_ms = RESTART_MS;
    one->failures = now - one->started_ms < STEADY_MS ? one->failures + 1 : 1;
    for (uint32_t i = 1; i < one->failures && rest_ms < RESTART_MAX_MS; i++)
        rest_ms *= 2;
    rest_ms = rest_ms < RESTART_MAX_MS ? rest_ms : RESTART_MAX_MS;
    one->due_ms = now + rest_ms;
    return rest_ms;
}

// A daemon says "I cannot run" by its exit code, and dies of a signal when it has a bug. Who cannot
// run at its first start, for want of a port or a right configuration, ends the whole, as a single
// room would end. Later the others serve clients: then it is tried again, ever more seldom.
static void on_end(struct workers *w, int i, int status) {
    struct worker *one = &w->all[i];
    bool cannot_run = WIFEXITED(status) && WEXITSTATUS(status) != 0;
    // One that was only just started had no handler for the SIGTERM yet.
    bool told = w->ending && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
    if (w->ending) {
        if (!told && status != 0 && w->exit_code == 0)
            w->exit_code = 1;
    } else if (cannot_run && one->starts == 1) {
        fprintf(stderr, "hawser-room: worker %d of %d cannot start: all end\n", i + 1, w->count);
        w->exit_code = WEXITSTATUS(status);
        w->ending = true;
        tell_all(w, SIGTERM);
    } else {
        say_ended(w, i, status, restart_later(one));
    }
    one->pid = 0;
}

static void reap(struct workers *w) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < w->count; i++)
            if (w->all[i].pid == pid)
                on_end(w, i, status);
}

static void start_due(struct workers *w) {
    uint64_t now = workers_now_ms();
    for (int i = 0; i < w->count && !w->ending; i++)
        if (w->all[i].pid == 0 && w->all[i].due_ms <= now)
            worker_start(w, i);
}

static int alive(const struct workers *w) {
    int n = 0;
    for (int i = 0; i < w->count; i++)
        n += w->all[i].pid > 0;
    return n;
}

static void workers_on_signal(struct workers *w, int signal_number) {
    if (signal_number == SIGCHLD) {
        reap(w);
    } else {
        w->ending = w->ending || signal_number != SIGHUP;
        tell_all(w, signal_number);
    }
}

static void take_ports_argument(struct workers *w, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        int taken = 1;
        if (strncmp(argv[i], "--ports-file=", 13) == 0) {
            w->ports_path = argv[i] + 13;
        } else if (strcmp(argv[i], "--ports-file") == 0 && i + 1 < argc) {
            w->ports_path = argv[i + 1];
            taken = 2;
        } else {
            continue;
        }
        for (int j = i; j + taken <= argc; j++)
            argv[j] = argv[j + taken];
        return;
    }
}

int workers_run(int count, int argc, char **argv) {
    struct workers w = {.count = count, .argv = argv};
    sigset_t signals;
    log_init(&w.log, "room", LOG_INFO);
    take_ports_argument(&w, argc, argv);
    sigemptyset(&signals);
    for (int i = 0; i < 4; i++)
        sigaddset(&signals, (int[]){SIGTERM, SIGINT, SIGHUP, SIGCHLD}[i]);
    signal(SIGPIPE, SIG_IGN); // the workers have theirs by daemon_main
    sigprocmask(SIG_BLOCK, &signals, NULL);
    struct pollfd fd = {.fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK), .events = POLLIN};
    while (!w.ending || alive(&w) > 0) {
        struct signalfd_siginfo info;
        start_due(&w);
        int wait_ms = w.ending ? -1 : w.ports_path && !w.ports_written ? PORTS_POLL_MS : RESTART_MS;
        if (poll(&fd, 1, wait_ms) > 0)
            while (read(fd.fd, &info, sizeof(info)) == sizeof(info))
                workers_on_signal(&w, (int)info.ssi_signo);
        if (w.ports_path && !w.ports_written && !w.ending)
            w.ports_written = merge_ports(&w);
    }
    close(fd.fd);
    return w.exit_code;
}
