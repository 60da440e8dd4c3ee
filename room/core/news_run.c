#include "news_run.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRIES_FIRST = 16 };

void news_run_deinit(struct news_run *run) {
    for (size_t i = 0; i < run->count; i++)
        free(run->entry[i].audience);
    free(run->entry);
    buf_free(&run->frames);
    *run = (struct news_run){0};
}

size_t news_run_bytes(const struct news_run *run) {
    return run->frames.capacity + run->capacity * sizeof(run->entry[0]) + run->audience_bytes;
}

void news_run_add(struct news_run *run, const struct news_entry *e, const uint8_t *frame) {
    if (run->count == run->capacity) {
        run->capacity = run->capacity ? run->capacity * 2 : ENTRIES_FIRST;
        run->entry = hw_realloc(run->entry, run->capacity * sizeof(run->entry[0]));
    }
    run->entry[run->count] = *e;
    run->entry[run->count++].offset = (uint32_t)run->frames.len;
    run->audience_bytes += audience_bytes(e->audience);
    buf_append(&run->frames, frame, e->len);
}

void news_run_drop(struct news_run *run, size_t count) {
    for (size_t i = 0; i < count; i++) {
        run->audience_bytes -= audience_bytes(run->entry[i].audience);
        free(run->entry[i].audience);
    }
    run->count -= count;
    memmove(run->entry, run->entry + count, run->count * sizeof(run->entry[0]));
    uint32_t offset = run->count ? run->entry[0].offset : (uint32_t)run->frames.len;
    buf_consume(&run->frames, offset);
    for (size_t i = 0; i < run->count; i++)
        run->entry[i].offset -= offset;
}

size_t news_run_find(const struct news_run *run, uint64_t seq) {
    size_t low = 0, high = run->count;
    // Nearly all who ask are level with the log but for its last message.
    if (high > 1 && run->entry[high - 2].last < seq)
        low = high - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (run->entry[middle].last < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
