// An HTTP/1.1 server in the loop, on libmicrohttpd: whole requests in, one answer each, at once or
// later. Bodies over the limit are refused with 413 before they are read; duplicate Content-Length,
// and Content-Length with Transfer-Encoding, with 400. A handler sees only struct http_request, so
// that the simulation can make requests of its own.
#ifndef HW_HTTP_H
#define HW_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "log.h"
#include "loop.h"

struct http_response {
    int status;
    const char *content_type; // NULL with an empty body
    const void *body;         // copied
    size_t body_len;
    const char *headers[8][2]; // name and value pairs, ended by NULL; copied
};

// One request; the handler owns it until http_respond. Strings are as received, never NULL.
struct http_request {
    const char *method;
    const char *path;  // still percent-encoded, without the query
    const char *query; // still percent-encoded, without '?'
    const char *authorization, *idempotency_key, *if_match, *if_none_match;
    bool has_idempotency_key;
    const uint8_t *body;
    size_t body_len;
    bool too_large; // the body was over the limit and is not here
    bool malformed; // Content-Length twice, or with Transfer-Encoding
    char id[25];    // request id: hex, for logs and Hawser-Request-Id
    void (*respond)(struct http_request *r, const struct http_response *response);
};
void http_respond(struct http_request *r, const struct http_response *response); // consumes r

// Decodes %XX of data[0..len) (and '+' as a space if plus) into out[len + 1]; false when malformed
// or when it holds %00.
bool http_unescape(const char *data, size_t len, bool plus, char *out);
// The value of a query field, decoded, into out[out_len]; false if it is not there. *ret_bad is set
// when it is there and does not decode or fit.
bool http_query_get(const char *query, const char *name, char *out, size_t out_len, bool *ret_bad);
// The next value of a repeated field; *cursor is NULL at first.
bool http_query_next(const char *query, const char *name, const char **cursor, char *out,
                     size_t out_len, bool *ret_bad);

typedef void http_handler_fn(void *arg, struct http_request *r);
struct http_server;
struct http_options {
    struct loop *loop;
    const char *host;
    uint16_t port_first, port_last; // 0 = the kernel's choice
    size_t body_max;
    http_handler_fn *handler;
    void *arg;
};
// 0 or a negative errno.
int http_server_new(const struct http_options *o, struct http_server **ret_server) HW_MUST_CHECK;
uint16_t http_server_port(const struct http_server *s);
// NULL is harmless. Every request must have been responded to before.
void http_server_free(struct http_server *s);

#endif
