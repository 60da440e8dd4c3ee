// Streams. At rest a stream is one slot and nothing else: `in` and `out` exist only
// while there is something in them.
#include "stream.h"

#include <assert.h>
#include <errno.h>

#include "loop_internal.h"

enum { READ_BUDGET = SCRATCH_BYTES, KEPT_READ = 16 * 1024 };

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
};

struct stream {
    struct loop *loop;            // borrowed, outlives it
    const struct stream_ops *ops; // borrowed, static
    void *owner;                  // borrowed: lives until on_closed
    struct transport *transport;  // owned
    struct buf *in;               // owned: bytes read, not yet consumed
    struct held *held;            // owned: bytes the kernel has not taken
    struct ending *ending;        // owned: while ENDING
    int fd;
    int error;
    uint32_t slot;
    uint16_t flags;
};

// What the kernel took is dropped when it is half of it, so that a byte is moved once or twice
// however often the kernel takes a little.
struct held {
    struct buf bytes;
    size_t taken; // of them, from the front
};

struct ending {
    struct timer timer;
    struct stream *stream;
    bool shut; // our end is shut down
};

const size_t stream_bytes = sizeof(struct stream);

static struct wire wire_of(const struct stream *s) {
    return (struct wire){s->loop->os, s->fd};
}

static uint64_t stream_key(const struct stream *s) {
    return loop_key(KEY_STREAM, s->slot, slab_turn(&s->loop->streams, s->slot));
}

static void free_buf(struct buf **b) {
    if (*b)
        buf_free(*b);
    free(*b);
    *b = NULL;
}

static void free_held(struct stream *s) {
    if (s->held)
        buf_free(&s->held->bytes);
    free(s->held);
    s->held = NULL;
}

static void queue_read(struct stream *s) {
    if (s->flags & QUEUED)
        return;
    s->flags |= QUEUED;
    key_queue_add(&s->loop->readable, stream_key(s));
}

// Takes over fd, also on failure.
static struct stream *stream_new(struct loop *l, int fd, uint16_t flags, int *ret_error) {
    uint32_t slot = 0, turn = 0;
    struct stream *s = slab_take(&l->streams, &slot, &turn);
    int error = s ? os_watch(l->os, fd, loop_key(KEY_STREAM, slot, turn),
                             OS_READABLE | OS_WRITABLE | OS_EDGE)
                  : -HW_EFULL;
    if (error != 0) {
        if (s)
            slab_give(&l->streams, slot);
        os_close(l->os, fd);
        *ret_error = error;
        return NULL;
    }
    *s = (struct stream){
        .loop = l, .transport = &transport_plain, .fd = fd, .slot = slot, .flags = flags};
    return s;
}

struct stream *stream_accepted(struct loop *l, int fd, int *ret_error) {
    return stream_new(l, fd, 0, ret_error);
}

