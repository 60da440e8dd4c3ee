// Calls between daemons over few long TCP links, pipelined and batched. The wire is in
// proto/rpc.proto.
//
// All requests to one method of one peer in one loop iteration travel in one frame, and so do
// replies; order is kept within a method and not across methods. Every call completes exactly once,
// never before rpc_call returns: with its reply, or with
//   -HW_EBUSY          too many bytes in flight on this link, or open at its server
//   -HW_EDEADLINE      no answer in time; it may still have been done
//   -HW_ELINK          the link is down (not sent) or went down (may have been done)
//   -HW_ECANCELLED     the link was freed
//   -HW_ETOOBIG        the reply would not go into a frame, or the request decodes to more memory
//                      than its method takes
//   any other -HW_E... what the handler failed it with
// A link reconnects by itself, with exponential backoff and full jitter (50 ms .. 2 s). Host names
// are resolved again at every reconnect.
#ifndef HW_RPC_H
#define HW_RPC_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log.h"
#include "loop.h"
#include "methods.h"

enum { RPC_MAJOR = 1, RPC_MINOR = 0, RPC_FRAME_MAX = 16 * 1024 * 1024, RPC_SECRETS_MAX = 8 };

// Who we are to peers. Borrowed by links and servers, outlives them; secrets may be swapped on
// reload.
struct rpc_identity {
    const char *role;
    uint64_t incarnation;
    const char *secrets[RPC_SECRETS_MAX]; // the first is used, all are accepted
    int secret_count;
};

// --- the calling side
struct rpc_link;
struct rpc_link_options {
    const char *host; // name or numeric; copied
    uint16_t port;
    const char *peer_role;      // what the server must prove to be
    uint64_t peer_incarnation;  // the run that must answer; 0 = any. Another one ends the link for
                                // good (-HW_ESTALE)
    size_t in_flight_bytes_max; // 0 = 8 MiB
    void (*on_state)(void *arg, struct rpc_link *link,
                     bool up); // after the hand-shake, and when it is lost; may be NULL
    void (*on_silent)(void *arg, struct rpc_link *link); // see rpc_link_is_silent; may be NULL
    void *arg;
};
struct rpc_link *rpc_link_new(struct loop *l, const struct rpc_identity *self, struct log *log,
                              const struct rpc_link_options *o);
void rpc_link_free(
    struct rpc_link *link); // completes what is in flight with -HW_ECANCELLED, before it returns
bool rpc_link_is_up(const struct rpc_link *link);
// While a call waits that is not LONG, a peer that says nothing for 100 ms is asked with a ping;
// 300 ms later it is silent, until it says something: frozen, or cut off, which its connection will
// show only after 10 s. A peer that is alive answers, however slow its store is. on_silent is
// called when the peer is found to be silent, and every 100 ms from then on while such calls wait.
bool rpc_link_is_silent(struct rpc_link *link);
// Completes the REPEATABLE calls in flight with -HW_EDEADLINE, for who has somebody else to ask.
void rpc_link_give_up_repeatable(struct rpc_link *link);
uint64_t rpc_link_peer_incarnation(const struct rpc_link *link); // 0 while down
const char *rpc_link_last_error(const struct rpc_link *link); // why it is down, for readyz and logs
size_t rpc_link_in_flight(const struct rpc_link *link);       // calls

// error 0: body[0..len) is the reply, valid during the call. Else negative, body NULL.
typedef void rpc_done_fn(void *arg, int error, const uint8_t *body, size_t len);
struct rpc_question {
    uint16_t method;
    uint32_t deadline_ms;
    const ProtobufCMessage *request; // packed before rpc_call returns
    enum call_kind kind;             // see methods.h
};
// On a link that is down: completes with -HW_ELINK in this iteration.
void rpc_call(struct rpc_link *link, const struct rpc_question *q, rpc_done_fn *done, void *arg);

// --- the serving side
struct rpc_call; // one request being answered; lives until rpc_reply or rpc_fail, also past the
                 // link's end
// request is valid during the call.
typedef void rpc_handler_fn(void *daemon, const ProtobufCMessage *request, struct rpc_call *call);
// Roles that may call a method, as a set. The peer's role is the one it proved in the hand-shake.
enum rpc_caller {
    RPC_ROOM = 1,
    RPC_CENTER = 2,
    RPC_REGISTER = 4,
    RPC_SAVER = 8,
    RPC_COORDINATOR = 16,
    RPC_DISPATCHER = 32,
    RPC_EVERY_ROLE = 63
};
struct rpc_method { // a row of proto/methods.h as its server has it (serve.h)
    uint16_t number;
    unsigned callers;           // others are answered -HW_EFORBIDDEN
    const char *name;           // a literal, as are the next
    const char *counter, *help; // of how often it was taken on, as metrics.h has them
    size_t memory_max;          // of a decoded request; more is -HW_ETOOBIG
    const ProtobufCMessageDescriptor *request, *reply;
    rpc_handler_fn *handler;
};
struct rpc_server;
struct rpc_server_options {
    struct loop *loop;
    const struct rpc_identity *self;
    struct log *log;
    const char *host;                 // copied
    uint16_t first, last;             // the first free port of these; 0 = the kernel's choice
    const struct rpc_method *methods; // ends with handler NULL; static
    void *daemon;                     // for the handlers
};
int rpc_server_new(const struct rpc_server_options *o,
                   struct rpc_server **ret_server) HW_MUST_CHECK;
struct rpc_counts {
    uint64_t refused;       // peers that could not prove themselves, or broke the protocol
    uint64_t displaced;     // connections that gave way to others before they had proven themselves
    uint64_t forbidden;     // calls of a method that is not for the caller's role
    uint64_t calls_refused; // that do not decode, decode to too much, or make no sense
};
const struct rpc_counts *rpc_server_counts(const struct rpc_server *s); // valid as long as s
// Calls of that method that its handler got, whose place in the list is at. Valid as long as s.
const uint64_t *rpc_server_served(const struct rpc_server *s, size_t at);
uint16_t rpc_server_port(const struct rpc_server *s);
void rpc_server_free(
    struct rpc_server *s); // NULL is harmless; open calls may still be answered, into nothing
// Each consumes call; the answer is sent with this iteration's batch. reply is of the method's
// type.
void rpc_reply(struct rpc_call *call, const ProtobufCMessage *reply);
void rpc_fail(struct rpc_call *call, int error); // error: a negative HW_E number
void rpc_refuse(struct rpc_call *call);          // a request that makes no sense; counted
const char *rpc_call_peer_role(const struct rpc_call *call);
uint64_t rpc_call_peer_incarnation(const struct rpc_call *call);

#endif
