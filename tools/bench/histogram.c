#include "histogram.h"

enum { LINEAR = 1 << HISTOGRAM_LINEAR_BITS };

// The highest bit of a value says its group, the next seven bits its bucket therein.
static uint32_t bucket_of(uint64_t us) {
    if (us < LINEAR)
        return (uint32_t)us;
    if (us >> HISTOGRAM_VALUE_BITS)
        return HISTOGRAM_BUCKETS - 1;
    uint32_t shift = (uint32_t)(63 - __builtin_clzll(us)) - HISTOGRAM_LINEAR_BITS;
    return (shift << HISTOGRAM_LINEAR_BITS) + (uint32_t)(us >> shift);
}

static uint64_t bucket_end(uint32_t bucket) {
    if (bucket < 2 * LINEAR)
        return bucket;
    uint32_t shift = (bucket >> HISTOGRAM_LINEAR_BITS) - 1;
    uint64_t first = (uint64_t)(bucket - (shift << HISTOGRAM_LINEAR_BITS)) << shift;
    return first + (UINT64_C(1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t us) {
    h->count++;
    h->buckets[bucket_of(us)]++;
    if (us > h->max_us)
        h->max_us = us;
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
    into->count += from->count;
    if (from->max_us > into->max_us)
        into->max_us = from->max_us;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

uint64_t histogram_quantile(const struct histogram *h, double share) {
    double exact = share * (double)h->count;
    uint64_t wanted = (uint64_t)exact, passed = 0;
    if ((double)wanted < exact || wanted == 0)
        wanted++;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        passed += h->buckets[i];
        if (passed >= wanted)
            return bucket_end(i) < h->max_us ? bucket_end(i) : h->max_us;
    }
    return h->max_us;
}
