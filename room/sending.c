// What goes out to a client: pushes as far as its socket takes them, all else in any case, held for
// a client that is slow.
#include "room_internal.h"

enum {
    HELD_MAX = 256 * 1024, // of what is not a push, to a client that does not read
    // While more is held, nothing is read from it. What is left of one push does not count: its
    // client is on a slow line, and is to be heard.
    HELD_READING_MAX = 68 * 1024,
};

bool conn_can_push(const struct conn *c) {
    return c->stream && stream_is_open(c->stream) && stream_held(c->stream) == 0;
}

bool conn_peer_had_all(const struct conn *c, const struct stream *s) {
    return stream_unsent(s) <= c->behind_push;
}

// A client that lets this much of what is not pushes lie is too slow.
void conn_send(struct conn *c, const struct buf *frame) {
    if (!c->stream || c->state == CONN_CLOSING)
        return;
    size_t behind = c->behind_push + frame->len;
    c->behind_push = behind < UINT8_MAX ? (uint8_t)behind : UINT8_MAX;
    stream_send(c->stream, frame->data, frame->len);
    if (stream_held(c->stream) > HELD_MAX) {
        conn_room(c)->count.conn.slow++;
        stream_end(c->stream, -HW_ETOOBIG);
    }
}

bool conn_waits_for_reader(struct conn *c) {
    if (!c->stream || c->state == CONN_CLOSING || stream_held(c->stream) <= HELD_READING_MAX)
        return false;
    stream_pause(c->stream);
    c->is_unread = true;
    return true;
}

size_t conn_send_run(struct conn *c, const uint8_t *data, const struct frame_run *run) {
    if (run->count == 0)
        return 0;
    return conn_run_went(c, data, run,
                         stream_write(c->stream, data, run->items[run->count - 1].end));
}

size_t conn_run_went(struct conn *c, const uint8_t *data, const struct frame_run *run,
                     size_t written) {
    const struct frame_run_item *items = run->items;
    size_t n = 0;
    while (n < run->count && items[n].end <= written)
        n++;
    size_t whole = n > 0 ? items[n - 1].end : 0;
    if (written > 0)
        c->behind_push = 0;
    if (n < run->count && written > whole) { // the rest of the frame that went out in part
        stream_hold(c->stream, data + written, items[n].end - written);
        n++;
    }
    return n;
}
