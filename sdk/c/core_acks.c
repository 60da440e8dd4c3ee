// What was handled: stored first, acknowledged then.
#include "core_internal.h"

void acks_soon(struct client_core *c, struct core_stream *s) {
    s->ack_due = true;
    uint64_t at = c->now_ms + c->ack_delay_ms;
    if (at < c->flush_at_ms)
        c->flush_at_ms = at;
}

static int save_dirty(struct client_core *c) {
    struct position_change changes[BINDING_SLOTS];
    size_t count = 0;
    for (size_t i = 0; i < BINDING_SLOTS; i++) {
        const struct binding *b = &c->bindings[i];
        if (!b->dirty || !b->product)
            continue;
        changes[count++] =
            (struct position_change){.key = {b->product, b->user, c->device}, .record = b->record};
    }
    int error = count > 0 ? c->store->save(c->store, changes, count) : 0;
    for (size_t i = 0; i < BINDING_SLOTS && error == 0; i++) {
        struct binding *b = &c->bindings[i];
        if (b->dirty && b->product)
            memcpy(b->stored, b->record->stream, sizeof(b->stored));
        b->dirty = false;
    }
    return error;
}

static void put_ack(struct client_core *c, struct binding *b) {
    Hawser__V1__Position positions[POSITION_STREAMS], *upto[POSITION_STREAMS];
    Hawser__V1__Ack ack = HAWSER__V1__ACK__INIT;
    ack.product = b->number;
    ack.upto = upto;
    for (size_t i = 0; i < POSITION_STREAMS; i++) {
        struct core_stream *s = &b->stream[i];
        if (!s->ack_due)
            continue;
        s->ack_due = false;
        s->unacked = 0;
        Hawser__V1__Position *p = &positions[ack.n_upto];
        *p = (Hawser__V1__Position)HAWSER__V1__POSITION__INIT;
        p->stream = (Hawser__V1__Stream)i;
        p->epoch = b->record->stream[i].epoch;
        p->seq = b->record->stream[i].seq < s->shown ? b->record->stream[i].seq : s->shown;
        upto[ack.n_upto++] = p;
    }
    if (ack.n_upto > 0)
        core_put(c, FRAME_ACK, &ack);
}

void acks_flush(struct client_core *c) {
    c->flush_at_ms = NEVER;
    int error = save_dirty(c);
    if (error != 0) {
        // Unstored is not acknowledged: the room's window bounds how far this can go.
        c->flush_at_ms = c->now_ms + SAVE_RETRY_MS;
        core_notice(c, "positions could not be stored, trying again: %s", hw_strerror(error));
        return;
    }
    c->unacked_bytes = 0;
    if (c->phase != PHASE_ONLINE)
        return;
    for (size_t i = 0; i < BINDING_SLOTS; i++)
        if (c->bindings[i].state == BINDING_BOUND)
            put_ack(c, &c->bindings[i]);
}

void acks_handled(struct client_core *c, struct binding *b, size_t stream, uint64_t seq) {
    b->record->stream[stream].seq = seq;
    b->dirty = true;
    struct core_stream *s = &b->stream[stream];
    if (s->refused_seq <= seq)
        s->refused_seq = 0;
    acks_soon(c, s);
    // The room's window is twice this.
    if (++s->unacked >= ACK_MESSAGES || c->unacked_bytes >= ACK_BYTES)
        acks_flush(c);
}
