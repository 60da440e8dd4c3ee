// Streams. At rest a stream is one slot of 16 bytes and nothing else: what it needs while bytes
// wait, while it ends, or behind a transport with a state, it borrows (struct busy).
#include "stream.h"

#include <assert.h>
#include <errno.h>

#include "loop_internal.h"

enum { READ_BUDGET = SCRATCH_BYTES, KEPT_READ = 16 * 1024 };
enum { STREAM_EVENTS = OS_READABLE | OS_WRITABLE | OS_EDGE }; // what it watches for

enum {
    CONNECTING = 1,  // on_connected is still to come
    CLOSING = 2,     // queued for stream_finish; owner calls are harmless
    ENDING = 4,      // ends once held bytes are out and the peer has ended
    WANTS_WRITE = 8, // the kernel took less than was offered
    PAUSED = 16,
    MISSED = 32,   // readable while paused
    QUEUED = 64,   // in loop->readable
    AGAIN = 128,   // what is kept is to be presented though nothing came behind it
    ENDED = 256,   // the peer has ended too, while bytes were held for it
    HUNG_UP = 512, // the peer's end, or an error, lies behind what it sent: to be read
    BUSY = 1024,   // it has a struct busy
    OVER = 2048,   // its socket is closed
};

struct stream {
    union {
        void *owner;       // borrowed: lives until on_closed
        struct busy *busy; // owned: while BUSY; it has the owner then
    } of;
    int fd;
    uint16_t flags;
    uint8_t kind; // its ops are loop.kinds[kind]
};

// What the kernel took is dropped when it is half of it, so that a byte is moved once or twice
// however often the kernel takes a little.
struct held {
    struct buf bytes;
    size_t taken; // of them, from the front
};

struct busy {
    struct stream *stream;       // which has it
    void *owner;                 // borrowed: the stream's
    struct transport *transport; // owned
    struct buf in;               // bytes read, not yet consumed
    size_t counted;              // of them, in the loop's count
    struct held held;            // bytes the kernel has not taken
    struct timer ending;         // while ENDING
    uint32_t code;               // while ENDING: why, for the transport
    bool is_shut;                // our end is shut down
    int error;                   // that it ends with
    size_t refused;              // bytes that were offered when it failed
};

const size_t stream_bytes = sizeof(struct stream);

static struct loop *loop_of(const struct stream *s) { // outlives it
    return container_of(slab_of(s), struct loop, streams);
}

static struct wire wire_of(const struct stream *s) {
    return (struct wire){loop_of(s)->os, s->fd};
}

static uint64_t stream_key(const struct stream *s) {
    return loop_key(KEY_STREAM, s);
}

// --- what it borrows

static struct busy *busy_of(const struct stream *s) { // NULL: it is at rest
    return s->flags & BUSY ? s->of.busy : NULL;
}

static struct busy *busy_get(struct stream *s) {
    if (s->flags & BUSY)
        return s->of.busy;
    struct busy *busy = hw_calloc(1, sizeof(*busy));
    busy->stream = s;
    busy->owner = s->of.owner;
    busy->transport = &transport_plain;
    s->of.busy = busy;
    s->flags |= BUSY;
    return busy;
}

static void count_kept(struct stream *s, size_t kept) {
    struct busy *busy = s->of.busy;
    loop_of(s)->kept_bytes += kept - busy->counted;
    busy->counted = kept;
}

// Gives it back when nothing is in it.
static void busy_rest(struct stream *s) {
    struct busy *busy = busy_of(s);
    if (busy)
        count_kept(s, busy->in.len);
    if (!busy || busy->in.len > 0 || busy->held.bytes.len > 0 || (s->flags & ENDING) ||
        busy->transport != &transport_plain || busy->error != 0)
        return;
    buf_free(&busy->in);
    buf_free(&busy->held.bytes);
    s->of.owner = busy->owner;
    s->flags &= (uint16_t)~BUSY;
    free(busy);
}

