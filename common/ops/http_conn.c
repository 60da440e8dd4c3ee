// A connection: reading heads and bodies, each within its deadline and one at a time.
#include <assert.h>

#include "http_internal.h"

enum {
    REQUESTS_AT_ONCE = 16, // pipelined ones answered before others are
    KEEP_MAX = 96 * 1024,  // one read, and a head that is not whole yet
    SLOWEST_BYTES_S = 256 * 1024
};

static uint64_t http_size_ms(size_t bytes) {
    return (uint64_t)bytes * 1000 / SLOWEST_BYTES_S;
}

// --- phases

static void deadline_over(struct timer *t);

static void arm(struct http_conn *c, uint64_t after_ms) {
    loop_arm(c->server->options.loop, &c->deadline, after_ms, deadline_over);
}

static uint64_t body_ms(const struct http_conn *c) {
    const struct http_limits *l = &c->server->options.limits;
    const struct http_head *h = &c->exchange->head;
    return l->body_ms + http_size_ms(h->is_chunked ? l->body_bytes_max : h->content_length);
}

static void http_conn_enter(struct http_conn *c, enum http_phase phase) {
#define TO(name) (1u << HTTP_##name)
    static const unsigned allowed[HTTP_PHASE_COUNT] = {
        [HTTP_HEAD] = TO(HANDLER) | TO(LINGERING) | TO(CLOSED),
        [HTTP_HANDLER] = TO(BODY) | TO(HEAD) | TO(WRITING) | TO(LINGERING) | TO(CLOSED),
        [HTTP_BODY] = TO(HANDLER) | TO(LINGERING) | TO(CLOSED),
        [HTTP_WRITING] = TO(HEAD) | TO(CLOSED),
        [HTTP_LINGERING] = TO(CLOSED),
    };
#undef TO
    const struct http_limits *l = &c->server->options.limits;
    assert(allowed[c->phase] & 1u << phase);
    c->phase = phase;
    if (phase == HTTP_HEAD)
        arm(c, l->idle_ms);
    else if (phase == HTTP_BODY)
        arm(c, body_ms(c));
    else if (phase == HTTP_WRITING)
        arm(c, l->read_ms + http_size_ms(stream_held(c->stream)));
    else
        loop_disarm(c->server->options.loop, &c->deadline);
}

// --- an exchange

static void http_exchange_free(struct http_exchange *x) {
    http_body_free(x);
    if (x->server) {
        LIST_REMOVE(x, at_server);
        x->server->abandoned -= !x->conn;
    }
    if (x->conn)
        x->conn->exchange = NULL;
    http_head_reset(&x->head);
    free(x);
}

// Its connection is gone: who reads the body hears of it, who works on the request at the answer.
static void http_exchange_end(struct http_conn *c) {
    struct http_exchange *x = c->exchange;
    if (!x)
        return;
    c->exchange = NULL;
    x->conn = NULL;
    x->server->abandoned++;
    if (c->phase != HTTP_BODY)
        return;
    http_body_fn *on_body = x->on_body;
    void *arg = x->arg;
    http_exchange_free(x);
    on_body(arg, NULL);
}

static const char *field(const struct http_exchange *x, enum http_field number) {
    return x->head.fields[number] ? x->head.fields[number] : "";
}

static struct http_exchange *exchange_new(struct http_conn *c) {
    struct http_exchange *x = hw_calloc(1, sizeof(*x));
    struct http_request *r = &x->request;
    x->server = c->server;
    LIST_INSERT_HEAD(&c->server->exchanges, x, at_server);
    x->conn = c;
    c->exchange = x;
    x->head = c->head;
    c->head = (struct http_head){0};
    x->body_left = x->head.content_length;
    x->is_body_read = !x->head.is_chunked && x->body_left == 0;
    x->may_wait = !c->address;
    x->is_head = strcmp(x->head.method, "HEAD") == 0;
    r->method = x->is_head ? "GET" : x->head.method;
    r->path = x->head.path;
    r->query = x->head.query;
    r->authorization = field(x, HTTP_FIELD_AUTHORIZATION);
    r->idempotency_key = field(x, HTTP_FIELD_IDEMPOTENCY_KEY);
    r->has_idempotency_key = x->head.fields[HTTP_FIELD_IDEMPOTENCY_KEY] != NULL;
    r->if_match = field(x, HTTP_FIELD_IF_MATCH);
    r->if_none_match = field(x, HTTP_FIELD_IF_NONE_MATCH);
    r->body = (const uint8_t *)"";
    http_request_id(c->server, r->id);
    return x;
}

