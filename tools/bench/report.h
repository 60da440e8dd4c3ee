// What a run found, as one JSON object or as lines for people.
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench.h"

// Setting: scenario, version, and what the options came to.
void report_setting(struct bench *b);
void report_number(struct bench *b, const char *name, double value); // with at most 6 decimals
// p50_ms, p90_ms, p99_ms, p999_ms, max_ms into `object`.
void report_latency(json_t *object, const struct histogram *h);

// What the processes used between the two calls, for each of `messages`, and what their memory grew
// by since there were no sessions. Between them nothing else may be measured.
struct meter {
    uint64_t *cpu_us; // owned: of cluster.watched, then of the bench
};
void meter_begin(struct bench *b, struct meter *m);
void meter_end(struct bench *b, struct meter *m, uint64_t messages);

void report_kernel(struct bench *b); // memory, as it is now
void report_counts(struct bench *b); // repeats, gaps, what broke
void report_print(struct bench *b);

#endif
