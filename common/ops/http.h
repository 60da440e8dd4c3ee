// An HTTP/1.1 server in the loop: one more protocol over streams. A handler is given each request
// at the end of its head, so that it refuses before any body is read; then it asks for the body.
// Bytes, connections and times are bounded (struct http_limits); what breaks a rule or a bound is
// answered here, as problem+json, and the connection ends. HEAD comes to the handler as GET, its
// answer goes out without a body. Pipelined requests are answered one after the other, and nothing
// is read while one is with the handler or its answer waits for the reader.
#ifndef HW_HTTP_H
#define HW_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "descriptors.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"

struct http_response {
    int status;
    const char *content_type; // NULL with an empty body
    const void *body;         // copied
    size_t body_len;
    const char *headers[8][2]; // name and value pairs, ended by NULL; copied
};

// One request; the handler owns it until http_respond, though the connection or the server may end
// before. Strings are as received, never NULL.
struct http_request {
    const char *method;
    const char *path;  // still percent-encoded, without the query
    const char *query; // still percent-encoded, without '?'
    const char *authorization, *idempotency_key, *if_match, *if_none_match;
    bool has_idempotency_key;
    const uint8_t *body; // once it was read
    size_t body_len;
    char id[25]; // request id: hex, for logs and Hawser-Request-Id
};

// Consumes r. A body that was not read ends the connection behind the answer.
void http_respond(struct http_request *r, const struct http_response *response);
// Reads the body, also an empty one; done is called once, perhaps before this returns, unless r is
// responded to earlier. With r NULL the request is over, and consumed: it was refused, or the
// client went away.
typedef void http_body_fn(void *arg, struct http_request *r);
void http_read_body(struct http_request *r, http_body_fn *done, void *arg);
// Whose the body is that is read next; none of it is there yet. All bodies of one product are
// bounded, so that it leaves some of http_limits.bodies_bytes_max to the others.
void http_charge(struct http_request *r, uint32_t product);
// What was made of the body holds so many bytes now (not fewer than before), until the answer. They
// are counted and bounded as the body's own are. Over a bound they are not counted.
enum http_bound { HTTP_BOUND_NONE, HTTP_BOUND_PRODUCT, HTTP_BOUND_ALL }; // which one forbids more
enum http_bound http_charge_made(struct http_request *r, size_t bytes);
// The client has shown a valid key: its connection is no longer among those that give way to
// others.
void http_trust(struct http_request *r);
// Whoever keeps a request beyond the handler's return without reading a body asks first. False: it
// is to be answered at once, since too many without a key wait already whose connections had to
// give way. A request whose connection is one of those with a key may always wait.
bool http_may_wait(struct http_request *r);

// Decodes %XX of data[0..len) (and '+' as a space if plus) into out[len + 1]; false when malformed
// or when it holds %00.
bool http_unescape(const char *data, size_t len, bool plus, char *out);
// The value of a query field, decoded, into out[out_len]; false if it is not there. *ret_bad is set
// when it is there and does not decode or fit.
bool http_query_get(const char *query, const char *name, char *out, size_t out_len, bool *ret_bad);
// The next value of a repeated field, likewise; q->at begins as the query.
struct http_query {
    const char *at;
    bool is_bad;
};
bool http_query_next(struct http_query *q, const char *name, char *out, size_t out_len);

// All deadlines are absolute: bytes that trickle in do not move them.
struct http_limits {
    uint64_t head_ms;          // from the first byte of a head, or the accept, to its end
    uint64_t idle_ms;          // between two requests
    uint64_t body_ms, read_ms; // for a body, and for an answer to be read; each and 1 s for 256 KiB
    uint64_t linger_ms;        // after the last answer, for the client to read it
    size_t body_bytes_max;     // of one request
    size_t bodies_bytes_max;   // of all that are being received or worked on; a quarter of them for
                               // one product, or one body
    // Connections with a key; without one; of those from one address (IPv6: one /64). Over a bound
    // the one at rest for longest gives way. keyless_max also bounds the requests whose connections
    // gave way while they waited. Of the descriptors half is for those with a key at most, a
    // quarter for those without, and half of that for one address.
    unsigned connections_max, keyless_max, address_max;
};
extern const struct http_limits http_limits_default;

typedef void http_handler_fn(void *arg, struct http_request *r);
struct http_server;
struct http_options {
    struct loop *loop;
    const char *host;
    enum door_kind door;
    uint16_t port_first, port_last; // 0 = the kernel's choice
    struct log *log;                // borrowed; NULL logs nothing
    struct http_limits limits;
    const char *allow_origin; // Access-Control-Allow-Origin of every answer; NULL = none
    http_handler_fn *handler;
    void *arg;
};
// 0 or a negative errno.
int http_server_new(const struct http_options *o, struct http_server **ret_server) HW_MUST_CHECK;
uint16_t http_server_port(const struct http_server *s);
// Its counters, named http_... or ops_...; s outlives the last metrics_print.
void http_server_count(struct http_server *s, struct metrics *m, bool is_ops);
void http_server_drain(struct http_server *s); // each connection ends behind its next answer
// NULL is harmless. Not from within a handler. Who reads a body is told that it is over; what
// handlers have is still theirs to respond to, and goes nowhere.
void http_server_free(struct http_server *s);

#endif
