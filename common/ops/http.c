// libmicrohttpd's epoll descriptor is one watch of our loop; a request is suspended while its
// handler works on it and resumed with the answer.
#include "http.h"

#include <assert.h>
#include <errno.h>
#include <microhttpd.h>

#include "addr.h"
#include "bytes.h"

enum { IDLE_S = 75, CONNECTIONS_MAX = 4096, HEADERS_BYTES_MAX = 32 * 1024 };

struct pending {
    struct http_request request; // first: http_respond casts back
    struct pending *next, *prev; // in server.pending while with the handler
    struct http_server *server;  // NULL once the server is gone
    struct MHD_Connection *connection;
    struct MHD_Response *response; // owned, once answered
    struct buf body;
    char *uri; // owned: path, NUL, query
    int status;
    bool handed;    // the handler has it, until it responds
    bool suspended; // MHD waits for us
};

struct http_server {
    struct http_options options;
    struct MHD_Daemon *daemon;
    struct watch *watch;
    struct timer timer;
    struct hook run_hook;
    struct pending *pending; // with the handler
    uint16_t port;
};

// --- MHD in the loop

static void timer_fired(struct timer *t);

static void run(struct http_server *s) {
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    MHD_run(s->daemon);
    loop_disarm(s->options.loop, &s->timer);
    if (MHD_get_timeout(s->daemon, &timeout_ms) == MHD_YES)
        loop_arm(s->options.loop, &s->timer, timeout_ms, timer_fired);
}

static void timer_fired(struct timer *t) {
    run(container_of(t, struct http_server, timer));
}

static void on_ready(void *arg, int fd, uint32_t events) {
    (void)fd;
    (void)events;
    run(arg);
}

static void run_soon(struct hook *h) {
    run(container_of(h, struct http_server, run_hook));
}

// --- one request

static void respond(struct http_request *r, const struct http_response *response);

static char *uri_take(void *arg, const char *uri, struct MHD_Connection *connection) {
    struct http_server *s = arg;
    struct pending *p = hw_calloc(1, sizeof(*p));
    uint8_t id[12];
    p->server = s;
    p->connection = connection;
    p->uri = hw_strdup(uri);
    char *query = strchr(p->uri, '?');
    if (query)
        *query++ = '\0';
    p->request.path = p->uri;
    p->request.query = query ? query : p->uri + strlen(p->uri);
    for (int i = 0; i < 12; i += 4)
        be32_put(id + i, (uint32_t)rng_u64(loop_rng(s->options.loop)));
    hex_encode(id, sizeof(id), p->request.id);
    p->request.respond = respond;
    return (char *)p;
}

static size_t keep_escaped(void *arg, struct MHD_Connection *connection, char *text) {
    (void)arg;
    (void)connection;
    return strlen(text); // paths are split before they are decoded
}

static enum MHD_Result count_length(void *arg, enum MHD_ValueKind kind, const char *name,
                                    const char *value) {
    int *count = arg;
    (void)kind;
    (void)value;
    *count += strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0 ? 1 : 0;
    return MHD_YES;
}

static const char *header(struct pending *p, const char *name) {
    return MHD_lookup_connection_value(p->connection, MHD_HEADER_KIND, name);
}

static const char *or_empty(const char *text) {
    return text ? text : "";
}

static void take_headers(struct pending *p, const char *method) {
    int lengths = 0;
    struct http_request *r = &p->request;
    r->method = method;
    r->authorization = or_empty(header(p, MHD_HTTP_HEADER_AUTHORIZATION));
    r->has_idempotency_key = header(p, "Idempotency-Key") != NULL;
    r->idempotency_key = or_empty(header(p, "Idempotency-Key"));
    r->if_match = or_empty(header(p, MHD_HTTP_HEADER_IF_MATCH));
    r->if_none_match = or_empty(header(p, MHD_HTTP_HEADER_IF_NONE_MATCH));
    MHD_get_connection_values(p->connection, MHD_HEADER_KIND, count_length, &lengths);
    const char *length = header(p, MHD_HTTP_HEADER_CONTENT_LENGTH);
    r->malformed = lengths > 1 || (length && header(p, MHD_HTTP_HEADER_TRANSFER_ENCODING));
    char *end = NULL;
    r->too_large = length && strtoull(length, &end, 10) > p->server->options.body_max;
}

static void list_add(struct http_server *s, struct pending *p) {
    p->prev = NULL;
    p->next = s->pending;
    if (p->next)
        p->next->prev = p;
    s->pending = p;
}

static void list_remove(struct http_server *s, struct pending *p) {
    *(p->prev ? &p->prev->next : &s->pending) = p->next;
    if (p->next)
        p->next->prev = p->prev;
}