static void transports_free(struct transport *t) { // from the top
    while (t != &transport_plain) {
        struct transport *below = t->below;
        if (t->ops->free)
            t->ops->free(t);
        t = below;
    }
}

static void busy_free(struct stream *s) {
    struct busy *busy = busy_of(s);
    if (!busy)
        return;
    loop_disarm(loop_of(s), &busy->ending);
    count_kept(s, 0);
    buf_free(&busy->in);
    buf_free(&busy->held.bytes);
    transports_free(busy->transport);
    s->of.owner = busy->owner;
    s->flags &= (uint16_t)~BUSY;
    free(busy);
}

size_t stream_kept(const struct stream *s) {
    return s->flags & BUSY ? s->of.busy->counted : 0;
}

static const struct stream_ops *ops_of(const struct stream *s) {
    return loop_of(s)->kinds[s->kind];
}

static void *owner_of(const struct stream *s) {
    return s->flags & BUSY ? s->of.busy->owner : s->of.owner;
}

static struct transport *transport_of(const struct stream *s) {
    return s->flags & BUSY ? s->of.busy->transport : &transport_plain;
}

static struct buf *in_of(const struct stream *s) { // NULL: nothing is kept
    struct busy *busy = busy_of(s);
    return busy && busy->in.len > 0 ? &busy->in : NULL;
}

static void queue_read(struct stream *s) {
    if (s->flags & QUEUED)
        return;
    s->flags |= QUEUED;
    key_queue_add(&loop_of(s)->readable, stream_key(s));
}

// Takes over fd, also on failure.
static struct stream *stream_new(struct loop *l, int fd, uint16_t flags, int *ret_error) {
    struct stream *s = slab_take(&l->streams);
    int error = s ? os_watch(l->os, fd, stream_key(s), STREAM_EVENTS) : -HW_EFULL;
    if (error != 0) {
        if (s)
            slab_give(s);
        os_close(l->os, fd);
        *ret_error = error;
        return NULL;
    }
    *s = (struct stream){.fd = fd, .flags = flags};
    return s;
}

struct stream *stream_accepted(struct loop *l, int fd, int *ret_error) {
    return stream_new(l, fd, 0, ret_error);
}

void stream_go_first(struct stream *s) {
    int error = os_watch_first(loop_of(s)->os, s->fd, stream_key(s), STREAM_EVENTS);
    if (error != 0)
        stream_end(s, error);
}

bool stream_is_owned(const struct stream *s) {
    return s->kind != 0 || (s->flags & CLOSING);
}

struct stream *stream_connect(struct loop *l, const struct sock_addr *to,
                              const struct stream_ops *ops, void *owner, int *ret_error) {
    int fd = os_connect(l->os, to);
    if (fd < 0) {
        *ret_error = fd;
        return NULL;
    }
    struct stream *s = stream_new(l, fd, CONNECTING, ret_error);
    if (s)
        stream_set_owner(s, ops, owner);
    return s;
}

// There are as many kinds as tables of ops in the program: a dozen.
static uint8_t kind_of(struct loop *l, const struct stream_ops *ops) {
    uint8_t kind = 1;
    while (l->kinds[kind] && l->kinds[kind] != ops)
        kind++;
    assert(kind < KINDS - 1); // the last one stays NULL
    l->kinds[kind] = ops;
    return kind;
}

void stream_set_owner(struct stream *s, const struct stream_ops *ops, void *owner) {
    s->kind = kind_of(loop_of(s), ops);
    *(s->flags & BUSY ? &s->of.busy->owner : &s->of.owner) = owner;
}

void stream_set_transport(struct stream *s, struct transport *t) {
    assert(stream_held(s) == 0);
    t->below = transport_of(s);
    busy_get(s)->transport = t;
    queue_read(s); // it may have been given bytes already
}

void stream_peer(const struct stream *s, struct sock_addr *ret_peer) {
    os_peer(loop_of(s)->os, s->fd, ret_peer);
}

