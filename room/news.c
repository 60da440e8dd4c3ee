// Broadcast is a walk, not a queue: the latest news of a product lie encoded one behind the other
// in its news window, a session is a position in them, and what lies between that and the end, as
// far as the ack window goes, is one write. The walk over sessions runs in slices.
#include "room_internal.h"

// What is the same for all sessions that are sent news one after the other, worked out once. It
// lasts for one slice of a walk, and is not stale within it. Clocks and lease stand still for an
// iteration. Heads and the latest news change by answers and hints, which come as events of their
// own. What sending brings about is written down only, and carried out behind the slice: no session
// takes a step meanwhile, and none is freed.
struct news_turn {
    struct session_env env; // socket_takes: of the session whose turn it is
    uint64_t store_ms;
    const struct news_window *window; // `range` is of its latest, behind `after`; NULL: of none
    uint64_t after;
    struct news_range range;
};

static void turn_begin(struct news_turn *t, const struct room_product *p) {
    struct room *r = p->room;
    room_env(r, p, &t->env);
    t->store_ms = store_clock_ms(&r->clock); // 0: nothing expires yet
    t->window = NULL;
}

// --- one session

static void news_send_run(struct room_binding *b, const uint8_t *frames,
                          const struct frame_run *run) {
    struct room_product *p = b->product;
    size_t items = conn_send_run(b->conn, frames, run);
    p->sums.sent += frame_run_went(run, items, &b->session.feed[FEED_NEWS]).anew;
    p->room->count.news_frames += items;
}

// What becomes of an entry of the log at this session.
enum entry_fate {
    ENTRY_GOES,      // out, as it lies
    ENTRY_WAITS,     // the ack window is shut
    ENTRY_OF_OTHERS, // passed over
    ENTRY_EXPIRED,   // here: told as a gap
    ENTRY_HAS_BEGUN, // a gap from before where the feed is: what is left of it is told
};

static enum entry_fate fate_of(const struct room_binding *b, const struct news_entry *e,
                               uint64_t at, uint64_t store_ms) {
    if (!audience_has(e->audience, b->tags))
        return ENTRY_OF_OTHERS;
    if (e->expires_ms != 0 && e->expires_ms <= store_ms)
        return ENTRY_EXPIRED;
    return e->is_gap && e->first <= at ? ENTRY_HAS_BEGUN : ENTRY_GOES;
}

// As many entries as can go out as they lie: those for everyone of these tags, in the ack window.
// Returns the fate of the one where it ends.
static enum entry_fate fill_run(const struct room_binding *b, struct frame_run *run,
                                const struct news_range *range, uint64_t store_ms) {
    uint32_t bytes = feed_bytes_left(&b->session.feed[FEED_NEWS]), start = range->entry->offset;
    for (const struct news_entry *e = range->entry; e < range->end; e++) {
        enum entry_fate fate = fate_of(b, e, run->at, store_ms);
        if (fate != ENTRY_GOES)
            return fate;
        if ((!e->is_gap && bytes == 0) ||
            frame_run_fit(run, e->first, e->last, !e->is_gap) != RUN_NEXT)
            return ENTRY_WAITS;
        frame_run_add(run, e->last, e->offset + e->len - start, !e->is_gap);
        bytes -= e->len < bytes ? e->len : bytes;
    }
    return ENTRY_GOES;
}

// An entry that does not go out as it lies: nothing, or a gap, is told instead.
static void skip_entry(struct room_binding *b, const struct news_entry *e, enum entry_fate fate) {
    struct feed *news = &b->session.feed[FEED_NEWS];
    if (fate != ENTRY_OF_OTHERS) {
        enum gap_reason reason = fate == ENTRY_EXPIRED ? GAP_EXPIRED : (enum gap_reason)e->reason;
        struct stream_range at = {b->product->number, FEED_NEWS, news->sent + 1, e->last};
        b->conn->room->count.gaps++;
        b->conn->voice->say_gap(b, &at, reason);
    }
    feed_sent(news, e->last, 0, false);
}

