// Broadcast is a walk, not a queue: the latest of a broadcast log lie encoded one behind the other
// in its news window, a session is a position in them, and what lies between that and the end, as
// far as the ack window goes, is one write. The walk over sessions runs in slices.
#include "room_internal.h"

// Sends to some sessions that stand one behind the other in a walk, which go out together: cheaper
// than one by one where the kernel takes many at once (os_write_all). Most sessions of a walk get
// the same run.
enum { BATCH_RUNS = 4 };
struct news_batch {
    struct stream_batch out;
    struct room_binding *binding[OS_WRITES_MAX];
    const struct frame_run *run[OS_WRITES_MAX]; // in runs
    struct frame_run runs[BATCH_RUNS];
    const uint8_t *frames[BATCH_RUNS]; // where each begins
    size_t run_count;
};

// What is the same for all sessions that are sent news one after the other, worked out once. It
// lasts for one slice of a walk, and is not stale within it. Clocks and lease stand still for an
// iteration. Heads and the latest news change by answers and hints, which come as events of their
// own. What sending brings about is written down only, and carried out behind the slice: no session
// takes a step meanwhile, and none is freed.
struct news_slice {
    struct broadcasts *log;
    struct session_env env; // socket_takes: of the session that is sent to now
    uint64_t store_ms;
    // the session that is sent to now: its feed, and the log in its voice
    struct room_binding *binding;
    struct feed *feed;
    struct voice_news *news;
    bool is_once;             // what it is sent counts as handled
    struct news_batch *batch; // of a walk; NULL: what goes out goes at once
    // what was found last: behind `after` of the latest of `found_in`; NULL: of none
    const struct news_window *found_in;
    uint64_t after;
    struct news_range range;
};

static void slice_begin(struct news_slice *t, struct broadcasts *log) {
    struct room *r = log->product->room;
    t->batch = NULL;
    t->log = log;
    room_env(r, log->product, &t->env);
    t->store_ms = store_clock_ms(&r->clock); // 0: nothing expires yet
    t->found_in = NULL;
}

static inline bool sleeps_at_head(const struct room_binding *b, enum feed_stream stream,
                                  const struct news_window *w) {
    struct stream_position head = {w->epoch, w->head};
    return room_binding_sleeps_at(b, stream, &head);
}

// false: it has nothing to get, as most that are told to go on: it is level with the log, or waits
// for a block.
static inline bool slice_take(struct news_slice *t, struct room_binding *b) {
    const struct news_window *w = t->log->known;
    t->binding = b;
    if (b->waits_for_block[log_index(t->log->stream)] || sleeps_at_head(b, t->log->stream, w))
        return false;
    struct session *s = room_binding_session(b);
    t->feed = &s->feed[t->log->stream];
    if (t->feed->epoch == w->epoch && t->feed->sent >= w->head)
        return false;
    t->is_once = session_wants_once(s, t->log->stream);
    t->news = &t->log->by_voice[voice_news_index(b->conn->voice, t->is_once)];
    return true;
}

// --- one session

static void news_are_handled(const struct news_slice *t) {
    struct session *s = room_binding_session(t->binding);
    t->log->sums.acked += session_handled_sent(s, t->log->stream);
}

// Of what it does not get its voice hears, too: it is no hole between two acks.
static void news_passed(const struct news_slice *t, uint64_t last) {
    const struct voice *voice = conn_voice(t->binding->conn);
    struct frame_run *run = &t->log->product->room->scratch.items; // which is empty now
    if (t->is_once) {
        news_are_handled(t);
    } else if (voice->went) {
        run->epoch = t->feed->epoch;
        frame_run_add(run, last, 0, false);
        voice->went(t->binding, t->log->stream, run, 1);
    }
}

static void news_run_went(const struct news_slice *t, const struct frame_run *run, size_t items) {
    t->log->sums.sent += frame_run_went(run, items, t->feed).anew;
    session_shares_window(room_binding_session(t->binding));
    t->log->product->room->count.delivery.news_frames += items;
    const struct voice *voice = conn_voice(t->binding->conn);
    if (t->is_once)
        news_are_handled(t);
    else if (voice->went && items > 0)
        voice->went(t->binding, t->log->stream, run, items);
}

