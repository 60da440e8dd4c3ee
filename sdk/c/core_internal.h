// What the files of the core share. Each file calls those below it only:
//
//   core_calls.c     what the user wants of bindings
//   client_core.c    life, time, frames, and what each call leaves to be done
//   core_login.c     Hello, Bind, and what the room answers
//   core_streams.c   delivery
//   core_locate.c    what a dispatcher is asked and says
//   core_close.c     how a connection ends, and what follows
//   core_token.c     what bindings log in with
//   core_route.c     where to and when
//   core_acks.c      what was handled is stored, and acknowledged
//   core_phase.c     the phase, and what is said
//   core_binding.c   bindings as they are
#ifndef HAWSER_CORE_INTERNAL_H
#define HAWSER_CORE_INTERNAL_H

#include "arena.h"
#include "client_core.h"
#include "frame.h"

enum {
    CODE_CLASS = 100,
    // Twice what can be bound: while the room has not answered a change of user, the old user's
    // binding is still there.
    BINDING_SLOTS = 2 * HAWSER_BINDINGS_MAX,
    FAILED_MAX = 8,
    ROOM_NAME_MAX = 64,
    REASON_BYTES = 256,
    RESUME_MAX = 64,
    CONNECT_MS = 5000,
    FIRST_ANSWER_MS = 5000, // from connected to Welcome or Located
    PONG_MS = 8000,         // from Ping to any frame
    ACK_MESSAGES = 16,      // handled and not acknowledged, at most
    ACK_BYTES = 64 * 1024,  // likewise: a quarter of the room's window
    ACK_DELAY_MS = 200,
    ACK_DELAY_MAX_MS = 10000,
    SAVE_RETRY_MS = 1000,
    STABLE_MS = 30000,  // online this long: the next loss is the first again
    FAILED_MS = 300000, // how long a dispatcher hears of an endpoint that failed
    TOKEN_LEAD_MS = 60000,
    HEARTBEAT_DEFAULT_S = 60,
    BACKOFF_BASE_MS = 1000, // until a dispatcher says otherwise
    BACKOFF_CAP_MS = 45000,
    PROTOCOL_ERRORS_MAX = 5, // in a row, then the client stops
};

// Floors and ceilings of what a dispatcher or room may ask of us: whoever speaks for it, the client
// neither storms nor falls silent for days.
enum {
    BACKOFF_BASE_MIN_MS = 100,
    BACKOFF_BASE_MAX_MS = 60000,
    BACKOFF_CAP_MIN_MS = 1000,
    BACKOFF_CAP_MAX_MS = 600000,
    WAIT_MAX_MS = 3600000, // start_after, retry_after, within
    SPREAD_TAKEN_MAX_MS = 600000,
    TTL_MAX_S = 86400,
    HEARTBEAT_MIN_S = 5,
    HEARTBEAT_MAX_S = 3600,
};

#define NEVER UINT64_MAX
#define UNIX_MS_MAX INT64_C(253402300799999) // the year 9999: above it a time is none

static inline uint32_t within_limits(uint32_t value, uint32_t least, uint32_t most) {
    return value < least ? least : value > most ? most : value;
}

//              bind                  due                 Located
//      IDLE ----------> WAITING <----------> LOCATING ----------> WAITING
//       ^                 ^  |  due                 lost, Close
//       |                 |  +---------> LOGIN --Welcome--> ONLINE
//       | no binding      |  lost, Close   |                   |
//       +-----------------+----------------+-------------------+
//
//      every phase -- core_stop, Close 40xx --> STOPPED -- core_start --> IDLE
#define CORE_PHASES(X)                                                                             \
    X(IDLE, "nothing is bound, or a token is awaited")                                             \
    X(WAITING, "until wait_until_ms; and again where no Bind is due then")                         \
    X(LOCATING, "connecting to, or asking, a dispatcher")                                          \
    X(LOGIN, "connecting to, or logging in at, a room")                                            \
    X(ONLINE, "logged in")                                                                         \
    X(STOPPED, "by the user or the cluster")

enum core_phase {
#define CORE_PHASE_ENUM(name, text) PHASE_##name,
    CORE_PHASES(CORE_PHASE_ENUM)
#undef CORE_PHASE_ENUM
};

enum binding_state {
    BINDING_FREE,  // the slot is empty
    BINDING_NEW,   // its Bind is still to be sent, not before retry_at_ms
    BINDING_SENT,  // its Bind awaits Bound
    BINDING_BOUND, //
    BINDING_TOKEN, // its token has expired; waits for core_renew
    BINDING_ENDED, // its slot is freed once no call can hold it any more
};

struct core_stream {
    uint32_t unacked;     // handled since the last Ack
    bool ack_due;         //
    bool had;             // the Bind on its way named our position
    uint64_t refused_seq; // the application said "not now" to this one; 0 = none
    uint64_t came;        // the last one that came: one that is not above it is sent again
    uint64_t shown;       // how far this connection has come: no Ack on it is above that
    // Of a Synced that waits: what it says, and what must be handled before it.
    struct position synced_at;
    uint64_t synced_after;
};

