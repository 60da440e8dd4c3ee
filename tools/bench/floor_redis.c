// The floor of stored unicast: the same Redis, asked for nothing but the least that a message
// needs: one script that stores it and one that forgets it, of three steps each.
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "crypto.h"
#include "floor.h"
#include "redis_url.h"
#include "report.h"

enum { CONNECTIONS = 16, DEPTH = 32, KEYS = 1000, PAIRS = DEPTH / 2 };

static const char store_script[] = "local seq = redis.call('HINCRBY', KEYS[1], 'h', 1) "
                                   "redis.call('HSET', KEYS[1], seq, ARGV[1]) return seq";
static const char forget_script[] = "redis.call('HGET', KEYS[1], 'h') "
                                    "redis.call('HDEL', KEYS[1], ARGV[1]) "
                                    "return redis.call('HINCRBY', KEYS[1], 'acked', 1)";

struct redis_line {
    int fd, expected; // replies that are still to come
    struct buf in;    // owned
    uint32_t key;     // of CONNECTIONS apart, so that no other line counts there
};

struct redis_floor {
    struct share *share;
    struct redis_url url;
    struct buf payload; // owned
    char store[41], forget[41];
    uint64_t seqs[KEYS]; // of each key
    struct redis_line lines[CONNECTIONS];
};

static int redis_connect(const struct redis_url *url) {
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sock_addr to;
    int fd, failed;
    if (url->unix_socket) {
        snprintf(path.sun_path, sizeof(path.sun_path), "%.100s", url->host);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        failed = connect(fd, (struct sockaddr *)&path, sizeof(path));
    } else {
        if (sock_addr_parse(url->host, url->port, &to) != 0)
            return -1;
        fd = socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        failed = connect(fd, (struct sockaddr *)&to.storage, to.len);
    }
    return failed ? -1 : fd;
}

static void append_word(struct buf *out, const void *word, size_t len) {
    buf_printf(out, "$%zu\r\n", len);
    buf_append(out, word, len);
    buf_append_str(out, "\r\n");
}

static void append_words(struct buf *out, const char *const *words, int count) {
    buf_printf(out, "*%d\r\n", count);
    for (int i = 0; i < count; i++)
        append_word(out, words[i], strlen(words[i]));
}

static bool send_all_of(int fd, const struct buf *b) {
    for (size_t done = 0; done < b->len;) {
        ssize_t took = send(fd, b->data + done, b->len - done, MSG_NOSIGNAL);
        if (took <= 0)
            return false;
        done += (size_t)took;
    }
    return true;
}

// Whole replies in what was read: numbers, states and errors are a line; a bulk string is two.
// -1: an error, which the floor never deserves.
static int replies_take(struct redis_line *line) {
    int count = 0;
    size_t used = 0;
    while (used < line->in.len) {
        const uint8_t *at = line->in.data + used;
        const uint8_t *end = memmem(at, line->in.len - used, "\r\n", 2);
        if (!end)
            break;
        size_t len = (size_t)(end - at) + 2;
        if (*at == '-')
            return -1;
        if (*at == '$')
            len += strtoul((const char *)at + 1, NULL, 10) + 2;
        if (len > line->in.len - used)
            break;
        used += len;
        count++;
    }
    buf_consume(&line->in, used);
    return count;
}

static bool replies_read(struct redis_line *line) {
    ssize_t got = recv(line->fd, buf_reserve(&line->in, 16384), 16384, 0);
    if (got <= 0)
        return false;
    line->in.len += (size_t)got;
    int taken = replies_take(line);
    line->expected -= taken;
    return taken >= 0;
}

static bool ask(struct redis_line *line, const struct buf *text, int replies) {
    line->expected += replies;
    if (!send_all_of(line->fd, text))
        return false;
    while (line->expected > 0)
        if (!replies_read(line))
            return false;
    return true;
}

static bool line_open(struct redis_floor *f, struct redis_line *line) {
    struct buf text = BUF_EMPTY;
    int replies = 2;
    char db[12];
    line->fd = redis_connect(&f->url);
    if (line->fd < 0)
        return false;
    if (f->url.password[0]) {
        const char *words[] = {"AUTH", f->url.user[0] ? f->url.user : "default", f->url.password};
        append_words(&text, words, 3);
        replies++;
    }
    snprintf(db, sizeof(db), "%u", f->url.db);
    append_words(&text, (const char *[]){"SELECT", db}, 2);
    append_words(&text, (const char *[]){"PING"}, 1);
    bool is_open = ask(line, &text, replies);
    buf_free(&text);
    return is_open;
}

