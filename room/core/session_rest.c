#include "session_rest.h"

#include <string.h>

#include "wire.h"

// waits: the session's Synced does, for this feed among others.
static bool feed_lies_down(const struct feed *f, bool waits, struct feed_rest *ret_rest) {
    uint64_t unacked = f->sent - f->acked, unsaved = f->acked - f->saved;
    *ret_rest = (struct feed_rest){f->epoch, f->sent, unacked, unsaved};
    return feed_is_at_rest(f) && (f->target != FEED_NO_TARGET || !waits);
}

static void feed_gets_up(const struct feed_rest *rest, struct feed *f) { // of these limits
    feed_start(f, (struct stream_position){rest->epoch, rest->sent});
    f->acked = f->written = rest->sent - rest->unacked;
    f->saved = f->acked - rest->unsaved;
}

void session_gets_up(const struct session_rest *rest, struct session *ret_s) {
    memset(ret_s, 0, sizeof(*ret_s)); // also between its fields: see below
    ret_s->state = SESSION_LIVE;
    ret_s->is_synced = true;
    ret_s->is_resumed = rest->is_resumed;
    fence_restore(&ret_s->fence, &rest->fence);
    for (int i = 0; i < FEEDS; i++) {
        ret_s->stream[i].wanted = rest->wanted[i];
        feed_init(&ret_s->feed[i], rest->limits);
        feed_gets_up(&rest->feed[i], &ret_s->feed[i]);
    }
}

// What a live session that waits for nothing does not need any more.
static void forget_login(struct session *s) {
    memset(&s->have, 0, sizeof(s->have));
    s->heads_needed = 0; // they were answered
    s->saving.upto = s->saving.generation = 0;
    s->is_clean = s->is_known = false;
    for (int i = 0; i < FEEDS; i++) {
        s->feed[i].target = s->feed[i].sent;
        s->feed[i].ack_window = (struct ack_window){0};
        s->feed[i].written = s->feed[i].acked; // nothing above it is in flight
        s->feed[i].passed = 0;
        s->feed[i].has_others = false;
    }
}

// Whatever else it may know, now or in a later version, is not forgotten: what would get up must be
// what lies down.
bool session_lies_down(const struct session *s, struct session_rest *ret_rest) {
    struct session plain, back;
    if (s->state != SESSION_LIVE || !s->is_synced || s->saving.is_open || !session_is_at_rest(s))
        return false;
    *ret_rest =
        (struct session_rest){.limits = s->feed[FEED_INBOX].limits, .is_resumed = s->is_resumed};
    fence_keep(&s->fence, &ret_rest->fence);
    for (int i = 0; i < FEEDS; i++) {
        bool waits = i < FEEDS_SERVED && !session_leaves_out(s, (enum feed_stream)i);
        ret_rest->wanted[i] = s->stream[i].wanted;
        if (!feed_lies_down(&s->feed[i], waits, &ret_rest->feed[i]))
            return false;
    }
    memcpy(&plain, s, sizeof(plain));
    forget_login(&plain);
    session_gets_up(ret_rest, &back);
    return ret_rest->feed[FEED_INBOX].unsaved == 0 && memcmp(&plain, &back, sizeof(back)) == 0;
}

// --- packed: a byte of these, then numbers as protobuf writes them. Epochs are random, and stand
// as they are.

enum {
    REST_RESUMED = 1,
    REST_OWN = 2, // limits of its own, or streams wanted once: which, then the limits, are the last
    REST_BEHIND = 4,       // something is unacked or unsaved
    REST_LEFT_OUT_BIT = 3, // and the following, for each feed
    REST_USUAL_BIT = 6,    // and the following, for each broadcast log: its epoch is the usual one
};
_Static_assert(REST_USUAL_BIT + LOGS_ALL <= 8, "they are one byte");

static bool is_usual(uint8_t flags, int feed) {
    return feed >= FEED_NEWS && flags >> (REST_USUAL_BIT + feed - FEED_NEWS) & 1;
}

static size_t put_feed(const struct feed_rest *f, uint8_t flags, bool has_epoch, uint8_t *out) {
    size_t n = has_epoch ? sizeof(f->epoch) : 0;
    memcpy(out, &f->epoch, n);
    n += wire_varint_put(out + n, f->sent);
    if (flags & REST_BEHIND) {
        n += wire_varint_put(out + n, f->unacked);
        n += wire_varint_put(out + n, f->unsaved);
    }
    return n;
}

static uint8_t wanted_once(const struct session_rest *rest) { // a bit for each feed
    unsigned streams = 0;
    for (int i = 0; i < FEEDS; i++)
        streams |= rest->wanted[i] == FEED_WANTED_ONCE ? 1U << i : 0;
    return (uint8_t)streams;
}

