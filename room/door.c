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
        conn_room(c)->count.protocol_errors++;
        conn_enter(c, CONN_CLOSING);
        stream_end(s, -HW_EMALFORMED);
        return len;
    }
    conn_begin_voice(c, voices[opening]);
    conn_enter(c, CONN_HELLO);
    conn_take_stream(c, s);
    return used < len ? used + conn_voice(c)->take(c, data + used, len - used) : used;
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
    struct conn *c = slab_take(&r->conns);
    r->count.accepted++;
    if (!c) { // too many visitors to have a word for each
        r->count.connections_refused++;
        stream_end(stream, -HW_EFULL);
        return;
    }
    c->voice = VOICE_HAWSER;
    uint64_t now_ms = loop_now_ms(r->loop), stood_ms = standstill_since_ms(&r->standstill, now_ms);
    c->heard_ms = (uint32_t)now_ms;
    conn_transit(c)->came_ms = stood_ms ? stood_ms : now_ms;
    r->count.connections++;
    c->stream = stream;
    stream_set_owner(stream, &door_ops, c);
    conn_begin_visit(c);
    if (r->is_draining)
        conn_close(c, CLOSE_DRAINING, "draining", 0);
}
