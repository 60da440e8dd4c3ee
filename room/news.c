// Broadcast is a walk, not a queue: the latest news of a product lie encoded one behind the other
// in its news window, a session is a cursor into them, and what lies between cursor and end, as far
// as the ack window goes, is one write. The walk over sessions runs in slices.
#include <assert.h>

#include "room_internal.h"

enum { SLICE_US = 1000, SLICE_CHECK = 8, LIVES_MAX = 64, RUN_MAX = WINDOW_MESSAGES };

// --- one session

static void flush_run(struct session *s, const uint8_t *data, struct run_item *items, size_t *count,
                      bool *ret_full) {
    struct room_product *p = s->product;
    uint32_t start = 0;
    size_t sent = conn_send_run(s->conn, data, items, *count);
    for (size_t i = 0; i < sent; i++) {
        cursor_sent(&s->news, items[i].last, items[i].end - start, items[i].counts);
        start = items[i].end;
        p->sent_sum += items[i].counts ? 1 : 0;
    }
    p->room->count.news_frames += sent;
    *ret_full = sent < *count;
    *count = 0;
}

// A gap that began before the cursor, and an entry that expired here, are told by frames of their
// own.
static bool skip_entry(struct session *s, const struct news_entry *e, uint64_t store_ms) {
    bool is_for = audience_has(e->audience, s->tags);
    bool expired = e->expires_ms != 0 && e->expires_ms <= store_ms;
    if (is_for && !expired && !(e->is_gap && e->first <= s->news.sent))
        return false;
    if (is_for)
        session_send_gap(s, HAWSER__V1__STREAM__NEWS, s->news.sent + 1, e->last,
                         expired ? HAWSER__V1__GAP_REASON__GAP_EXPIRED : e->reason);
    cursor_sent(&s->news, e->last, 0, false);
    return true;
}

// Sends entries as far as window and socket go; true when all went or were passed over.
static bool send_range(struct session *s, const struct news_range *range) {
    struct run_item items[RUN_MAX];
    const struct news_entry *e = range->entry, *end = range->end;
    uint64_t store_ms = store_clock_ms(&s->product->room->clock); // 0: nothing expires yet
    bool full = false;
    while (e < end && !full && conn_can_push(s->conn)) {
        size_t count = 0;
        uint32_t messages = cursor_window_messages(&s->news), bytes = cursor_window_bytes(&s->news);
        const struct news_entry *first = e;
        if (skip_entry(s, e, store_ms)) {
            e++;
            continue;
        }
        for (; e < end && count < RUN_MAX && (e->is_gap || (messages > 0 && bytes > 0)); e++) {
            bool is_plain =
                audience_has(e->audience, s->tags) && !(e->expires_ms && e->expires_ms <= store_ms);
            if (!is_plain)
                break;
            items[count++] =
                (struct run_item){e->last, e->offset + e->len - first->offset, !e->is_gap};
            messages -= e->is_gap ? 0 : 1;
            bytes -= e->len < bytes ? e->len : bytes;
        }
        if (count == 0)
            return false; // the window is shut
        flush_run(s, range->frames + first->offset, items, &count, &full);
    }
    return e >= end && !full;
}

static bool epoch_is_settled(struct session *s) {
    struct room_product *p = s->product;
    if (p->news.epoch == 0 || p->heads_done < s->news_round)
        return false;
    if (s->news.epoch != p->news.epoch) {
        cursor_start(&s->news, p->news.epoch, p->news.base);
        s->news_saved = p->news.base;
        if (s->has_news_target)
            s->news_target = p->heard;
        session_send_reset(s, HAWSER__V1__STREAM__NEWS, p->news.epoch, p->news.base,
                           "the log is not the one that it was");
    }
    return true;
}

void news_try(struct session *s) {
    struct room_product *p = s->product;
    struct news_range range;
    if (!session_can_send(s) || s->waits_for_block || !epoch_is_settled(s))
        return;
    while (s->news.sent < p->news.head && cursor_window_is_open(&s->news) &&
           conn_can_push(s->conn)) {
        uint64_t before = s->news.sent;
        enum news_found found = news_window_find(&p->news, before, session_place(s),
                                                 loop_now_ms(p->room->loop), &range);
        s->waits_for_block = found == NEWS_LATER;
        if (before < p->news.base)
            news_older_ask(p->room);
        if (found != NEWS_HERE || !send_range(s, &range) || s->news.sent == before)
            return;
    }
}