static bool scripts_load(struct redis_floor *f) {
    struct buf text = BUF_EMPTY;
    append_words(&text, (const char *[]){"SCRIPT", "LOAD", store_script}, 3);
    append_words(&text, (const char *[]){"SCRIPT", "LOAD", forget_script}, 3);
    bool is_loaded = ask(&f->lines[0], &text, 2);
    crypto_sha1_hex(store_script, strlen(store_script), f->store);
    crypto_sha1_hex(forget_script, strlen(forget_script), f->forget);
    buf_free(&text);
    return is_loaded;
}

// DEPTH commands: PAIRS messages, each stored and forgotten.
static bool pairs_send(struct redis_floor *f, struct redis_line *line) {
    struct buf text = BUF_EMPTY;
    for (int i = 0; i < PAIRS; i++) {
        char key[32], seq[24];
        snprintf(key, sizeof(key), "hawser-bench:floor:%u", line->key);
        snprintf(seq, sizeof(seq), "%llu", (unsigned long long)++f->seqs[line->key]);
        buf_printf(&text, "*5\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n$1\r\n1\r\n", f->store);
        append_word(&text, key, strlen(key));
        append_word(&text, f->payload.data, f->payload.len);
        append_words(&text, (const char *[]){"EVALSHA", f->forget, "1", key, seq}, 5);
        line->key =
            line->key + CONNECTIONS < KEYS ? line->key + CONNECTIONS : line->key % CONNECTIONS;
    }
    line->expected = DEPTH;
    bool is_sent = send_all_of(line->fd, &text);
    buf_free(&text);
    return is_sent;
}

static bool lines_serve(struct redis_floor *f, uint64_t *ret_pairs) {
    struct pollfd fds[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++)
        fds[i] = (struct pollfd){.fd = f->lines[i].fd, .events = POLLIN};
    if (poll(fds, CONNECTIONS, 1000) < 0)
        return false;
    for (int i = 0; i < CONNECTIONS; i++) {
        struct redis_line *line = &f->lines[i];
        if (!fds[i].revents)
            continue;
        if (!replies_read(line))
            return false;
        if (line->expected > 0)
            continue;
        *ret_pairs += PAIRS;
        if (!pairs_send(f, line))
            return false;
    }
    return true;
}

static uint64_t floor_clock_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static bool keys_forget(struct redis_floor *f) {
    struct buf text = BUF_EMPTY;
    for (int i = 0; i < KEYS; i++) {
        char key[32];
        snprintf(key, sizeof(key), "hawser-bench:floor:%d", i);
        append_words(&text, (const char *[]){"DEL", key}, 2);
    }
    bool is_done = ask(&f->lines[0], &text, KEYS);
    buf_free(&text);
    return is_done;
}

static bool floor_work(struct redis_floor *f, uint64_t us) {
    uint64_t pairs = 0, from_us;
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        f->lines[i].key = i;
        if (!line_open(f, &f->lines[i]))
            return false;
    }
    if (!scripts_load(f) || !keys_forget(f))
        return false;
    from_us = floor_clock_us();
    for (int i = 0; i < CONNECTIONS; i++)
        if (!pairs_send(f, &f->lines[i]))
            return false;
    while (floor_clock_us() - from_us < us)
        if (!lines_serve(f, &pairs))
            return false;
    f->share->floor_us = floor_clock_us() - from_us;
    f->share->floor_done = pairs;
    for (int i = 1; i < CONNECTIONS; i++)
        close(f->lines[i].fd);
    while (f->lines[0].expected > 0)
        if (!replies_read(&f->lines[0]))
            return false;
    return keys_forget(f);
}

static void floor_child(struct bench *b, uint64_t us) {
    struct redis_floor f = {.share = b->share};
    struct buf error = BUF_EMPTY;
    memset(buf_reserve(&f.payload, b->options->size), 'x', b->options->size);
    f.payload.len = b->options->size;
    bool is_done = redis_url_parse(b->cluster.redis_url, &f.url, &error) == 0 && floor_work(&f, us);
    _exit(is_done ? 0 : 1);
}

bool floor_redis_measure(struct bench *b, double rate) {
    struct child child = {0};
    pid_t pid = child_fork(&child, "floor", cores_of_room(&b->cores, 0));
    if (pid < 0)
        return bench_fail(b, "fork: %s", strerror((int)-pid));
    if (pid == 0)
        floor_child(b, b->options->seconds * 1000000);
    while (!child_has_ended(&child)) {
        if (bench_step(b))
            continue;
        child_end(&child);
        return false;
    }
    if (b->share->floor_us == 0)
        return bench_fail(b, "the floor could not be measured in Redis");
    double floor_rate = (double)b->share->floor_done * 1e6 / (double)b->share->floor_us;
    report_number(b, "floor_rate", floor_rate);
    report_number(b, "ratio", rate / floor_rate);
    return true;
}
