// What a room reads at the end of a product's broadcast log: its heads, asked once a second and
// whenever a login needs one that was asked after it began; and holes behind the news window, once
// for all sessions.
#include "room_internal.h"

enum { HOLE_MS = 50, HOLE_MESSAGES = 256, HOLE_BYTES = 1024 * 1024 };

// --- the window

struct audience *news_audience(const Hawser__Internal__Audience *a) {
    if (!a)
        return NULL;
    return audience_new((struct audience_tags){a->any, a->n_any},
                        (struct audience_tags){a->all, a->n_all},
                        (struct audience_tags){a->none, a->n_none});
}

void news_encode(const struct room_product *p, const Hawser__Internal__LoadEntry *e,
                 struct buf *frame, struct news_entry *ret_entry) {
    struct news_entry entry = {.first = e->seq, .last = e->seq};
    buf_reset(frame);
    if (e->message) {
        Hawser__V1__Push push;
        push_from_message(&push, p->number, HAWSER__V1__STREAM__NEWS, e->seq, e->message);
        frame_put(frame, FRAME_PUSH, &push.base);
        entry.audience = news_audience(e->message->audience);
        entry.expires_ms = e->message->expires_ms;
    } else {
        Hawser__V1__Gap gap = HAWSER__V1__GAP__INIT;
        gap.product = p->number;
        gap.stream = HAWSER__V1__STREAM__NEWS;
        gap.first = e->seq;
        gap.last = entry.last = e->last;
        gap.reason = (Hawser__V1__GapReason)e->gap_reason;
        frame_put(frame, FRAME_GAP, &gap.base);
        entry.is_gap = true;
        entry.reason = (uint8_t)e->gap_reason;
    }
    entry.len = (uint32_t)frame->len;
    *ret_entry = entry;
}

static void append(struct room_product *p, const Hawser__Internal__LoadEntry *e) {
    struct room *r = p->room;
    struct news_entry entry;
    uint64_t last = e->message ? e->seq : e->last;
    if (!news_window_takes(&p->news, e->seq, last))
        return; // known, or behind a hole
    news_encode(p, e, &r->run, &entry);
    news_window_add(&p->news, &entry, r->run.data);
    if (p->heard < last)
        p->heard = last;
}

static void start_log(struct room_product *p, uint64_t epoch, uint64_t head) {
    struct news_waiters waiters = {0};
    news_window_start(&p->news, epoch, head, &waiters);
    p->heard = head;
    news_older_waited(p->room, &waiters, false);
}

// --- holes

static void hole_due(struct timer *t);

static void hole_wait(struct room_product *p) {
    if (!p->hole_loading && !timer_is_armed(&p->hole))
        loop_arm(p->room->loop, &p->hole, HOLE_MS, hole_due);
}

static void on_hole(void *arg, int error, const uint8_t *body, size_t len) {
    struct room_product *p = product_call_over(arg);
    if (!p)
        return;
    Hawser__Internal__LoadReply *reply =
        error == 0 ? hawser__internal__load_reply__unpack(NULL, len, body) : NULL;
    uint64_t before = p->news.head;
    p->hole_loading = false;
    if (!reply) {
        p->room->count.load_failures++;
        hole_wait(p);
        return;
    }
    if (reply->epoch != p->news.epoch || reply->reset) {
        start_log(p, reply->epoch, reply->head);
        news_walk(p);
    } else {
        for (size_t i = 0; i < reply->n_entry; i++)
            append(p, reply->entry[i]);
        if (p->heard > reply->head && reply->head <= p->news.head)
            p->heard = p->news.head; // heard of more than was kept
        if (reply->head > p->heard)
            p->heard = reply->head;
    }
    hawser__internal__load_reply__free_unpacked(reply, NULL);
    if (p->news.head != before)
        news_walk(p);
    if (p->news.head < p->heard)
        hole_wait(p);
}

static void hole_due(struct timer *t) {
    struct room_product *p = container_of(t, struct room_product, hole);
    if (p->news.head >= p->heard)
        return; // closed by itself
    p->hole_loading = true;
    product_load(p, p->news.head, (struct load_size){HOLE_MESSAGES, HOLE_BYTES}, on_hole,
                 product_call_new(p, 0));
}

void news_heard(struct room_product *p, uint64_t epoch, uint64_t seq,
                const Hawser__Internal__StoredMessage *m) {
    Hawser__Internal__LoadEntry entry = HAWSER__INTERNAL__LOAD_ENTRY__INIT;
    if (epoch != p->news.epoch) {
        news_heads_ask(p);
        return;
    }
    if (seq <= p->news.head)
        return;
    if (seq == p->news.head + 1 && m) {
        entry.seq = seq;
        entry.message = (Hawser__Internal__StoredMessage *)(uintptr_t)m;
        append(p, &entry);
        news_walk(p);
        return;
    }
    if (seq > p->heard)
        p->heard = seq;
    hole_wait(p);
}

// --- heads

