// Delivery: what a client owes the streams. Every message, gap, reset and end of backlog moves the
// position in order and makes an Ack due; the Ack leaves once the position is stored.
#include <inttypes.h>

#include "core_internal.h"

// --- where a stream begins

static void tell_reset(struct client_core *c, struct binding *b, size_t stream,
                       const char *reason) {
    struct hawser_reset reset = {
        .binding = b->id,
        .product = binding_product(b),
        .user = binding_user(b),
        .stream = (enum hawser_stream)stream,
        .epoch = b->record->stream[stream].epoch,
        .seq = b->record->stream[stream].seq,
        .reason = reason,
    };
    if (c->callbacks.on_reset)
        c->callbacks.on_reset(c->arg, &reset);
}

// Where the Bind named our position that one counts: what the room sends below it are repeats. A
// position in another epoch says nothing about the one that Pushes will be in.
static void begin_after(struct client_core *c, struct binding *b, const Hawser__V1__Position *p) {
    size_t stream = (size_t)p->stream;
    if (stream >= POSITION_STREAMS || p->epoch == 0)
        return;
    struct position *ours = &b->record->stream[stream];
    b->stream[stream].shown = b->stream[stream].came = p->seq;
    bool other_epoch = ours->epoch != p->epoch;
    bool had = b->stream[stream].had;
    if (!other_epoch && (had || p->seq <= ours->seq))
        return;
    *ours = (struct position){.epoch = p->epoch, .seq = p->seq};
    b->dirty = true;
    if (c->flush_at_ms == NEVER)
        c->flush_at_ms = c->now_ms + c->ack_delay_ms;
    if (had && other_epoch)
        tell_reset(c, b, stream, "the room continues in another epoch");
}

void streams_begin(struct client_core *c, struct binding *b, const Hawser__V1__Bound *m) {
    for (size_t i = 0; i < POSITION_STREAMS; i++) {
        struct core_stream *s = &b->stream[i];
        *s = (struct core_stream){.had = s->had};
    }
    for (size_t i = 0; i < m->n_after; i++)
        begin_after(c, b, m->after[i]);
}

// --- frames

// What a Push or a Gap speaks of.
struct span {
    size_t stream;
    uint64_t first, last;
};

static void violation_at(struct client_core *c, const struct span *at, const char *what,
                         uint64_t position) {
    char text[REASON_BYTES];
    snprintf(text, sizeof(text), "%s: %s %" PRIu64 " after %" PRIu64, what,
             hawser_stream_name((enum hawser_stream)at->stream), at->first, position);
    core_violation(c, text);
}

// Is it next in its stream? False: it is a repeat, waits behind a refused one, or broke the
// protocol, and has been dealt with.
static bool is_next(struct client_core *c, struct binding *b, const struct span *at) {
    const struct position *p = &b->record->stream[at->stream];
    struct core_stream *s = &b->stream[at->stream];
    if (p->epoch == 0) {
        violation_at(c, at, "no position for this stream", 0);
        return false;
    }
    bool is_again = at->first <= s->came;
    s->came = at->last;
    if (at->last > s->shown)
        s->shown = at->last;
    if (at->last <= p->seq) {
        acks_soon(c, s);
        return false;
    }
    if (s->refused_seq != 0 && at->first > s->refused_seq) {
        // A room that sends again begins behind what is acknowledged. A refused broadcast may be
        // left out: the tags have changed since.
        if (!is_again || at->stream == HAWSER_INBOX)
            return false; // comes again, behind the refused one
        s->refused_seq = 0;
    }
    if (at->stream == HAWSER_INBOX && at->first > p->seq + 1) {
        violation_at(c, at, "a hole", p->seq);
        return false;
    }
    return true;
}

static int hand_on(struct client_core *c, const struct binding *b, const Hawser__V1__Push *m) {
    struct hawser_message message = {
        .binding = b->id,
        .product = binding_product(b),
        .user = binding_user(b),
        .stream = (enum hawser_stream)m->stream,
        .seq = m->seq,
        .id = m->id,
        .payload = m->payload.data ? m->payload.data : (const uint8_t *)"",
        .payload_len = m->payload.len,
        .sent_ms = m->sent_ms,
        .expires_ms = m->expires_ms,
        .collapse_key = m->collapse_key,
        .content_type = m->content_type,
    };
    return c->callbacks.on_message(c->arg, &message);
}

// live: outside the streams, at most once, never acknowledged.
static void push_live(struct client_core *c, struct binding *b, const Hawser__V1__Push *m) {
    uint64_t id = recent_id(m->id);
    if (recent_ids_has(&b->record->recent, id)) {
        core_notice(c, "a live %s message came again, and is left out: %s",
                    hawser_stream_name((enum hawser_stream)m->stream), m->id);
        return;
    }
    recent_ids_add(&b->record->recent, id);
    b->dirty = true;
    if (c->flush_at_ms == NEVER)
        c->flush_at_ms = c->now_ms + c->ack_delay_ms;
    (void)hand_on(c, b, m);
}

// --- the end of the backlog

static void sync_stream(struct client_core *c, struct binding *b, size_t stream,
                        const struct position *at) {
    const struct position *p = &b->record->stream[stream];
    if (p->epoch != at->epoch || p->epoch == 0)
        return;
    if (at->seq > b->stream[stream].shown)
        b->stream[stream].shown = at->seq;
    if (at->seq > p->seq)
        acks_handled(c, b, stream, at->seq);
}

