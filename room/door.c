// Where connections come in: each voice is a row of the table, by its first bytes. Who is not
// wanted is told so in the voice, after its first bytes: a room that is full waits for a Hello that
// resumes, one that is draining does not. A stranger, who has said no whole Hello, gives way to a
// newcomer when there are no slots for connections any more.
#include "door.h"
#include "close_codes.h"
#include "frame.h"
#include "room_internal.h"

#include <assert.h>

static const struct opening voices[] = {
    {FRAME_PREFACE, FRAME_PREFACE_BYTES, FRAME_PREFACE_BYTES, &voice_hawser}, {.bytes = NULL}};

static void conn_let_in(void *arg, const struct newcomer *n, const struct opening *opening) {
    struct room *r = arg;
    struct conn *c = slab_take(&r->conns);
    assert(c); // the newcomer had its place
    r->count.conn.connections++;
    c->heard_ms = (uint32_t)loop_now_ms(r->loop);
    conn_transit(c)->came_ms = n->came_ms;
    conn_begin(c, opening->leads_to);
    conn_take_stream(c, n->stream);
    conn_comes_in(c, n->accepted_ms);
    if (r->is_draining)
        conn_close(c, CLOSE_DRAINING, "draining", 0);
}

void conn_accept(void *arg, struct stream *stream) {
    struct room *r = arg;
    uint64_t now_ms = loop_now_ms(r->loop), stood_ms = standstill_since_ms(&r->standstill, now_ms);
    uint64_t wanted = (uint64_t)r->places.taken + r->places.strangers_count + r->door.waiters.used;
    r->count.conn.accepted++;
    door_take(&r->door, stream, stood_ms ? stood_ms : now_ms,
              wanted >= r->places.connections_max ? FULL_HELLO_MS : LOGIN_MS);
}

void room_door_init(struct room *r) {
    door_init(&r->door, &(struct door_options){.loop = r->loop,
                                               .transports = door_transports,
                                               .protocols = voices,
                                               .let_in = conn_let_in,
                                               .give_way = conn_stranger_gives_way,
                                               .arg = r,
                                               .connections_max = r->conns.slots_max,
                                               .connections = &r->count.conn.connections,
                                               .unknown = &r->count.conn.protocol_errors,
                                               .silent = &r->count.conn.silent,
                                               .displaced = &r->count.conn.connections_refused});
}