// Sends the range's entries as far as window and socket, which takes bytes at first, go; true when
// all went or were passed over.
static bool send_range(struct room_binding *b, const struct news_turn *t) {
    struct frame_run *run = &b->conn->room->items;
    struct news_range range = t->range;
    while (range.entry < range.end) {
        frame_run_begin(run, &b->session.feed[FEED_NEWS]);
        enum entry_fate fate = fill_run(b, run, &range, t->store_ms);
        if (run->count > 0) {
            news_send_run(b, range.frames + range.entry->offset, run);
            if (b->session.feed[FEED_NEWS].sent != run->at)
                return false; // the socket is full
        } else if (fate == ENTRY_WAITS) {
            return false;
        } else {
            skip_entry(b, range.entry, fate);
        }
        range.entry += run->count > 0 ? run->count : 1;
        if (range.entry < range.end && !conn_can_push(b->conn))
            return false;
    }
    return true;
}

static bool is_ready(struct room_binding *b, struct news_turn *t, const struct news_window *w) {
    bool reset;
    t->env.socket_takes = room_binding_socket_takes(b);
    if (!session_can_send(&b->session, &t->env) ||
        !session_news_ready(&b->session, &t->env, w->base, &reset))
        return false;
    if (reset)
        room_binding_say_reset(b, FEED_NEWS, "the log is not the one that it was");
    return true;
}

// What the product has of its news in the session's voice.
static struct voice_news *news_of(const struct room_binding *b) {
    return &b->product->news.by_voice[b->conn->voice->index];
}

// Most are, of those that are told to go on: level with the log, or waiting for a block.
static bool has_nothing_to_get(const struct room_binding *b) {
    const struct feed *news = &b->session.feed[FEED_NEWS];
    const struct news_window *w = &news_of(b)->window;
    return b->waits_for_news || (news->epoch == w->epoch && news->sent >= w->head);
}

// Most sessions of a walk are at the same position. Blocks are found anew for each: they count who
// uses them.
static enum news_found find_range(const struct room_binding *b, struct news_turn *t,
                                  struct news_window *w) {
    uint64_t after = b->session.feed[FEED_NEWS].sent;
    if (t->window == w && t->after == after)
        return NEWS_HERE;
    enum news_found found =
        news_window_find(w, after, room_binding_row_slot(b), t->env.now_ms, &t->range);
    t->window = found == NEWS_HERE && after >= w->base ? w : NULL;
    t->after = after;
    return found;
}

static void send_in_turn(struct room_binding *b, struct news_turn *t) {
    struct news_window *w = &news_of(b)->window;
    struct feed *news = &b->session.feed[FEED_NEWS];
    bool takes = is_ready(b, t, w);
    while (takes && news->sent < w->head && feed_is_open(news)) {
        uint64_t before = news->sent;
        enum news_found found = find_range(b, t, w);
        b->waits_for_news = found == NEWS_LATER;
        if (before < w->base)
            effects_wake(&b->conn->room->effects); // which asks for blocks
        if (found != NEWS_HERE || !send_range(b, t) || news->sent == before)
            return;
        takes = news->sent < w->head && conn_can_push(b->conn);
    }
}

void news_send(struct room_binding *b) {
    struct news_turn t;
    if (has_nothing_to_get(b))
        return;
    turn_begin(&t, b->product);
    send_in_turn(b, &t);
}

// --- the walk

static bool walk_step(struct job *j) {
    struct broadcasts *log = container_of(j, struct broadcasts, walk);
    struct loop *l = log->product->room->loop;
    uint64_t until = loop_clock_us(l) + SLICE_US;
    struct news_turn t;
    effects_settle(&log->product->room->effects);
    turn_begin(&t, log->product);
    for (unsigned n = 1; log->walk_at; n++) {
        struct room_binding *b = log->walk_at;
        log->walk_at = b->next;
        if (!has_nothing_to_get(b))
            send_in_turn(b, &t);
        room_binding_sent(b);
        if (n % SLICE_CHECK == 0 && loop_clock_us(l) >= until)
            return true;
    }
    if (log->walk_again) {
        log->walk_again = false;
        log->walk_at = log->product->bindings;
        return log->walk_at != NULL;
    }
    log->walk_running = false;
    return false;
}

void news_walk(struct broadcasts *log) {
    if (log->walk_running) {
        log->walk_again = true;
        return;
    }
    log->walk_at = log->product->bindings;
    log->walk_running = log->walk_at != NULL;
    if (log->walk_running)
        job_start(log->product->room->loop, &log->walk, walk_step);
}
