#include "feed.h"

#include <string.h>

enum {
    SHUT_TICKS = 10,     // a window that is shut so long, with something waiting
    UNACKED_TICKS = 300, // anything that is unacknowledged so long
};

void feed_init(struct feed *f, const struct ack_limits *limits) {
    memset(f, 0, sizeof(*f)); // also between its fields, see session_rest.c
    f->limits = limits;
}

void feed_start(struct feed *f, struct stream_position after) {
    feed_init(f, f->limits);
    f->epoch = after.epoch;
    f->acked = f->sent = f->heard = f->shown = f->written = f->saved = f->target = after.seq;
}

void feed_hear(struct feed *f, uint64_t seq) {
    if (f->heard < seq)
        f->heard = seq;
}

void feed_rewind(struct feed *f, uint64_t acked) {
    f->acked = f->sent = acked;
    f->ack_window = (struct ack_window){0};
}

// --- the window

bool feed_is_behind(const struct feed *f) {
    return f->sent < f->heard;
}

bool feed_takes(const struct feed *f, struct stream_position at) {
    return at.epoch == f->epoch && at.seq == f->sent + 1 && feed_is_open(f);
}

static void ack_window_add(struct feed *f, uint64_t seq, uint32_t bytes) {
    struct ack_window *w = &f->ack_window;
    bool into_first = w->second == 0 && w->first < f->limits->messages / 2 &&
                      w->first_bytes < f->limits->bytes / 2;
    if (into_first) {
        w->mark = seq;
        w->first++;
        w->first_bytes += bytes;
    } else {
        w->second++;
        w->second_bytes += bytes;
    }
}

// What lies between the last one and this one was passed over.
static void feed_wrote(struct feed *f, uint64_t seq) {
    if (seq <= f->written) {
        uint64_t back = f->written - seq;
        if (back > 0 && back <= WRITTEN_KNOWN)
            f->passed &= ~(UINT64_C(1) << (back - 1));
        return;
    }
    uint64_t ahead = seq - f->written, before = ahead < WRITTEN_KNOWN ? f->passed << ahead : 0;
    f->passed = ahead > WRITTEN_KNOWN ? UINT64_MAX : before | ((UINT64_C(1) << (ahead - 1)) - 1);
    f->written = seq;
}

void feed_sent(struct feed *f, uint64_t last, uint32_t bytes, bool counts) {
    f->sent = last;
    feed_hear(f, last);
    if (f->shown < last)
        f->shown = last;
    if (!counts)
        return;
    feed_wrote(f, last);
    ack_window_add(f, last, bytes);
}

bool feed_was_written(const struct feed *f, uint64_t seq) {
    uint64_t back = f->written - seq;
    if (seq >= f->written)
        return seq == f->written;
    return back <= WRITTEN_KNOWN ? !(f->passed >> (back - 1) & 1) : !f->has_others;
}

void feed_has_others(struct feed *f) {
    f->has_others = f->written > f->acked;
}

static void ack_window_acked(struct ack_window *w, uint64_t seq, uint64_t sent) {
    w->still_since = 0;
    if (seq >= sent) {
        *w = (struct ack_window){0};
    } else if (seq >= w->mark) {
        w->first = w->second;
        w->first_bytes = w->second_bytes;
        w->second = 0;
        w->second_bytes = 0;
        w->mark = sent;
    }
}

enum feed_ack feed_acked(struct feed *f, struct stream_position upto, uint32_t *ret_messages) {
    *ret_messages = 0;
    if (upto.epoch != f->epoch)
        return FEED_ACK_OLD;
    if (upto.seq > f->shown)
        return FEED_ACK_ABOVE;
    if (upto.seq <= f->acked)
        return FEED_ACK_OLD;
    uint32_t before = feed_in_flight(f);
    f->acked = upto.seq;
    if (f->sent < upto.seq) // acknowledged before it was sent again
        f->sent = upto.seq;
    if (f->written <= upto.seq) {
        f->written = upto.seq;
        f->passed = 0;
        f->has_others = false;
    }
    ack_window_acked(&f->ack_window, upto.seq, f->sent);
    *ret_messages = before - feed_in_flight(f);
    return FEED_ACKED;
}

// --- what is not acknowledged

enum feed_wish feed_look(struct feed *f, uint64_t head, uint32_t tick) {
    struct ack_window *w = &f->ack_window;
    if (feed_is_at_rest(f)) {
        w->still_since = 0;
        return WISH_NOTHING;
    }
    if (w->still_since == 0)
        w->still_since = tick;
    uint32_t ticks = tick - w->still_since;
    bool waits = f->sent < head && !feed_is_open(f);
    return ticks >= UNACKED_TICKS         ? WISH_PING
           : waits && ticks >= SHUT_TICKS ? WISH_PING_IF_READ
                                          : WISH_NOTHING;
}

bool feed_can_resume(const struct feed *f, struct stream_position have) {
    return have.epoch == f->epoch && have.seq >= f->acked && have.seq <= f->sent;
}
