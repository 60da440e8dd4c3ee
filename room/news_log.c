// What a room reads at the end of a product's broadcast logs: their heads, asked once a second and
// whenever a login needs one that was asked after it began; and holes behind the news window, once
// for all sessions.
#include "room_internal.h"

enum { HOLE_MS = 50, HOLE_MESSAGES = 256, HOLE_BYTES = 1024 * 1024 };

// --- the window

static void append(struct broadcasts *log, const Hawser__Internal__LoadEntry *e) {
    struct buf *frame = &log->product->room->scratch.run;
    struct news_entry entry;
    uint64_t last = e->message ? e->seq : e->last;
    if (!news_window_takes(log->known, e->seq, last))
        return; // known, or behind a hole
    for (int i = 0; i < VOICE_NEWS; i++) {
        if (!log->by_voice[i].log)
            continue;
        news_encode(&log->by_voice[i], e, frame, &entry);
        news_window_add(&log->by_voice[i].window, &entry, frame->data);
    }
    if (log->heard < last)
        log->heard = last;
}

static void start_windows(struct broadcasts *log, uint64_t epoch, uint64_t head) {
    struct handles waiters = {0};
    for (int i = 0; i < VOICE_NEWS; i++)
        if (log->by_voice[i].log)
            news_window_start(&log->by_voice[i].window, epoch, head, &waiters);
    news_tell_waiters(log, &waiters, false);
}

static void start_log(struct broadcasts *log, const struct stream_position *head, uint64_t change) {
    log->change = change;
    log->heard = head->seq;
    start_windows(log, head->epoch, head->seq);
}

// --- recalls

// All that is kept of the log, or on its way here, may hold what was recalled. Who is behind reads
// it again.
static void forget(struct broadcasts *log) {
    log->is_hole_stale = log->hole_loading;
    start_windows(log, log->known->epoch, log->known->head);
}

bool news_change_heard(struct broadcasts *log, uint64_t epoch, uint64_t change) {
    if (epoch != log->known->epoch)
        return true; // of another log
    if (change > log->change) {
        log->change = change;
        forget(log);
    }
    return change == log->change && log->product->heads_answered >= log->product->heads_trusted;
}

void news_doubt(struct room_product *p) {
    for (int i = 0; i < LOGS; i++)
        if (p->log[i].known)
            forget(&p->log[i]);
    p->heads_trusted = p->heads_asked + 1;
    if (p->bindings)
        news_heads_ask(p);
}

// --- holes

static void hole_due(struct timer *t);

static void hole_wait(struct broadcasts *log) {
    if (!log->hole_loading && !timer_is_armed(&log->hole))
        loop_arm(log->product->room->loop, &log->hole, HOLE_MS, hole_due);
}

static void fill_hole(struct broadcasts *log, const Hawser__Internal__LoadReply *reply) {
    if (reply->epoch != log->known->epoch || reply->reset) {
        start_log(log, &(struct stream_position){reply->epoch, reply->head}, reply->change);
        news_walk(log);
        return;
    }
    (void)news_change_heard(log, reply->epoch, reply->change);
    for (size_t i = 0; i < reply->n_entry; i++)
        append(log, reply->entry[i]);
    if (log->heard > reply->head && reply->head <= log->known->head)
        log->heard = log->known->head; // heard of more than was kept
    if (reply->head > log->heard)
        log->heard = reply->head;
}

static void on_hole(void *arg, int error, const Hawser__Internal__LoadReply *reply) {
    struct broadcasts *log = log_call_over(arg);
    (void)error;
    if (!log)
        return;
    bool is_stale = log->is_hole_stale;
    log->hole_loading = log->is_hole_stale = false;
    if (!reply || is_stale) {
        log->product->room->count.delivery.load_failures += reply ? 0 : 1;
        hole_wait(log);
        return;
    }
    uint64_t before = log->known->head;
    fill_hole(log, reply);
    if (log->known->head != before)
        news_walk(log);
    if (log->known->head < log->heard)
        hole_wait(log);
}