// The batch's own copy of a run; NULL: there is no place for another one.
static const struct frame_run *batch_run(struct news_batch *batch, const uint8_t *frames,
                                         const struct frame_run *run) {
    struct frame_run *at = batch->runs + batch->run_count;
    if (batch->run_count > 0 && batch->frames[batch->run_count - 1] == frames &&
        at[-1].count == run->count)
        return at - 1; // the same entries
    if (batch->run_count == BATCH_RUNS)
        return NULL;
    batch->frames[batch->run_count++] = frames;
    memcpy(at->items, run->items, run->count * sizeof(run->items[0]));
    at->count = run->count;
    at->epoch = run->epoch;
    return at;
}

// A connection of several bindings is not for it: what one of them says would go between.
static bool batch_takes(const struct news_slice *t, const uint8_t *frames,
                        const struct frame_run *run) {
    struct news_batch *batch = t->batch;
    if (!batch || t->binding->conn->bindings->next_in_conn)
        return false;
    const struct frame_run *own = batch_run(batch, frames, run);
    int at = batch->out.count;
    if (!own || !stream_batch_add(&batch->out, t->binding->conn->stream, frames,
                                  run->items[run->count - 1].end))
        return false;
    batch->binding[at] = t->binding;
    batch->run[at] = own;
    return true;
}

// What becomes of an entry of the log at this session.
enum entry_fate {
    ENTRY_GOES,      // out, as it lies
    ENTRY_WAITS,     // the ack window is shut
    ENTRY_OF_OTHERS, // passed over
    ENTRY_EXPIRED,   // here: told as a gap
    ENTRY_HAS_BEGUN, // a gap from before where the feed is: what is left of it is told
    ENTRY_FOR_SOME,  // a gap that its voice tells to some only
    ENTRY_TOO_LARGE, // for this client: told as a gap
};

static enum entry_fate fate_of(const struct news_slice *t, const struct news_entry *e,
                               uint64_t at) {
    if (e->audience && !audience_names(e->audience, room_binding_tags(t->binding)))
        return ENTRY_OF_OTHERS;
    if (e->expires_ms != 0 && e->expires_ms <= t->store_ms)
        return ENTRY_EXPIRED;
    if (!e->is_gap)
        return feed_takes_frame(t->feed, e->len) ? ENTRY_GOES : ENTRY_TOO_LARGE;
    return e->first <= at ? ENTRY_HAS_BEGUN : e->len == 0 ? ENTRY_FOR_SOME : ENTRY_GOES;
}

