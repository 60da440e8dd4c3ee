// Reads the blocks before the news windows: what the sessions of a room want of them is asked once
// at the end of each loop iteration, as far as their answers fit in. An answer goes to
// all who waited for it before its memory can be wanted for another.
#include "room_internal.h"

static void take_answer(const struct voice_news *news, struct news_block *b,
                        const Hawser__Internal__LoadReply *reply) {
    struct buf *frame = &news->log->product->room->run;
    if (reply->reset || reply->epoch != news->window.epoch)
        return;
    for (size_t i = 0; i < reply->n_entry; i++) {
        struct news_entry entry;
        news_encode(news, reply->entry[i], frame, &entry);
        if (news_block_add(b, &entry, frame->data))
            continue;
        free(entry.audience);
        return;
    }
}

static void on_block(void *arg, int error, const Hawser__Internal__LoadReply *reply) {
    uint64_t ticket = ((struct product_call *)arg)->ticket;
    struct room_product *p = product_call_over(arg);
    struct news_block *b = NULL;
    struct voice_news *news = p ? p->news.by_voice : NULL;
    struct news_waiters waiters = {0};
    (void)error;
    for (int i = 0; p && !b && i < VOICES; i++) { // a ticket is of one room's block only
        news = &p->news.by_voice[i];
        b = news->log ? news_blocks_answer(&news->window.older, ticket) : NULL;
    }
    if (!b)
        return;
    if (reply)
        take_answer(news, b, reply);
    bool loaded = news_block_settle(b, loop_now_ms(p->room->loop), &waiters);
    if (!loaded) {
        p->room->count.load_failures++;
        news_heads_ask(p);
    }
    struct room *r = p->room;
    news_tell_waiters(r, &waiters, loaded);
    news_older_ask(r);
}

static void ask_all(struct hook *h) {
    struct room *r = container_of(h, struct room, ask_blocks);
    struct news_ask ask;
    while (news_room_ask(&r->news, &ask)) {
        const struct voice_news *news = container_of(ask.of, struct voice_news, window.older);
        news_load(news->log, &ask, on_block);
    }
}

void news_older_ask(struct room *r) {
    if (news_room_has_wanted(&r->news))
        hook_schedule(r->loop, &r->ask_blocks, ask_all);
}