bool stream_peer_is_gone(const struct stream *s) {
    return os_peer_is_gone(loop_of(s)->os, s->fd);
}

bool stream_is_open(const struct stream *s) {
    return !(s->flags & (CONNECTING | CLOSING));
}

size_t stream_held(const struct stream *s) {
    const struct busy *busy = busy_of(s);
    return busy ? busy->held.bytes.len - busy->held.taken : 0;
}

int stream_unsent(const struct stream *s) {
    if (s->flags & OVER)
        return loop_of(s)->unsent_at_end;
    struct transport *t = transport_of(s);
    int unsent = t->ops->unsent(t, wire_of(s));
    size_t refused = s->flags & BUSY ? s->of.busy->refused : 0;
    return (int)(stream_held(s) + refused) + (unsent > 0 ? unsent : 0);
}

// Of len bytes that were offered to the kernel: how many are gone.
static size_t taken_of(struct stream *s, ssize_t took, size_t len) {
    if (took < 0 && took != -EAGAIN && took != -EINTR) {
        stream_end(s, (int)took);
        busy_get(s)->refused = len;
    }
    size_t taken = took > 0 ? (size_t)took : 0;
    if (taken < len)
        s->flags |= WANTS_WRITE;
    return taken;
}

size_t stream_writev(struct stream *s, const struct iovec *iov, int count) {
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    if (len == 0 || (s->flags & CLOSING))
        return 0;
    ssize_t took = 0;
    struct transport *t = transport_of(s);
    if (stream_held(s) == 0 && !(s->flags & CONNECTING))
        took = t->ops->writev(t, wire_of(s), iov, count);
    return taken_of(s, took, len);
}

bool stream_batch_add(struct stream_batch *b, struct stream *s, const void *data, size_t len) {
    if (b->count == OS_WRITES_MAX || len == 0 || stream_held(s) > 0 || !stream_is_open(s) ||
        transport_of(s) != &transport_plain)
        return false;
    b->streams[b->count] = s;
    b->writes[b->count++] = (struct os_write){.fd = s->fd, .data = data, .len = len};
    return true;
}

void stream_batch_write(struct stream_batch *b) {
    if (b->count == 0)
        return;
    os_write_all(loop_of(b->streams[0])->os, b->writes, b->count);
    for (int i = 0; i < b->count; i++)
        b->taken[i] = taken_of(b->streams[i], b->writes[i].took, b->writes[i].len);
}

size_t stream_write(struct stream *s, const void *data, size_t len) {
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    return stream_writev(s, &iov, 1);
}

void stream_hold(struct stream *s, const void *data, size_t len) {
    if (len == 0 || (s->flags & CLOSING))
        return;
    buf_append(&busy_get(s)->held.bytes, data, len);
    s->flags |= WANTS_WRITE;
}

void stream_send(struct stream *s, const void *data, size_t len) {
    size_t taken = stream_write(s, data, len);
    stream_hold(s, (const uint8_t *)data + taken, len - taken);
}

// Whether no transport keeps anything: what one keeps goes to the one below it first.
static bool transports_are_empty(struct stream *s) {
    for (struct transport *t = transport_of(s); t != &transport_plain; t = t->below) {
        int error = t->ops->flush ? t->ops->flush(t, wire_of(s)) : 0;
        if (error != 0 && error != -EAGAIN)
            stream_end(s, error);
        if (error != 0)
            return false;
    }
    return true;
}

