#include "metrics.h"

#include <assert.h>

enum { METRICS_MAX = 256 };

struct metric {
    const char *name, *help, *type;
    const uint64_t *value; // borrowed; NULL: ask read
    metrics_read_fn *read;
    void *arg;
};

struct metrics {
    const char *role;
    struct metric list[METRICS_MAX];
    int count;
};

struct metrics *metrics_new(const char *role) {
    struct metrics *m = hw_calloc(1, sizeof(*m));
    m->role = role;
    return m;
}

void metrics_free(struct metrics *m) {
    free(m);
}

static void metrics_add(struct metrics *m, struct metric metric) {
    // The list is written in the source: these are a programmer's errors.
    assert(m->count < METRICS_MAX);
    for (int i = 0; i < m->count; i++)
        assert(strcmp(m->list[i].name, metric.name) != 0);
    m->list[m->count++] = metric;
}

void metrics_counter(struct metrics *m, const char *name, const char *help, const uint64_t *value) {
    metrics_add(m, (struct metric){.name = name, .help = help, .type = "counter", .value = value});
}

void metrics_gauge(struct metrics *m, const char *name, const char *help, const uint64_t *value) {
    metrics_add(m, (struct metric){.name = name, .help = help, .type = "gauge", .value = value});
}

void metrics_counter_read(struct metrics *m, const char *name, const char *help,
                          metrics_read_fn *read, void *arg) {
    metrics_add(m, (struct metric){
                       .name = name, .help = help, .type = "counter", .read = read, .arg = arg});
}

void metrics_gauge_read(struct metrics *m, const char *name, const char *help,
                        metrics_read_fn *read, void *arg) {
    metrics_add(
        m, (struct metric){.name = name, .help = help, .type = "gauge", .read = read, .arg = arg});
}

void metrics_print(const struct metrics *m, struct buf *out) {
    for (int i = 0; i < m->count; i++) {
        const struct metric *metric = &m->list[i];
        uint64_t value = metric->value ? *metric->value : metric->read(metric->arg);
        buf_printf(out, "# HELP hawser_%s_%s %s\n# TYPE hawser_%s_%s %s\nhawser_%s_%s %llu\n",
                   m->role, metric->name, metric->help, m->role, metric->name, metric->type,
                   m->role, metric->name, (unsigned long long)value);
    }
}