void news_wait_for_heads(struct session *s) {
    struct room_product *p = s->product;
    if (p->heads_done < s->news_round)
        handles_add(&p->waiters, &p->waiter_count, &p->waiter_capacity, s);
}

static void tell_waiters(struct room_product *p) {
    struct handle *list = p->waiters;
    size_t count = p->waiter_count;
    p->waiters = NULL;
    p->waiter_count = p->waiter_capacity = 0;
    for (size_t i = 0; i < count; i++) {
        struct session *s = slab_find(&p->room->sessions, list[i].slot, list[i].generation);
        if (!s || s->state != SESSION_LIVE)
            continue;
        news_wait_for_heads(s); // still, when its round is a later one
        session_try(s);
    }
    free(list);
}

static void take_heads(struct room_product *p, const Hawser__Internal__ProductHeadsReply *reply) {
    upkeep_store_seen(p, reply->store);
    if (!reply->news)
        return;
    if (reply->news->epoch != p->news.epoch) {
        bool had_one = p->news.epoch != 0;
        start_log(p, reply->news->epoch, reply->news->head);
        if (had_one) { // the store lost its logs: the inboxes too
            news_walk(p);
            upkeep_heads_all(p->room);
        }
    } else if (reply->news->head > p->heard) {
        p->heard = reply->news->head;
        hole_wait(p);
    }
}

static void on_heads(void *arg, int error, const uint8_t *body, size_t len) {
    struct room_product *p = product_call_over(arg);
    if (!p)
        return;
    Hawser__Internal__ProductHeadsReply *reply =
        error == 0 ? hawser__internal__product_heads_reply__unpack(NULL, len, body) : NULL;
    p->heads_asked = false;
    if (reply) {
        p->heads_done = p->heads_round;
        take_heads(p, reply);
        hawser__internal__product_heads_reply__free_unpacked(reply, NULL);
        tell_waiters(p);
    } // else the next second's
    if (p->heads_wanted)
        news_heads_ask(p);
}

void news_heads_ask(struct room_product *p) {
    Hawser__Internal__ProductHeadsRequest request = HAWSER__INTERNAL__PRODUCT_HEADS_REQUEST__INIT;
    p->heads_wanted = p->heads_asked;
    if (p->heads_asked)
        return;
    p->heads_asked = true;
    p->heads_round++;
    request.product = p->number;
    cluster_call(p->room->cluster, product_saver(p),
                 HAWSER__INTERNAL__SAVER_METHOD__SAVER_PRODUCT_HEADS, &request.base, CALL_MS,
                 on_heads, product_call_new(p, 0));
}

// --- every second

static void on_sums(void *arg, int error, const uint8_t *body, size_t len) {
    struct room_product *p = product_call_over(arg);
    (void)body;
    (void)len;
    if (!p)
        return;
    p->sums_in_flight = false;
    if (error == 0)
        p->sums_sent = p->sums_acked = 0;
}

// A repeat carries the same id, so that it counts once.
static void send_sums(struct room_product *p) {
    Hawser__Internal__SumsRequest request = HAWSER__INTERNAL__SUMS_REQUEST__INIT;
    Hawser__Internal__StreamSum sum = HAWSER__INTERNAL__STREAM_SUM__INIT, *list[1] = {&sum};
    if (p->sums_in_flight)
        return;
    if (p->sums_sent + p->sums_acked == 0) {
        if (p->sent_sum + p->acked_sum == 0)
            return;
        p->sums_sent = p->sent_sum;
        p->sums_acked = p->acked_sum;
        p->sent_sum = p->acked_sum = 0;
        for (size_t i = 0; i < sizeof(p->sums_id); i++)
            p->sums_id[i] = (uint8_t)rng_u64(loop_rng(p->room->loop));
    }
    sum.stream = HAWSER__V1__STREAM__NEWS;
    sum.sent = p->sums_sent;
    sum.acked = p->sums_acked;
    request.product = p->number;
    request.n_sum = 1;
    request.sum = list;
    request.id = (ProtobufCBinaryData){sizeof(p->sums_id), p->sums_id};
    p->sums_in_flight = true;
    cluster_call(p->room->cluster, product_saver(p), HAWSER__INTERNAL__SAVER_METHOD__SAVER_SUMS,
                 &request.base, CALL_MS, on_sums, product_call_new(p, 0));
}

void news_log_tick(struct room_product *p) {
    if (!p->is_deleted)
        send_sums(p);
    if (!p->sessions)
        p->waiter_count = 0; // those that waited have ended
    else if (!p->heads_asked)
        news_heads_ask(p);
}

bool news_log_is_done(const struct room_product *p) {
    return p->is_deleted || (!p->sums_in_flight && p->sums_sent + p->sums_acked == 0 &&
                             p->sent_sum + p->acked_sum == 0);
}

void news_log_free(struct room_product *p) {
    loop_disarm(p->room->loop, &p->hole);
    free(p->waiters);
}
