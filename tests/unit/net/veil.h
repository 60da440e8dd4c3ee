// A kind of transport that veils each byte. It reads more than it hands out at a time, gives few
// bytes at a time to what is below it, and may fail.
#ifndef VEIL_H
#define VEIL_H

#include "suite.h"

#include <errno.h>

#include "buf.h"
#include "transport.h"

enum { VEIL_TAKES_MAX = 999, VEIL_READS_MAX = 5000, VEIL_HANDS_OUT_MAX = 700 };
enum { VEIL_FAILS = 0x44 }; // one by this can't go on

static int transports_made, transports_freed;

struct veil {
    struct transport base;        // first: a struct transport is one of these
    uint8_t by;                   // what a byte is veiled with
    uint8_t kept[VEIL_READS_MAX]; // read, not yet handed out
    size_t len, at;
};

static inline ssize_t veil_read(struct transport *t, struct wire w, void *out, size_t len) {
    struct veil *v = (struct veil *)t;
    if (v->by == VEIL_FAILS)
        return -EPROTO;
    if (v->at == v->len) {
        ssize_t got = t->below->ops->read(t->below, w, v->kept, sizeof(v->kept));
        if (got <= 0)
            return got;
        v->at = 0;
        v->len = (size_t)got;
    }
    size_t count = v->len - v->at < VEIL_HANDS_OUT_MAX ? v->len - v->at : VEIL_HANDS_OUT_MAX;
    count = count < len ? count : len;
    for (size_t i = 0; i < count; i++)
        ((uint8_t *)out)[i] = v->kept[v->at++] ^ v->by;
    return (ssize_t)count;
}

// The bytes of iov from `from` on, as many as are taken at a time; how many.
static inline size_t veil_gather(const struct iovec *iov, int count, size_t from,
                                 uint8_t out[VEIL_TAKES_MAX]) {
    size_t at = 0, len = 0;
    for (int i = 0; i < count; at += iov[i].iov_len, i++)
        for (size_t k = from > at ? from - at : 0; k < iov[i].iov_len && len < VEIL_TAKES_MAX; k++)
            out[len++] = ((const uint8_t *)iov[i].iov_base)[k];
    return len;
}

static inline ssize_t veil_writev(struct transport *t, struct wire w, const struct iovec *iov,
                                  int count) {
    uint8_t bytes[VEIL_TAKES_MAX];
    size_t taken = 0, len;
    while ((len = veil_gather(iov, count, taken, bytes)) > 0) {
        for (size_t i = 0; i < len; i++)
            bytes[i] ^= ((struct veil *)t)->by;
        ssize_t took = t->below->ops->writev(t->below, w, &(struct iovec){bytes, len}, 1);
        if (took < 0)
            return taken > 0 ? (ssize_t)taken : took;
        taken += (size_t)took;
        if ((size_t)took < len)
            break;
    }
    return (ssize_t)taken;
}

static inline void veil_shut(struct transport *t, struct wire w, uint32_t code) {
    t->below->ops->shut(t->below, w, code);
}

static inline int veil_unsent(struct transport *t, struct wire w) {
    return t->below->ops->unsent(t->below, w);
}

static inline void veil_free(struct transport *t) {
    transports_freed++;
    free(t);
}

static const struct transport_ops veil_ops = {.read = veil_read,
                                              .writev = veil_writev,
                                              .shut = veil_shut,
                                              .unsent = veil_unsent,
                                              .free = veil_free};

// read: what came of its bytes already, which it hands out first.
static inline struct transport *veil_new(uint8_t by, const uint8_t *read, size_t len) {
    struct veil *v = hw_calloc(1, sizeof(*v));
    ck_assert_uint_le(len, sizeof(v->kept));
    v->base.ops = &veil_ops;
    v->by = by;
    v->len = len;
    if (len > 0)
        memcpy(v->kept, read, len);
    transports_made++;
    return &v->base;
}

#endif