// --- the answer, and after it

static void read_on(struct http_conn *c) {
    if (!c->is_reading)
        stream_resume(c->stream);
}

static void next_head(struct http_conn *c) {
    http_conn_enter(c, HTTP_HEAD);
    c->is_first = c->has_begun = false;
    http_conn_rest(c);
    read_on(c);
}

static void http_conn_answered(struct http_conn *c, bool is_last) {
    const struct http_limits *l = &c->server->options.limits;
    size_t held = stream_held(c->stream);
    if (!stream_is_open(c->stream)) {
        http_conn_end(c);
    } else if (is_last) {
        http_conn_enter(c, HTTP_LINGERING);
        http_conn_rest(c);
        stream_end_after_flush(c->stream, held ? l->read_ms + http_size_ms(held) : l->linger_ms, 0);
    } else if (held > 0) {
        http_conn_enter(c, HTTP_WRITING);
        http_conn_rest(c);
    } else {
        next_head(c);
    }
}

void http_respond(struct http_request *r, const struct http_response *response) {
    struct http_exchange *x = (struct http_exchange *)r;
    struct http_conn *c = x->conn;
    if (!c) { // nobody is there any more
        http_exchange_free(x);
        return;
    }
    bool is_last = !x->head.keeps_alive || !x->is_body_read || c->server->is_draining;
    http_put_answer(x, response, is_last);
    http_exchange_free(x);
    http_conn_answered(c, is_last);
}

// Answers by itself and ends the connection; an exchange of it is over.
static void http_refuse(struct http_conn *c, enum http_fault fault) {
    http_put_refusal(c, fault);
    http_exchange_end(c);
    http_conn_answered(c, true);
}

static void deadline_over(struct timer *t) {
    struct http_conn *c = container_of(t, struct http_conn, deadline);
    if (c->phase == HTTP_BODY) {
        http_refuse(c, HTTP_FAULT_BODY_LATE);
    } else if (c->phase == HTTP_HEAD && c->has_begun) {
        http_refuse(c, HTTP_FAULT_HEAD_LATE);
    } else {
        *(c->phase == HTTP_WRITING ? &c->server->count.unread : &c->server->count.idle) += 1;
        http_conn_end(c);
    }
}

// --- reading

// Each returns whether what follows may be read on, *ret_used bytes further.
static bool read_head(struct http_conn *c, const uint8_t *data, size_t len, size_t *ret_used) {
    struct http_options *o = &c->server->options;
    if (!c->has_begun) {
        c->has_begun = true;
        if (!c->is_first)
            arm(c, o->limits.head_ms);
    }
    enum http_parsed parsed = http_head_read(&c->head, data, len, ret_used);
    if (parsed == HTTP_PARSED_MORE)
        return false;
    if (parsed == HTTP_PARSED_BAD) {
        http_refuse(c, c->head.fault);
        return false;
    }
    if (c->head.content_length > o->limits.body_bytes_max) {
        http_refuse(c, HTTP_FAULT_BODY_LONG);
        return false;
    }
    struct http_exchange *x = exchange_new(c);
    http_conn_enter(c, HTTP_HANDLER);
    o->handler(o->arg, &x->request);
    assert(c->phase != HTTP_HANDLER || c->exchange->may_wait);
    return true;
}

static void http_conn_body_is_read(struct http_conn *c) {
    struct http_exchange *x = c->exchange;
    x->is_body_read = true;
    if (x->body.len > 0)
        x->request.body = x->body.data;
    x->request.body_len = x->body.len;
    http_conn_enter(c, HTTP_HANDLER);
    x->on_body(x->arg, &x->request);
}

static bool keep(struct http_conn *c, const uint8_t *data, size_t len) {
    enum http_fault fault;
    if (http_body_keep(c->exchange, data, len, &fault))
        return true;
    http_refuse(c, fault);
    return false;
}

static bool http_conn_read_plain(struct http_conn *c, const uint8_t *data, size_t len,
                                 size_t *ret_used) {
    struct http_exchange *x = c->exchange;
    *ret_used = x->body_left < len ? (size_t)x->body_left : len;
    if (!keep(c, data, *ret_used))
        return false;
    x->body_left -= *ret_used;
    if (x->body_left == 0)
        http_conn_body_is_read(c);
    return true;
}

