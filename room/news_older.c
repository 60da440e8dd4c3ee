// Reads the blocks before the news windows: what the sessions of a room want of them is asked once
// at the end of each loop iteration, as far as there is place for the answers. An answer goes to
// all who waited for it before another block can take its place.
#include "room_internal.h"

void news_older_waited(struct room *r, struct news_waiters *waiters, bool loaded) {
    for (size_t i = 0; i < waiters->count; i++) {
        struct room_binding *b = room_binding_at_place(r, waiters->list[i]);
        if (!b)
            continue;
        b->waits_for_news = false;
        room_binding_tell_kind(b, loaded ? EVENT_READY : EVENT_NEWS_UNREAD);
    }
    news_waiters_deinit(waiters);
}

static void take_answer(const struct broadcasts *log, struct news_block *b,
                        const Hawser__Internal__LoadReply *reply) {
    struct buf *frame = &log->product->room->run;
    if (reply->reset || reply->epoch != log->window.epoch)
        return;
    for (size_t i = 0; i < reply->n_entry; i++) {
        struct news_entry entry;
        news_encode(log, reply->entry[i], frame, &entry);
        if (news_block_add(b, &entry, frame->data))
            continue;
        free(entry.audience);
        return;
    }
}

static void on_block(void *arg, int error, const Hawser__Internal__LoadReply *reply) {
    uint64_t ticket = ((struct product_call *)arg)->ticket;
    struct room_product *p = product_call_over(arg);
    struct news_block *b = p ? news_blocks_answer(&p->news.window.older, ticket) : NULL;
    struct news_waiters waiters = {0};
    (void)error;
    if (!b)
        return;
    if (reply)
        take_answer(&p->news, b, reply);
    bool loaded = news_block_settle(b, loop_now_ms(p->room->loop), &waiters);
    if (!loaded) {
        p->room->count.load_failures++;
        news_heads_ask(p);
    }
    struct room *r = p->room;
    news_older_waited(r, &waiters, loaded);
    news_older_ask(r);
}

static void ask_all(struct hook *h) {
    struct room *r = container_of(h, struct room, ask_blocks);
    struct news_ask ask;
    while (news_room_ask(&r->news, &ask)) {
        struct broadcasts *log = container_of(ask.of, struct broadcasts, window.older);
        news_load(log, ask.after, (struct load_size){ask.messages, ask.bytes}, ask.ticket,
                  on_block);
    }
}

void news_older_ask(struct room *r) {
    if (news_room_has_wanted(&r->news))
        hook_schedule(r->loop, &r->ask_blocks, ask_all);
}