bool stream_is_owned(const struct stream *s) {
    return s->ops || (s->flags & CLOSING);
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

void stream_set_owner(struct stream *s, const struct stream_ops *ops, void *owner) {
    s->ops = ops;
    s->owner = owner;
}

void stream_set_transport(struct stream *s, struct transport *t) {
    assert(!s->held && s->transport == &transport_plain);
    s->transport = t;
    queue_read(s); // it may have been given bytes already
}

void stream_peer(const struct stream *s, struct sock_addr *ret_peer) {
    os_peer(s->loop->os, s->fd, ret_peer);
}

bool stream_peer_is_gone(const struct stream *s) {
    return os_peer_is_gone(s->loop->os, s->fd);
}

bool stream_is_open(const struct stream *s) {
    return !(s->flags & (CONNECTING | CLOSING));
}

size_t stream_held(const struct stream *s) {
    return s->held ? s->held->bytes.len - s->held->taken : 0;
}

int stream_unsent(const struct stream *s) {
    int unsent = s->transport->ops->unsent(s->transport, wire_of(s));
    return (int)stream_held(s) + (unsent > 0 ? unsent : 0);
}

size_t stream_writev(struct stream *s, const struct iovec *iov, int count) {
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    if (len == 0 || (s->flags & CLOSING))
        return 0;
    ssize_t took = 0;
    if (!s->held && !(s->flags & CONNECTING))
        took = s->transport->ops->writev(s->transport, wire_of(s), iov, count);
    if (took < 0 && took != -EAGAIN && took != -EINTR)
        stream_end(s, (int)took);
    size_t taken = took > 0 ? (size_t)took : 0;
    if (taken < len)
        s->flags |= WANTS_WRITE;
    return taken;
}

size_t stream_write(struct stream *s, const void *data, size_t len) {
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    return stream_writev(s, &iov, 1);
}

void stream_hold(struct stream *s, const void *data, size_t len) {
    if (len == 0 || (s->flags & CLOSING))
        return;
    if (!s->held)
        s->held = hw_calloc(1, sizeof(*s->held));
    buf_append(&s->held->bytes, data, len);
    s->flags |= WANTS_WRITE;
}

void stream_send(struct stream *s, const void *data, size_t len) {
    size_t taken = stream_write(s, data, len);
    stream_hold(s, (const uint8_t *)data + taken, len - taken);
}

// Offers what is held to the kernel; true when nothing is held any more.
static bool flush_held(struct stream *s) {
    struct held *held = s->held;
    if (!held)
        return true;
    struct iovec iov = {.iov_base = held->bytes.data + held->taken, .iov_len = stream_held(s)};
    ssize_t took = s->transport->ops->writev(s->transport, wire_of(s), &iov, 1);
    if (took < 0) {
        if (took != -EAGAIN && took != -EINTR)
            stream_end(s, (int)took);
        return false;
    }
    held->taken += (size_t)took;
    if (stream_held(s) == 0) {
        free_held(s);
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
    s->error = error;
    key_queue_add(&s->loop->closing, stream_key(s));
}

static void ending_late(struct timer *t) {
    stream_end(container_of(t, struct ending, timer)->stream, 0);
}

static void ending_step(struct stream *s) {
    if (s->held || s->ending->shut)
        return;
    s->ending->shut = true;
    if (s->flags & ENDED)
        stream_end(s, 0);
    else
        s->transport->ops->shut(s->transport, wire_of(s));
}

void stream_end_after_flush(struct stream *s, uint64_t linger_ms) {
    if (s->flags & (CLOSING | ENDING))
        return;
    if (s->flags & CONNECTING) {
        stream_end(s, 0);
        return;
    }
    s->flags |= ENDING;
    s->flags &= (uint16_t)~PAUSED; // what the peer still sends is read and dropped, up to its end
    queue_read(s);
    s->ending = hw_calloc(1, sizeof(*s->ending));
    s->ending->stream = s;
    loop_arm(s->loop, &s->ending->timer, linger_ms, ending_late);
    ending_step(s);
}

// The last step: the owner hears of it, then the slot is free.
void stream_finish(struct stream *s) {
    struct loop *l = s->loop;
    if (s->held && s->error == 0)
        (void)flush_held(s);
    if (s->ending)
        loop_disarm(l, &s->ending->timer);
    free(s->ending);
    free_buf(&s->in);
    free_held(s);
    if (s->transport->ops->free)
        s->transport->ops->free(s->transport);
    os_unwatch(l->os, s->fd);
    os_close(l->os, s->fd);
    if (s->ops && s->ops->on_closed)
        s->ops->on_closed(s->owner, s, s->error);
    slab_give(&l->streams, s->slot);
}

// Hands data on until nothing more of it is consumed; what is left over stays in s->in.
static void present(struct stream *s, const uint8_t *data, size_t len) {
    size_t used = 0;
    if (s->flags & ENDING)
        used = len;
    else
        used = s->ops->on_data(s->owner, s, data, len);
    assert(used <= len);
    if (s->flags & CLOSING)
        return;
    if (used == len) {
        free_buf(&s->in);
        return;
    }
    if (s->in) {
        buf_consume(s->in, used);
    } else {
        s->in = hw_calloc(1, sizeof(*s->in));
        buf_append(s->in, data + used, len - used);
    }
    // A paused stream is not read: what one read brought behind its last frame waits.
    if (s->in->len > s->ops->keep_max && !(s->flags & PAUSED))
        stream_end(s, -HW_ETOOBIG);
}

// The peer sends nothing more, and may still read: what is held for its end goes out first.
static void peer_ended(struct stream *s) {
    if ((s->flags & ENDING) && s->held)
        s->flags |= ENDED;
    else
        stream_end(s, 0);
}

// What comes later is an event again; but an end that was told already is not.
static bool was_last(const struct stream *s, size_t got, size_t size) {
    return got < size && s->transport->ops->short_read_is_last && !(s->flags & HUNG_UP);
}

// One read; false when there is nothing more for now.
static bool read_once(struct stream *s, size_t *ret_read) {
    struct loop *l = s->loop;
    size_t size = s->in ? KEPT_READ : SCRATCH_BYTES;
    uint8_t *to = s->in ? buf_reserve(s->in, size) : l->scratch;
    ssize_t got = s->transport->ops->read(s->transport, wire_of(s), to, size);
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
    if (s->in) {
        s->in->len += (size_t)got;
        present(s, s->in->data, s->in->len);
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
            if (s->in)
                present(s, s->in->data, s->in->len);
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
    int error = os_connect_result(s->loop->os, s->fd);
    if (error != 0) {
        stream_end(s, error);
        return;
    }
    s->flags &= (uint16_t)~CONNECTING;
    if (s->ops->on_connected)
        s->ops->on_connected(s->owner, s);
}

static void writable(struct stream *s) {
    if (!(s->flags & WANTS_WRITE) || !flush_held(s))
        return;
    s->flags &= (uint16_t)~WANTS_WRITE;
    if (s->flags & ENDING)
        ending_step(s);
    else if (s->ops->on_writable)
        s->ops->on_writable(s->owner, s);
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
    if (s->in)
        s->flags |= AGAIN;
    if (s->flags & (MISSED | AGAIN))
        queue_read(s);
    s->flags &= (uint16_t)~MISSED;
}