static void hole_due(struct timer *t) {
    struct broadcasts *log = container_of(t, struct broadcasts, hole);
    if (log->known->head >= log->heard)
        return; // closed by itself
    log->hole_loading = true;
    struct news_ask ask = {
        .after = log->known->head, .messages = HOLE_MESSAGES, .bytes = HOLE_BYTES};
    news_load(log, &ask, on_hole);
}

void news_heard(struct broadcasts *log, struct stream_position at,
                const Hawser__Internal__StoredMessage *m) {
    Hawser__Internal__LoadEntry entry = HAWSER__INTERNAL__LOAD_ENTRY__INIT;
    if (at.epoch != log->known->epoch) {
        news_heads_ask(log->product);
        return;
    }
    if (at.seq <= log->known->head)
        return;
    if (at.seq == log->known->head + 1 && m) {
        entry.seq = at.seq;
        entry.message = (Hawser__Internal__StoredMessage *)(uintptr_t)m;
        append(log, &entry);
        news_walk(log);
        return;
    }
    if (at.seq > log->heard)
        log->heard = at.seq;
    hole_wait(log);
}

// --- heads

static bool waits_for_heads(const struct room_binding *b) {
    return b->is_awake && b->product->heads_answered < b->of.awake->session.heads_needed;
}

void news_wait_for_heads(struct room_binding *b) {
    if (waits_for_heads(b))
        handles_add(&b->product->waiters, room_binding_row_slot(b));
}

// Whether it needs a later answer.
static bool waits_on(void *room, uint64_t row_slot) {
    struct room_binding *b = room_binding_of_row_slot(room, row_slot);
    if (!b || !room_binding_is_entered(b))
        return false;
    if (waits_for_heads(b))
        return true;
    room_binding_tell_kind(b, EVENT_READY);
    return false;
}

static void take_head(struct broadcasts *log, const Hawser__Internal__HeadReply *head) {
    if (!head)
        return;
    (void)news_change_heard(log, head->epoch, head->change);
    if (head->epoch != log->known->epoch) {
        bool had_one = log->known->epoch != 0;
        start_log(log, &(struct stream_position){head->epoch, head->head}, head->change);
        if (had_one) { // the store lost its logs: the inboxes too
            news_walk(log);
            passes_want_heads(&log->product->room->passes);
        }
    } else if (head->head > log->heard) {
        log->heard = head->head;
        hole_wait(log);
    }
}

static void take_heads(struct room_product *p, const Hawser__Internal__ProductHeadsReply *reply) {
    const Hawser__Internal__HeadReply *const heads[FEEDS] = {
        [FEED_NEWS] = reply->news, [FEED_BULK] = reply->bulk};
    for (int i = 0; i < LOGS; i++)
        take_head(&p->log[i], heads[p->log[i].stream]);
}

// Another history of the store: what was being told while it was away may have reached nobody, and
// changes count from where it went back to.
static void store_seen(struct room_product *p, uint64_t history) {
    if (p->store != 0 && history != 0 && history != p->store) {
        passes_lost_hints(&p->room->passes);
        for (int i = 0; i < LOGS; i++) {
            p->log[i].change = 0;
            forget(&p->log[i]);
        }
    }
    p->store = history != 0 ? history : p->store;
}

static void on_heads(void *arg, int error, const Hawser__Internal__ProductHeadsReply *reply) {
    struct room_product *p = product_call_over(arg);
    (void)error;
    if (!p)
        return;
    p->heads_under_way = false;
    if (reply) {
        p->heads_answered = p->heads_asked;
        store_seen(p, reply->store);
        take_heads(p, reply);
        handles_take(&p->waiters, waits_on, p->room);
    } // else the next second's
    if (p->heads_wanted)
        news_heads_ask(p);
}

void news_heads_ask(struct room_product *p) {
    Hawser__Internal__ProductHeadsRequest request = HAWSER__INTERNAL__PRODUCT_HEADS_REQUEST__INIT;
    p->heads_wanted = p->heads_under_way;
    if (p->heads_under_way)
        return;
    p->heads_under_way = true;
    p->heads_asked++;
    request.product = p->number;
    saver_product_heads(saver_of_product(p->room->cluster, p->number), &request, on_heads,
                        product_call_new(p));
}