// What a Bind carries of its user. All owned; no token: nothing.
struct credentials {
    char *token;
    char **tags; // and each
    size_t tag_count;
};

struct binding {
    struct core_stream stream[POSITION_STREAMS];
    struct position_record *record;           // owned
    struct position stored[POSITION_STREAMS]; // of the record, as it is in the store
    // An offer is newer than what is held; it takes its place once a room has accepted it, or when
    // what is held is refused.
    struct credentials held, offer;
    char *product, *user; // owned; NULL while unknown
    uint64_t generation;  // the highest seen
    uint64_t expires_ms;  // Unix time; 0 = unknown
    uint64_t ask_at_ms;   // for a new token; NEVER
    uint64_t retry_at_ms; // a Bind is due: not before
    uint64_t refused_ms;  // the last of refusals
    uint64_t sent_serial; // answers come in the order of Binds
    uint32_t failures;    // Binds in a row refused with "later"
    uint32_t refusals;    // of tokens, or acceptances at their end, in a row
    uint32_t number;      // stands for the product on this connection; 0 = none
    int id;               // the user's name for it
    enum binding_state state;
    bool was_accepted; // a room has once accepted what is held
    bool renew_sent;   // BOUND: the offer awaits its Bound
    bool offer_sent;   // the Bind on its way, or the last one, carries the offer
    bool leaving;      // another user takes its place
    bool dirty;        // record is not stored yet
    bool synced_due;   // a Synced waits behind a refused message
};

struct endpoint {
    char host[HOST_MAX + 1];
    char room[ROOM_NAME_MAX + 1], idc[ROOM_NAME_MAX + 1]; // "" when unknown
    uint64_t failed_until_ms;                             // in client_core.failed
    uint16_t port;
    bool tried; // since the list was made
};

struct endpoint_list {
    struct endpoint at[HAWSER_ENDPOINTS_MAX];
    size_t count;
    uint64_t fresh_until_ms;
};

struct client_core {
    struct hawser_callbacks callbacks;
    void *arg;
    struct position_store *store; // borrowed
    struct rng *rng;              // borrowed
    struct arena arena;           // lives as long as one frame
    struct buf out;
    uint64_t now_ms;
    int depth; // of calls into the core
    enum core_phase phase;
    struct hawser_status status;
    char status_reason[REASON_BYTES];

    char *device; // owned
    enum hawser_network network;
    uint32_t heartbeat_wish_s, ack_delay_ms;

    // The connection: made, or being made, while serial is odd.
    uint64_t serial;
    bool connected, close_wanted, connect_wanted;
    struct endpoint peer; // of the connection, or the last one
    uint64_t deadline_ms; // LOCATING, LOGIN

    // ONLINE
    uint64_t online_since_ms, last_sent_ms, pong_by_ms, leave_at_ms; // NEVER when not
    uint64_t heartbeat_ms;
    int64_t server_ahead_ms; // Unix time less now_ms
    uint32_t spread_ms, max_frame;

    // Where to, and when
    struct endpoint_list dispatchers, fixed, rooms; // rooms: the last Located or GoAway
    struct endpoint failed[FAILED_MAX];
    size_t dispatcher_next, dispatcher_failures;
    uint64_t wait_until_ms, wait_least_ms; // the second is what others asked for
    uint32_t backoff_base_ms, backoff_cap_ms;
    uint32_t attempts;        // that failed in a row
    uint32_t protocol_errors; // Close 43xx in a row
    bool waits_for_binding;   // WAITING, only because no Bind is due yet
    bool one_by_one;          // a Hello of several was refused: whose fault it was is to be found
    int located_for;          // LOCATING: the binding whose product was named; 0 = none
    bool stop_wanted;         // by core_stop, perhaps from within a callback
    bool stay;                // go back to peer first: it may have kept the session

    uint8_t resume[RESUME_MAX];
    size_t resume_len;
    struct host_port resume_at; // who gave them

    struct binding bindings[BINDING_SLOTS];
    int last_binding_id;
    uint64_t bind_serial;
    uint32_t end_code; // why the cluster ended the last binding that ended; 0 = the user did
    char end_reason[REASON_BYTES];
    uint64_t flush_at_ms; // store, then Ack; NEVER
    size_t unacked_bytes;
};

// Why a connection, or all, ends. code: a Close code, or 0; reason is not NULL, borrowed.
struct cause {
    uint32_t code;
    const char *reason;
    uint32_t retry_after_ms;
};

// Of a set of phases.
#define IN_PHASE(name) (1u << PHASE_##name)

// --- client_core.c
void core_enter(struct client_core *c, uint64_t now_ms); // begins every call from outside
void core_leave(struct client_core *c);                  // ends it: what became due is done

// --- core_login.c
void login_put_hello(struct client_core *c);
void login_put_binds(struct client_core *c); // ONLINE: what is to be bound or renewed
void login_put_unbind(struct client_core *c, uint32_t number);
void login_on_welcome(struct client_core *c, const Hawser__V1__Welcome *m);
void login_on_bound(struct client_core *c, const Hawser__V1__Bound *m);

