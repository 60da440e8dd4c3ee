// Nothing but send: what is left of a broadcast when nobody has to be known, kept or asked.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "floor.h"
#include "payload.h"

enum { FLOOR_BACKLOG = 4096, WAIT_WRITABLE_MS = 1000 };

struct floor {
    struct share *share;
    int listener, orders;
    int *connections; // owned
    size_t count, capacity;
    struct buf bytes; // owned: the sample, as often as a burst has it
};

static int listener_open(struct share *share, uint32_t index) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(fd, FLOOR_BACKLOG) != 0 || getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        _exit(1);
    share->floor_ports[index] = ntohs(at.sin_port);
    return fd;
}

static void accept_all(struct floor *f) {
    int fd, one = 1;
    while ((fd = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (f->count == f->capacity) {
            f->capacity = f->capacity ? f->capacity * 2 : 1024;
            f->connections = hw_realloc(f->connections, f->capacity * sizeof(f->connections[0]));
        }
        f->connections[f->count++] = fd;
    }
}

static void send_whole(int fd, const uint8_t *data, size_t len) {
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        struct pollfd full = {.fd = fd, .events = POLLOUT};
        if (sent < 0 && (errno != EAGAIN || poll(&full, 1, WAIT_WRITABLE_MS) <= 0))
            return; // its client is gone: the conductor misses the frame
        if (sent > 0) {
            data += sent;
            len -= (size_t)sent;
        }
    }
}

static void send_to_all(struct floor *f, const struct order *o) {
    struct sample *sample = &f->share->sample;
    // Other senders write the same moment to the same place.
    payload_restamp(sample->frame, sample->len, o->due_us);
    buf_reset(&f->bytes);
    for (uint32_t i = 0; i < o->repeat; i++)
        buf_append(&f->bytes, sample->frame, sample->len);
    for (size_t i = 0; i < f->count; i++)
        send_whole(f->connections[i], f->bytes.data, f->bytes.len);
}

void floor_send_run(struct share *share, uint32_t index, int orders) {
    struct floor f = {.share = share, .listener = listener_open(share, index), .orders = orders};
    for (;;) {
        struct pollfd fds[2] = {{.fd = f.orders, .events = POLLIN},
                                {.fd = f.listener, .events = POLLIN}};
        struct order o;
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        accept_all(&f);
        if (!(fds[0].revents & (POLLIN | POLLHUP)))
            continue;
        if (recv(orders, &o, sizeof(o), MSG_DONTWAIT) != (ssize_t)sizeof(o))
            break;
        send_to_all(&f, &o);
    }
    buf_free(&f.bytes);
    free(f.connections);
}
