// What the files of a room share; nobody else includes it.
//
//   places.c   who is let in, and who gives way
//   conn.c     connections: frames in, heartbeats, closing, lingering
//   hello.c    a Hello: its bindings, resume, Welcome
//   bind.c     one binding's login: token, product, register, saver
//   session.c  a live binding: how it is found, written to, and ended
//   inbox.c    delivery of the inbox by position and window, and its loads
//   products.c the products with sessions here
//   core/      what needs no loop: news_window.h a product's broadcasts, audience.h
//   news.c     the walk of a product's broadcasts over its sessions
//   news_log.c heads of the product's logs, and holes; news_older.c blocks before the news window
//   acks.c     what clients have handled, on its way to the saver
//   notices.c  what is told to rooms whose sessions were replaced by ones here
//   orphans.c  rows on their way out: of ended sessions, and those that lost logins left behind
//   unacked.c  what is not acknowledged: the Ping that asks, and what its answer brings
//   upkeep.c   the passes over all sessions: confirm, heads; the lease
//   service.c  what other daemons call
//   room.c     life: start, announce, drain, stop
#ifndef HW_ROOM_INTERNAL_H
#define HW_ROOM_INTERNAL_H

#include "table.h"

#include <sys/queue.h>

#include "addr.h"
#include "arena.h"
#include "bytes.h"

#include "client.pb-c.h"
#include "daemon.h"
#include "frame.h"
#include "news_window.h"
#include "part.h"
#include "register.pb-c.h"
#include "room.pb-c.h"
#include "saver.pb-c.h"
#include "slab.h"
#include "store_clock.h"
#include "stream.h"
#include "token.h"

enum {
    WINDOW_MESSAGES = 32,
    WINDOW_BYTES = 256 * 1024,
    BINDS_MAX = 16,
    DEVICE_MAX = 64,
    LOGIN_MS = 5000,
    CALL_MS = 3000,
    BUSY_RETRY_MS = 1000,
    RETRY_MS = 500, // of what a saver did not answer
    HEARTBEAT_MIN_MS = 5000,
    HEARTBEAT_GRACE_MS = 8000,
    ANSWER_MS = 8000, // from a Ping to any frame
    EXPIRY_GRACE_MS = 60000,
    CLOSE_FLUSH_MS = 2000,
    VISIT_MS = 2000,       // a full room waits so long for a Hello that resumes
    VISITORS_MAX = 1024,   // connections beyond connections_max, on their way in or out
    HELD_MAX = 256 * 1024, // of control frames to a client that does not read
    RESUME_BYTES = 36,
};

struct room;
struct conn;
struct room_product;

// Messages sent and not yet acknowledged, in two parts of at most half a window each: an ack that
// passes `mark` ends the first. Both a count of these and a distance of seqs are upper bounds of
// what is in flight; the lower one counts.
struct window {
    uint64_t mark; // last seq of the first part
    uint32_t first_bytes, second_bytes;
    uint16_t first, second;
    uint32_t still_since; // tick that saw them first, with no Ack since; 0 = none, or not looked at
};

// A session's place in a stream. Behind means sent < heard, never a flag.
struct cursor {
    uint64_t epoch, sent, acked, heard;
    uint64_t shown; // the highest ever sent: above sent while some of it is sent again
    struct window window;
};

//   ASKING -> REGISTERING -> ATTACHING -> ATTACHED -> LIVE
//      any of them but REGISTERING -> gone; REGISTERING -> LEAVING -> gone
#define SESSION_STATES(X)                                                                          \
    X(ASKING)      /* the product or its key is asked of a register */                             \
    X(REGISTERING) /* the register writes the row */                                               \
    X(ATTACHING)   /* the saver answers with positions */                                          \
    X(ATTACHED)    /* accepted; the Welcome or Bound is still to go out */                         \
    X(LIVE)                                                                                        \
    X(LEAVING) /* ended while the register had not answered */
enum session_state {
#define SESSION_STATE_ENUM(name) SESSION_##name,
    SESSION_STATES(SESSION_STATE_ENUM)
#undef SESSION_STATE_ENUM
};

