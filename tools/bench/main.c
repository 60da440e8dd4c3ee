// hawser-bench: loads a cluster and measures it. options.c says how it is called, bench.h how it is
// made; each scenario is a file.
#include <stdio.h>
#include <unistd.h>

#include "bench.h"
#include "report.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static scenario_fn *const runs[SCENARIOS] = {
    [SCENARIO_broadcast] = run_broadcast, [SCENARIO_unicast] = run_unicast,
    [SCENARIO_login] = run_login,         [SCENARIO_idle] = run_idle,
    [SCENARIO_mixed] = run_mixed,         [SCENARIO_catchup] = run_catchup};

static int bench_run(const struct options *o) {
    struct bench b = {.options = o, .sessions = (uint32_t)o->sessions};
    bool is_done = bench_begin(&b);
    if (is_done) {
        report_setting(&b);
        is_done = runs[o->scenario](&b);
    }
    if (!o->quiet && isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    if (is_done)
        report_print(&b);
    else
        fprintf(stderr, "hawser-bench: %s\n", buf_cstr(&b.error));
    bench_end(&b);
    return is_done ? 0 : EXIT_FAILED;
}

int main(int argc, char **argv) {
    struct options o;
    struct buf text = BUF_EMPTY;
    int code = 0;
    switch (options_parse(argc, argv, &o, &text)) {
    case OPTIONS_RUN:
        code = bench_run(&o);
        break;
    case OPTIONS_HELP:
        options_help(&text);
        fputs(buf_cstr(&text), stdout);
        break;
    case OPTIONS_VERSION:
        puts("hawser-bench " HAWSER_VERSION);
        break;
    case OPTIONS_BAD:
        fprintf(stderr, "hawser-bench: %s\n", buf_cstr(&text));
        code = EXIT_USAGE;
        break;
    }
    buf_free(&text);
    return code;
}
