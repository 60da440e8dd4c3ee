// How long things took: a log-linear histogram in the manner of HdrHistogram (Debian has no package
// of that). A value below 128 us has a bucket of its own, a larger one shares it with values less
// than 1/128 apart. So a quantile is at most 0.8 % above the truth, whatever the range.
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_LINEAR_BITS = 7,
    HISTOGRAM_VALUE_BITS = 40, // 2^40 us are twelve days; what is larger counts as that
    HISTOGRAM_BUCKETS = (HISTOGRAM_VALUE_BITS - HISTOGRAM_LINEAR_BITS + 1) << HISTOGRAM_LINEAR_BITS,
};

// All-zero is an empty one. It holds no pointer, so that it can live in memory that is shared.
struct histogram {
    uint64_t count, max_us;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t us);
void histogram_merge(struct histogram *into, const struct histogram *from);
// The value that `share` (0..1) of all values do not pass: the upper end of its bucket, and never
// above the largest value seen. 0 when it is empty.
uint64_t histogram_quantile(const struct histogram *h, double share);

#endif
