#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "bench.h"
#include "stream.h"

enum { UP_STEPS = 1000, UP_STEP_MS = 10, KEEP_MAX = 64 * 1024 };

struct peer_row {
    const char *name, *program, *package,
        *flag; // flag: before the configuration's path; NULL: none
    enum dialect_index dialect;
    const char *config;             // its %u is the port
    void (*hello)(struct buf *out); // what a publisher says first
    void (*publish)(struct buf *out, const char *payload, size_t len);
};

struct peer {
    const struct peer_row *row;
    struct stream *stream; // NULL: gone
    struct buf scratch;    // owned
};

// --- how each takes a message

static void redis_hello(struct buf *out) {
    (void)out;
}

static void redis_publish(struct buf *out, const char *payload, size_t len) {
    buf_printf(out, "*3\r\n$7\r\nPUBLISH\r\n$3\r\n" PEER_CHANNEL "\r\n$%zu\r\n", len);
    buf_append(out, payload, len);
    buf_append_str(out, "\r\n");
}

static void nats_hello(struct buf *out) {
    buf_append_str(out, PEER_NATS_CONNECT);
}

static void nats_publish(struct buf *out, const char *payload, size_t len) {
    buf_printf(out, "PUB " PEER_CHANNEL " %zu\r\n", len);
    buf_append(out, payload, len);
    buf_append_str(out, "\r\n");
}

static void mqtt_hello(struct buf *out) {
    static const char connect[] = "\x10\x0f\x00\x04MQTT\x04\x02\x00\x00\x00\x03"
                                  "pub";
    buf_append(out, connect, sizeof(connect) - 1);
}

static void mqtt_publish(struct buf *out, const char *payload, size_t len) {
    size_t left = len + 2 + strlen(PEER_CHANNEL);
    uint8_t byte = 0x30;
    buf_append(out, &byte, 1);
    do {
        byte = (uint8_t)((left & 127) | (left > 127 ? 128 : 0));
        buf_append(out, &byte, 1);
        left >>= 7;
    } while (left > 0);
    buf_append(out, "\x00\x03" PEER_CHANNEL, 5);
    buf_append(out, payload, len);
}

static const struct peer_row peers[] = {
    {"redis", "redis-server", "redis-server", NULL, DIALECT_REDIS,
     "port %u\nbind 127.0.0.1\ntcp-backlog 4096\nsave \"\"\nappendonly no\nmaxclients 1000000\n"
     "client-output-buffer-limit pubsub 0 0 0\n",
     redis_hello, redis_publish},
    {"nats", "nats-server", "nats-server", "-c", DIALECT_NATS,
     "listen: \"127.0.0.1:%u\"\nmax_connections: 1000000\nmax_pending: 1073741824\n"
     "ping_interval: \"1h\"\n",
     nats_hello, nats_publish},
    {"mosquitto", "mosquitto", "mosquitto", "-c", DIALECT_MQTT,
     // Started by root it would become another user, and no longer end with its parent.
     "user root\nlistener %u 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\npersistence "
     "false\n"
     "max_connections -1\nlog_type error\n",
     mqtt_hello, mqtt_publish},
};

static const struct peer_row *peer_find(const char *name) {
    for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
        if (strcmp(peers[i].name, name) == 0)
            return &peers[i];
    return NULL;
}

bool peer_is_known(const char *name) {
    return peer_find(name) != NULL;
}

// --- the server

// Taken from the kernel and given back: none of these servers can say which port it was given.
static uint16_t free_port(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        at.sin_port = 0;
    if (fd >= 0)
        close(fd);
    return ntohs(at.sin_port);
}

static bool is_listening(uint16_t port) {
    struct sock_addr to;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is = fd >= 0 && sock_addr_parse("127.0.0.1", port, &to) == 0 &&
              connect(fd, (struct sockaddr *)&to.storage, to.len) == 0;
    if (fd >= 0)
        close(fd);
    return is;
}