// --- the walk

static bool walk_step(struct job *j) {
    struct room_product *p = container_of(j, struct room_product, walk);
    uint64_t until = loop_clock_us(p->room->loop) + SLICE_US;
    for (unsigned n = 1; p->walk_at; n++) {
        struct session *s = p->walk_at;
        p->walk_at = s->next;
        news_try(s);
        session_check_synced(s);
        if (n % SLICE_CHECK == 0 && loop_clock_us(p->room->loop) >= until)
            return true;
    }
    if (p->walk_again) {
        p->walk_again = false;
        p->walk_at = p->sessions;
        return p->walk_at != NULL;
    }
    p->walk_running = false;
    return false;
}

void news_walk(struct room_product *p) {
    if (p->walk_running) {
        p->walk_again = true;
        return;
    }
    p->walk_at = p->sessions;
    p->walk_running = p->walk_at != NULL;
    if (p->walk_running)
        job_start(p->room->loop, &p->walk, walk_step);
}

// --- live broadcasts: at most once, and not where the socket would not take them

// Answers with the connected sessions that it was for.
static void live_end(struct live_walk *w) {
    Hawser__Internal__NewsReply reply = HAWSER__INTERNAL__NEWS_REPLY__INIT;
    reply.sessions = w->session_count;
    rpc_reply(w->call, &reply.base);
    free(w->audience);
    buf_free(&w->frame);
    free(w);
}

static void live_give(struct live_walk *w, struct session *s) {
    w->session_count += s->conn->state == CONN_OPEN ? 1 : 0;
    if (session_can_send(s))
        stream_send(s->conn->stream, w->frame.data, w->frame.len);
    else
        s->conn->room->count.live_dropped++;
}

static bool live_step(struct live_walk *w, uint64_t until, struct room_product *p) {
    for (unsigned n = 1; w->at; n++) {
        struct session *s = w->at;
        w->at = s->next;
        if (audience_has(w->audience, s->tags))
            live_give(w, s);
        if (n % SLICE_CHECK == 0 && loop_clock_us(p->room->loop) >= until)
            return true;
    }
    return false;
}

static bool lives_step(struct job *j) {
    struct room_product *p = container_of(j, struct room_product, live_job);
    uint64_t until = loop_clock_us(p->room->loop) + SLICE_US;
    while (p->lives) {
        struct live_walk *w = p->lives;
        if (live_step(w, until, p))
            return true;
        p->lives = w->next;
        if (!p->lives)
            p->lives_end = &p->lives;
        p->live_count--;
        live_end(w);
    }
    return false;
}

void news_live(struct room_product *p, const Hawser__Internal__StoredMessage *m,
               struct rpc_call *call) {
    Hawser__V1__Push push;
    if (p->live_count == LIVES_MAX) {
        p->room->count.live_dropped += p->session_count;
        rpc_fail(call, -HW_EBUSY);
        return;
    }
    struct live_walk *w = hw_calloc(1, sizeof(*w));
    push_from_message(&push, p->number, HAWSER__V1__STREAM__NEWS, 0, m);
    frame_put(&w->frame, FRAME_PUSH, &push.base);
    w->audience = news_audience(m->audience);
    w->at = p->sessions;
    w->call = call;
    *p->lives_end = w;
    p->lives_end = &w->next;
    p->live_count++;
    job_start(p->room->loop, &p->live_job, lives_step);
}

void news_lives_free(struct room_product *p) {
    while (p->lives) {
        struct live_walk *w = p->lives;
        p->lives = w->next;
        live_end(w);
    }
}

void news_session_leaves(struct session *s) {
    struct room_product *p = s->product;
    if (p->walk_at == s)
        p->walk_at = s->next;
    for (struct live_walk *w = p->lives; w; w = w->next)
        if (w->at == s)
            w->at = s->next;
}
