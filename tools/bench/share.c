#include "share.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct share *share_new(uint32_t worker_count) {
    size_t bytes = sizeof(struct share) + worker_count * sizeof(struct worker_share);
    struct share *s = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED)
        abort();
    s->worker_count = worker_count;
    return s;
}

uint64_t share_sum(const struct share *s, enum count c) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->worker_count; i++)
        sum += atomic_load_explicit(&s->workers[i].counts[c], memory_order_relaxed);
    return sum;
}

uint64_t share_last_us(const struct share *s, enum lane lane) {
    uint64_t last = 0;
    for (uint32_t i = 0; i < s->worker_count; i++) {
        uint64_t at = atomic_load_explicit(&s->workers[i].last_us[lane], memory_order_relaxed);
        last = at > last ? at : last;
    }
    return last;
}

void share_lane(const struct share *s, enum lane lane, struct histogram *ret_sum) {
    memset(ret_sum, 0, sizeof(*ret_sum));
    for (uint32_t i = 0; i < s->worker_count; i++)
        histogram_merge(ret_sum, &s->workers[i].lanes[lane]);
}
