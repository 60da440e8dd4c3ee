#include "pusher.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/queue.h>

#include "addr.h"
#include "stream.h"

enum { ANSWER_MAX = 16 * 1024 * 1024 };

struct pending {
    STAILQ_ENTRY(pending) next;
    struct buf text; // owned: the request
    pusher_done_fn *done;
    void *arg;
};

struct http_line { // one connection
    struct pusher *pusher;
    struct stream *stream;   // NULL: there is none now
    struct pending *pending; // owned: what is being answered; NULL: free
    bool is_connected;
};

struct pusher {
    struct pusher_options options;
    struct http_line *lines; // owned
    STAILQ_HEAD(, pending) waiting;
    uint32_t unanswered;
    bool is_ending;
};

static void pusher_hand_out(struct pusher *p);

static void pending_free(struct pending *q) {
    buf_free(&q->text);
    free(q);
}

static void line_settle(struct http_line *line, int status, const char *body, size_t body_len) {
    struct pending *q = line->pending;
    line->pending = NULL;
    line->pusher->unanswered--;
    q->done(q->arg, status, body, body_len);
    pending_free(q);
}

// --- answers

struct http_reply {
    int status;
    size_t head_len, body_len;
};

// False: more is to come.
static bool reply_read(const uint8_t *data, size_t len, struct http_reply *ret) {
    static const char name[] = "\r\nContent-Length: ";
    const uint8_t *end = memmem(data, len, "\r\n\r\n", 4);
    if (!end || len < 12)
        return false;
    size_t head_len = (size_t)(end - data) + 4;
    const uint8_t *length = memmem(data, head_len, name, sizeof(name) - 1);
    *ret = (struct http_reply){.status = (int)strtol((const char *)data + 9, NULL, 10),
                               .head_len = head_len};
    if (length)
        ret->body_len = strtoul((const char *)length + sizeof(name) - 1, NULL, 10);
    return len - head_len >= ret->body_len;
}

static size_t line_on_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    struct http_line *line = owner;
    struct http_reply reply;
    if (!line->pending) { // an answer that nobody asked for
        stream_end(s, -EPROTO);
        return len;
    }
    if (!reply_read(data, len, &reply))
        return 0;
    line_settle(line, reply.status, (const char *)data + reply.head_len, reply.body_len);
    pusher_hand_out(line->pusher);
    return reply.head_len + reply.body_len;
}

static void line_on_connected(void *owner, struct stream *s) {
    struct http_line *line = owner;
    line->is_connected = true;
    if (line->pending)
        stream_send(s, line->pending->text.data, line->pending->text.len);
}

static void line_on_closed(void *owner, struct stream *s, int error) {
    struct http_line *line = owner;
    (void)s;
    (void)error;
    line->stream = NULL;
    line->is_connected = false;
    if (!line->pending || line->pusher->is_ending)
        return;
    line_settle(line, 0, "", 0);
    pusher_hand_out(line->pusher);
}

static const struct stream_ops line_ops = {.on_connected = line_on_connected,
                                           .on_data = line_on_data,
                                           .on_closed = line_on_closed,
                                           .keep_max = ANSWER_MAX};

// --- requests

static bool line_connect(struct http_line *line) {
    const struct pusher_options *o = &line->pusher->options;
    struct sock_addr to;
    int error = sock_addr_parse("127.0.0.1", o->port, &to);
    if (error == 0)
        line->stream = stream_connect(o->loop, &to, &line_ops, line, &error);
    return line->stream != NULL;
}

static void line_take(struct http_line *line, struct pending *q) {
    line->pending = q;
    if (line->is_connected)
        stream_send(line->stream, q->text.data, q->text.len);
    else if (!line->stream && !line_connect(line))
        line_settle(line, 0, "", 0);
}

static struct http_line *line_free_one(struct pusher *p) {
    for (uint32_t i = 0; i < p->options.connections; i++)
        if (!p->lines[i].pending)
            return &p->lines[i];
    return NULL;
}

static void pusher_hand_out(struct pusher *p) {
    struct pending *q;
    struct http_line *line;
    while ((q = STAILQ_FIRST(&p->waiting)) && (line = line_free_one(p))) {
        STAILQ_REMOVE_HEAD(&p->waiting, next);
        line_take(line, q);
    }
}

void pusher_call(struct pusher *p, const struct call *call) {
    struct pending *q = hw_calloc(1, sizeof(*q));
    q->done = call->done;
    q->arg = call->arg;
    buf_printf(&q->text, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n",
               call->method, call->path, p->options.key);
    if (call->body)
        buf_printf(&q->text, "Content-Length: %zu\r\n", call->body_len);
    buf_append_str(&q->text, "\r\n");
    if (call->body)
        buf_append(&q->text, call->body, call->body_len);
    p->unanswered++;
    STAILQ_INSERT_TAIL(&p->waiting, q, next);
    pusher_hand_out(p);
}

uint32_t pusher_unanswered(const struct pusher *p) {
    return p->unanswered;
}

// --- begin and end

struct pusher *pusher_new(const struct pusher_options *o) {
    struct pusher *p = hw_calloc(1, sizeof(*p));
    p->options = *o;
    p->lines = hw_calloc(o->connections, sizeof(p->lines[0]));
    STAILQ_INIT(&p->waiting);
    for (uint32_t i = 0; i < o->connections; i++)
        p->lines[i].pusher = p;
    return p;
}

void pusher_free(struct pusher *p) {
    if (!p)
        return;
    p->is_ending = true;
    for (uint32_t i = 0; i < p->options.connections; i++) {
        if (p->lines[i].stream)
            stream_end(p->lines[i].stream, 0);
        if (p->lines[i].pending)
            pending_free(p->lines[i].pending);
        p->lines[i].pending = NULL;
    }
    loop_step(p->options.loop, 0); // which closes them
    while (!STAILQ_EMPTY(&p->waiting)) {
        struct pending *q = STAILQ_FIRST(&p->waiting);
        STAILQ_REMOVE_HEAD(&p->waiting, next);
        pending_free(q);
    }
    free(p->lines);
    free(p);
}