// One binding: product, user, device. Owned by its connection; its slot and the slot's
// generation are its address in the register's row.
struct session {
    struct conn *conn;            // owns it; outlives it
    struct session *next_in_conn; // in conn.sessions
    struct room_product *product; // NULL until known
    struct session *next, *prev;  // in product.sessions while LIVE
    struct session *next_dirty;   // in room.dirty while is_dirty
    char *user;                   // owned
    char *tags;  // owned: tags with a NUL after each, a second one at the end; NULL = none
    char *token; // owned: until it is live
    struct cursor inbox, news;
    uint64_t bulk_epoch, bulk_seq; // nothing is delivered yet: the start is kept
    uint64_t generation;           // of the register; 0 before
    uint64_t login_generation;     // the first one: a confirmation may have given another
    uint64_t saving_generation;    // of what is on its way to the saver
    uint64_t login_order;          // of this room's logins, by when they were asked for
    uint64_t replaced_generation;  // a notice that came before the register's answer names it
    uint64_t superseded_by;        // a confirmation said so; when the last one did
    uint64_t superseded_ms;
    uint32_t superseded_for_ms; // while the register answered
    uint32_t confirms_in_flight;
    uint64_t since_ms, expires_ms;      // Unix ms
    uint64_t inbox_saving, inbox_saved; // at the saver: asked to save, saved
    uint64_t news_saved;
    uint64_t inbox_target, news_target; // Synced goes out when both are passed
    uint64_t news_round;                // news_target is set when the heads of this round are in
    uint32_t error_retry_ms;            // of a login that failed
    const char *error_reason;           // a literal
    Hawser__V1__Position have[3];
    uint32_t slot, slab_generation;
    uint32_t confirmed_round; // of the room's rounds, when its row was last seen right
    uint32_t asked_round;     // when that was last asked
    uint32_t error;           // Close code of a login that failed
    uint8_t state, have_count;
    bool is_loading, is_synced, has_news_target, is_dirty, ack_in_flight, waits_for_block,
        reset_inbox, reset_news, has_failed, is_resumed, in_retry, attach_again, is_undecided,
        is_row_unsure,                 // a confirmation without an answer may have written it anew
        is_stale,                      // the saver knows a higher generation
        is_log_another,                // than the inbox's epoch: to be read, whatever was heard
        is_load_old,                   // that was heard while it was read
        is_watched,                    // in room.watched
        is_inbox_asked, is_news_asked, // a Ping is out, for what is long unacknowledged
        is_shut_asked; // a Ping was sent for its shut window, and no Ack has come since
};

enum conn_state { CONN_PREFACE, CONN_HELLO, CONN_LOGIN, CONN_OPEN, CONN_LINGERING, CONN_CLOSING };

// A client's connection, and what remains of it while it lingers.
struct conn {
    struct room *room;
    struct stream *stream;     // NULL while lingering and at the end
    TAILQ_ENTRY(conn) lingers; // in room.lingering while it does
    char *device;              // owned; NULL before Hello
    struct session *sessions;  // owned, in the order of their Binds
    struct session *binding;   // the one that a Bind after Welcome is logging in
    struct timer timer;        // login, heartbeat, expiry or linger
    uint64_t heard_ms;
    uint64_t pinged_ms; // the last Ping of ours
    uint32_t heartbeat_ms;
    uint32_t slot, slab_generation;
    uint32_t resume_count;
    uint8_t state;
    bool is_asked;  // a Ping of ours, and no frame has come since
    bool has_place; // among connections_max; else a visitor, who may resume, or is told 4102
};

struct handle { // of a session that may be gone
    uint32_t slot, generation;
};

struct live_walk { // one live broadcast on its way round the sessions
    struct live_walk *next;
    struct session *at;
    struct audience *audience; // owned; NULL = everyone
    struct rpc_call *call;     // owned: answered at the end
    uint64_t session_count;    // connected ones that it was for
    struct buf frame;
};

// A product with sessions here, and its latest news.
struct room_product {
    UT_hash_handle hh;
    struct room *room;
    uint32_t number;
    char name[33];
    struct session *sessions, *walk_at;
    uint64_t session_count;
    struct job walk, live_job;
    bool walk_again, walk_running;
    struct live_walk *lives, **lives_end;
    int live_count;
    uint64_t holders; // sessions that name it, those not live yet too
    uint64_t held_ms; // when the last one was let go
    uint64_t turn;    // of the room's products: one that comes back is another
    bool is_deleted;
    struct news_window news; // the log, as far as it is known
    uint64_t heard;          // >= news.head
    struct timer hole;
    bool hole_loading, heads_asked, heads_wanted;
    struct handle *waiters; // owned: logins that wait for heads
    size_t waiter_count, waiter_capacity;
    uint64_t heads_round, heads_done; // asked, answered
    uint64_t store;                   // the run of the savers' store that answered last; 0 = none
    uint64_t sent_sum, acked_sum;     // devices, since the last SumsRequest
    bool sums_in_flight;
    uint64_t sums_sent, sums_acked; // what is in flight
    uint8_t sums_id[16];
};