// --- every second

static void on_sums(void *arg, int error, const Hawser__Internal__SumsReply *reply) {
    struct room_product *p = product_call_over(arg);
    (void)reply;
    if (!p)
        return;
    p->sums_in_flight = false;
    for (int i = 0; i < LOGS && error == 0; i++)
        p->log[i].sums_telling = (struct sums){0};
}

static bool has_any(const struct sums *s) {
    return s->sent + s->acked > 0;
}

static bool has_sums(const struct room_product *p) {
    for (int i = 0; i < LOGS; i++)
        if (has_any(&p->log[i].sums))
            return true;
    return false;
}

static bool is_telling_sums(const struct room_product *p) {
    for (int i = 0; i < LOGS; i++)
        if (has_any(&p->log[i].sums_telling))
            return true;
    return false;
}

static void begin_sums(struct room_product *p) {
    for (int i = 0; i < LOGS; i++) {
        p->log[i].sums_telling = p->log[i].sums;
        p->log[i].sums = (struct sums){0};
    }
    for (size_t i = 0; i < sizeof(p->sums_id); i++)
        p->sums_id[i] = (uint8_t)rng_u64(loop_rng(p->room->loop));
}

// A repeat carries the same id, so that it counts once.
static void send_sums(struct room_product *p) {
    Hawser__Internal__SumsRequest request = HAWSER__INTERNAL__SUMS_REQUEST__INIT;
    Hawser__Internal__StreamSum sum[LOGS], *list[LOGS];
    if (p->sums_in_flight || !(is_telling_sums(p) || has_sums(p)))
        return;
    if (!is_telling_sums(p))
        begin_sums(p);
    for (int i = 0; i < LOGS; i++) {
        const struct broadcasts *log = &p->log[i];
        hawser__internal__stream_sum__init(&sum[i]);
        sum[i].stream = log->stream;
        sum[i].sent = log->sums_telling.sent;
        sum[i].acked = log->sums_telling.acked;
        list[i] = &sum[i];
    }
    request.product = p->number;
    request.n_sum = LOGS;
    request.sum = list;
    request.id = (ProtobufCBinaryData){sizeof(p->sums_id), p->sums_id};
    p->sums_in_flight = true;
    saver_sums(saver_of_product(p->room->cluster, p->number), &request, on_sums,
               product_call_new(p));
}

static void tick_blocks(struct broadcasts *log) {
    for (int i = 0; i < VOICE_NEWS; i++)
        if (log->by_voice[i].log)
            news_blocks_tick(&log->by_voice[i].window.older, loop_now_ms(log->product->room->loop));
}

void news_logs_tick(struct room_product *p) {
    if (!p->is_deleted)
        send_sums(p);
    if (!p->bindings)
        handles_deinit(&p->waiters); // those that waited have ended
    else if (!p->heads_under_way)
        news_heads_ask(p);
    for (int i = 0; i < LOGS; i++)
        tick_blocks(&p->log[i]);
}

uint64_t news_logs_bytes(const struct room_product *p) {
    uint64_t bytes = 0;
    for (int i = 0; i < LOGS; i++)
        for (int k = 0; k < VOICE_NEWS; k++)
            bytes += news_window_bytes(&p->log[i].by_voice[k].window);
    return bytes;
}

bool news_logs_are_done(const struct room_product *p) {
    return p->is_deleted || (!p->sums_in_flight && !is_telling_sums(p) && !has_sums(p));
}

// --- life

void news_logs_free(struct room_product *p) {
    for (struct broadcasts *log = p->log; log < p->log + LOGS; log++) {
        job_stop(&log->walk);
        loop_disarm(p->room->loop, &log->hole);
        for (int i = 0; i < VOICE_NEWS; i++)
            if (log->by_voice[i].log)
                news_window_deinit(&log->by_voice[i].window, NULL);
    }
    handles_deinit(&p->waiters);
}
