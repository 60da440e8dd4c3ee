// The seam to the real kernel: epoll, an eventfd for wake-ups, a signalfd, and a thread for each
// name being resolved.
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "buf.h"
#include "crypto.h"
#include "os.h"
#include "os_uring.h"

enum { BACKLOG = 4096, EVENTS_MAX = 512, FIRST_MAX = 64, RESOLVED_MAX = 8 };
// Keys of our own descriptors; the loop's keys have their top bits otherwise.
#define KEY_WAKE UINT64_MAX
#define KEY_SIGNAL (UINT64_MAX - 1)
#define KEY_FIRST (UINT64_MAX - 2)

struct os {
    int epoll_fd, wake_fd, signal_fd;
    int first_fd; // of epoll, too, and watched by the other
    uint32_t descriptors;
    struct uring *ring; // owned; NULL: not tried yet, or there is none
    bool is_ring_tried;
    os_signal_fn *on_signal;
    void *signal_arg;
    struct os_resolve *resolved; // finished, not yet reported
};

// Owned by its thread until it is finished, then by the list. os is cleared by a cancel: then the
// thread frees it.
struct os_resolve {
    struct os_resolve *next;
    struct os *os;
    char *host;
    uint16_t port;
    os_resolved_fn *done;
    void *arg;
    int error, count;
    bool finished;
    struct sock_addr addrs[RESOLVED_MAX];
};

// Cancelled look-ups may outlive their os, so the lock they share with it is the process's.
static pthread_mutex_t resolve_lock = PTHREAD_MUTEX_INITIALIZER;

static int add_own(struct os *os, int fd, uint64_t key) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = key};
    return epoll_ctl(os->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static uint32_t descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        abort(); // it cannot fail for a limit that exists
    return limit.rlim_cur < INT32_MAX ? (uint32_t)limit.rlim_cur : INT32_MAX;
}

uint32_t os_descriptors(const struct os *os) {
    return os->descriptors;
}

struct os *os_new(void) {
    struct os *os = hw_calloc(1, sizeof(*os));
    os->descriptors = descriptor_limit();
    os->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    os->first_fd = epoll_create1(EPOLL_CLOEXEC);
    os->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    os->signal_fd = -1;
    if (os->epoll_fd < 0 || os->first_fd < 0 || os->wake_fd < 0 ||
        add_own(os, os->wake_fd, KEY_WAKE) < 0 || add_own(os, os->first_fd, KEY_FIRST) < 0)
        abort();
    return os;
}

void os_free(struct os *os) {
    os_signals(os, NULL, NULL);
    pthread_mutex_lock(&resolve_lock);
    while (os->resolved) {
        struct os_resolve *next = os->resolved->next;
        free(os->resolved->host);
        free(os->resolved);
        os->resolved = next;
    }
    pthread_mutex_unlock(&resolve_lock);
    uring_free(os->ring);
    close(os->wake_fd);
    close(os->first_fd);
    close(os->epoll_fd);
    free(os);
}

