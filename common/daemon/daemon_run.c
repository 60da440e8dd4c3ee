// The main of a daemon's executable: arguments, configuration, one loop, one daemon.
#include <getopt.h>
#include <signal.h>
#include <sys/resource.h>

#include "daemon.h"
#include "publish.h"

enum { EXIT_FAULT = 1, EXIT_CONFIG = 2, POLL_MS = 20 };

struct runner {
    const struct daemon_role *role;
    const char *config_path, *ports_path; // NULL: none
    struct config *config;                // owned
    struct daemon *daemon;                // owned
    struct loop *loop;
    struct timer poll;
    uint64_t drain_end_ms; // 0: not draining
    bool was_ready;
    int exit_code;
};

// --- arguments

static void usage(const struct daemon_role *role, FILE *to) {
    fprintf(to,
            "usage: hawser-%s [--config FILE] [--ports-file FILE]\n"
            "  --config FILE      the cluster's YAML file; HAWSER_<SECTION>__<KEY> overrides it\n"
            "  --ports-file FILE  write {\"name\": port} there once ready\n"
            "  --check-config     read the configuration, say what is wrong, and end\n"
            "  --print-config     print the configuration in force, without secrets, and end\n"
            "%s"
            "  --version\n",
            role->name, role->usage ? role->usage : "");
}

enum what { RUN, CHECK, PRINT };

static bool take_arguments(struct runner *r, int argc, char **argv, enum what *ret_what) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"ports-file", required_argument, NULL, 'p'},
                                            {"check-config", no_argument, NULL, 'k'},
                                            {"print-config", no_argument, NULL, 'P'},
                                            {"version", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'c')
            r->config_path = optarg;
        else if (c == 'p')
            r->ports_path = optarg;
        else if (c == 'k')
            *ret_what = CHECK;
        else if (c == 'P')
            *ret_what = PRINT;
        else if (c == 'v')
            printf("hawser-%s %s\n", r->role->name, HAWSER_VERSION);
        else
            usage(r->role, c == 'h' ? stdout : stderr);
        if (c == 'v' || c == 'h' || c == '?') {
            r->exit_code = c == '?' ? EXIT_CONFIG : 0;
            return false;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "hawser-%s: '%s' is not an option\n", r->role->name, argv[optind]);
        r->exit_code = EXIT_CONFIG;
    }
    return optind == argc;
}

// --- configuration

extern char **environ;

// NULL with one line in ret_error.
static struct config *run_load(struct runner *r, struct buf *ret_error) {
    struct config *config = NULL;
    if (config_load(r->config_path, environ, ret_error, &config) != 0)
        return NULL;
    if (config_check(config, ret_error) == 0)
        return config;
    config_free(config);
    return NULL;
}

static void print_warning(void *arg, const char *line) {
    const struct runner *r = arg;
    fprintf(stderr, "hawser-%s: warning: %s\n", r->role->name, line);
}

static void log_warning(void *arg, const char *line) {
    const struct runner *r = arg;
    log_event(daemon_env(r->daemon)->log, LOG_WARN, "configuration", "warning=%s",
              log_quote_str(line));
}

static void print_config(const struct config *config) {
    struct buf text = BUF_EMPTY;
    config_print(config, &text);
    fwrite(text.data, 1, text.len, stdout);
    buf_free(&text);
}

// --- the ports file

static void write_ports(struct runner *r) {
    struct daemon_port ports[DAEMON_PORTS_MAX];
    struct buf text = BUF_EMPTY;
    int count = daemon_ports(r->daemon, ports);
    buf_append_str(&text, "{");
    for (int i = 0; i < count; i++)
        buf_printf(&text, "\"%s\": %u, ", ports[i].name, ports[i].port);
    buf_printf(&text, "\"ops\": %u}\n", daemon_ops_port(r->daemon));
    int error = publish(r->ports_path, &text, 0644);
    if (error != 0) {
        fprintf(stderr, "hawser-%s: --ports-file %s: %s\n", r->role->name, r->ports_path,
                hw_strerror(error));
        r->exit_code = EXIT_FAULT;
        loop_stop(r->loop);
    }
    buf_free(&text);
}

// --- running

