// Plain bytes: what a stream's owner writes is what lies on the socket. It has no state, so that
// all streams share one.
#include "transport.h"

static ssize_t plain_read(struct transport *t, struct wire w, void *out, size_t len) {
    (void)t;
    return os_read(w.os, w.fd, out, len);
}

static ssize_t plain_writev(struct transport *t, struct wire w, const struct iovec *iov,
                            int count) {
    (void)t;
    return os_writev(w.os, w.fd, iov, count);
}

static void plain_shut(struct transport *t, struct wire w, uint32_t code) {
    (void)t;
    (void)code; // its owner has said it
    os_shutdown_write(w.os, w.fd);
}

static int plain_unsent(struct transport *t, struct wire w) {
    (void)t;
    return os_unsent(w.os, w.fd);
}

static const struct transport_ops plain_ops = {.read = plain_read,
                                               .short_read_is_last = true,
                                               .writev = plain_writev,
                                               .shut = plain_shut,
                                               .unsent = plain_unsent};

struct transport transport_plain = {.ops = &plain_ops};