static uint64_t clock_us(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t os_now_us(struct os *os) {
    (void)os;
    return clock_us(CLOCK_BOOTTIME);
}

uint64_t os_now_ms(struct os *os) {
    return os_now_us(os) / 1000;
}

uint64_t os_wall_ms(struct os *os) {
    (void)os;
    return clock_us(CLOCK_REALTIME) / 1000;
}

uint64_t os_random(struct os *os) {
    (void)os;
    uint64_t seed;
    crypto_random(&seed, sizeof(seed));
    return seed;
}

int os_fd(struct os *os) {
    return os->epoll_fd;
}

void os_wake(struct os *os) {
    uint64_t one = 1;
    // A full counter wakes as well.
    if (write(os->wake_fd, &one, sizeof(one)) < 0)
        return;
}

static void report_resolved(struct os *os) {
    uint64_t count;
    if (read(os->wake_fd, &count, sizeof(count)) < 0)
        return;
    for (;;) {
        pthread_mutex_lock(&resolve_lock);
        struct os_resolve *r = os->resolved;
        if (r)
            os->resolved = r->next;
        pthread_mutex_unlock(&resolve_lock);
        if (!r)
            return;
        r->done(r->arg, r->error, r->addrs, r->count);
        free(r->host);
        free(r);
    }
}

static void report_signals(struct os *os) {
    struct signalfd_siginfo info;
    while (os->signal_fd >= 0 && read(os->signal_fd, &info, sizeof(info)) == sizeof(info))
        os->on_signal(os->signal_arg, (int)info.ssi_signo);
}

static struct os_event os_event_of(const struct epoll_event *ready) {
    uint32_t e = ready->events;
    return (struct os_event){
        .key = ready->data.u64,
        .events = (e & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? OS_READABLE : 0u) |
                  (e & (EPOLLOUT | EPOLLHUP | EPOLLERR) ? OS_WRITABLE : 0u) |
                  (e & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? OS_HANGUP : 0u)};
}

static int report_first(struct os *os, struct os_event *events) {
    struct epoll_event ready[FIRST_MAX];
    int got = epoll_wait(os->first_fd, ready, FIRST_MAX, 0);
    for (int i = 0; i < got; i++)
        events[i] = os_event_of(&ready[i]);
    return got > 0 ? got : 0;
}

static bool is_among(const struct epoll_event *ready, int count, uint64_t key) {
    for (int i = 0; i < count; i++)
        if (ready[i].data.u64 == key)
            return true;
    return false;
}

int os_wait(struct os *os, struct os_event *events, int max, int timeout_ms) {
    struct epoll_event ready[EVENTS_MAX];
    int most = (max < EVENTS_MAX ? max : EVENTS_MAX) - FIRST_MAX, count = 0;
    int got = epoll_wait(os->epoll_fd, ready, most, timeout_ms);
    // A SIGCONT ends the wait with nothing: what came while we stood still comes before the timers.
    if (got < 0 && errno == EINTR)
        got = epoll_wait(os->epoll_fd, ready, most, 0);
    // The kernel tells of all in turn: where there are more than one call takes, who goes first may
    // be among those that it leaves out.
    if (got == most || is_among(ready, got, KEY_FIRST))
        count = report_first(os, events);
    for (int i = 0; i < got; i++) {
        if (ready[i].data.u64 == KEY_WAKE)
            report_resolved(os);
        else if (ready[i].data.u64 == KEY_SIGNAL)
            report_signals(os);
        else if (ready[i].data.u64 != KEY_FIRST)
            events[count++] = os_event_of(&ready[i]);
    }
    return count;
}

static struct epoll_event epoll_event_of(uint64_t key, uint32_t events) {
    return (struct epoll_event){.data.u64 = key,
                                .events =
                                    (events & OS_READABLE ? (uint32_t)EPOLLIN | EPOLLRDHUP : 0u) |
                                    (events & OS_WRITABLE ? (uint32_t)EPOLLOUT : 0u) |
                                    (events & OS_EDGE ? EPOLLET : 0u)};
}

int os_watch(struct os *os, int fd, uint64_t key, uint32_t events) {
    struct epoll_event event = epoll_event_of(key, events);
    return epoll_ctl(os->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int os_rewatch(struct os *os, int fd, uint64_t key, uint32_t events) {
    struct epoll_event event = epoll_event_of(key, events);
    return epoll_ctl(os->epoll_fd, EPOLL_CTL_MOD, fd, &event) < 0 ? -errno : 0;
}

int os_watch_first(struct os *os, int fd, uint64_t key, uint32_t events) {
    struct epoll_event event = epoll_event_of(key, events);
    epoll_ctl(os->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    return epoll_ctl(os->first_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void os_unwatch(struct os *os, int fd) {
    if (epoll_ctl(os->epoll_fd, EPOLL_CTL_DEL, fd, NULL) < 0)
        epoll_ctl(os->first_fd, EPOLL_CTL_DEL, fd, NULL);
}

static int new_socket(const struct sock_addr *a) {
    int fd = socket(a->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

// Small frames go out at once: batching is the caller's, per loop iteration.
static void set_nodelay(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); // fails harmlessly on UNIX sockets
}

int os_connect(struct os *os, const struct sock_addr *to) {
    (void)os;
    int fd = new_socket(to);
    if (fd < 0)
        return fd;
    set_nodelay(fd);
    if (connect(fd, (const struct sockaddr *)&to->storage, to->len) < 0 && errno != EINPROGRESS) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int os_connect_result(struct os *os, int fd) {
    (void)os;
    int error = 0;
    socklen_t len = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? -errno : -error;
}

int os_listen(struct os *os, const struct sock_addr *at, struct sock_addr *ret_bound) {
    (void)os;
    int fd = new_socket(at);
    if (fd < 0)
        return fd;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (at->storage.ss_family == AF_UNIX)
        unlink(((const struct sockaddr_un *)&at->storage)->sun_path);
    struct sock_addr bound = {.len = sizeof(bound.storage)};
    if (bind(fd, (const struct sockaddr *)&at->storage, at->len) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&bound.storage, &bound.len) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    *ret_bound = bound;
    return fd;
}

int os_accept(struct os *os, int fd, struct sock_addr *ret_peer) {
    (void)os;
    struct sock_addr peer = {.len = sizeof(peer.storage)};
    int accepted =
        accept4(fd, (struct sockaddr *)&peer.storage, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted < 0)
        return -errno;
    set_nodelay(accepted);
    *ret_peer = peer;
    return accepted;
}

ssize_t os_read(struct os *os, int fd, void *out, size_t len) {
    (void)os;
    ssize_t got = recv(fd, out, len, 0);
    return got < 0 ? -errno : got;
}

ssize_t os_writev(struct os *os, int fd, const struct iovec *iov, int count) {
    (void)os;
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                             .msg_iovlen = (size_t)count};
    // One piece is the common case, and cheaper by itself: a broadcast's time is in this call.
    ssize_t sent = count == 1 ? send(fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
                              : sendmsg(fd, &message, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

// A ring that fails once is given up: then, and where there is none, each is a send.
void os_write_all(struct os *os, struct os_write *writes, int count) {
    if (!os->is_ring_tried)
        os->ring = uring_new();
    os->is_ring_tried = true;
    int done = os->ring && count > 1 ? uring_send(os->ring, writes, count) : 0;
    if (os->ring && count > 1 && done < count) {
        uring_free(os->ring);
        os->ring = NULL;
    }
    for (struct os_write *w = writes + done; w < writes + count; w++) {
        struct iovec iov = {.iov_base = (void *)(uintptr_t)w->data, .iov_len = w->len};
        w->took = os_writev(os, w->fd, &iov, 1);
    }
}

void os_peer(struct os *os, int fd, struct sock_addr *ret_peer) {
    (void)os;
    *ret_peer = (struct sock_addr){.len = sizeof(ret_peer->storage)};
    if (getpeername(fd, (struct sockaddr *)&ret_peer->storage, &ret_peer->len) < 0)
        *ret_peer = (struct sock_addr){0};
}

bool os_peer_is_gone(struct os *os, int fd) {
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    (void)os;
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

void os_shutdown_write(struct os *os, int fd) {
    (void)os;
    shutdown(fd, SHUT_WR);
}

void os_close(struct os *os, int fd) {
    (void)os;
    close(fd);
}

int os_unsent(struct os *os, int fd) {
    (void)os;
    int bytes = 0;
    return ioctl(fd, SIOCOUTQ, &bytes) < 0 ? -errno : bytes;
}

static int resolve_error(int error) {
    switch (error) {
    case 0:
        return 0;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return -errno;
    default:
        return -ENOENT;
    }
}

static void *resolve_thread(void *arg) {
    struct os_resolve *r = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found = NULL;
    char service[8];
    snprintf(service, sizeof(service), "%u", r->port);
    r->error = resolve_error(getaddrinfo(r->host, service, &hints, &found));
    for (struct addrinfo *a = found; a && r->count < RESOLVED_MAX; a = a->ai_next) {
        struct sock_addr *to = &r->addrs[r->count++];
        to->len = a->ai_addrlen;
        memcpy(&to->storage, a->ai_addr, a->ai_addrlen);
    }
    if (found)
        freeaddrinfo(found);
    pthread_mutex_lock(&resolve_lock);
    bool cancelled = r->os == NULL;
    if (!cancelled) {
        r->finished = true;
        r->next = r->os->resolved;
        r->os->resolved = r;
        os_wake(r->os);
    }
    pthread_mutex_unlock(&resolve_lock);
    if (cancelled) {
        free(r->host);
        free(r);
    }
    return NULL;
}

struct os_resolve *os_resolve(struct os *os, const char *host, uint16_t port, os_resolved_fn *done,
                              void *arg) {
    struct os_resolve *r = hw_calloc(1, sizeof(*r));
    *r = (struct os_resolve){
        .os = os, .host = hw_strdup(host), .port = port, .done = done, .arg = arg};
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    int error = pthread_create(&thread, &detached, resolve_thread, r);
    pthread_attr_destroy(&detached);
    if (error != 0) {
        r->error = -error;
        pthread_mutex_lock(&resolve_lock);
        r->finished = true;
        r->next = os->resolved;
        os->resolved = r;
        pthread_mutex_unlock(&resolve_lock);
        os_wake(os);
    }
    return r;
}

void os_resolve_cancel(struct os *os, struct os_resolve *r) {
    pthread_mutex_lock(&resolve_lock);
    bool finished = r->finished;
    if (finished) {
        struct os_resolve **at = &os->resolved;
        while (*at != r)
            at = &(*at)->next;
        *at = r->next;
    } else {
        r->os = NULL; // its thread frees it
    }
    pthread_mutex_unlock(&resolve_lock);
    if (finished) {
        free(r->host);
        free(r);
    }
}

void os_signals(struct os *os, os_signal_fn *handler, void *arg) {
    sigset_t set;
    sigemptyset(&set);
    int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaddset(&set, numbers[i]);
    if (os->signal_fd >= 0) {
        os_unwatch(os, os->signal_fd);
        close(os->signal_fd);
        os->signal_fd = -1;
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
    os->on_signal = handler;
    os->signal_arg = arg;
    if (!handler)
        return;
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    os->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (os->signal_fd < 0 || add_own(os, os->signal_fd, KEY_SIGNAL) < 0)
        abort();
}