struct late_ack;
struct notice;
struct orphan;

struct room {
    struct daemon_env *env;
    struct loop *loop;
    struct part *part;
    struct cluster *cluster;
    struct listener *listener;
    struct slab conns, sessions; // of the latter one more for each connection: a Bind renews one
                                 // that is there in a session of its own
    uint32_t sessions_max, connections_max;
    uint32_t places, lingering_count;
    TAILQ_HEAD(conn_list, conn) lingering; // those lost first come first
    bool is_full_told;
    struct room_product *products;
    uint64_t product_turns, product_count, window_bytes; // the latter two: at the last tick
    struct news_room news;
    struct hook ask_blocks;
    struct store_clock clock;
    uint64_t live_sessions;

    char id[96];
    uint8_t resume_key[32];
    struct arena arena;     // of one frame's decoding
    struct buf scratch;     // of a control frame on its way out
    struct buf run;         // of frames from a load
    struct handle *retries; // owned: sessions whose load failed
    size_t retry_count, retry_capacity;
    struct timer retry;
    struct handle *watched; // owned: sessions with something under way
    size_t watched_count, watched_capacity, watched_at;
    // acks
    struct session *dirty;
    struct hook flush_acks;
    struct late_ack *late_acks;
    struct timer late_timer;
    size_t late_count;
    struct notice *notices;
    struct orphan *orphans;
    size_t orphan_count;
    // passes
    struct timer tick;
    struct timer drain_timer;
    uint64_t logins_asked; // of the register
    uint32_t tick_count, confirm_at, heads_at, save_at, fast_confirm_at, fast_heads_at;
    uint32_t confirm_rest, heads_rest, save_rest; // of the ticks before
    uint32_t fast_confirm_left, fast_heads_left;  // slots still to be visited in a hurry
    uint64_t fast_heads_ms;
    uint32_t round, round_required; // rows confirmed before the latter may be void: nothing is sent
    bool confirm_again, is_draining, is_stopping, fast_heads_wanted, fast_heads_twice;
    Hawser__Internal__MemberEndpoint endpoints[8], *endpoint_list[8];
    char endpoint_hosts[8][264];
    char endpoint_idcs[8][64];
    uint32_t transport;
    int endpoint_count;
    // counters
    struct {
        uint64_t connections, accepted, logins, login_failures, takeovers, resumed, closed[8],
            pushes, gaps, acks, loads, load_failures, not_here, news_frames, live_dropped,
            protocol_errors, slow, connections_refused, gave_way, orphans_given_up, pings, resends,
            heads_ahead;
    } count;
};

// places.c
void conn_accept(void *arg, struct stream *s);
void conn_refuse(struct conn *c);     // this room is full
bool conn_take_place(struct conn *c); // false: the room is full
bool conn_give_way(struct room *r);   // ends who lingers longest; false: nobody does
void conn_lingers_no_more(struct conn *c);
void conn_give_place(struct conn *c);

// conn.c
void conn_send(struct conn *c, enum frame_type type,
               const ProtobufCMessage *message); // control frames
void conn_close(struct conn *c, uint32_t code, const char *reason, uint64_t retry_after_ms);
void conn_rearm(struct conn *c); // its timer, after a change of state or expiry
bool conn_ping(struct conn *c);  // false: one is out already, or nothing is read now
void conn_end(struct conn *c);   // frees it and its sessions; its stream, if any, ends
void conn_session_over(struct conn *c, struct session *s, uint32_t code, const char *reason);
void conn_take_stream(struct conn *c, struct stream *s);
void conn_lose_stream(struct conn *c);       // ends it silently
void conn_pause(struct conn *c, bool pause); // of an open one, while a Bind is logged in
bool conn_can_push(const struct conn *c);    // the socket takes bytes and nothing is held

