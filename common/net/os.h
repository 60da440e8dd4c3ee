// The seam to the operating system: everything the loop, streams and listeners ask of it, and
// nothing else in common/, room/, center/ and the other daemons' cores may ask the kernel for
// sockets or time. Chosen at link time: os_linux.c for real processes, tests/sim for the
// simulation, where one `struct os` is one simulated process. All sockets are non-blocking and
// close-on-exec. Functions that fail return a negative errno.
#ifndef HW_OS_H
#define HW_OS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "err.h"

struct os;

// A socket address: IPv4, IPv6 or a UNIX path.
struct sock_addr {
    socklen_t len;
    struct sockaddr_storage storage;
};

// OS_EDGE: only asked for, of a descriptor that reports changes, not states.
enum { OS_READABLE = 1, OS_WRITABLE = 2, OS_HANGUP = 4, OS_EDGE = 8 };
struct os_event {
    uint64_t key;    // as given to os_watch
    uint32_t events; // OS_READABLE | OS_WRITABLE | OS_HANGUP
};

struct os *
os_new(void); // the real kernel; epoll, a wake-up eventfd. Aborts when that is impossible.
void os_free(struct os *os);

uint64_t os_now_ms(
    struct os *os); // CLOCK_BOOTTIME, ms: for intervals, deadlines and leases; counts time asleep
uint64_t os_now_us(struct os *os);  // the same clock, us
uint64_t os_wall_ms(struct os *os); // CLOCK_REALTIME, ms since 1970; may step
uint64_t os_random(struct os *os);  // a seed

// Waits at most timeout_ms (0 = poll, negative = for ever); returns the number of events, 0 on
// time-out or a wake-up. max: at least 128.
int os_wait(struct os *os, struct os_event *events, int max, int timeout_ms);
void os_wake(
    struct os *os); // makes a waiting os_wait return; the one call that another thread may make

// How many descriptors this process may have (RLIMIT_NOFILE), read once.
uint32_t os_descriptors(const struct os *os);

// One descriptor that is readable when os_wait has something to report: for hosts with a loop of
// their own. -1 when there is none.
int os_fd(struct os *os);

int os_watch(struct os *os, int fd, uint64_t key, uint32_t events) HW_MUST_CHECK;   // adds
int os_rewatch(struct os *os, int fd, uint64_t key, uint32_t events) HW_MUST_CHECK; // changes
void os_unwatch(struct os *os, int fd);
// Of those that are watched, this one is reported before the others from now on, however many of
// them are ready. For the few descriptors that the work of all the others waits for.
int os_watch_first(struct os *os, int fd, uint64_t key, uint32_t events) HW_MUST_CHECK;

int os_connect(struct os *os, const struct sock_addr *to)
    HW_MUST_CHECK; // a fd that becomes writable when connected or failed
int os_connect_result(struct os *os, int fd) HW_MUST_CHECK; // 0 or why it failed
// backlog 4096, SO_REUSEADDR; a UNIX path is unlinked first. *ret_bound is what the kernel chose.
int os_listen(struct os *os, const struct sock_addr *at, struct sock_addr *ret_bound) HW_MUST_CHECK;
int os_accept(struct os *os, int fd,
              struct sock_addr *ret_peer) HW_MUST_CHECK; // fd, or -EAGAIN, -EMFILE, ...
// Bytes read (0 = the peer ended) or written, or -EAGAIN, -ECONNRESET, ... Writes never raise
// SIGPIPE. Fewer bytes read than asked for are all that was there: what comes behind them, or the
// peer's end if no event has said OS_HANGUP yet, is an event of its own.
ssize_t os_read(struct os *os, int fd, void *out, size_t len) HW_MUST_CHECK;
ssize_t os_writev(struct os *os, int fd, const struct iovec *iov, int count) HW_MUST_CHECK;
// Writes to many descriptors that do not block, in this order; cheaper than one by one where the
// kernel takes many at once. took: as os_writev answers.
enum { OS_WRITES_MAX = 16 };
struct os_write {
    int fd;
    const void *data;
    size_t len;
    ssize_t took;
};
void os_write_all(struct os *os, struct os_write *writes, int count);
// The other end of a connected socket; all zero when it is not connected (any more).
void os_peer(struct os *os, int fd, struct sock_addr *ret_peer);
bool os_peer_is_gone(struct os *os, int fd); // it has ended or reset the connection, read or not
void os_shutdown_write(struct os *os, int fd);
void os_close(struct os *os, int fd);
int os_unsent(
    struct os *os,
    int fd); // bytes that the peer's kernel has not acknowledged (SIOCOUTQ), or a negative errno

// Resolves a name without blocking the caller (a thread of its own in os_linux.c). done runs in
// os_wait's thread, from os_wait, exactly once, never before this returns. count 0 = failed.
// Cancelled by os_resolve_cancel (done never runs).
typedef void os_resolved_fn(void *arg, int error, const struct sock_addr *addrs, int count);
struct os_resolve *os_resolve(struct os *os, const char *host, uint16_t port, os_resolved_fn *done,
                              void *arg);
void os_resolve_cancel(struct os *os, struct os_resolve *r);

// Signals as events: SIGTERM, SIGINT, SIGHUP (and SIGCHLD with os_linux.c) are blocked and read
// from a signalfd.
typedef void os_signal_fn(void *arg, int signal_number);
void os_signals(struct os *os, os_signal_fn *handler,
                void *arg); // handler runs from os_wait; NULL stops

#endif
