// A client's connection behind its "HWS1": Locate frames, each answered at once; 10 s of silence
// end it. While an answer is held, because the client does not read, nothing is read from the
// client either. A full house lets the one go that has been silent longest: most are answered
// already.
#include "close_codes.h"
#include "dispatcher_internal.h"
#include "shared_limits.h"

enum { IDLE_MS = 10000, FLUSH_MS = 1000, ASK_FAILED_MAX = 64 };

struct visitor {
    struct visitor *next, *prev; // in dispatcher.visitors, the one heard last first
    struct dispatcher *dispatcher;
    struct stream *stream;
    struct timer idle; // IDLE_MS after it was heard
    bool closing;
};

// --- the list

static void unlink_from(struct dispatcher *d, struct visitor *v) {
    *(v->prev ? &v->prev->next : &d->visitors) = v->next;
    *(v->next ? &v->next->prev : &d->visitors_last) = v->prev;
}

static void put_first(struct dispatcher *d, struct visitor *v) {
    v->prev = NULL;
    v->next = d->visitors;
    *(v->next ? &v->next->prev : &d->visitors_last) = v;
    d->visitors = v;
}

// --- frames

static void close_with(struct visitor *v, uint32_t code, const char *reason) {
    Hawser__V1__Close close = HAWSER__V1__CLOSE__INIT;
    struct buf out = BUF_EMPTY;
    if (v->closing)
        return;
    v->closing = true;
    v->dispatcher->count.protocol_errors += code / 100 == 43;
    close.code = code;
    close.reason = (char *)(uintptr_t)reason;
    frame_put(&out, FRAME_CLOSE, &close.base);
    stream_send(v->stream, out.data, out.len);
    buf_free(&out);
    stream_end_after_flush(v->stream, FLUSH_MS, code);
}

static void idle_over(struct timer *t) {
    close_with(container_of(t, struct visitor, idle), CLOSE_NO_ANSWER, "no Locate");
}

static void heard(struct visitor *v) {
    unlink_from(v->dispatcher, v);
    put_first(v->dispatcher, v);
    loop_arm(v->dispatcher->loop, &v->idle, IDLE_MS, idle_over);
}

static void visitor_answer(struct visitor *v, const Hawser__V1__Locate *ask) {
    struct dispatcher *d = v->dispatcher;
    struct buf out = BUF_EMPTY;
    size_t device_len = strlen(ask->device);
    if ((device_len > 0 && !id_is_valid(ask->device, device_len, NAME_BYTES_MAX)) ||
        ask->n_failed > ASK_FAILED_MAX) {
        close_with(v, CLOSE_MALFORMED,
                   "device: at most 64 bytes of UTF-8 without control characters");
        return;
    }
    frame_put(&out, FRAME_LOCATED, &locate(d, ask)->base);
    stream_send(v->stream, out.data, out.len);
    buf_free(&out);
}

static void visitor_on_frame(struct visitor *v, const struct frame *f) {
    struct dispatcher *d = v->dispatcher;
    if (f->type != FRAME_LOCATE) {
        close_with(v, CLOSE_UNEXPECTED, "this is a dispatcher, not a room");
        return;
    }
    ProtobufCMessage *m = frame_decode(f, &d->arena.allocator);
    if (m)
        visitor_answer(v, (const Hawser__V1__Locate *)m);
    else
        close_with(v, CLOSE_MALFORMED, "a body that does not decode");
    arena_reset(&d->arena);
}

static size_t visitor_on_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    struct visitor *v = owner;
    size_t used = 0;
    while (used < len && !v->closing) {
        struct frame f;
        size_t n = 0;
        enum frame_parsed parsed =
            frame_parse(data + used, len - used, FRAME_BODY_BEFORE_WELCOME_MAX, &f, &n);
        if (parsed == FRAME_MORE)
            return used;
        if (parsed == FRAME_TOO_LARGE) {
            close_with(v, CLOSE_TOO_LARGE, "a frame over its limit");
            break;
        }
        used += n;
        heard(v);
        visitor_on_frame(v, &f);
        if (!v->closing && stream_held(s) > 0) {
            stream_pause(s);
            return used;
        }
    }
    return v->closing ? len : used;
}

static void visitor_on_writable(void *owner, struct stream *s) {
    (void)owner;
    stream_resume(s);
}

// --- life

static void visitor_on_closed(void *owner, struct stream *s, int error) {
    struct visitor *v = owner;
    struct dispatcher *d = v->dispatcher;
    (void)s;
    (void)error;
    loop_disarm(d->loop, &v->idle);
    unlink_from(d, v);
    d->count.visitors--;
    free(v);
}

static const struct stream_ops visitor_ops = {
    .on_data = visitor_on_data,
    .on_writable = visitor_on_writable,
    .on_closed = visitor_on_closed,
    .keep_max = FRAME_HEADER_BYTES + FRAME_BODY_BEFORE_WELCOME_MAX,
};

static void let_go(struct visitor *v) {
    struct stream *s = v->stream;
    visitor_on_closed(v, s, 0);
    stream_abandon(s);
}

static void visitor_let_in(void *arg, const struct newcomer *n, const struct opening *protocol) {
    struct dispatcher *d = arg;
    struct visitor *v = hw_calloc(1, sizeof(*v));
    (void)protocol; // there is one
    v->dispatcher = d;
    v->stream = n->stream;
    put_first(d, v);
    d->count.visitors++;
    stream_set_owner(v->stream, &visitor_ops, v);
    uint64_t waited_ms = loop_now_ms(d->loop) - n->accepted_ms;
    loop_arm(d->loop, &v->idle, waited_ms < IDLE_MS ? IDLE_MS - waited_ms : 0, idle_over);
}

static bool visitor_gives_way(void *arg, uint64_t silent_since_ms) {
    const struct dispatcher *d = arg;
    struct visitor *last = d->visitors_last;
    if (!last || last->idle.due_ms - IDLE_MS > silent_since_ms)
        return false;
    let_go(last);
    return true;
}

void visitor_accept(void *arg, struct stream *s) {
    struct dispatcher *d = arg;
    door_take(&d->door, s, loop_now_ms(d->loop), IDLE_MS);
}

static const struct opening protocols[] = {
    {FRAME_PREFACE, FRAME_PREFACE_BYTES, FRAME_PREFACE_BYTES, NULL}, {.bytes = NULL}};

void visitors_begin(struct dispatcher *d) {
    door_init(&d->door, &(struct door_options){.loop = d->loop,
                                               .transports = door_transports,
                                               .protocols = protocols,
                                               .let_in = visitor_let_in,
                                               .give_way = visitor_gives_way,
                                               .arg = d,
                                               .connections_max = d->visitors_max,
                                               .connections = &d->count.visitors,
                                               .unknown = &d->count.protocol_errors,
                                               .silent = &d->count.silent,
                                               .displaced = &d->count.visitors_displaced});
}

void visitors_end(struct dispatcher *d) {
    door_deinit(&d->door);
    while (d->visitors)
        let_go(d->visitors);
}