// hello.c
void hello_received(struct conn *c, const Hawser__V1__Hello *hello);
void bind_received(struct conn *c, const Hawser__V1__Bind *bind);
void unbind_received(struct conn *c, const Hawser__V1__Unbind *unbind);
void hello_session_done(struct session *s); // accepted or failed
void hello_resume_bytes(const struct conn *c, uint8_t out[RESUME_BYTES]);

// bind.c
struct session *bind_begin(struct conn *c, const Hawser__V1__Bind *bind); // NULL: no slot
// What a Bind sets, and a later one for the same session sets anew.
struct bind_terms {
    char *tags; // owned; NULL = none
    uint64_t expires_ms;
};
// Would this Bind log in to what the session holds? Checked at once; nothing changes yet. false:
// the login must go the whole way.
bool bind_check_resume(const struct session *s, const Hawser__V1__Bind *bind,
                       struct bind_terms *ret_terms);
void bind_take_terms(struct session *s, struct bind_terms *terms); // takes the tags over
// As far as it can be known; hint is the caller's, and what is returned may lie in it.
const char *bind_product_name(const struct session *s, struct token_hint *hint);

// session.c
typedef void session_reply_fn(struct room *r, struct session *s, int error, const uint8_t *body,
                              size_t len);
// Calls fn with the session if it is still there, and with NULL never.
void session_call(struct session *s, struct rpc_link *link, uint16_t method,
                  const ProtobufCMessage *request, session_reply_fn *fn);
struct session *session_new(struct conn *c);     // NULL: the table is full
void session_free(struct session *s);            // out of all lists; the row is not touched
void session_end(struct session *s);             // drops its row, saves its positions, frees it
void session_live(struct session *s);            // enters its product's list
uint64_t session_place(const struct session *s); // the slot of its row
struct session *session_at_place(struct room *r, uint64_t place);
// The one that a row, or a message for it, names; NULL: not here.
struct session *session_by_row(struct room *r, uint64_t place, uint64_t generation);
#define REPLACED_TEXT "replaced by a newer login"
// A newer login has that row: the session ends, or its own login fails.
void session_replaced(struct room *r, uint64_t place, uint64_t generation, uint32_t code,
                      const char *reason);
// Its row is to be confirmed at once, and until that is decided.
void session_row_has_changed(struct session *s);
bool session_can_send(const struct session *s);
void session_try(struct session *s); // sends what can be sent now, on all streams, and Synced
struct rpc_link *session_saver(const struct session *s);
uint32_t session_devices_max(const struct session *s); // of its user
uint64_t bucket_key(uint32_t product, const char *user);
void cursor_start(struct cursor *c, uint64_t epoch, uint64_t after);
void cursor_rewind(struct cursor *c, uint64_t acked); // what lies behind it is sent again
bool cursor_window_is_open(const struct cursor *c);
uint32_t cursor_window_messages(const struct cursor *c);
uint32_t cursor_window_bytes(const struct cursor *c);
void cursor_sent(struct cursor *c, uint64_t last, uint32_t bytes, bool counts);
void cursor_acked(struct cursor *c, uint64_t seq);
void session_check_synced(struct session *s);
void session_retry_later(struct session *s); // session_try after RETRY_MS
void session_fill_bound(const struct session *s, Hawser__V1__Bound *bound,
                        Hawser__V1__Position after[3]);
void handles_add(struct handle **list, size_t *count, size_t *capacity, const struct session *s);
void session_send_gap(struct session *s, int stream, uint64_t first, uint64_t last,
                      uint32_t reason);
void session_send_reset(struct session *s, int stream, uint64_t epoch, uint64_t seq,
                        const char *reason);
void push_from_message(Hawser__V1__Push *push, uint32_t product, int stream, uint64_t seq,
                       const Hawser__Internal__StoredMessage *m);

// A run of whole frames to one client: as many as its socket takes go out, the last of them perhaps
// in part (the rest is kept). Returns how many items went out.
struct run_item {
    uint64_t last;
    uint32_t end; // offset behind its frame
    bool counts;  // a message, in the window
};
size_t conn_send_run(struct conn *c, const uint8_t *data, const struct run_item *items,
                     size_t count);

// inbox.c
void inbox_try(struct session *s);
bool inbox_deliver(struct session *s,
                   const Hawser__Internal__DeliverRequest *d); // live: was it handed over?
void inbox_head_seen(struct session *s, uint64_t epoch, uint64_t head);

