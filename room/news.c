// Broadcast is a walk, not a queue: the latest news of a product lie encoded one behind the other
// in its arena, a session is a cursor into them, and what lies between cursor and end, as far as
// the window goes, is one write. The walk over sessions runs in slices.
#include <assert.h>

#include "message.h"
#include "room_internal.h"

enum { SLICE_US = 1000, SLICE_CHECK = 8, LIVES_MAX = 64, RUN_MAX = WINDOW_MESSAGES };

// --- products

struct room_product *product_find_here(struct room *r, uint32_t number) {
    struct room_product *p = NULL;
    HASH_FIND(hh, r->products, &number, sizeof(number), p);
    return p;
}

struct room_product *product_get(struct room *r, const struct product *from) {
    struct room_product *p = product_find_here(r, from->number);
    if (p)
        return p;
    p = hw_calloc(1, sizeof(*p));
    p->room = r;
    p->number = from->number;
    memcpy(p->name, from->name, sizeof(p->name));
    p->lives_end = &p->lives;
    HASH_ADD(hh, r->products, number, sizeof(p->number), p);
    return p;
}

static void audience_free(Hawser__Internal__Audience *a) {
    if (a)
        hawser__internal__audience__free_unpacked(a, NULL);
}

static void live_free(struct live_walk *w) {
    audience_free(w->audience);
    buf_free(&w->frame);
    free(w);
}

static void entries_drop(struct room_product *p, size_t count) {
    for (size_t i = 0; i < count; i++)
        audience_free(p->entries[p->entry_first + i].audience);
    p->entry_first += count;
    p->entry_count -= count;
}

void product_free_here(struct room_product *p) {
    job_stop(&p->walk);
    job_stop(&p->live_job);
    news_log_free(p);
    if (p->entries)
        entries_drop(p, p->entry_count);
    free(p->entries);
    buf_free(&p->arena);
    while (p->lives) {
        struct live_walk *w = p->lives;
        p->lives = w->next;
        live_free(w);
    }
    HASH_DEL(p->room->products, p);
    free(p);
}

// --- the arena

static Hawser__Internal__Audience *audience_copy(const Hawser__Internal__Audience *a) {
    if (!a || a->n_any + a->n_all + a->n_none == 0)
        return NULL;
    return (Hawser__Internal__Audience *)message_copy(&a->base);
}

void news_encode(struct room_product *p, const Hawser__Internal__LoadEntry *e, struct buf *out,
                 struct news_entry *ret_entry) {
    struct news_entry entry = {.first = e->seq, .last = e->seq, .offset = (uint32_t)out->len};
    if (e->message) {
        Hawser__V1__Push push;
        push_from_message(&push, p->number, HAWSER__V1__STREAM__NEWS, e->seq, e->message);
        frame_put(out, FRAME_PUSH, &push.base);
        entry.audience = audience_copy(e->message->audience);
        entry.expires_ms = e->message->expires_ms;
    } else {
        Hawser__V1__Gap gap = HAWSER__V1__GAP__INIT;
        gap.product = p->number;
        gap.stream = HAWSER__V1__STREAM__NEWS;
        gap.first = e->seq;
        gap.last = entry.last = e->last;
        gap.reason = (Hawser__V1__GapReason)e->gap_reason;
        frame_put(out, FRAME_GAP, &gap.base);
        entry.is_gap = true;
        entry.reason = (uint8_t)e->gap_reason;
    }
    entry.len = (uint32_t)out->len - entry.offset;
    *ret_entry = entry;
}

// Half of it at a time, so that moving costs little over all.
static void make_room(struct room_product *p) {
    size_t drop = (p->entry_count + 1) / 2;
    if (drop == 0)
        return;
    p->base = p->entries[p->entry_first + drop - 1].last;
    entries_drop(p, drop);
    uint32_t offset = p->entry_count ? p->entries[p->entry_first].offset : (uint32_t)p->arena.len;
    buf_consume(&p->arena, offset);
    memmove(p->entries, p->entries + p->entry_first, p->entry_count * sizeof(p->entries[0]));
    p->entry_first = 0;
    for (size_t i = 0; i < p->entry_count; i++)
        p->entries[i].offset -= offset;
}

void news_append(struct room_product *p, const Hawser__Internal__LoadEntry *e) {
    uint64_t last = e->message ? e->seq : e->last;
    if (last <= p->head || e->seq > p->head + 1)
        return; // known, or behind a hole
    if (!p->entries)
        p->entries = hw_calloc(ARENA_ENTRIES, sizeof(p->entries[0]));
    while (p->entry_count > 0 && (p->arena.len > ARENA_BYTES || p->entry_count == ARENA_ENTRIES))
        make_room(p);
    news_encode(p, e, &p->arena, &p->entries[p->entry_first + p->entry_count]);
    p->entry_count++;
    p->head = last;
    if (p->heard < last)
        p->heard = last;
}

void news_epoch_set(struct room_product *p, uint64_t epoch, uint64_t head) {
    entries_drop(p, p->entry_count);
    p->entry_first = 0;
    buf_reset(&p->arena);
    p->epoch = epoch;
    p->base = p->head = p->heard = head;
}

