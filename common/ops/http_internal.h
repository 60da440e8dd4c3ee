// What the files of the HTTP server share; nobody else includes it. Each file calls those below it
// only:
//
//   http.c          a server's life; who gives way to a newcomer
//   http_conn.c     a connection: its phases, deadlines, requests, answers
//   http_classes.c  connections with a key and without, and where the latter come from
//   http_body.c     the bytes of bodies: what they may hold, together and for each product
//   http_answer.c   the bytes of answers and refusals
//   http_query.c    percent-encoding and query fields
//   http_parse.c    bytes to heads, without I/O; http_chunks.c to bodies
//
//   HEAD --head read--> HANDLER --http_read_body--> BODY --read--> HANDLER
//    ^                     |                         |
//    |<--answer is out-----+--answer--> WRITING <----+ (answered early: LINGERING)
//    |                                     |
//    +<--reader has it---------------------+      any --refused, or last answer--> LINGERING -->
//    CLOSED
#ifndef HW_HTTP_INTERNAL_H
#define HW_HTTP_INTERNAL_H

#include <sys/queue.h>

#include "http.h"
#include "http_parse.h"
#include "stream.h"
#include "table.h"

#define HTTP_PHASES(X) X(HEAD) X(HANDLER) X(BODY) X(WRITING) X(LINGERING) X(CLOSED)
enum http_phase {
#define HTTP_PHASE_ENUM(name) HTTP_##name,
    HTTP_PHASES(HTTP_PHASE_ENUM)
#undef HTTP_PHASE_ENUM
        HTTP_PHASE_COUNT
};

struct http_conn;
TAILQ_HEAD(http_conns, http_conn); // the one at rest for longest first

struct http_address { // where connections without a key come from
    uint8_t key[16];
    unsigned count;
    struct http_conns conns;
    UT_hash_handle hh;
};

struct http_account { // what the bodies of one product hold
    uint32_t product;
    unsigned requests; // that are charged to it; at 0 it goes
    uint64_t bytes;
    UT_hash_handle hh;
};

// A request and what becomes of it; lives until the handler has responded.
struct http_exchange {
    struct http_request request; // first: http_respond casts back
    LIST_ENTRY(http_exchange) at_server;
    struct http_server *server;   // NULL once it is gone
    struct http_conn *conn;       // NULL once it is gone
    struct http_account *account; // NULL: its body is charged to no product
    struct http_head head;        // owned: the request's strings
    struct http_chunks chunks;
    struct buf body;
    size_t made_bytes; // of http_charge_made
    uint64_t body_left;
    http_body_fn *on_body;
    void *arg;
    bool is_head, is_body_read;
    bool may_wait; // beyond the handler's return
};

struct http_conn {
    struct http_server *server; // outlives it
    struct stream *stream;      // ends with it
    enum http_phase phase;
    struct http_address *address; // NULL: it has shown a key
    TAILQ_ENTRY(http_conn) in_class, at_address;
    struct timer deadline;
    struct hook next_reads;         // after REQUESTS_AT_ONCE, when others had theirs
    struct http_head head;          // being read
    struct http_exchange *exchange; // in HANDLER and BODY
    uint64_t rested_ms;             // when it was accepted, or its last answer was out
    bool is_first;                  // of its heads: the deadline is the accept's
    bool has_begun;                 // the head that is being read
    bool is_reading;                // within on_data
};

struct http_server {
    struct http_options options;
    struct listener *listener;
    struct http_conns keyed, keyless;
    unsigned keyed_count, keyless_count;
    struct http_address *addresses;
    LIST_HEAD(, http_exchange) exchanges; // also those whose connection is gone
    uint8_t hash_key[16];
    uint64_t bodies_bytes; // what those hold
    uint64_t abandoned;    // how many of them have no connection any more
    struct http_account *accounts;
    bool is_draining;
    char date[40];
    uint64_t date_s;
    struct {
        uint64_t refused[HTTP_REFUSAL_COUNT], gave_way, idle, unread, connections, no_wait;
    } count;
};

// http_classes.c
void http_conn_enter_keyless(struct http_conn *c, const struct stream *stream); // a newcomer
void http_conn_enter_keyed(struct http_conn *c); // is keyless no more
void http_conn_forget(struct http_conn *c); // takes it out of the lists; harmless when it is out
void http_conn_rest(struct http_conn *c);   // it rests from now on: last of those that give way

// http_conn.c
void http_accept_conn(struct http_conn *c, struct stream *s);
void http_conn_end(struct http_conn *c);    // at once
void http_conn_orphan(struct http_conn *c); // the same as its server ends: c is gone

// http_body.c
// More of the body; false: a bound forbids it, and nothing of it is kept.
bool http_body_keep(struct http_exchange *x, const uint8_t *data, size_t len,
                    enum http_fault *ret_fault);
void http_body_uncharge(struct http_exchange *x); // harmless when it was never charged
void http_body_free(struct http_exchange *x);

// http_answer.c
void http_continue(struct http_conn *c);
void http_put_answer(struct http_exchange *x, const struct http_response *response, bool is_last);
void http_put_refusal(struct http_conn *c, enum http_fault fault);
void http_request_id(struct http_server *s, char out[25]);

#endif
