// The app server: HTTP to the centers over simulated sockets, on connections that it keeps, now and
// then two requests deep, and in chunks. Beside it visitors that send half a request and go, or
// stay, and strangers, who have no key.
#include "addr.h"
#include "buf.h"
#include "center.h"
#include "run.h"
#include "stream.h"

enum {
    CONNECTIONS = 40, // to each center, of calls
    ANSWER_MAX = 1024 * 1024,
    DEEP_PERMILLE = 50,
    CHUNKED_PERMILLE = 100,
    RUDE_PERMILLE = 30
};

struct call {
    struct call *next;
    struct run *run;
    int center; // index of the daemon
    struct buf request;
    api_done_fn *done;
    void *arg;
};

struct connection {
    struct connection *next;
    struct app *app;
    struct stream *stream;
    int center, depth;
    struct call *calls, **calls_end; // that wait for their answers, in order
};

struct app {
    struct run *run;
    int node;
    struct loop *loop;
    struct connection *connections;
};

// --- calls

static void call_over(struct call *c, int status, const char *body, size_t len) {
    c->done(c->arg, status, body, len);
    buf_free(&c->request);
    free(c);
}

// The next answer, if it is there whole: how many bytes it has, else 0.
static size_t take_answer(struct connection *c, const char *data, size_t len) {
    const char *body = memmem(data, len, "\r\n\r\n", 4);
    const char *length = memmem(data, len, "\r\nContent-Length: ", 18);
    if (!body)
        return 0;
    body += 4;
    size_t head_len = (size_t)(body - data);
    size_t body_len = length && length < body ? strtoul(length + 18, NULL, 10) : 0;
    if (len - head_len < body_len)
        return 0;
    struct call *call = c->calls;
    if (!call) {
        violation(c->app->run, "an answer that nobody asked for");
        return len;
    }
    c->calls = call->next;
    c->calls_end = c->calls ? c->calls_end : &c->calls;
    c->depth--;
    call_over(call, (int)strtoul(data + 9, NULL, 10), body, body_len);
    return head_len + body_len;
}

static size_t on_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    size_t used = 0, step;
    (void)s;
    while (used < len && (step = take_answer(owner, (const char *)data + used, len - used)) > 0)
        used += step;
    return used;
}

static void on_closed(void *owner, struct stream *s, int error) {
    struct connection *c = owner, **at = &c->app->connections;
    (void)s;
    (void)error;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    while (c->calls) {
        struct call *call = c->calls;
        c->calls = call->next;
        call_over(call, 0, "", 0);
    }
    free(c);
}

static const struct stream_ops app_ops = {
    .on_data = on_data, .on_closed = on_closed, .keep_max = ANSWER_MAX};

static struct stream *connect_to(struct app *a, int center, const struct stream_ops *ops,
                                 void *owner) {
    struct sock_addr to;
    char host[32];
    int error = 0;
    node_address(&a->run->world, a->run->daemons[center].node, host, sizeof(host));
    if (sock_addr_parse(host, CENTER_PORT, &to) != 0)
        abort();
    return stream_connect(a->loop, &to, ops, owner, &error);
}

static struct connection *connection_new(struct app *a, int center) {
    struct connection *c = hw_calloc(1, sizeof(*c));
    c->app = a;
    c->center = center;
    c->calls_end = &c->calls;
    c->next = a->connections;
    a->connections = c;
    c->stream = connect_to(a, center, &app_ops, c);
    return c;
}

// One at rest, else a new one, else the one with the fewest calls.
static struct connection *connection_for(struct app *a, int center) {
    int count = 0, depth = world_chance(&a->run->world, DEEP_PERMILLE) ? 1 : 0;
    struct connection *best = NULL;
    for (struct connection *c = a->connections; c; c = c->next) {
        if (c->center != center)
            continue;
        count++;
        best = !best || c->depth < best->depth ? c : best;
        if (c->depth == depth)
            return c;
    }
    return (best && best->depth == 0) || count >= CONNECTIONS ? best : connection_new(a, center);
}

static void start_call(void *arg) {
    struct call *call = arg;
    struct connection *c = connection_for(call->run->app, call->center);
    call->next = NULL;
    *c->calls_end = call;
    c->calls_end = &call->next;
    c->depth++;
    stream_send(c->stream, call->request.data, call->request.len);
}

static void drop_call(void *arg) {
    call_over(arg, 0, "", 0);
}

static void put_body(struct run *r, struct buf *request, const char *body) {
    size_t len = strlen(body);
    if (!world_chance(&r->world, CHUNKED_PERMILLE)) {
        buf_printf(request, "Content-Length: %zu\r\n\r\n%s", len, body);
        return;
    }
    size_t first = (size_t)world_between(&r->world, 1, len);
    buf_printf(request, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%.*s\r\n", first, (int)first,
               body);
    if (first < len)
        buf_printf(request, "%zX;more\r\n%s\r\n", len - first, body + first);
    buf_append_str(request, "0\r\n\r\n");
}