static void look_at_start(struct runner *r) {
    const char *reason = daemon_hopeless(r->daemon);
    if (!daemon_unready(r->daemon)) {
        r->was_ready = true;
        if (r->ports_path)
            write_ports(r);
    } else if (reason) {
        fprintf(stderr, "hawser-%s: %s\n", r->role->name, reason);
        r->exit_code = EXIT_FAULT;
        loop_stop(r->loop);
    }
}

static void on_poll(struct timer *t) {
    struct runner *r = container_of(t, struct runner, poll);
    if (!r->was_ready && !r->drain_end_ms)
        look_at_start(r);
    bool over = r->drain_end_ms &&
                (daemon_is_drained(r->daemon) || loop_now_ms(r->loop) >= r->drain_end_ms);
    if (over)
        loop_stop(r->loop);
    else if (r->drain_end_ms || !r->was_ready)
        loop_arm(r->loop, &r->poll, POLL_MS, on_poll);
}

static void tell_restart(void *arg, const char *key) {
    const struct runner *r = arg;
    log_event(daemon_env(r->daemon)->log, LOG_WARN, "changed, and needs a restart", "key=%s", key);
}

static void reload(struct runner *r) {
    struct buf error = BUF_EMPTY;
    struct config *config = run_load(r, &error);
    if (config) {
        config_keep(config, r->config, r->role->name, tell_restart, r);
        daemon_reload(r->daemon, config);
        config_free(r->config);
        r->config = config;
    } else {
        log_event(daemon_env(r->daemon)->log, LOG_ERROR, "the configuration stays as it was",
                  "reason=%s", log_quote_str(buf_cstr(&error)));
    }
    buf_free(&error);
}

static void run_on_signal(void *arg, int signal_number) {
    struct runner *r = arg;
    char name[48];
    if (signal_number == SIGHUP) {
        reload(r);
    } else if (signal_number == SIGTERM || signal_number == SIGINT) {
        if (r->drain_end_ms) {
            loop_stop(r->loop); // the second one
            return;
        }
        snprintf(name, sizeof(name), "%s.drain_within", r->role->name);
        r->drain_end_ms = loop_now_ms(r->loop) + config_ms(r->config, name) + 1;
        daemon_drain(r->daemon);
        loop_arm(r->loop, &r->poll, 0, on_poll);
    }
}

static void raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void run_run(struct runner *r) {
    struct buf error = BUF_EMPTY;
    struct os *os = os_new();
    r->loop = loop_new(os);
    loop_on_signal(r->loop, run_on_signal, r);
    struct daemon_options o = {.role = r->role, .loop = r->loop, .config = r->config};
    if (daemon_new(&o, &error, &r->daemon) == 0) {
        config_warnings(r->config, r->role->name, log_warning, r);
        loop_arm(r->loop, &r->poll, 0, on_poll);
        loop_run(r->loop);
        loop_disarm(r->loop, &r->poll);
        daemon_free(r->daemon);
    } else {
        fprintf(stderr, "hawser-%s: %s\n", r->role->name, buf_cstr(&error));
        r->exit_code = EXIT_FAULT;
    }
    loop_on_signal(r->loop, NULL, NULL);
    loop_step(r->loop, 0); // what was ended is finished
    if (loop_free(r->loop) != 0)
        r->exit_code = EXIT_FAULT;
    os_free(os);
    buf_free(&error);
}

static void run_check(struct runner *r) {
    config_warnings(r->config, r->role->name, print_warning, r);
    printf("hawser-%s: the configuration is right\n", r->role->name);
}

int daemon_main(const struct daemon_role *role, int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); // whoever reads the log may go
    struct runner r = {.role = role};
    struct buf error = BUF_EMPTY;
    enum what what = RUN;
    if (!take_arguments(&r, argc, argv, &what))
        return r.exit_code;
    r.config = run_load(&r, &error);
    if (!r.config || (what == RUN && config_resolve(r.config, role->name, &error) != 0)) {
        fprintf(stderr, "hawser-%s: %s\n", role->name, buf_cstr(&error));
        r.exit_code = EXIT_CONFIG;
    } else if (what == PRINT) {
        print_config(r.config);
    } else if (what == CHECK) {
        run_check(&r);
    } else {
        raise_descriptors();
        run_run(&r);
    }
    buf_free(&error);
    config_free(r.config);
    return r.exit_code;
}
