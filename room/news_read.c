// What of a product's broadcast log comes from the saver: how it is asked for, how an entry becomes
// a frame, and who is told that it is there.
#include "room_internal.h"

struct audience *news_audience(const Hawser__Internal__Audience *a) {
    if (!a)
        return NULL;
    return audience_new((struct audience_tags){a->any, a->n_any},
                        (struct audience_tags){a->all, a->n_all},
                        (struct audience_tags){a->none, a->n_none});
}

void news_encode(const struct voice_news *news, const Hawser__Internal__LoadEntry *e,
                 struct buf *frame, struct news_entry *ret_entry) {
    const struct room_product *p = news->log->product;
    struct stream_range at = {.product = p->number,
                              .stream = news->log->stream,
                              .first = e->seq,
                              .last = e->message ? e->seq : e->last,
                              .store_ms = store_clock_ms(&p->room->clock),
                              .is_once = news->is_once};
    struct news_entry entry = {
        .first = at.first, .last = at.last, .made_s = (uint32_t)(at.store_ms / 1000)};
    buf_reset(frame);
    if (e->message) {
        news->voice->put_message(frame, &at, e->message);
        entry.audience = news_audience(e->message->audience);
        entry.expires_ms = e->message->expires_ms;
    } else {
        news->voice->put_gap(frame, NULL, &at, (enum gap_reason)e->gap_reason);
        entry.is_gap = true;
        entry.reason = (uint8_t)e->gap_reason;
    }
    entry.len = (uint32_t)frame->len;
    *ret_entry = entry;
}

void news_load(struct broadcasts *log, const struct news_ask *ask, news_loaded_fn *done) {
    Hawser__Internal__LoadRequest request = HAWSER__INTERNAL__LOAD_REQUEST__INIT;
    struct room_product *p = log->product;
    request.product = p->number;
    request.stream = log->stream;
    request.epoch = log->known->epoch;
    request.after = ask->after;
    request.max_messages = ask->messages;
    request.max_bytes = ask->bytes;
    p->room->count.delivery.loads++;
    saver_load(saver_of_product(p->room->cluster, p->number), &request, done,
               log_call_new(log, ask->ticket));
}

struct block_answer {
    const struct broadcasts *log;
    bool is_loaded;
};

static bool waits_for_block_no_more(void *arg, uint64_t row_slot) {
    const struct block_answer *a = arg;
    struct room_binding *b = room_binding_of_row_slot(a->log->product->room, row_slot);
    if (!b)
        return false;
    b->waits_for_block[log_index(a->log->stream)] = false;
    room_binding_tell_kind(b, a->is_loaded ? EVENT_READY : EVENT_NEWS_UNREAD);
    return false;
}

void news_tell_waiters(const struct broadcasts *log, struct handles *waiters, bool loaded) {
    struct block_answer answer = {log, loaded};
    handles_take(waiters, waits_for_block_no_more, &answer);
}