static void visit_rudely(struct run *r, int center);

bool api_call(struct run *r, const char *method, const char *path, const char *key,
              const char *body, api_done_fn *done, void *arg) {
    struct daemon_slot *center = daemon_any(r, &center_role);
    if (!center)
        return false;
    struct call *c = hw_calloc(1, sizeof(*c));
    c->run = r;
    c->center = (int)(center - r->daemons);
    c->done = done;
    c->arg = arg;
    buf_printf(&c->request, "%s %s HTTP/1.1\r\nHost: center\r\nAuthorization: Bearer %s\r\n",
               method, path, ADMIN_KEY);
    if (key)
        buf_printf(&c->request, "Idempotency-Key: %s\r\n", key);
    put_body(r, &c->request, body);
    node_defer(&r->world, r->app->node, start_call, drop_call, c);
    if (world_chance(&r->world, RUDE_PERMILLE))
        visit_rudely(r, c->center);
    return true;
}

// --- visitors

static size_t drop_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    (void)owner;
    (void)s;
    (void)data;
    return len;
}

static const struct stream_ops rude_ops = {.on_data = drop_data};

struct visit {
    struct run *run;
    int center;
    struct buf heard; // by a stranger
};

#define HALF_REQUEST(key)                                                                          \
    "POST /v1/products/product0/messages HTTP/1.1\r\nHost: c\r\n"                                  \
    "Authorization: Bearer " key "\r\nContent-Length: 1000\r\n\r\nhalf"

static size_t hear(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    struct visit *v = owner;
    (void)s;
    buf_append(&v->heard, data, len);
    return len;
}

// By its key, or before anybody could look at it: no register says which keys there are, or too
// many requests wait for that. An answer may be cut off.
static bool is_refused_as_stranger(const char *answer) {
    unsigned long status = strtoul(answer + 9, NULL, 10);
    if (status == 503)
        return !strchr(answer, '}') || strstr(answer, "\"code\":\"store_unavailable\"") ||
               strstr(answer, "\"code\":\"overloaded\"");
    return status == 401 || !strstr(answer, "\r\n");
}

// Who has no key is refused by the head, once: nobody waits for its body, nor reads it as more.
static void stranger_gone(void *owner, struct stream *s, int error) {
    struct visit *v = owner;
    const char *heard = buf_cstr(&v->heard), *second = strstr(heard, "HTTP/1.1 ");
    (void)s;
    (void)error;
    if (strstr(heard, "HTTP/1.1 408"))
        violation(v->run, "the body of a stranger was waited for");
    else if (second && !is_refused_as_stranger(second))
        violation(v->run, "a stranger was answered with %.12s", second);
    if (second && strstr(second + 1, "HTTP/1.1 "))
        violation(v->run, "a stranger was answered twice");
    buf_free(&v->heard);
    free(v);
}

static void start_stranger(void *arg) {
    static const struct stream_ops ops = {.on_data = hear, .on_closed = stranger_gone};
    static const char request[] = HALF_REQUEST("no-key-of-anyone");
    struct visit *v = arg;
    stream_send(connect_to(v->run->app, v->center, &ops, v), request, sizeof(request) - 1);
}

static void start_visit(void *arg) {
    static const char request[] = HALF_REQUEST(ADMIN_KEY);
    struct visit *v = arg;
    struct world *w = &v->run->world;
    struct stream *s = connect_to(v->run->app, v->center, &rude_ops, NULL);
    stream_send(s, request, (size_t)world_between(w, 1, sizeof(request) - 1));
    if (world_chance(w, 700))
        stream_end_after_flush(s, world_between(w, 1, 20000), 0);
    free(v);
}

static void visit_rudely(struct run *r, int center) {
    struct visit *v = hw_malloc(sizeof(*v));
    *v = (struct visit){.run = r, .center = center};
    world_fn *start = world_chance(&r->world, 300) ? start_stranger : start_visit;
    node_defer(&r->world, r->app->node, start, free, v);
}

// --- life

void app_add(struct run *r) {
    r->app = hw_calloc(1, sizeof(*r->app));
    r->app->run = r;
    r->app->node = node_add(&r->world, "app");
}

void app_boot(struct run *r) {
    r->app->loop = node_boot(&r->world, r->app->node);
}

int app_halt(struct run *r) {
    struct app *a = r->app;
    for (struct connection *c = a->connections; c; c = c->next)
        stream_end(c->stream, 0);
    int left = a->loop ? node_halt(&r->world, a->node, false) : 0;
    free(a);
    r->app = NULL;
    return left;
}
