#include "frame_run.h"

void frame_run_begin(struct frame_run *r, const struct feed *f) {
    r->count = 0;
    r->at = f->sent;
    r->messages_left = feed_messages_left(f);
}

enum frame_run_place frame_run_place(const struct frame_run *r, uint64_t first, uint64_t last,
                                     bool is_message) {
    if (last <= r->at)
        return RUN_KNOWN;
    if (first > r->at + 1 || r->count == FRAME_RUN_MAX || (is_message && r->messages_left == 0))
        return RUN_ENDS;
    return RUN_NEXT;
}

void frame_run_add(struct frame_run *r, uint64_t last, uint32_t end, bool is_message) {
    r->items[r->count++] = (struct frame_run_item){last, end, is_message};
    r->messages_left -= is_message ? 1 : 0;
    r->at = last;
}

struct frame_run_sent frame_run_went(const struct frame_run *r, size_t items, struct feed *f) {
    struct frame_run_sent sent = {0, 0};
    uint32_t start = 0;
    for (size_t i = 0; i < items; i++) {
        const struct frame_run_item *item = &r->items[i];
        sent.messages += item->counts ? 1 : 0;
        sent.anew += item->counts && item->last > f->shown ? 1 : 0;
        feed_sent(f, item->last, item->end - start, item->counts);
        start = item->end;
    }
    return sent;
}