static bool read_chunked(struct http_conn *c, const uint8_t *data, size_t len, size_t *ret_used) {
    struct http_exchange *x = c->exchange;
    const uint8_t *piece = NULL;
    size_t piece_len = 0;
    enum http_parsed parsed = http_chunks_read(&x->chunks, data, len, ret_used, &piece, &piece_len);
    if (parsed == HTTP_PARSED_BAD) {
        http_refuse(c, x->chunks.fault);
        return false;
    }
    if (x->chunks.body > c->server->options.limits.body_bytes_max) {
        http_refuse(c, HTTP_FAULT_BODY_LONG);
        return false;
    }
    if (piece_len > 0 && !keep(c, piece, piece_len))
        return false;
    if (x->chunks.is_over)
        http_conn_body_is_read(c);
    return true;
}

static bool read_step(struct http_conn *c, const uint8_t *data, size_t len, size_t *ret_used) {
    if (c->phase == HTTP_HEAD)
        return read_head(c, data, len, ret_used);
    if (c->phase != HTTP_BODY)
        return false;
    return c->exchange->head.is_chunked ? read_chunked(c, data, len, ret_used)
                                        : http_conn_read_plain(c, data, len, ret_used);
}

static void read_the_next(struct hook *h) {
    struct http_conn *c = container_of(h, struct http_conn, next_reads);
    if (c->phase == HTTP_HEAD)
        stream_resume(c->stream);
}

static size_t http_conn_on_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    struct http_conn *c = owner;
    size_t used = 0, step = 0;
    c->is_reading = true;
    for (int heads = 0; used < len && read_step(c, data + used, len - used, &step); step = 0) {
        used += step;
        heads += c->phase == HTTP_HEAD;
        if (heads == REQUESTS_AT_ONCE) {
            stream_pause(s);
            hook_schedule(c->server->options.loop, &c->next_reads, read_the_next);
            break;
        }
    }
    c->is_reading = false;
    if (c->phase == HTTP_HANDLER || c->phase == HTTP_WRITING)
        stream_pause(s);
    return used;
}

void http_read_body(struct http_request *r, http_body_fn *done, void *arg) {
    struct http_exchange *x = (struct http_exchange *)r;
    struct http_conn *c = x->conn;
    if (!c) {
        http_exchange_free(x);
        done(arg, NULL);
        return;
    }
    x->on_body = done;
    x->arg = arg;
    if (!http_may_wait(r)) {
        http_conn_enter(c, HTTP_BODY);
        http_refuse(c, HTTP_FAULT_ABANDONED);
        return;
    }
    if (x->is_body_read) {
        done(arg, r);
        return;
    }
    http_conn_enter(c, HTTP_BODY);
    if (x->head.expects_continue)
        http_continue(c);
    read_on(c);
}

// --- its socket, and life

static void http_conn_on_writable(void *owner, struct stream *s) {
    struct http_conn *c = owner;
    (void)s;
    if (c->phase == HTTP_WRITING)
        next_head(c);
}

static void http_conn_on_closed(void *owner, struct stream *s, int error) {
    struct http_conn *c = owner;
    (void)s;
    (void)error;
    http_conn_end(c);
    hook_stop(&c->next_reads);
    free(c);
}

static const struct stream_ops conn_ops = {.on_data = http_conn_on_data,
                                           .on_writable = http_conn_on_writable,
                                           .on_closed = http_conn_on_closed,
                                           .keep_max = KEEP_MAX};

void http_accept_conn(struct http_conn *c, struct stream *s) {
    c->stream = s;
    c->is_first = true;
    stream_set_owner(s, &conn_ops, c);
    arm(c, c->server->options.limits.head_ms);
}

void http_conn_end(struct http_conn *c) {
    if (c->phase == HTTP_CLOSED)
        return;
    http_exchange_end(c);
    http_conn_forget(c);
    http_head_reset(&c->head);
    http_conn_enter(c, HTTP_CLOSED);
    stream_end(c->stream, 0);
}

static size_t http_conn_drop_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    (void)owner;
    (void)s;
    (void)data;
    return len;
}

void http_conn_orphan(struct http_conn *c) {
    static const struct stream_ops orphan_ops = {.on_data = http_conn_drop_data};
    struct stream *s = c->stream;
    http_conn_end(c);
    hook_stop(&c->next_reads);
    stream_set_owner(s, &orphan_ops, NULL);
    free(c);
}
