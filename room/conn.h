// A client's connection, and what remains of it while it lingers. One that is open and rests is a
// slot of 64 bytes, and a stream: it has no buffers, and no timer, since a pass looks at each every
// two seconds. What it needs while it comes, binds, is asked, lingers or goes it borrows.
//
// A connection is freed at the end of the iteration in which it has nothing any more: whoever holds
// one may go on using it until then.
#ifndef HW_CONN_H
#define HW_CONN_H

#include <sys/queue.h>

#include "binding.h"
#include "frame_run.h"
#include "stream.h"
#include "timer.h"
#include "token.h"
#include "voice.h"

enum {
    DEVICE_MAX = 64,
    HEARTBEAT_MIN_MS = 5000,
    ASK_APART_MS = 2000 // a client is asked at most so often, in case it answers but sends no Pong
};

#define CONN_STATES(X)                                                                             \
    X(HELLO)     /* a stranger: its Hello is not whole yet */                                      \
    X(LOGIN)     /* its Hello is being answered */                                                 \
    X(OPEN)      /* its Welcome is on its way */                                                   \
    X(LINGERING) /* its stream is lost; its sessions are kept for the linger time */               \
    X(CLOSING)   /* over: gone with the end of its stream and of its last binding */
enum conn_state {
#define CONN_STATE_ENUM(name) CONN_##name,
    CONN_STATES(CONN_STATE_ENUM)
#undef CONN_STATE_ENUM
        CONN_STATE_COUNT
};

// What leads from one state to another, drawn in docs/SESSION.md. A connection begins with the
// first of them.
#define CONN_STEPS(X)                                                                              \
    X(HELLO, LOGIN)       /* its Hello */                                                          \
    X(HELLO, CLOSING)     /* its end, or ours; or its resume bytes gave its socket to another */   \
    X(LOGIN, OPEN)        /* all its bindings are answered: Welcome */                             \
    X(LOGIN, CLOSING)     /* its end, or ours */                                                   \
    X(OPEN, LINGERING)    /* it is lost */                                                         \
    X(OPEN, LOGIN)        /* resumed, before it was known to be lost: Welcome in the same call */  \
    X(OPEN, CLOSING)      /* its end, or ours */                                                   \
    X(LINGERING, LOGIN)   /* resumed: Welcome in the same call */                                  \
    X(LINGERING, CLOSING) /* nobody came, or its place is needed */

enum {
    CLOSE_KIND_FIRST = 40, // Close codes are told apart by their hundreds: 40xx .. 43xx
    CLOSE_KINDS = 4,
};

struct conn_counters {
    uint64_t connections, accepted, resumed, closed[CLOSE_KINDS], protocol_errors, silent,
        frames_refused, hellos_refused, slow, connections_refused, pings,
        steps[CONN_STATE_COUNT]; // by where they lead
};

#define ROOM_FULL_TEXT "this room is full"

// What a connection has only while something is under way with it.
struct transit {
    struct conn *conn;            // which has it
    TAILQ_ENTRY(transit) entry;   // in places.strangers before its Hello, in places.lingering
    struct conn *next_gone;       // in room.gone
    struct lingerer *lingerer;    // owned: it is found by its token; NULL: not so
    struct room_binding *binding; // the one that a Bind after Welcome is logging in
    void *voice_state;            // the voice's own, see voice.h
    struct timer timer;           // login or linger; heartbeat or expiry, when that is soon
    uint64_t came_ms;             // or before: its Hello was not sent earlier
    uint64_t login_by_ms;         // until then it must be answered, if it is let in
    uint32_t half_bytes;          // of a frame that is not whole, in places.strangers_bytes
    uint64_t pinged_ms;           // the last Ping of ours; 0: none lately
};

struct conn {
    struct stream *stream;         // NULL while lingering and at the end
    char *device;                  // owned; NULL before Hello
    struct room_binding *bindings; // owned, in the order of their Binds
    struct transit *transit;       // owned; NULL: it is open and rests
    uint32_t heard_ms;             // by the loop's clock, of which these are the low 32 bits
    uint32_t heartbeat_ms;
    uint32_t resume_count;
    uint8_t state;        // enum conn_state, which conn_enter alone changes
    uint8_t voice;        // enum voice_index
    bool is_asked : 1;    // a Ping of ours, and no frame has come since
    bool has_place : 1;   // among connections_max, since a token of its Hello was found right
    bool is_gone : 1;     // in room.gone
    bool is_unread : 1;   // nothing is read from it: it leaves answers unread
    bool was_had : 1;     // its last stream has ended, and conn_peer_had_all was true of it
    bool is_unproven : 1; // its Hello was an old one, and its client has said nothing since
    uint8_t behind_push;  // bytes that went out behind its last push; at most UINT8_MAX
};

struct transit *conn_transit(struct conn *c); // its own from now on, until it rests
static inline struct room_binding *conn_awaited(const struct conn *c) { // NULL: none is awaited
    return c->transit ? c->transit->binding : NULL;
}
static inline uint64_t conn_pinged_ms(const struct conn *c) {
    return c->transit ? c->transit->pinged_ms : 0;
}