// --- one session

static struct news_entry *find_entry(struct news_entry *entries, size_t count, uint64_t seq) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (entries[middle].last < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count ? &entries[low] : NULL;
}

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
static bool skip_entry(struct session *s, const struct news_entry *e, uint64_t wall_ms) {
    bool is_for = audience_has(e->audience, s->tags);
    bool expired = e->expires_ms != 0 && e->expires_ms <= wall_ms;
    if (is_for && !expired && !(e->is_gap && e->first <= s->news.sent))
        return false;
    if (is_for)
        session_send_gap(s, HAWSER__V1__STREAM__NEWS, s->news.sent + 1, e->last,
                         expired ? HAWSER__V1__GAP_REASON__GAP_EXPIRED : e->reason);
    cursor_sent(&s->news, e->last, 0, false);
    return true;
}

// Sends entries [e, end) as far as window and socket go; true when all went or were passed over.
static bool send_entries(struct session *s, const uint8_t *frames, struct news_entry *e,
                         const struct news_entry *end) {
    struct run_item items[RUN_MAX];
    uint64_t wall_ms = loop_wall_ms(s->product->room->loop);
    bool full = false;
    while (e < end && !full && conn_can_push(s->conn)) {
        size_t count = 0;
        uint32_t messages = cursor_window_messages(&s->news), bytes = cursor_window_bytes(&s->news);
        const struct news_entry *first = e;
        if (skip_entry(s, e, wall_ms)) {
            e++;
            continue;
        }
        for (; e < end && count < RUN_MAX && (e->is_gap || (messages > 0 && bytes > 0)); e++) {
            bool is_plain =
                audience_has(e->audience, s->tags) && !(e->expires_ms && e->expires_ms <= wall_ms);
            if (!is_plain)
                break;
            items[count++] =
                (struct run_item){e->last, e->offset + e->len - first->offset, !e->is_gap};
            messages -= e->is_gap ? 0 : 1;
            bytes -= e->len < bytes ? e->len : bytes;
        }
        if (count == 0)
            return false; // the window is shut
        flush_run(s, frames + first->offset, items, &count, &full);
    }
    return e >= end && !full;
}

static bool epoch_is_settled(struct session *s) {
    struct room_product *p = s->product;
    if (p->epoch == 0 || p->heads_done < s->news_round)
        return false;
    if (s->news.epoch != p->epoch) {
        cursor_start(&s->news, p->epoch, p->base);
        s->news_saved = p->base;
        if (s->has_news_target)
            s->news_target = p->heard;
        session_send_reset(s, HAWSER__V1__STREAM__NEWS, p->epoch, p->base,
                           "the log is not the one that it was");
    }
    return true;
}

void news_try(struct session *s) {
    struct room_product *p = s->product;
    if (!session_can_send(s) || s->waits_for_block || !epoch_is_settled(s))
        return;
    while (s->news.sent < p->head && cursor_window_is_open(&s->news) && conn_can_push(s->conn)) {
        struct news_entry *entries = p->entries + p->entry_first;
        uint64_t before = s->news.sent;
        bool all;
        if (before >= p->base && p->entry_count > 0) {
            struct news_entry *e = find_entry(entries, p->entry_count, before + 1);
            all = !e || send_entries(s, p->arena.data, e, entries + p->entry_count);
        } else {
            struct news_block *b = news_block_get(s);
            if (!b)
                return;
            struct news_entry *e = find_entry(b->entries, b->count, before + 1);
            all = !e || send_entries(s, b->frames.data, e, b->entries + b->count);
        }
        if (!all || s->news.sent == before)
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

static bool live_step(struct live_walk *w, uint64_t until, struct room_product *p) {
    for (unsigned n = 1; w->at; n++) {
        struct session *s = w->at;
        w->at = s->next;
        if (session_can_send(s) && audience_has(w->audience, s->tags))
            stream_send(s->conn->stream, w->frame.data, w->frame.len);
        else
            p->room->count.live_dropped++;
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
        live_free(w);
    }
    return false;
}

void news_live(struct room_product *p, const Hawser__Internal__StoredMessage *m) {
    Hawser__V1__Push push;
    if (p->live_count == LIVES_MAX) {
        p->room->count.live_dropped += p->session_count;
        return;
    }
    struct live_walk *w = hw_calloc(1, sizeof(*w));
    push_from_message(&push, p->number, HAWSER__V1__STREAM__NEWS, 0, m);
    frame_put(&w->frame, FRAME_PUSH, &push.base);
    w->audience = audience_copy(m->audience);
    w->at = p->sessions;
    *p->lives_end = w;
    p->lives_end = &w->next;
    p->live_count++;
    job_start(p->room->loop, &p->live_job, lives_step);
}

void news_session_leaves(struct session *s) {
    struct room_product *p = s->product;
    if (p->walk_at == s)
        p->walk_at = s->next;
    for (struct live_walk *w = p->lives; w; w = w->next)
        if (w->at == s)
            w->at = s->next;
}
