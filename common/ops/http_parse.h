// HTTP/1.x requests without I/O: a head, and the chunks of a body. libhttp-parser splits the head,
// and nobody else includes it. Debian builds it lenient: it takes bare line feeds, spaces in names
// and anything after a chunk. So each rule that keeps two readers of one request from seeing two
// different requests stands here in front of it, and chunks are read here alone.
#ifndef HW_HTTP_PARSE_H
#define HW_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_HEAD_MAX = 32 * 1024, HTTP_TARGET_MAX = 8 * 1024, HTTP_FIELDS_MAX = 100 };

// What the server answers by itself: code, status, title.
#define HTTP_REFUSALS(X)                                                                           \
    X(malformed, 400, "The request is malformed")                                                  \
    X(request_timeout, 408, "The request did not come in time")                                    \
    X(body_too_large, 413, "The body is too large")                                                \
    X(target_too_long, 414, "The request target is too long")                                      \
    X(expectation_failed, 417, "The expectation is not met here")                                  \
    X(quota_exceeded, 429, "More than a product may do at a time")                                 \
    X(head_too_large, 431, "The head is too large")                                                \
    X(method_unknown, 501, "The method is not known")                                              \
    X(overloaded, 503, "Too much work in progress")                                                \
    X(version_unknown, 505, "The HTTP version is not spoken here")
enum http_refusal {
#define HTTP_REFUSAL_ENUM(code, status, title) HTTP_REFUSAL_##code,
    HTTP_REFUSALS(HTTP_REFUSAL_ENUM)
#undef HTTP_REFUSAL_ENUM
        HTTP_REFUSAL_COUNT
};

// Each rule that a request can break: its refusal, and the detail that tells.
#define HTTP_FAULTS(X)                                                                             \
    X(NUL, malformed, "a NUL byte in the head")                                                    \
    X(CONTROL, malformed, "a control character in the head")                                       \
    X(LINE_END, malformed, "a line does not end with CR LF")                                       \
    X(FOLD, malformed, "a folded field")                                                           \
    X(REQUEST_LINE, malformed, "the request line is not 'method target version'")                  \
    X(TARGET, malformed, "the request target is neither a path nor an http URL")                   \
    X(FIELD_NAME, malformed, "a field without a name, or with one that is no token")               \
    X(HOST_MISSING, malformed, "HTTP/1.1 without Host")                                            \
    X(HOST, malformed, "Host is not a host")                                                       \
    X(REPEATED, malformed, "a field that may be there once is there twice")                        \
    X(LENGTH, malformed, "Content-Length is no number, there twice, or with Transfer-Encoding")    \
    X(CODING, malformed, "a Transfer-Encoding other than chunked")                                 \
    X(SPLIT, malformed, "the head does not parse")                                                 \
    X(METHOD, method_unknown, "no such method")                                                    \
    X(VERSION, version_unknown, "HTTP/1.1 and HTTP/1.0 are spoken here")                           \
    X(EXPECT, expectation_failed, "only 100-continue can be expected")                             \
    X(TARGET_LONG, target_too_long, "a request target has at most 8 KiB")                          \
    X(HEAD_LONG, head_too_large, "a head has at most 32 KiB")                                      \
    X(FIELDS, head_too_large, "a head has at most 100 fields")                                     \
    X(CHUNK, malformed, "the chunks are malformed")                                                \
    X(CHUNK_WASTE, malformed, "the chunks are nearly all framing")                                 \
    X(BODY_LONG, body_too_large, "the body is too large")                                          \
    X(HEAD_LATE, request_timeout, "the head did not come in time")                                 \
    X(BODY_LATE, request_timeout, "the body did not come in time")                                 \
    X(BODIES_FULL, overloaded, "too many bytes of bodies are being received")                      \
    X(ABANDONED, overloaded, "too many requests wait whose connections are gone")                  \
    X(PRODUCT_FULL, quota_exceeded, "too many bytes of bodies of this product are being received")
enum http_fault {
#define HTTP_FAULT_ENUM(name, refusal, detail) HTTP_FAULT_##name,
    HTTP_FAULTS(HTTP_FAULT_ENUM)
#undef HTTP_FAULT_ENUM
};

struct http_refusal_row {
    const char *code, *title;
    int status;
};
extern const struct http_refusal_row http_refusal_rows[HTTP_REFUSAL_COUNT];
enum http_refusal http_fault_refusal(enum http_fault fault);
const char *http_fault_detail(enum http_fault fault);
const char *http_reason(int status); // "Not Found"

// Fields that are looked at. All but Connection may stand once.
#define HTTP_FIELDS(X)                                                                             \
    X(HOST, "Host")                                                                                \
    X(CONTENT_LENGTH, "Content-Length")                                                            \
    X(TRANSFER_ENCODING, "Transfer-Encoding")                                                      \
    X(EXPECT, "Expect")                                                                            \
    X(AUTHORIZATION, "Authorization")                                                              \
    X(IDEMPOTENCY_KEY, "Idempotency-Key")                                                          \
    X(IF_MATCH, "If-Match")                                                                        \
    X(IF_NONE_MATCH, "If-None-Match")                                                              \
    X(CONNECTION, "Connection")
enum http_field {
#define HTTP_FIELD_ENUM(name, text) HTTP_FIELD_##name,
    HTTP_FIELDS(HTTP_FIELD_ENUM)
#undef HTTP_FIELD_ENUM
        HTTP_FIELD_COUNT
};

enum http_parsed { HTTP_PARSED_OK, HTTP_PARSED_MORE, HTTP_PARSED_BAD };

// All-zero is one that has read nothing. What it holds after OK lives until http_head_reset.
struct http_head {
    const char *method, *path, *query;    // path and query as sent; "*" for OPTIONS *
    const char *fields[HTTP_FIELD_COUNT]; // without the space around them; NULL: not there
    uint64_t content_length;
    bool is_chunked, keeps_alive, expects_continue;
    enum http_fault fault;  // after BAD
    char *text;             // owned: the head, cut into strings
    size_t line_at, looked; // how far the scan has come: where the line begins, what has no LF
    unsigned lines;
};

// data[0..len) begins with a request; *ret_used after OK: how many bytes were its head. After MORE
// it is called again with the same bytes and more behind them, and goes on where it was.
enum http_parsed http_head_read(struct http_head *h, const uint8_t *data, size_t len,
                                size_t *ret_used);
void http_head_reset(struct http_head *h);

// A chunked body. All-zero is one that has read nothing.
struct http_chunks {
    int state;
    unsigned digits;
    uint64_t left;          // of this chunk
    uint64_t body, framing; // bytes: announced so far, and of everything else
    bool is_over;           // the last chunk and the trailer were read
    enum http_fault fault;  // after BAD
};
// Reads from data[0..len) up to and with the next piece of the body, *ret_piece of *ret_len bytes
// within data (OK), or the end (OK, is_over, no piece), or everything that is there (MORE).
// *ret_used bytes are done with in each case. Trailers are read and dropped.
enum http_parsed http_chunks_read(struct http_chunks *c, const uint8_t *data, size_t len,
                                  size_t *ret_used, const uint8_t **ret_piece, size_t *ret_len);

#endif
