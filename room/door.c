// Where connections come in: their first bytes say which voice they speak. Until then they are
// spoken to in Hawser's: a room that is full or draining says so at once.
#include "close_codes.h"
#include "opening.h"
#include "room_internal.h"

static const struct voice *const voices[] = {[OPENING_HAWSER] = &voice_hawser};

static size_t door_on_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    struct conn *c = owner;
    size_t used;
    if (c->state == CONN_CLOSING)
        return len;
    enum opening opening = opening_parse(data, len, &used);
    if (opening == OPENING_MORE)
        return 0;
    if (opening == OPENING_UNKNOWN) {
        c->room->count.protocol_errors++;
        c->state = CONN_CLOSING;
        stream_end(s, -HW_EMALFORMED);
        return len;
    }
    conn_begin_voice(c, voices[opening]);
    c->state = CONN_HELLO;
    conn_take_stream(c, s);
    return used < len ? used + c->voice->take(c, data + used, len - used) : used;
}

static void door_on_closed(void *owner, struct stream *s, int error) {
    struct conn *c = owner;
    (void)s;
    (void)error;
    c->stream = NULL;
    conn_end(c);
}

static const struct stream_ops door_ops = {
    .on_data = door_on_data, .on_closed = door_on_closed, .keep_max = OPENING_MAX};

void conn_accept(void *arg, struct stream *stream) {
    struct room *r = arg;
    uint32_t slot, turn;
    struct conn *c = slab_take(&r->conns, &slot, &turn);
    r->count.accepted++;
    if (!c) { // too many visitors to have a word for each
        r->count.connections_refused++;
        stream_end(stream, -HW_EFULL);
        return;
    }
    c->room = r;
    c->state = CONN_GREETING;
    c->voice = &voice_hawser;
    c->slot = slot;
    c->turn = turn;
    c->heard_ms = loop_now_ms(r->loop);
    c->came_ms = standstill_since_ms(&r->standstill, c->heard_ms);
    if (c->came_ms == 0)
        c->came_ms = c->heard_ms;
    r->count.connections++;
    c->stream = stream;
    stream_set_owner(stream, &door_ops, c);
    conn_begin_visit(c);
    if (r->is_draining)
        conn_close(c, CLOSE_DRAINING, "draining", 0);
}