// Offers what is held to the kernel; true when nothing is held any more.
static bool flush_held(struct stream *s) {
    if (stream_held(s) == 0)
        return true;
    struct transport *t = transport_of(s);
    struct held *held = &busy_of(s)->held;
    struct iovec iov = {.iov_base = held->bytes.data + held->taken, .iov_len = stream_held(s)};
    ssize_t took = t->ops->writev(t, wire_of(s), &iov, 1);
    if (took < 0) {
        if (took != -EAGAIN && took != -EINTR)
            stream_end(s, (int)took);
        return false;
    }
    held->taken += (size_t)took;
    if (stream_held(s) == 0) {
        buf_free(&held->bytes);
        held->taken = 0;
        busy_rest(s);
        return true;
    }
    if (held->taken >= held->bytes.len / 2) {
        buf_consume(&held->bytes, held->taken);
        held->taken = 0;
    }
    return false;
}

void stream_end(struct stream *s, int error) {
    if (s->flags & CLOSING)
        return;
    s->flags |= CLOSING;
    if (error != 0)
        busy_get(s)->error = error;
    key_queue_add(&loop_of(s)->closing, stream_key(s));
}

void stream_abandon(struct stream *s) {
    static const struct stream_ops nobody = {.keep_max = 0};
    stream_set_owner(s, &nobody, NULL);
    stream_end(s, 0);
}

static void ending_late(struct timer *t) {
    stream_end(container_of(t, struct busy, ending)->stream, 0);
}

static void ending_step(struct stream *s) {
    struct busy *busy = busy_of(s);
    if (stream_held(s) > 0 || busy->is_shut || !transports_are_empty(s))
        return;
    busy->is_shut = true;
    if (s->flags & ENDED)
        stream_end(s, 0);
    else
        busy->transport->ops->shut(busy->transport, wire_of(s), busy->code);
}

void stream_end_after_flush(struct stream *s, uint64_t linger_ms, uint32_t code) {
    if (s->flags & (CLOSING | ENDING))
        return;
    if (s->flags & CONNECTING) {
        stream_end(s, 0);
        return;
    }
    s->flags |= ENDING;
    s->flags &= (uint16_t)~PAUSED; // what the peer still sends is read and dropped, up to its end
    queue_read(s);
    busy_get(s)->code = code;
    loop_arm(loop_of(s), &busy_get(s)->ending, linger_ms, ending_late);
    ending_step(s);
}

// The last step: the owner hears of it, then the slot is free.
void stream_finish(struct stream *s) {
    struct loop *l = loop_of(s);
    const struct stream_ops *ops = ops_of(s);
    int error = s->flags & BUSY ? s->of.busy->error : 0;
    if (error == 0)
        (void)flush_held(s);
    l->unsent_at_end = stream_unsent(s);
    s->flags |= OVER;
    busy_free(s);
    os_unwatch(l->os, s->fd);
    os_close(l->os, s->fd);
    if (ops && ops->on_closed)
        ops->on_closed(s->of.owner, s, error);
    slab_give(s);
}

// How much of it is consumed. What an owner leaves who handed the stream on is for the next one.
static size_t consumed_of(struct stream *s, const uint8_t *data, size_t len) {
    const struct stream_ops *ops = NULL;
    const void *owner = NULL;
    size_t used = 0;
    while (used < len && !(s->flags & (CLOSING | ENDING | PAUSED)) &&
           (ops != ops_of(s) || owner != owner_of(s))) {
        ops = ops_of(s);
        owner = owner_of(s);
        used += ops->on_data(owner_of(s), s, data + used, len - used);
        assert(used <= len);
    }
    return s->flags & ENDING ? len : used;
}

// What is not consumed is kept.
static void present(struct stream *s, const uint8_t *data, size_t len) {
    size_t used = consumed_of(s, data, len);
    if (s->flags & CLOSING)
        return;
    struct buf *in = in_of(s);
    if (used == len) {
        if (in)
            buf_free(in);
        busy_rest(s);
        return;
    }
    if (in) {
        buf_consume(in, used);
    } else {
        in = &busy_get(s)->in;
        buf_append(in, data + used, len - used);
    }
    count_kept(s, in->len);
    // A paused stream is not read: what one read brought behind its last frame waits.
    if (in->len > ops_of(s)->keep_max && !(s->flags & PAUSED))
        stream_end(s, -HW_ETOOBIG);
}

