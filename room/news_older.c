// Reads the blocks before the news windows: what the sessions of a room want of them is asked once
// at the end of each loop iteration, as far as their answers fit in. An answer goes to
// all who waited for it before its memory can be wanted for another.
#include "room_internal.h"

static void take_answer(const struct voice_news *news, struct news_block *b,
                        const Hawser__Internal__LoadReply *reply) {
    struct buf *frame = &news->log->product->room->scratch.run;
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

// A ticket is of one room's block only.
static struct voice_news *asked_by(struct broadcasts *log, uint64_t ticket,
                                   struct news_block **ret_block) {
    for (int i = 0; i < VOICE_NEWS; i++) {
        struct voice_news *news = &log->by_voice[i];
        if (news->log && (*ret_block = news_blocks_answer(&news->window.older, ticket)) != NULL)
            return news;
    }
    return NULL;
}

static void on_block(void *arg, int error, const Hawser__Internal__LoadReply *reply) {
    uint64_t ticket = ((struct product_call *)arg)->ticket;
    struct broadcasts *log = log_call_over(arg);
    struct news_block *b;
    struct voice_news *news = log ? asked_by(log, ticket, &b) : NULL;
    struct handles waiters = {0};
    (void)error;
    if (!news)
        return;
    struct room *r = log->product->room;
    if (reply)
        take_answer(news, b, reply);
    bool loaded = news_block_settle(b, loop_now_ms(r->loop), &waiters);
    if (!loaded) {
        r->count.delivery.load_failures++;
        news_heads_ask(log->product);
    }
    news_tell_waiters(log, &waiters, loaded);
    news_older_ask(r);
}

static void ask_all(struct hook *h) {
    struct room *r = container_of(h, struct room, products.ask_older);
    struct news_ask ask;
    while (news_room_ask(&r->products.older, &ask)) {
        const struct voice_news *news = container_of(ask.of, struct voice_news, window.older);
        news_load(news->log, &ask, on_block);
    }
}

void news_older_ask(struct room *r) {
    if (news_room_has_wanted(&r->products.older))
        hook_schedule(r->loop, &r->products.ask_older, ask_all);
}