static uint8_t flags_of(const struct session_rest *rest, const struct session_usual *usual) {
    unsigned flags = rest->is_resumed ? REST_RESUMED : 0;
    for (int i = 0; i < FEEDS; i++) {
        flags |= rest->wanted[i] == FEED_LEFT_OUT ? 1U << (REST_LEFT_OUT_BIT + i) : 0;
        flags |= rest->feed[i].unacked || rest->feed[i].unsaved ? REST_BEHIND : 0;
    }
    for (int i = 0; i < LOGS_ALL; i++)
        flags |=
            rest->feed[FEED_NEWS + i].epoch == usual->epoch[i] ? 1U << (REST_USUAL_BIT + i) : 0;
    bool has_own = rest->limits != usual->limits || wanted_once(rest) != 0;
    return (uint8_t)(flags | (has_own ? REST_OWN : 0));
}

// Generations and rounds that are mostly alike are written as how far they are apart.
static size_t put_fence(const struct fence_rest *f, uint8_t *out) {
    size_t n = wire_varint_put(out, f->generation);
    n += wire_varint_put(out + n, f->generation - f->login_generation);
    n += wire_varint_put(out + n, f->login_order);
    n += wire_varint_put(out + n, f->confirmed_round);
    n += wire_varint_put(out + n, (uint32_t)(f->asked_round - f->confirmed_round));
    return n;
}

size_t session_rest_pack(const struct session_rest *rest, const struct session_usual *usual,
                         uint8_t out[SESSION_REST_BYTES_MAX]) {
    uint8_t flags = flags_of(rest, usual);
    size_t n = 1;
    out[0] = flags;
    for (int i = 0; i < FEEDS; i++)
        n += put_feed(&rest->feed[i], flags, !is_usual(flags, i), out + n);
    n += put_fence(&rest->fence, out + n);
    if (flags & REST_OWN) {
        out[n++] = wanted_once(rest);
        memcpy(out + n, &rest->limits, sizeof(rest->limits));
        n += sizeof(rest->limits);
    }
    return n;
}

// usual: its epoch; NULL: that is written down.
static void take_feed(const uint8_t **at, uint8_t flags, const uint64_t *usual,
                      struct feed_rest *ret_f) {
    memcpy(&ret_f->epoch, usual ? (const void *)usual : *at, sizeof(ret_f->epoch));
    *at += usual ? 0 : sizeof(ret_f->epoch);
    ret_f->sent = wire_varint_take(at);
    ret_f->unacked = flags & REST_BEHIND ? wire_varint_take(at) : 0;
    ret_f->unsaved = flags & REST_BEHIND ? wire_varint_take(at) : 0;
}

static void take_fence(const uint8_t **at, struct fence_rest *ret_f) {
    ret_f->generation = wire_varint_take(at);
    ret_f->login_generation = ret_f->generation - wire_varint_take(at);
    ret_f->login_order = wire_varint_take(at);
    ret_f->confirmed_round = (uint32_t)wire_varint_take(at);
    ret_f->asked_round = ret_f->confirmed_round + (uint32_t)wire_varint_take(at);
}

static const uint64_t *usual_epoch(uint8_t flags, const struct session_usual *usual, int feed) {
    return is_usual(flags, feed) ? &usual->epoch[feed - FEED_NEWS] : NULL;
}

static const uint8_t *take_own(const uint8_t *at, struct session_rest *ret_rest) {
    for (int i = 0; i < FEEDS; i++)
        if (*at >> i & 1)
            ret_rest->wanted[i] = FEED_WANTED_ONCE;
    memcpy(&ret_rest->limits, at + 1, sizeof(ret_rest->limits));
    return at + 1 + sizeof(ret_rest->limits);
}

const uint8_t *session_rest_unpack(const uint8_t *bytes, const struct session_usual *usual,
                                   struct session_rest *ret_rest) {
    const uint8_t *at = bytes + 1;
    uint8_t flags = bytes[0];
    for (int i = 0; i < FEEDS; i++) {
        take_feed(&at, flags, usual_epoch(flags, usual, i), &ret_rest->feed[i]);
        ret_rest->wanted[i] = flags >> (REST_LEFT_OUT_BIT + i) & 1 ? FEED_LEFT_OUT : FEED_WANTED;
    }
    take_fence(&at, &ret_rest->fence);
    ret_rest->limits = usual->limits;
    if (flags & REST_OWN)
        at = take_own(at, ret_rest);
    ret_rest->is_resumed = flags & REST_RESUMED;
    return at;
}

bool session_rest_is_level(const uint8_t *bytes, const struct session_usual *usual,
                           enum feed_stream stream, const struct stream_position *head) {
    struct feed_rest f;
    const uint8_t *at = bytes + 1;
    for (int i = 0; i <= (int)stream; i++)
        take_feed(&at, bytes[0], usual_epoch(bytes[0], usual, i), &f);
    return f.epoch == head->epoch && f.sent >= head->seq;
}