// --- core_streams.c
void streams_on_push(struct client_core *c, const Hawser__V1__Push *m);
void streams_on_gap(struct client_core *c, const Hawser__V1__Gap *m);
void streams_on_reset(struct client_core *c, const Hawser__V1__Reset *m);
void streams_on_synced(struct client_core *c, const Hawser__V1__Synced *m);
// Bound: delivery continues after these.
void streams_begin(struct client_core *c, struct binding *b, const Hawser__V1__Bound *m);

// --- core_locate.c
void locate_put(struct client_core *c);
void locate_on_located(struct client_core *c, const Hawser__V1__Located *m);
void locate_on_go_away(struct client_core *c, const Hawser__V1__GoAway *m);

// --- core_close.c
// Without a word from the other side.
void core_gone(struct client_core *c, const char *reason);
// The room broke the protocol: a new login without the old state, after a wait.
void core_violation(struct client_core *c, const char *what);
void core_idle(struct client_core *c, uint32_t code, const char *reason);
void core_stopped(struct client_core *c, struct cause why);
// A Close code, from Close or Located: drops the connection and decides what is next.
void core_closed(struct client_core *c, struct cause why);

// --- core_token.c
bool credentials_are_valid(const char *token, const char *const *tags, size_t tag_count);
// New credentials of the user's, valid ones.
void binding_offer(struct binding *b, const char *token, const char *const *tags, size_t tag_count);
void binding_accepted(struct client_core *c, struct binding *b, uint64_t expires_ms);
// Is there something else to log in with, or somebody to ask?
bool binding_survives(const struct client_core *c, const struct binding *b, uint32_t code);
// A Bind was refused, or a binding ended, with this code. True: the binding goes on, with what it
// held, with the offer, or waiting for another token.
bool binding_refused(struct client_core *c, struct binding *b, uint32_t code, const char *reason);
void binding_drop_offer(struct client_core *c, struct binding *b, uint32_t code,
                        const char *reason);
void binding_later(struct client_core *c, struct binding *b); // its Bind, or renewal, again
void tokens_ask_due(struct client_core *c);

// --- core_route.c
int route_init(struct client_core *c, const struct hawser_options *o, char *error,
               size_t error_len);
void route_go(struct client_core *c); // begins the next try now
// WAITING: at least least_ms, plus a random part of window_ms.
void route_wait(struct client_core *c, uint64_t least_ms, uint64_t window_ms);
uint64_t route_backoff_window(const struct client_core *c, uint32_t attempts);
void route_peer_failed(struct client_core *c); // not there again for now
void route_peer_good(struct client_core *c);
bool route_peer_is(const struct client_core *c, const struct host_port *at);
bool route_host_is_valid(const char *host);

// --- core_acks.c
void acks_soon(struct client_core *c, struct core_stream *s);
// All up to this one has been handled.
void acks_handled(struct client_core *c, struct binding *b, size_t stream, uint64_t seq);
void acks_flush(struct client_core *c); // store, then Ack

// --- core_phase.c
void core_set_phase(struct client_core *c, enum core_phase phase);
void core_report(struct client_core *c, enum hawser_state state, struct cause why);
void core_set_heartbeat(struct client_core *c, uint32_t seconds); // 0: as it was
void core_put(struct client_core *c, enum frame_type type, const void *message);
void core_drop(struct client_core *c); // the connection: closes it and forgets it
void core_notice(struct client_core *c, const char *format, ...) HW_PRINTF(2, 3);

// --- core_binding.c
bool binding_is_wanted(const struct binding *b);
struct binding *binding_by_number(struct client_core *c, uint32_t number); // BOUND, or NULL
const char *binding_product(const struct binding *b);
const char *binding_user(const struct binding *b);
const struct credentials *binding_credentials(const struct binding *b); // the newest
void binding_free(struct binding *b);
void binding_load(struct client_core *c, struct binding *b); // its record, where it has one
void credentials_free(struct credentials *x);
// The user learns of `event`: bound, resumed, code and reason; the rest is the binding's.
void binding_tell(struct client_core *c, const struct binding *b,
                  struct hawser_binding_event event);
void binding_end(struct client_core *c, struct binding *b, uint32_t code, const char *reason);
void bindings_retire_leaving(struct client_core *c);
void bindings_connection_lost(struct client_core *c);   // bindings go back to NEW
bool bindings_have_work(const struct client_core *c);   // a binding that could be bound
bool bindings_are_there(const struct client_core *c);   // any, also one that waits for a token
uint64_t bindings_due_ms(const struct client_core *c);  // when the first of them may be; NEVER
uint64_t bindings_next_ms(const struct client_core *c); // when there is something to do; NEVER
// Those that a Close with this code, here and now, speaks of: that the Hello named, or that stand.
size_t bindings_concerned(struct client_core *c, struct binding *ret_list[BINDING_SLOTS]);

#endif
