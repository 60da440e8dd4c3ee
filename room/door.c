// The first bytes of a connection say which voice it speaks. Until then it is spoken to in
// Hawser's: a room that is full or draining says so at once.
#include "opening.h"
#include "room_internal.h"

static const struct voice *const voices[] = {[OPENING_HAWSER] = &voice_hawser};

static size_t on_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
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
    c->voice = voices[opening];
    c->state = CONN_HELLO;
    conn_take_stream(c, s);
    return used < len ? used + c->voice->take(c, data + used, len - used) : used;
}

static void on_closed(void *owner, struct stream *s, int error) {
    struct conn *c = owner;
    (void)s;
    (void)error;
    c->stream = NULL;
    conn_end(c);
}

const struct stream_ops door_ops = {
    .on_data = on_data, .on_closed = on_closed, .keep_max = OPENING_MAX};