static bool program_is_there(const char *program) {
    char path[512];
    const char *at = getenv("PATH");
    for (size_t len; at && *at; at += len + (at[len] == ':')) {
        len = strcspn(at, ":");
        snprintf(path, sizeof(path), "%.*s/%s", (int)len, at, program);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

static bool peer_config_write(struct bench *b, const struct peer_row *row, uint16_t port) {
    char path[256];
    snprintf(path, sizeof(path), "%s/%s.conf", b->cluster.folder.path, row->name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    struct buf text = BUF_EMPTY;
    const char *hole = strstr(row->config, "%u");
    buf_append(&text, row->config, (size_t)(hole - row->config));
    buf_printf(&text, "%u%s", port, hole + 2);
    bool is_written = fd >= 0 && write(fd, text.data, text.len) == (ssize_t)text.len;
    if (fd >= 0)
        close(fd);
    buf_free(&text);
    return is_written || bench_fail(b, "%s: %s", path, strerror(errno));
}

static bool server_start(struct bench *b, const struct peer_row *row) {
    char config[256], log[256];
    snprintf(config, sizeof(config), "%s/%s.conf", b->cluster.folder.path, row->name);
    snprintf(log, sizeof(log), "%s/%s.log", b->cluster.folder.path, row->name);
    const char *const argv[] = {row->program, row->flag ? row->flag : config,
                                row->flag ? config : NULL, NULL};
    const char *const environment[] = {NULL};
    const struct child_program program = {.name = row->name,
                                          .argv = argv,
                                          .environment = environment,
                                          .log = log,
                                          .cores = cores_of_room(&b->cores, 0)};
    struct watched *w = own_cluster_add(&b->cluster, row->name);
    return child_start(&program, &w->child) == 0 ||
           bench_fail(b, "%s cannot be started", row->program);
}

static bool server_await(struct bench *b, const struct peer_row *row, uint16_t port) {
    struct buf log = BUF_EMPTY;
    for (int i = 0; i < UP_STEPS; i++) {
        if (is_listening(port))
            return true;
        if (!bench_pause(b, UP_STEP_MS, NULL))
            return false;
    }
    own_cluster_log_tail(&b->cluster, row->name, &log);
    bench_fail(b, "%s did not come up%s", row->program, buf_cstr(&log));
    buf_free(&log);
    return false;
}

// --- the publisher's connection

static size_t publisher_on_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    (void)owner;
    if (len >= 4 && memcmp(data, "PING", 4) == 0) // of NATS; the rest are answers
        stream_send(s, "PONG\r\n", 6);
    return len;
}

static void publisher_on_closed(void *owner, struct stream *s, int error) {
    struct peer *p = owner;
    (void)s;
    (void)error;
    p->stream = NULL;
}

static const struct stream_ops publisher_ops = {
    .on_data = publisher_on_data, .on_closed = publisher_on_closed, .keep_max = KEEP_MAX};

static bool publisher_connect(struct bench *b, uint16_t port) {
    struct sock_addr to;
    int error = sock_addr_parse("127.0.0.1", port, &to);
    if (error == 0)
        b->peer->stream = stream_connect(b->loop, &to, &publisher_ops, b->peer, &error);
    if (!b->peer->stream)
        return bench_fail(b, "%s: %s", b->peer->row->program, hw_strerror(error));
    buf_reset(&b->peer->scratch);
    b->peer->row->hello(&b->peer->scratch);
    stream_send(b->peer->stream, b->peer->scratch.data, b->peer->scratch.len);
    return true;
}

bool peer_begin(struct bench *b) {
    struct plan *plan = &b->share->plan;
    const struct peer_row *row = peer_find(b->options->peer);
    uint16_t port = free_port();
    b->peer = hw_calloc(1, sizeof(*b->peer));
    b->peer->row = row;
    if (!program_is_there(row->program))
        return bench_fail(b, "%s is not installed (Debian: %s)", row->program, row->package);
    if (folder_make(&b->cluster.folder, &b->error) != 0 || !peer_config_write(b, row, port) ||
        !server_start(b, row) || !server_await(b, row, port))
        return false;
    plan->dialect = row->dialect;
    plan->ports[0] = port;
    plan->port_count = 1;
    return publisher_connect(b, port);
}

void peer_publish(struct bench *b, const char *payload, size_t len) {
    struct peer *p = b->peer;
    buf_reset(&p->scratch);
    p->row->publish(&p->scratch, payload, len);
    if (p->stream)
        stream_send(p->stream, p->scratch.data, p->scratch.len);
}

void peer_end(struct bench *b) {
    if (!b->peer)
        return;
    if (b->peer->stream)
        stream_end(b->peer->stream, 0);
    loop_step(b->loop, 0); // which closes it
    buf_free(&b->peer->scratch);
    free(b->peer);
    b->peer = NULL;
}
