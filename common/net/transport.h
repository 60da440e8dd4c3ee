// How a stream's bytes reach its peer: the table that a stream asks instead of the kernel. Plain
// bytes on a socket are the first kind (transport_plain.c); each other kind (TLS, WebSocket) is one
// file with a state of its own, and nothing above the stream knows which one it is.
//
// A transport owns no socket: the stream opens, watches and closes it, and asks the kernel itself
// whether the peer is gone. A transport never calls back and never ends the stream. It may lie over
// another one (WebSocket over TLS): it reads and writes what is below it, and plain bytes are the
// lowest.
#ifndef HW_TRANSPORT_H
#define HW_TRANSPORT_H

#include "os.h"

// The socket under it; borrowed for the call.
struct wire {
    struct os *os;
    int fd;
};

struct transport {
    const struct transport_ops *ops;
    struct transport *below; // set by the stream, which owns it
};

// A kind with a state has a struct transport as its first member.
struct transport_ops {
    // As os_read: bytes of what the peer's owner wrote, 0 when the peer has ended, -EAGAIN when
    // nothing comes now, or why the connection can't go on. It is asked again until it says
    // -EAGAIN, so that it may keep what does not fit into `out`.
    ssize_t (*read)(struct transport *t, struct wire w, void *out, size_t len);
    bool short_read_is_last; // as of os_read: less than `len` was all, so it is not asked again
    // As os_writev: how many bytes of iov it took, for good; fewer than all, or -EAGAIN, only when
    // what is below took fewer than it was given. For only then the kernel says that it takes more,
    // and the rest is offered again. Who keeps bytes that he took (a record, say) takes no more
    // until they are gone, so that it is never more than one.
    ssize_t (*writev)(struct transport *t, struct wire w, const struct iovec *iov, int count);
    // Writes what it keeps, also what it had to say itself (a handshake): 0 when nothing is kept,
    // -EAGAIN, or why the connection can't go on. Asked whenever the socket takes more. NULL: it
    // keeps nothing.
    int (*flush)(struct transport *t, struct wire w);
    // Nothing is kept, and nothing comes behind. code: why, where the stream's owner closed it by
    // one (close_codes.h), else 0: who has words of his own for an end says them, keeps what is not
    // taken for flush, and shuts what is below behind them.
    void (*shut)(struct transport *t, struct wire w, uint32_t code);
    int (*unsent)(struct transport *t, struct wire w); // bytes taken that the peer has not got yet
    void (*free)(struct transport *t);                 // the stream is over; NULL: no state
};

extern struct transport transport_plain;

#endif