// The peer sends nothing more, and may still read: what is held for its end goes out first.
static void peer_ended(struct stream *s) {
    if ((s->flags & ENDING) && stream_held(s) > 0)
        s->flags |= ENDED;
    else
        stream_end(s, 0);
}

// What comes later is an event again; but an end that was told already is not.
static bool was_last(const struct stream *s, size_t got, size_t size) {
    return got < size && transport_of(s)->ops->short_read_is_last && !(s->flags & HUNG_UP);
}

// One read; false when there is nothing more for now.
static bool read_once(struct stream *s, size_t *ret_read) {
    struct loop *l = loop_of(s);
    struct transport *t = transport_of(s);
    struct buf *in = in_of(s);
    size_t size = in ? KEPT_READ : SCRATCH_BYTES;
    uint8_t *to = in ? buf_reserve(in, size) : l->scratch;
    ssize_t got = t->ops->read(t, wire_of(s), to, size);
    if (got == -EAGAIN)
        return false;
    if (got == -EINTR)
        return true;
    if (got < 0)
        stream_end(s, (int)got);
    else if (got == 0)
        peer_ended(s);
    if (got <= 0)
        return false;
    *ret_read = (size_t)got;
    bool is_last = was_last(s, (size_t)got, size);
    if (in) {
        in->len += (size_t)got;
        present(s, in->data, in->len);
    } else {
        present(s, l->scratch, (size_t)got);
    }
    return !is_last;
}

void stream_read_more(struct stream *s) {
    s->flags &= (uint16_t)~QUEUED;
    size_t budget = READ_BUDGET;
    while (!(s->flags & (CLOSING | CONNECTING))) {
        if (s->flags & PAUSED) {
            s->flags |= MISSED;
            return;
        }
        size_t got = 0;
        if (s->flags & AGAIN) {
            s->flags &= (uint16_t)~AGAIN;
            const struct buf *in = in_of(s);
            if (in)
                present(s, in->data, in->len);
            continue;
        }
        if (!read_once(s, &got))
            return;
        if (got >= budget) {
            if (!(s->flags & CLOSING))
                queue_read(s);
            return;
        }
        budget -= got;
    }
}

static void connected(struct stream *s) {
    int error = os_connect_result(loop_of(s)->os, s->fd);
    if (error != 0) {
        stream_end(s, error);
        return;
    }
    s->flags &= (uint16_t)~CONNECTING;
    if (ops_of(s)->on_connected)
        ops_of(s)->on_connected(owner_of(s), s);
}

static void writable(struct stream *s) {
    bool wants = s->flags & WANTS_WRITE;
    if (!transports_are_empty(s) || (wants && !flush_held(s)))
        return;
    s->flags &= (uint16_t)~WANTS_WRITE;
    if (s->flags & ENDING)
        ending_step(s);
    else if (wants && ops_of(s)->on_writable)
        ops_of(s)->on_writable(owner_of(s), s);
}

void stream_on_event(struct stream *s, uint32_t events) {
    if (s->flags & CLOSING)
        return;
    if (events & OS_HANGUP)
        s->flags |= HUNG_UP;
    if (s->flags & CONNECTING) {
        if (!(events & (OS_WRITABLE | OS_HANGUP)))
            return;
        connected(s);
    }
    if ((events & OS_WRITABLE) && !(s->flags & CLOSING))
        writable(s);
    if ((events & OS_READABLE) && !(s->flags & CLOSING))
        stream_read_more(s);
}

void stream_pause(struct stream *s) {
    s->flags |= PAUSED;
}

void stream_resume(struct stream *s) {
    if (!(s->flags & PAUSED))
        return;
    s->flags &= (uint16_t)~PAUSED;
    if (in_of(s))
        s->flags |= AGAIN;
    if (s->flags & (MISSED | AGAIN))
        queue_read(s);
    s->flags &= (uint16_t)~MISSED;
}
