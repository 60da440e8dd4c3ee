#include "frame_run.h"

struct frame_run_sent frame_run_went(const struct frame_run *r, size_t items, struct feed *f) {
    struct frame_run_sent sent = {0, 0};
    uint32_t start = 0;
    for (size_t i = 0; i < items; i++) {
        const struct frame_run_item *item = &r->items[i];
        sent.messages += item->counts ? 1 : 0;
        sent.anew += item->counts && !feed_was_written(f, item->last) ? 1 : 0;
        feed_sent(f, item->last, item->end - start, item->counts);
        start = item->end;
    }
    return sent;
}
