// Where a session is in one stream, and what may go out of it now. A seq goes out only as successor
// of the last one sent, with the window open; "behind" means sent < heard, never a flag:
//
//        saved      acked        sent           heard
//   -------|----------|============|..............|------>  seq
//   the saver  the client   in flight   known of, still in the log
//   knows it   handled it
//
// A feed knows neither where messages come from nor who listens. Bytes are those of encoded frames.
#ifndef HW_FEED_H
#define HW_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The streams of client.proto, by number; each session has one feed of each.
enum feed_stream { FEED_INBOX, FEED_NEWS, FEED_BULK, FEEDS };
// A room serves the inbox and the first LOGS of the product's broadcast logs, which lie in arrays:
// the log of a stream is at log_index(stream). One more is one more here.
enum { LOGS = 1, FEEDS_SERVED = FEED_NEWS + LOGS };
_Static_assert((int)FEEDS_SERVED <= (int)FEEDS, "there is a feed for each log");

static inline size_t log_index(enum feed_stream stream) { // of FEED_NEWS and what follows
    return (size_t)stream - FEED_NEWS;
}

static inline bool is_served_log(enum feed_stream stream) {
    return stream >= FEED_NEWS && (int)stream < (int)FEEDS_SERVED;
}

// What its client wants of a stream.
enum feed_wanted {
    FEED_WANTED,      // at least once: it is in flight until it is acked
    FEED_WANTED_ONCE, // at most once: what is sent counts as handled
    FEED_LEFT_OUT,    // nothing of it: its position stays
};

// Why messages of a stream never come, by the numbers in which a log says it (LoadEntry.gap_reason
// of saver.proto). A newer saver may say others: they are handed on as they are.
enum gap_reason {
    GAP_UNKNOWN,
    GAP_EXPIRED,
    GAP_OVERFLOWED,
    GAP_RECALLED,
    GAP_PARKED,
    GAP_COLLAPSED,
    GAP_OTHER_DEVICE,
    GAP_STORE_RESTARTED,
};

// How much of a stream may be sent and unacknowledged: the voice's, or less for a client of it. The
// message that passes `bytes` still goes out. Both are at least 1, messages at most UINT16_MAX. A
// message whose frame has more than `frame_bytes`, which 0 leaves open, is passed with a gap.
// Where they are `together`, `messages` is of all streams of a session and not of each.
struct ack_limits {
    uint32_t messages, bytes, frame_bytes;
    bool are_together;
};
static inline bool ack_limits_take(const struct ack_limits *limits, size_t frame_bytes) {
    return limits->frame_bytes == 0 || frame_bytes <= limits->frame_bytes;
}

// Messages sent and not yet acknowledged, in two parts of at most half a window each: an ack that
// passes `mark` ends the first. Both a count of these and a distance of seqs are upper bounds of
// what is in flight; the lower one counts.
struct ack_window {
    uint64_t mark; // last seq of the first part
    uint32_t first_bytes, second_bytes;
    uint16_t first, second;
    uint32_t still_since; // tick that saw them first, with no Ack since; 0: none, or not looked at
};

#define FEED_NO_TARGET UINT64_MAX // not known yet: it is not reached

struct feed {
    uint64_t epoch;                  // 0: not known yet
    uint64_t acked, sent, heard;     // acked <= sent <= heard
    uint64_t shown;                  // the highest ever sent: above sent while some is sent again
    uint64_t written;                // the last message that went out ever, or acked
    uint64_t passed;                 // bit i: written - 1 - i never went out
    uint64_t saved;                  // of acked, what the saver answered for
    uint64_t target;                 // Synced goes out when sent has reached it; or FEED_NO_TARGET
    const struct ack_limits *limits; // borrowed; outlives the session
    struct ack_window ack_window;
    uint32_t of_others; // messages in flight in the session's other feeds, if limits are together
    bool has_others;    // since then it is not known what went out before these
};

// Position of client.proto, without its stream: the client, or the saver, goes on behind seq.
struct stream_position {
    uint64_t epoch, seq;
};

void feed_init(struct feed *f, const struct ack_limits *limits);
// Goes on behind `after`; nothing is in flight, nothing further is heard of.
void feed_start(struct feed *f, struct stream_position after);
void feed_hear(struct feed *f, uint64_t seq); // the log has at least so much
// What lies behind it is sent again.
void feed_rewind(struct feed *f, uint64_t acked);

bool feed_is_behind(const struct feed *f);

// --- the ack window, here because the walk over sessions asks each of them

static inline uint32_t feed_in_flight(const struct feed *f) { // messages, at most
    uint64_t distance = f->sent - f->acked;
    uint32_t counted = (uint32_t)f->ack_window.first + f->ack_window.second;
    return distance < counted ? (uint32_t)distance : counted;
}

static inline bool feed_is_at_rest(const struct feed *f) { // nothing is in flight
    return feed_in_flight(f) == 0;
}

static inline uint32_t feed_messages_left(const struct feed *f) { // 0..limits.messages
    uint32_t used = feed_in_flight(f) + f->of_others;
    return used < f->limits->messages ? f->limits->messages - used : 0;
}

// 0..limits.bytes; the last message may pass it.
static inline uint32_t feed_bytes_left(const struct feed *f) {
    uint32_t used =
        f->sent == f->acked ? 0 : f->ack_window.first_bytes + f->ack_window.second_bytes;
    return used < f->limits->bytes ? f->limits->bytes - used : 0;
}

static inline bool feed_takes_frame(const struct feed *f, size_t len) {
    return ack_limits_take(f->limits, len);
}

static inline bool feed_is_open(const struct feed *f) { // the window takes at least one message
    return feed_messages_left(f) > 0 && feed_bytes_left(f) > 0;
}

// --- what goes out of it, and what is handled

// The message of that position is the next one, and may go out if the socket takes it.
bool feed_takes(const struct feed *f, struct stream_position at);
// Everything up to `last` went out, or was passed over. counts: it was a message of so many bytes,
// which is in flight until it is acked.
void feed_sent(struct feed *f, uint64_t last, uint32_t bytes, bool counts);

// Whether a message above acked ever went out: what was passed over did not. Of the WRITTEN_KNOWN
// seqs before the last one that went out this is exact. Those before them count as written, unless
// the feed `has_others`: unless other messages than before are for its client since.
enum { WRITTEN_KNOWN = 64 };
bool feed_was_written(const struct feed *f, uint64_t seq);
void feed_has_others(struct feed *f);

enum feed_ack {
    FEED_ACKED,     // it moved
    FEED_ACK_OLD,   // a repeat, or of another epoch: nothing changes
    FEED_ACK_ABOVE, // above what was ever sent: a protocol error
};
// *ret_messages: how many left the window, at most; 0 unless FEED_ACKED.
enum feed_ack feed_acked(struct feed *f, struct stream_position upto, uint32_t *ret_messages);

// What a look at it, in a tick of 100 ms, asks for. `head` is what is known of the log. A Ping may
// be of use where something is long unacknowledged, or where the window is shut and something
// waits; for the latter only if the client has read all that was sent.
enum feed_wish { WISH_NOTHING, WISH_PING_IF_READ, WISH_PING };
enum feed_wish feed_look(struct feed *f, uint64_t head, uint32_t tick);
// Whether a client that goes on there can do so without a look into the log.
bool feed_can_resume(const struct feed *f, struct stream_position have);

#endif
