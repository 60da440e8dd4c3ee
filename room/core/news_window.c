#include "news_window.h"

void news_window_init(struct news_window *w, const struct news_window_limits *limits,
                      struct news_room *room) {
    *w = (struct news_window){.limits = *limits};
    news_blocks_init(&w->older, room);
}

void news_window_deinit(struct news_window *w, struct handles *waiters) {
    news_run_deinit(&w->latest);
    news_blocks_reset(&w->older, waiters);
}

void news_window_start(struct news_window *w, uint64_t epoch, uint64_t head,
                       struct handles *waiters) {
    news_window_deinit(w, waiters);
    w->epoch = epoch;
    w->base = w->head = head;
}

size_t news_window_bytes(const struct news_window *w) {
    return news_run_bytes(&w->latest);
}

bool news_window_takes(const struct news_window *w, uint64_t first, uint64_t last) {
    return last > w->head && first <= w->head + 1;
}

// Half of it at a time, so that moving costs little over all.
static void drop_half(struct news_window *w) {
    size_t count = (w->latest.count + 1) / 2;
    w->base = w->latest.entry[count - 1].last;
    news_run_drop(&w->latest, count);
}

void news_window_add(struct news_window *w, const struct news_entry *e, const uint8_t *frame) {
    while (w->latest.count > 0 && (w->latest.frames.len + e->len > w->limits.bytes ||
                                   w->latest.count >= w->limits.entries))
        drop_half(w);
    news_run_add(&w->latest, e, frame);
    w->head = e->last;
}

static void take_range(const struct news_run *run, uint64_t after, struct news_range *ret_range) {
    *ret_range = (struct news_range){run->entry + news_run_find(run, after + 1),
                                     run->entry + run->count, run->frames.data};
}

enum news_found news_window_find(struct news_window *w, const struct news_seek *seek,
                                 struct news_range *ret_range) {
    uint64_t after = seek->after;
    if (after >= w->head)
        return NEWS_NONE;
    if (after >= w->base) {
        take_range(&w->latest, after, ret_range);
        return NEWS_HERE;
    }
    const struct news_block *b = news_blocks_find(
        &w->older, &(struct news_reader){after, w->base, seek->waiter}, seek->now_ms);
    if (!b)
        return NEWS_LATER;
    take_range(&b->run, after, ret_range);
    return NEWS_HERE;
}