// As many entries as can go out as they lie: those for everyone of these tags, in the ack window.
// Returns the fate of the one where it ends.
static enum entry_fate fill_run(const struct news_slice *t, const struct news_range *range,
                                struct frame_run *run) {
    uint32_t bytes = feed_bytes_left(t->feed), start = range->entry->offset;
    for (const struct news_entry *e = range->entry; e < range->end; e++) {
        enum entry_fate fate = fate_of(t, e, run->at);
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
static void skip_entry(const struct news_slice *t, const struct news_entry *e,
                       enum entry_fate fate) {
    struct room_binding *b = t->binding;
    if (fate != ENTRY_OF_OTHERS) {
        enum gap_reason reason = fate == ENTRY_EXPIRED ? GAP_EXPIRED : (enum gap_reason)e->reason;
        struct buf *frame = &binding_room(b)->scratch.frame;
        struct stream_range at = {.product = b->product->number,
                                  .stream = t->log->stream,
                                  .first = t->feed->sent + 1,
                                  .last = e->last,
                                  .store_ms = t->store_ms};
        binding_room(b)->count.delivery.gaps++;
        buf_reset(frame);
        t->news->voice->put_gap(frame, b, &at, reason);
        conn_send(b->conn, frame);
    }
    feed_sent(t->feed, e->last, 0, false);
    news_passed(t, e->last);
}

// Whether the bytes of a message that all share are not what this one is to get now.
static bool is_of_the_moment(const struct news_slice *t, const struct news_entry *e) {
    bool is_old = e->expires_ms != 0 && e->made_s != t->store_ms / 1000;
    return !e->is_gap && (is_old || feed_was_written(t->feed, e->last));
}

// A copy of a run's frames for this one alone, touched up; NULL: what all share will do. Only a
// voice that asks for it comes so far.
HW_OUT_OF_LINE static const uint8_t *touched_up(const struct news_slice *t, const uint8_t *frames,
                                                const struct frame_run *run,
                                                const struct news_entry *entry) {
    struct buf *own = &t->log->product->room->scratch.run;
    size_t first = 0;
    while (first < run->count && !is_of_the_moment(t, &entry[first]))
        first++;
    if (first == run->count)
        return NULL;
    buf_reset(own);
    buf_append(own, frames, run->items[run->count - 1].end);
    for (size_t i = first; i < run->count; i++) {
        const struct news_entry *e = &entry[i];
        struct frame_moment moment = {.len = e->len,
                                      .expires_ms = e->expires_ms,
                                      .store_ms = t->store_ms,
                                      .is_again = feed_was_written(t->feed, e->last)};
        if (is_of_the_moment(t, e))
            t->news->voice->touch_up(t->binding, own->data + run->items[i].end - e->len, &moment);
    }
    return own->data;
}

// What became of a run, of a range, or of all that a session was to get.
enum news_sent {
    SENT_ALL,      // or passed over: what follows may go
    SENT_AS_GOES,  // the window or the socket takes no more
    SENT_TO_BATCH, // what follows waits for what becomes of that
};

static enum news_sent send_run(const struct news_slice *t, const struct news_range *range,
                               struct frame_run *run) {
    const uint8_t *frames = range->frames + range->entry->offset, *own = NULL;
    if (t->news->voice->touch_up)
        own = touched_up(t, frames, run, range->entry);
    if (!own && batch_takes(t, frames, run))
        return SENT_TO_BATCH;
    news_run_went(t, run, conn_send_run(t->binding->conn, own ? own : frames, run));
    return t->feed->sent == run->at ? SENT_ALL : SENT_AS_GOES;
}

// The range's entries as far as window and socket, which takes bytes at first, go.
static enum news_sent send_range(const struct news_slice *t) {
    struct frame_run *run = &t->log->product->room->scratch.items;
    struct news_range range = t->range;
    while (range.entry < range.end) {
        frame_run_begin(run, t->feed);
        enum entry_fate fate = fill_run(t, &range, run);
        if (run->count > 0) {
            enum news_sent sent = send_run(t, &range, run);
            if (sent != SENT_ALL)
                return sent;
        } else if (fate == ENTRY_WAITS) {
            return SENT_AS_GOES;
        } else {
            skip_entry(t, range.entry, fate);
        }
        range.entry += run->count > 0 ? run->count : 1;
        if (range.entry < range.end && !conn_can_push(t->binding->conn))
            return SENT_AS_GOES;
    }
    return SENT_ALL;
}

static bool is_ready(struct news_slice *t) {
    struct room_binding *b = t->binding;
    enum feed_stream stream = t->log->stream;
    t->env.socket_takes = room_binding_socket_takes(b);
    if (!session_can_send(room_binding_session(b), &t->env))
        return false;
    enum log_ready ready =
        session_log_ready(room_binding_session(b), &t->env, stream, t->news->window.base);
    if (ready == LOG_RESET)
        room_binding_say_reset(b, stream, "the log is not the one that it was");
    return ready != LOG_NOT_READY;
}

// Most sessions of a walk are at the same position. Blocks are found anew for each: they count who
// uses them.
static enum news_found find_range(struct news_slice *t) {
    struct news_window *w = &t->news->window;
    uint64_t after = t->feed->sent;
    if (t->found_in == w && t->after == after)
        return NEWS_HERE;
    const struct news_seek seek = {after, room_binding_row_slot(t->binding), t->env.now_ms};
    enum news_found found = news_window_find(w, &seek, &t->range);
    t->found_in = found == NEWS_HERE && after >= w->base ? w : NULL;
    t->after = after;
    return found;
}

static enum news_sent send_in_slice(struct news_slice *t) {
    const struct news_window *w = &t->news->window;
    const struct feed *f = t->feed;
    struct room_binding *b = t->binding;
    bool takes = is_ready(t);
    while (takes && f->sent < w->head && feed_is_open(f)) {
        uint64_t before = f->sent;
        enum news_found found = find_range(t);
        b->waits_for_block[log_index(t->log->stream)] = found == NEWS_LATER;
        if (before < w->base)
            effects_wake(&binding_room(b)->effects); // which asks for blocks
        enum news_sent sent = found == NEWS_HERE ? send_range(t) : SENT_AS_GOES;
        if (sent != SENT_ALL || f->sent == before)
            return sent;
        takes = f->sent < w->head && conn_can_push(b->conn);
    }
    return f->sent < w->head ? SENT_AS_GOES : SENT_ALL;
}

void news_send(struct room_binding *b) {
    for (int i = 0; i < LOGS; i++) {
        struct news_slice t;
        t.log = &b->product->log[i];
        if (!slice_take(&t, b))
            continue;
        slice_begin(&t, &b->product->log[i]);
        (void)send_in_slice(&t);
    }
}

// --- the walk

// A send leaves little in the cache of whoever comes next: it is fetched meanwhile, in the order in
// which one leads to the other.
static inline void walk_fetch_ahead(const struct room_binding *next, enum feed_stream stream) {
    const struct room_binding *second = next ? next->next : NULL;
    if (!second)
        return;
    __builtin_prefetch(second->next);
    __builtin_prefetch(second->conn);
    __builtin_prefetch(&second->conn->state);
    if (second->is_awake) {
        const struct session *s = &second->of.awake->session;
        __builtin_prefetch(&s->feed[stream]);
        __builtin_prefetch(&s->feed[stream].ack_window, 1);
        __builtin_prefetch(&s->fence);
        __builtin_prefetch(&s->state);
        __builtin_prefetch(&s->is_synced);
    }
    if (next->conn->stream)
        __builtin_prefetch(next->conn->stream);
}

// One of the batch has gone out; what is left of it goes as if there were none.
static void settle_one(struct news_slice *t, int at) {
    struct news_batch *batch = t->batch;
    struct room_binding *b = batch->binding[at];
    const struct frame_run *run = batch->run[at];
    const uint8_t *frames = batch->frames[run - batch->runs];
    size_t items = conn_run_went(b->conn, frames, run, batch->out.taken[at]);
    t->binding = b;
    t->feed = &room_binding_session(b)->feed[t->log->stream];
    t->is_once = session_wants_once(room_binding_session(b), t->log->stream);
    news_run_went(t, run, items);
    t->batch = NULL;
    if (items == run->count && slice_take(t, b))
        (void)send_in_slice(t);
    t->batch = batch;
    room_binding_sent(b);
}

static void batch_settle(struct news_slice *t) {
    struct news_batch *batch = t->batch;
    stream_batch_write(&batch->out);
    for (int i = 0; i < batch->out.count; i++)
        settle_one(t, i);
    batch->out.count = 0;
    batch->run_count = 0;
}

static void walk_visit(struct news_slice *t, struct room_binding *b) {
    bool is_batched = slice_take(t, b) && send_in_slice(t) == SENT_TO_BATCH;
    if (!is_batched)
        room_binding_sent(b);
    if (t->batch->out.count == OS_WRITES_MAX)
        batch_settle(t);
}

static bool walk_step(struct job *j) {
    struct broadcasts *log = container_of(j, struct broadcasts, walk);
    struct loop *l = log->product->room->loop;
    uint64_t until = loop_clock_us(l) + SLICE_US;
    struct news_slice t;
    struct news_batch batch;
    effects_settle(&log->product->room->effects);
    slice_begin(&t, log);
    t.batch = &batch;
    batch.out.count = 0;
    batch.run_count = 0;
    bool is_late = false;
    for (unsigned n = 1; log->walk_at && !is_late; n++) {
        struct room_binding *b = log->walk_at;
        broadcasts_walk_on(log, b);
        walk_fetch_ahead(log->walk_at, log->stream);
        walk_visit(&t, b);
        is_late = n % SLICE_CHECK == 0 && loop_clock_us(l) >= until;
    }
    batch_settle(&t);
    log->walk_running = is_late;
    return is_late;
}

// Who is still to come gets what is new with the rest, whoever has passed in another round.
void news_walk(struct broadcasts *log) {
    log->walk_is_back = false;
    log->walk_again = log->walk_running && log->walk_at != NULL;
    log->walk_until = log->walk_at;
    if (!log->walk_again)
        log->walk_at = log->product->bindings;
    log->walk_running = log->walk_at != NULL;
    if (log->walk_running)
        job_start(log->product->room->loop, &log->walk, walk_step);
}