// products.c
struct room_product *product_find_here(struct room *r, uint32_t number);
void product_hold(struct session *s, const struct product *p); // sets s->product
void product_hold_as(struct session *s, const struct session *other);
void product_let_go(struct session *s);                // clears it
void product_deleted(struct room *r, uint32_t number); // ends its sessions
void product_free_here(struct room_product *p);
void products_tick(struct room *r); // every second

struct product_call { // a call for a product that may be gone when it is answered
    struct room *room;
    uint64_t turn, ticket; // ticket: of a block
    uint32_t product;
};
struct load_size {
    uint32_t messages, bytes;
};
struct product_call *product_call_new(struct room_product *p, uint64_t ticket);
// The product of an answer, unless it is gone or the room is ending; frees the call. A call that is
// cancelled for another reason (its saver left the directory) is an answer like any other.
struct room_product *product_call_over(struct product_call *call);
struct rpc_link *product_saver(const struct room_product *p);
// Reads its news; done gets the call.
void product_load(struct room_product *p, uint64_t after, struct load_size size, rpc_done_fn *done,
                  struct product_call *call);

// news.c
void news_try(struct session *s);
void news_walk(struct room_product *p);
void news_session_leaves(struct session *s);
// Answers the call when all sessions had their turn.
void news_live(struct room_product *p, const Hawser__Internal__StoredMessage *m,
               struct rpc_call *call);
void news_lives_free(struct room_product *p);

// news_log.c
void news_heads_ask(struct room_product *p);
void news_heard(struct room_product *p, uint64_t epoch, uint64_t seq,
                const Hawser__Internal__StoredMessage *m);
void news_log_tick(struct room_product *p);          // every second
bool news_log_is_done(const struct room_product *p); // nothing is to be told to the saver
void news_wait_for_heads(struct session *s);
void news_log_free(struct room_product *p);
struct audience *news_audience(const Hawser__Internal__Audience *a); // NULL: everyone
// Its frame goes to *frame, which is reset; the entry's audience is the caller's.
void news_encode(const struct room_product *p, const Hawser__Internal__LoadEntry *e,
                 struct buf *frame, struct news_entry *ret_entry);

// news_older.c
void news_older_ask(struct room *r); // what is wanted, at the end of this iteration
// Lets them go on, or try again later; frees the list.
void news_older_waited(struct room *r, struct news_waiters *waiters, bool loaded);

// acks.c
void ack_received(struct conn *c, const Hawser__V1__Ack *ack);
void acks_attach_again(struct session *s); // the store does not know this device any more
void acks_note(struct session *s);         // saves what is not saved yet
void acks_save_last(struct session *s);    // positions of a session that is ending or lingering
void acks_deinit(struct room *r);

// notices.c
// The session that had the row ends; by_generation: of the login here.
void notice_replaced(struct room *r, const Hawser__Internal__SessionRow *row,
                     uint64_t by_generation);
// It is to be confirmed at once.
void notice_confirm_row(struct room *r, const Hawser__Internal__SessionRow *row);
void notices_deinit(struct room *r); // after the part is gone

// orphans.c
void orphan_drop(const struct session *s); // its row, until the register answers
// Its login step may be done later than its answer counts, or a confirmation after its drop.
void orphan_expect(const struct session *s);
void orphans_deinit(struct room *r); // after the part is gone

// unacked.c
void unacked_watch(struct session *s); // after it was, or might have been, sent something
void unacked_tick(struct room *r);
void unacked_answered(struct conn *c); // a Ping was

// upkeep.c
void upkeep_tick(struct timer *t);
void upkeep_on_lease(struct room *r, bool held);
void upkeep_confirm(struct session *s); // its row, now; nothing before it is live
void upkeep_ask_row(struct session *s, session_reply_fn *done); // gets a ConfirmReply
uint32_t upkeep_round(const struct room *r); // what is asked now holds for that round
void upkeep_confirm_all(struct room *r);
void upkeep_heads_all(struct room *r);
void upkeep_hints_lost(struct room *r);
void upkeep_store_seen(struct room_product *p, uint64_t run); // that answered for the heads

extern const struct rpc_method room_methods[];

// room.c
void room_drain_within(struct room *r, uint32_t within_ms);
void room_tick(struct room *r); // tells the directory when it is full, and when it is not any more

#endif
