// Broadcasts of one product, encoded one behind the other: no seq is missing between the first and
// the last, and what lies between two of them is one range of bytes.
#ifndef HW_NEWS_RUN_H
#define HW_NEWS_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "audience.h"
#include "buf.h"

struct news_entry {            // a frame: of a message, or of a gap
    uint64_t first, last;      // equal for a message
    uint64_t expires_ms;       // by the store's clock; 0 = with its log
    struct audience *audience; // owned by the run; NULL = everyone
    uint32_t offset, len;      // in the run's frames
    uint32_t made_s;           // when they were made, by the store's clock
    bool is_gap;
    uint8_t reason; // enum gap_reason, of the gap
};

struct news_run {
    struct buf frames;
    struct news_entry *entry; // owned
    size_t count, capacity;
    size_t audience_bytes;
};

void news_run_deinit(struct news_run *run);        // leaves it empty
size_t news_run_bytes(const struct news_run *run); // of memory
// Puts e, with its frame of e->len bytes, behind the last entry; e->offset is set here, and the
// audience belongs to the run from now on.
void news_run_add(struct news_run *run, const struct news_entry *e, const uint8_t *frame);
// Drops the first entries; the memory stays.
void news_run_drop(struct news_run *run, size_t count);
// Where `seq` is, or the first entry behind it; run->count if there is none.
size_t news_run_find(const struct news_run *run, uint64_t seq);

#endif