// --- life
void conn_enter(struct conn *c, enum conn_state state);     // by one of CONN_STEPS, counted
void conn_begin(struct conn *c, const struct voice *voice); // a stranger, the one to come last
void conn_take_stream(struct conn *c, struct stream *s);    // with what its voice says of it
void conn_lose_stream(struct conn *c); // that ends without a word; the connection stands
// Its two ends, with its bindings: without a word, or with a last one, which counts by its code.
void conn_end(struct conn *c);
void conn_close(struct conn *c, uint32_t code, const char *reason, uint64_t retry_after_ms);
void conn_heard(struct conn *c); // a whole frame: it lives
// After a change of state or expiry: its timer, if it is due soon.
void conn_rearm(struct conn *c);
void conn_look(struct conn *c);              // of a pass: whether it is due soon, or rests
void conn_pause(struct conn *c, bool pause); // of an open one, while a Bind is logged in
// false: one is out already, nothing is read now, or its voice cannot ask.
bool conn_ping(struct conn *c);
void conn_pinged(struct conn *c, uint32_t heartbeat_s); // by the client, with its wish; 0 = none
void conn_ponged(struct conn *c);
uint32_t conn_heartbeat_granted(const struct conn *c, uint32_t wish_s); // ms
void conn_binding_freed(struct conn *c, bool was_awaited); // by the next frames of the client
// A live binding is over: the one binding's end is the connection's, one of several is told.
void conn_binding_over(struct room_binding *b, const struct session_refusal *why);
void conn_lingers_no_more(struct conn *c);
void conn_reap(struct room *r); // those that are gone
// What each voice's stream calls.
size_t conn_on_data(void *owner, struct stream *s, const uint8_t *data, size_t len);
void conn_on_writable(void *owner, struct stream *s);
void conn_on_closed(void *owner, struct stream *s, int error);
#define CONN_STREAM_CALLS                                                                          \
    .on_data = conn_on_data, .on_writable = conn_on_writable, .on_closed = conn_on_closed

// --- sending.c: its bytes
bool conn_can_push(const struct conn *c); // the socket takes bytes and nothing is held
// No push of it is unsent: what went out behind them may be. Asks the kernel.
bool conn_peer_had_all(const struct conn *c, const struct stream *s);
// A frame that is no push: what the socket does not take is held. Silent where there is no stream
// or it is CLOSING. A client that leaves too much unread loses its stream, but the connection still
// stands when this returns.
void conn_send(struct conn *c, const struct buf *frame);
// Its client leaves answers unread: nothing more is read from it until it has taken them.
bool conn_waits_for_reader(struct conn *c);
// A run of whole frames: as many as its socket takes go out, the last of them perhaps in part (the
// rest is kept). Returns how many items went out.
size_t conn_send_run(struct conn *c, const uint8_t *data, const struct frame_run *run);
// The same, of a run whose first bytes its socket has taken already.
size_t conn_run_went(struct conn *c, const uint8_t *data, const struct frame_run *run,
                     size_t written);

// --- places.c: who is let in
// What it does in time counts from when it was accepted.
void conn_comes_in(struct conn *c, uint64_t accepted_ms);
// Ends the stranger that came in first, if it did by then; false: there is none. A room's door
// calls it.
bool conn_stranger_gives_way(void *room, uint64_t silent_since_ms);
void conn_refuse(struct conn *c);               // this room is full
bool conn_may_take_place(const struct conn *c); // one is free, or somebody lingers
// For a session whose token is right: who lingers gives way. false: the room is full.
bool conn_take_place(struct conn *c);
bool conn_give_way(struct room *r); // ends who lingers longest; false: nobody does

// --- hello.c: what a voice has understood. Texts are borrowed for the call.
struct bind_request {
    const char *token;
    char *const *tags;
    size_t tag_count;
    struct session_have have;
    bool is_have_good;               // else a stream twice, or one that is not there
    uint8_t wanted[FEEDS];           // enum feed_wanted of each stream
    bool is_clean;                   // it begins at the end of each: what waits counts as handled
    const struct ack_limits *limits; // of this client; outlives the connection. NULL: its voice's
    // Read from the token once, by hello_got_*.
    struct token_glance glance;
    const char *glance_fault; // NULL: the glance is good
};
struct hello_request {
    const char *device;
    uint32_t heartbeat_s;
    const uint8_t *resume;
    size_t resume_len;
    size_t bind_count; // of bind[], at most BINDS_MAX; more are counted only
    struct bind_request bind[BINDS_MAX];
};
void hello_got_hello(struct conn *c, struct hello_request *hello);
void hello_got_bind(struct conn *c, struct bind_request *bind);
void hello_got_unbind(struct conn *c, struct room_binding *b); // NULL: not bound
// A live binding's client wants other streams from now on.
void hello_got_wants(struct room_binding *b, const uint8_t wanted[FEEDS]);
void hello_answered(struct room_binding *b); // its login is settled

// --- acks.c
// false: above what was sent; the connection is closed.
bool ack_got(struct room_binding *b, enum feed_stream stream, struct stream_position upto);
// A single message of those that went out is refused. It goes out again when it has been in flight
// for 30 s, and counts as an attempt (DELIVERY 2.9).
void ack_refused(struct room_binding *b, enum feed_stream stream, struct stream_position at);
void acks_count(const struct room_binding *b, enum feed_stream stream, uint32_t messages);

#endif