static bool synced_is_reached(const struct binding *b) {
    for (size_t i = 0; i < POSITION_STREAMS; i++)
        if (b->stream[i].refused_seq != 0 || b->record->stream[i].seq < b->stream[i].synced_after)
            return false;
    return true;
}

// Once all that came before the Synced is handled; what was refused, and what came behind it, comes
// again.
static void synced_catch_up(struct client_core *c, struct binding *b) {
    if (!b->synced_due || !synced_is_reached(b))
        return;
    b->synced_due = false;
    for (size_t i = 0; i < POSITION_STREAMS; i++)
        sync_stream(c, b, i, &b->stream[i].synced_at);
    if (c->callbacks.on_synced)
        c->callbacks.on_synced(c->arg, b->id, binding_product(b), binding_user(b));
}

void streams_on_synced(struct client_core *c, const Hawser__V1__Synced *m) {
    struct binding *b = binding_by_number(c, m->product);
    if (!b)
        return;
    for (size_t i = 0; i < POSITION_STREAMS; i++) {
        struct core_stream *s = &b->stream[i];
        bool waits = s->refused_seq != 0;
        s->synced_at = (struct position){0};
        s->synced_after = waits ? s->shown : 0;
    }
    for (size_t i = 0; i < m->n_at; i++)
        if ((size_t)m->at[i]->stream < POSITION_STREAMS)
            b->stream[m->at[i]->stream].synced_at =
                (struct position){.epoch = m->at[i]->epoch, .seq = m->at[i]->seq};
    b->synced_due = true;
    synced_catch_up(c, b);
}

// --- messages and gaps

void streams_on_push(struct client_core *c, const Hawser__V1__Push *m) {
    struct binding *b = binding_by_number(c, m->product);
    size_t stream = (size_t)m->stream;
    if (!b || stream >= POSITION_STREAMS)
        return; // unbound by us while it was on its way, or a stream of a later version
    if (m->seq == 0) {
        push_live(c, b, m);
        return;
    }
    if (!is_next(c, b, &(struct span){stream, m->seq, m->seq}))
        return;
    uint64_t id = recent_id(m->id);
    if (!recent_ids_has(&b->record->recent, id)) {
        if (hand_on(c, b, m) != 0) {
            b->stream[stream].refused_seq = m->seq;
            return;
        }
        recent_ids_add(&b->record->recent, id);
    }
    c->unacked_bytes += m->payload.len;
    acks_handled(c, b, stream, m->seq);
    synced_catch_up(c, b);
}

// How many messages the gap may stand for, at most: others' messages lie between. A range that the
// cluster does not know the reason of, or that a store made when it began anew (at Unix seconds x
// 2^20), is no number of messages.
static uint64_t gap_count_max(const struct hawser_gap *gap) {
    bool is_known = gap->reason > HAWSER_GAP_UNKNOWN && gap->reason < HAWSER_GAP_STORE_RESTARTED;
    uint64_t count = gap->last - gap->first + 1;
    return is_known && count < UINT64_C(1) << 20 ? count : 0;
}

void streams_on_gap(struct client_core *c, const Hawser__V1__Gap *m) {
    struct binding *b = binding_by_number(c, m->product);
    size_t stream = (size_t)m->stream;
    if (!b || stream >= POSITION_STREAMS)
        return;
    if (m->first == 0 || m->last < m->first) {
        core_violation(c, "a gap without a range");
        return;
    }
    if (!is_next(c, b, &(struct span){stream, m->first, m->last}))
        return;
    uint64_t handled = b->record->stream[stream].seq;
    struct hawser_gap gap = {
        .binding = b->id,
        .product = binding_product(b),
        .user = binding_user(b),
        .stream = (enum hawser_stream)stream,
        .first = m->first > handled ? m->first : handled + 1,
        .last = m->last,
        .reason = (enum hawser_gap_reason)m->reason,
    };
    gap.count_max = gap_count_max(&gap);
    if (c->callbacks.on_gap && m->reason != HAWSER__V1__GAP_REASON__GAP_OTHER_DEVICE)
        c->callbacks.on_gap(c->arg, &gap);
    acks_handled(c, b, stream, m->last);
    synced_catch_up(c, b);
}

// Taken at its word, also when it goes back in the same epoch: a store may have lost its newest
// entries. The recent ids keep repeats away.
void streams_on_reset(struct client_core *c, const Hawser__V1__Reset *m) {
    struct binding *b = binding_by_number(c, m->product);
    if (!b)
        return;
    if (!m->position || m->position->epoch == 0) {
        core_violation(c, "a reset without a position");
        return;
    }
    size_t stream = (size_t)m->position->stream;
    if (stream >= POSITION_STREAMS)
        return;
    b->record->stream[stream] =
        (struct position){.epoch = m->position->epoch, .seq = m->position->seq};
    b->stream[stream].refused_seq = b->stream[stream].synced_after = 0;
    b->stream[stream].shown = b->stream[stream].came = m->position->seq;
    tell_reset(c, b, stream, m->reason);
    acks_handled(c, b, stream, m->position->seq);
    synced_catch_up(c, b); // nothing that was refused there comes again
}
