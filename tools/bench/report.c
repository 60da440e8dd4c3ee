#include "report.h"

#include <inttypes.h>
#include <math.h>
#include <unistd.h>

static json_t *rounded(double value) {
    return json_real(round(value * 1e6) / 1e6);
}

static json_t *integer(uint64_t value) {
    return json_integer((json_int_t)value);
}

void report_number(struct bench *b, const char *name, double value) {
    json_object_set_new(b->report, name, rounded(value));
}

static void put_count(struct bench *b, const char *name, uint64_t value) {
    json_object_set_new(b->report, name, integer(value));
}

// --- setting

void report_setting(struct bench *b) {
    const struct options *o = b->options;
    json_object_set_new(b->report, "scenario", json_string(scenario_name(o->scenario)));
    json_object_set_new(b->report, "server", json_string(o->peer ? o->peer : "hawser"));
    json_object_set_new(b->report, "version", json_string(HAWSER_VERSION));
    put_count(b, "sessions", b->sessions);
    put_count(b, "size", o->size);
    if (o->scenario == SCENARIO_broadcast) {
        put_count(b, "rounds", o->rounds);
        put_count(b, "burst", o->burst);
        put_count(b, "tags", o->tags);
    }
    if (o->scenario == SCENARIO_unicast || o->scenario == SCENARIO_catchup)
        put_count(b, "batch", o->batch);
    if (o->scenario == SCENARIO_catchup)
        put_count(b, "waiting", o->waiting);
    put_count(b, "connections", o->connections);
    put_count(b, "rooms", b->cluster.room_count);
    put_count(b, "client_processes", b->share->worker_count);
    put_count(b, "cores", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
    json_object_set_new(b->report, "pinned", json_boolean(b->cores.room_count > 0));
    json_object_set_new(b->report, "redis", json_boolean(b->cluster.redis_url[0] != '\0'));
}

// --- latency

void report_latency(json_t *object, const struct histogram *h) {
    static const struct {
        const char *name;
        double share;
    } rows[] = {{"p50_ms", 0.5}, {"p90_ms", 0.9}, {"p99_ms", 0.99}, {"p999_ms", 0.999}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        json_object_set_new(object, rows[i].name,
                            rounded((double)histogram_quantile(h, rows[i].share) / 1000));
    json_object_set_new(object, "max_ms", rounded((double)h->max_us / 1000));
}

// --- what was used

static uint64_t bench_cpu_us(struct bench *b) {
    struct usage u;
    probe_process(getpid(), &u);
    uint64_t sum = u.cpu_us;
    for (uint32_t i = 0; i < b->share->worker_count; i++) {
        probe_process(b->crew[i].child.pid, &u);
        sum += u.cpu_us;
    }
    return sum;
}

static void bench_add_used(struct bench *b, struct meter *m, uint64_t messages, json_t *daemons) {
    uint64_t used = bench_cpu_us(b) - m->cpu_us[b->cluster.watched_count];
    json_object_set_new(daemons, "bench",
                        json_pack("{s:i, s:o}", "processes", (int)b->share->worker_count + 1,
                                  "cpu_us_per_message",
                                  rounded(messages ? (double)used / (double)messages : 0)));
}

void meter_begin(struct bench *b, struct meter *m) {
    struct usage u;
    m->cpu_us = hw_calloc(b->cluster.watched_count + 1, sizeof(m->cpu_us[0]));
    for (uint32_t i = 0; i < b->cluster.watched_count; i++) {
        probe_process(b->cluster.watched[i].child.pid, &u);
        m->cpu_us[i] = u.cpu_us;
    }
    m->cpu_us[b->cluster.watched_count] = bench_cpu_us(b);
}

static void add_to(json_t *object, const char *name, double value) {
    double before = json_number_value(json_object_get(object, name));
    json_object_set_new(object, name, rounded(before + value));
}

static json_t *role_of(json_t *daemons, const char *role) {
    json_t *found = json_object_get(daemons, role);
    if (!found) {
        found = json_pack("{s:i, s:[]}", "processes", 0, "rss_bytes");
        json_object_set_new(daemons, role, found);
    }
    return found;
}

static void add_process(struct bench *b, uint32_t i, uint64_t cpu_us, uint64_t messages) {
    const struct watched *w = &b->cluster.watched[i];
    json_t *role = role_of(json_object_get(b->report, "daemons"), w->role);
    struct usage u;
    probe_process(w->child.pid, &u);
    double grown = (double)u.rss_bytes - (double)b->base[i].rss_bytes;
    json_object_set_new(
        role, "processes",
        integer((uint64_t)json_integer_value(json_object_get(role, "processes")) + 1));
    json_array_append_new(json_object_get(role, "rss_bytes"), integer(u.rss_bytes));
    uint64_t used_us = u.cpu_us >= cpu_us ? u.cpu_us - cpu_us : u.cpu_us; // started since then
    add_to(role, "cpu_us_per_message", messages ? (double)used_us / (double)messages : 0);
    add_to(role, "rss_per_session", grown / (double)b->sessions);
}

void report_kernel(struct bench *b) {
    struct kernel_usage now;
    probe_kernel(&now);
    double slab = (double)now.slab_bytes - (double)b->kernel_base.slab_bytes;
    json_object_set_new(b->report, "kernel",
                        json_pack("{s:o, s:o, s:o, s:o}", "tcp_sockets", integer(now.tcp_sockets),
                                  "tcp_bytes", integer(now.tcp_bytes), "slab_bytes",
                                  integer(now.slab_bytes), "slab_per_session",
                                  rounded(slab / (double)b->sessions)));
}

void meter_end(struct bench *b, struct meter *m, uint64_t messages) {
    json_t *daemons = json_object();
    json_object_set_new(b->report, "daemons", daemons);
    for (uint32_t i = 0; i < b->cluster.watched_count; i++)
        add_process(b, i, m->cpu_us[i], messages);
    bench_add_used(b, m, messages, daemons);
    json_t *room = json_object_get(daemons, b->options->peer ? b->options->peer : "room");
    json_object_set(b->report, "rss_per_session", json_object_get(room, "rss_per_session"));
    if (!json_object_get(b->report, "kernel"))
        report_kernel(b);
    free(m->cpu_us);
}

void report_counts(struct bench *b) {
    put_count(b, "repeats", share_sum(b->share, COUNT_REPEATS));
    put_count(b, "gaps", share_sum(b->share, COUNT_GAPS));
    put_count(b, "jumps", share_sum(b->share, COUNT_JUMPS));
    put_count(b, "refused", share_sum(b->share, COUNT_REFUSED));
    put_count(b, "broken", share_sum(b->share, COUNT_BROKEN));
}

// --- printing

static void print_rows(json_t *object, int indent) {
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) {
        if (json_is_object(value)) {
            printf("%*s%s\n", indent, "", name);
            print_rows(value, indent + 2);
            continue;
        }
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
        printf("%*s%-*s %s\n", indent, "", 26 - indent, name, text ? text : "?");
        free(text);
    }
}

void report_print(struct bench *b) {
    if (b->options->json) {
        json_dumpf(b->report, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
        putchar('\n');
    } else {
        print_rows(b->report, 0);
    }
}
