// Counters and gauges of one daemon, in Prometheus' text form. The numbers stay where they are
// counted: this holds names and pointers, and reads them when asked. The only free label is
// product.
#ifndef HW_METRICS_H
#define HW_METRICS_H

#include <stdint.h>

#include "buf.h"

struct metrics;
struct metrics *metrics_new(const char *role); // role: a literal
void metrics_free(struct metrics *m);

// name: "<what>_<unit>" without "hawser_<role>_" in front, a literal, as is help. value is borrowed
// and outlives m.
void metrics_counter(struct metrics *m, const char *name, const char *help, const uint64_t *value);
void metrics_gauge(struct metrics *m, const char *name, const char *help, const uint64_t *value);
// One that is worked out when asked for.
typedef uint64_t metrics_read_fn(void *arg);
void metrics_counter_read(struct metrics *m, const char *name, const char *help,
                          metrics_read_fn *read, void *arg);
void metrics_gauge_read(struct metrics *m, const char *name, const char *help,
                        metrics_read_fn *read, void *arg);

void metrics_print(const struct metrics *m, struct buf *out);

#endif
