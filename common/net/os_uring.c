#include "os_uring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "buf.h"

enum { TRIES_MAX = 100 }; // of a call that does nothing; a signal ends it early

struct uring {
    int fd;
    uint8_t *rings; // mapped: both of them
    size_t rings_len, entries_len;
    struct io_uring_sqe *entries; // mapped
    _Atomic unsigned *sq_tail, *cq_head, *cq_tail;
    unsigned sq_mask, cq_mask;
    struct io_uring_cqe *done; // in rings
};

static int setup(struct io_uring_params *p) {
    // One thread submits, and the kernel need not interrupt it to say that something is done.
#if defined(IORING_SETUP_SINGLE_ISSUER) && defined(IORING_SETUP_DEFER_TASKRUN)
    *p = (struct io_uring_params){.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    int fd = (int)syscall(SYS_io_uring_setup, OS_WRITES_MAX, p);
    if (fd >= 0 || errno != EINVAL)
        return fd;
#endif
    *p = (struct io_uring_params){.flags = 0};
    return (int)syscall(SYS_io_uring_setup, OS_WRITES_MAX, p);
}

static void *map(const struct uring *u, size_t len, off_t what) {
    void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->fd, what);
    return at == MAP_FAILED ? NULL : at;
}

static void *in_rings(const struct uring *u, uint32_t offset) {
    return u->rings + offset;
}

static bool map_all(struct uring *u, const struct io_uring_params *p) {
    size_t sq_len = p->sq_off.array + p->sq_entries * sizeof(unsigned);
    size_t cq_len = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
    if (!(p->features & IORING_FEAT_SINGLE_MMAP))
        return false;
    u->rings_len = sq_len > cq_len ? sq_len : cq_len;
    u->entries_len = p->sq_entries * sizeof(struct io_uring_sqe);
    u->rings = map(u, u->rings_len, IORING_OFF_SQ_RING);
    u->entries = map(u, u->entries_len, IORING_OFF_SQES);
    if (!u->rings || !u->entries)
        return false;
    u->sq_tail = in_rings(u, p->sq_off.tail);
    u->sq_mask = *(unsigned *)in_rings(u, p->sq_off.ring_mask);
    u->cq_head = in_rings(u, p->cq_off.head);
    u->cq_tail = in_rings(u, p->cq_off.tail);
    u->cq_mask = *(unsigned *)in_rings(u, p->cq_off.ring_mask);
    u->done = in_rings(u, p->cq_off.cqes);
    unsigned *order = in_rings(u, p->sq_off.array);
    for (unsigned i = 0; i < p->sq_entries; i++)
        order[i] = i; // an entry's place in the queue is its own
    return true;
}

void uring_free(struct uring *u) {
    if (!u)
        return;
    if (u->entries)
        munmap(u->entries, u->entries_len);
    if (u->rings)
        munmap(u->rings, u->rings_len);
    close(u->fd);
    free(u);
}

struct uring *uring_new(void) {
    struct io_uring_params p;
    int fd = setup(&p);
    if (fd < 0)
        return NULL;
    struct uring *u = hw_calloc(1, sizeof(*u));
    u->fd = fd;
    if (map_all(u, &p))
        return u;
    uring_free(u);
    return NULL;
}

static void put(struct uring *u, struct os_write *writes, int count) {
    unsigned tail = atomic_load_explicit(u->sq_tail, memory_order_relaxed);
    for (int i = 0; i < count; i++, tail++) {
        unsigned at = tail & u->sq_mask;
        writes[i].took = -EIO; // of one that was begun, and of which nothing was heard
        u->entries[at] = (struct io_uring_sqe){.opcode = IORING_OP_SEND,
                                               .fd = writes[i].fd,
                                               .addr = (uintptr_t)writes[i].data,
                                               .len = (uint32_t)writes[i].len,
                                               .msg_flags = MSG_NOSIGNAL | MSG_DONTWAIT,
                                               .user_data = (unsigned)i};
    }
    atomic_store_explicit(u->sq_tail, tail, memory_order_release);
}

// How many are done since the last time.
static int take(struct uring *u, struct os_write *writes) {
    unsigned head = atomic_load_explicit(u->cq_head, memory_order_relaxed), from = head;
    unsigned tail = atomic_load_explicit(u->cq_tail, memory_order_acquire);
    for (; head != tail; head++) {
        const struct io_uring_cqe *c = &u->done[head & u->cq_mask];
        writes[c->user_data].took = c->res;
    }
    atomic_store_explicit(u->cq_head, head, memory_order_release);
    return (int)(head - from);
}

// None of them waits, so they are done in their order, as soon as they are begun.
int uring_send(struct uring *u, struct os_write *writes, int count) {
    int begun = 0, done = 0;
    put(u, writes, count);
    for (int tries = 0; done < count && tries < TRIES_MAX; tries++) {
        long n = syscall(SYS_io_uring_enter, u->fd, (unsigned)(count - begun),
                         (unsigned)(count - done), IORING_ENTER_GETEVENTS, NULL, (size_t)0);
        if (n < 0 && errno != EINTR && errno != EAGAIN && errno != EBUSY)
            break;
        begun += n > 0 ? (int)n : 0;
        done += take(u, writes);
    }
    return begun;
}