// Answers at once if the handler did, else MHD waits.
static enum MHD_Result handle(struct pending *p) {
    struct http_server *s = p->server;
    p->request.body = p->body.data;
    p->request.body_len = p->body.len;
    p->handed = true;
    list_add(s, p);
    s->options.handler(s->options.arg, &p->request);
    if (p->response)
        return MHD_queue_response(p->connection, (unsigned)p->status, p->response);
    p->suspended = true;
    MHD_suspend_connection(p->connection);
    return MHD_YES;
}

// MHD calls it with the headers, with each part of the body, at its end, and after a resume.
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_len, void **context) {
    struct pending *p = *context;
    (void)arg;
    (void)connection;
    (void)url;
    (void)version;
    if (!p->request.method) {
        take_headers(p, method);
        // Refused without reading on: MHD then ends the connection.
        return p->request.too_large || p->request.malformed ? handle(p) : MHD_YES;
    }
    if (p->response)
        return MHD_queue_response(p->connection, (unsigned)p->status, p->response);
    if (*data_len == 0)
        return handle(p);
    size_t room = p->server->options.body_max - p->body.len;
    if (*data_len > room)
        p->request.too_large = true; // a chunked one: it cannot be answered before its end
    else if (!p->request.too_large)
        buf_append(&p->body, data, *data_len);
    *data_len = 0;
    return MHD_YES;
}

static void pending_free(struct pending *p) {
    if (p->response)
        MHD_destroy_response(p->response);
    buf_free(&p->body);
    free(p->uri);
    free(p);
}

// The connection may end while the handler still has the request: then it is freed at the answer.
static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code) {
    struct pending *p = *context;
    (void)arg;
    (void)connection;
    (void)code;
    if (!p)
        return;
    *context = NULL;
    p->connection = NULL;
    if (!p->handed)
        pending_free(p);
}

static void respond(struct http_request *r, const struct http_response *response) {
    struct pending *p = (struct pending *)r;
    struct http_server *s = p->server;
    assert(p->handed);
    p->handed = false;
    if (s)
        list_remove(s, p);
    if (!p->connection) {
        pending_free(p);
        return;
    }
    p->status = response->status;
    p->response = MHD_create_response_from_buffer(
        response->body_len, (void *)(uintptr_t)response->body, MHD_RESPMEM_MUST_COPY);
    if (!p->response)
        abort();
    if (response->content_type)
        MHD_add_response_header(p->response, MHD_HTTP_HEADER_CONTENT_TYPE, response->content_type);
    for (int i = 0; i < 8 && response->headers[i][0]; i++)
        MHD_add_response_header(p->response, response->headers[i][0], response->headers[i][1]);
    MHD_add_response_header(p->response, "Hawser-Request-Id", r->id);
    if (p->suspended) {
        p->suspended = false;
        MHD_resume_connection(p->connection);
        hook_schedule(s->options.loop, &s->run_hook, run_soon);
    }
}

void http_respond(struct http_request *r, const struct http_response *response) {
    r->respond(r, response);
}

// --- life

int http_server_new(const struct http_options *o, struct http_server **ret_server) {
    struct os *os = loop_os(o->loop);
    struct sock_addr at, bound;
    int fd = sock_addr_parse(o->host, o->port_first, &at);
    for (uint32_t port = o->port_first; fd == 0 && port <= o->port_last; port++) {
        (void)!sock_addr_parse(o->host, (uint16_t)port, &at);
        fd = os_listen(os, &at, &bound);
        if (fd != -EADDRINUSE || port == o->port_last)
            break;
        fd = 0;
    }
    if (fd < 0)
        return fd;
    struct http_server *s = hw_calloc(1, sizeof(*s));
    s->options = *o;
    s->port = sock_addr_port(&bound);
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, s,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_BYTES_MAX,
        MHD_OPTION_URI_LOG_CALLBACK, uri_take, s, MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, s,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_END);
    if (!s->daemon) {
        os_close(os, fd);
        free(s);
        return -EMFILE;
    }
    int epoll_fd = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    s->watch = loop_watch(o->loop, epoll_fd, OS_READABLE, on_ready, s);
    *ret_server = s;
    return 0;
}

uint16_t http_server_port(const struct http_server *s) {
    return s->port;
}

void http_server_free(struct http_server *s) {
    if (!s)
        return;
    assert(!s->pending);
    run(s); // what was answered last still goes out
    watch_end(s->watch);
    hook_stop(&s->run_hook);
    loop_disarm(s->options.loop, &s->timer);
    MHD_stop_daemon(s->daemon);
    free(s);
}
