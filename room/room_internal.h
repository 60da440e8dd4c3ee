// What the files of a room share; nobody else includes it. Each file calls those below it only:
//
//   room.c         life: start, announce, stop; workers.c several in one service
//   carry_out.c    what sessions have written down is done here, and nowhere else
//   door.c         where connections come in: which voices there are
//   voice_hawser.c client.proto: frames into calls, what is to be said into frames
//   service.c      what other daemons call; drain.c the end of a room that was told to
//   passes.c       the passes over all sessions: confirm, heads; the lease
//   hello.c        a Hello: its bindings, resume, Welcome; Bind and Unbind
//   login.c        a Bind's token (token.c), tags and product
//   places.c       who is let in, and who gives way
//   unacked.c      what is not acknowledged: the Ping that asks
//   acks.c         what clients have handled, on its way to the saver
//   conn.c         connections: heartbeats, closing, lingering
//   lingerers.c    who lingers, by product, user and device
//   questions_row.c what a session asks of the register
//   questions_positions.c what it asks of the saver about its positions
//   questions_inbox.c what it asks of the saver about its inbox
//   questions.c    who asked, when the answer comes
//   inbox.c        deliveries and loads of a session's inbox
//   notices.c      what is told to rooms whose sessions were replaced by ones here
//   orphans.c      rows on their way out: of ended sessions, and those that lost logins left behind
//   product_life.c how products end
//   news_older.c   blocks before the news windows
//   news_log.c     heads of a product's logs, and holes
//   news.c         the walk of broadcasts over sessions; news_live.c of live ones
//   news_read.c    what comes of a broadcast log: loads, frames
//   waits.c        sessions that try again in a while
//   binding.c      a session's life in its connection, and its steps
//   sleep.c        sessions awake and asleep
//   names.c        what a binding is called
//   products.c     the products with sessions here
//   sending.c      what goes out to a client
//   effects.c      the queue between a session's step and what comes of it
//   core/          the session itself, and all else that needs no loop (see core/session.h)
#ifndef HW_ROOM_INTERNAL_H
#define HW_ROOM_INTERNAL_H

#include "products.h"

#include "addr.h"
#include "admission.h"
#include "arena.h"
#include "bytes.h"
#include "calls.h"
#include "conn.h"
#include "daemon.h"
#include "door.h"
#include "endpoints.h"
#include "handles.h"
#include "login.h"
#include "part.h"
#include "passes.h"
#include "questions.h"
#include "slab.h"
#include "standstill.h"
#include "store_clock.h"
#include "token.h"

enum {
    LOGIN_MS = 5000,
    ROW_LAST_MOMENT_MS = 3000, // of a step that writes a row: when it is over, we have given up
    RETRY_MS = 500,            // of what a saver did not answer
    FULL_HELLO_MS = 2000,      // a full room waits so long for a Hello that resumes
    BEYOND_MAX = 1024,         // connections beyond connections_max, on their way in or out
    BINDINGS_UNCHECKED_MAX = 2 * BEYOND_MAX,
    STRANGERS_SHARE = 4,   // of room.frames_max: so small a part of it is for who is not logged in
    CLOSE_KIND_FIRST = 40, // Close codes are told apart by their hundreds: 40xx .. 43xx
    CLOSE_KINDS = 4,
};

struct late_ack;
struct notice;
struct orphan;

struct room {
    struct daemon_env *env;
    struct loop *loop;
    struct cluster *cluster;
    struct listener *listener;
    struct door door;
    // bindings: sessions_max for sessions, one more for each connection (a Bind that renews has a
    // binding of its own), and BINDINGS_UNCHECKED_MAX whose token is not checked yet
    struct slab conns, transits, bindings, awake;
    const struct voice *voices[VOICES]; // that were spoken here
    uint32_t sessions_max, connections_max;
    uint32_t places, lingering_count;
    uint32_t holders; // of places for sessions: bindings whose token is right
    TAILQ_HEAD(transits, transit) lingering; // those lost first come first
    struct transits strangers;               // no whole Hello yet; who came in first comes first
    uint32_t strangers_count;
    uint64_t strangers_bytes; // of frames that are not whole, of who is not logged in
    struct conn *gone;        // to be freed at the end of the iteration
    struct effects effects;   // what sessions have written down
    bool is_full_told;
    struct room_product *products;
    uint64_t product_turns, product_count, news_window_bytes; // the latter two: at the last tick
    struct news_window_limits news_window_limits;             // of each product's news
    struct news_room news;
    struct hook ask_blocks;
    struct store_clock clock;
    uint64_t live_sessions, awake_count;
    struct lease lease;

    uint8_t resume_key[32], lingerers_key[16];
    struct lingerer *lingerers;
    struct arena arena; // of one frame's decoding
    struct buf scratch; // of a frame on its way out
    // frames being encoded: of a load, a delivery or a broadcast; empty between uses
    struct buf run;
    struct frame_run items; // of run
    struct handles retries; // whose RETRY is waited for
    struct timer retry;
    struct handles awake_ones; // bindings whose session is awake
    struct handles watched;    // with something under way
    struct handles arrivals;   // of which the saver did not answer
    // acks
    struct room_binding *to_save; // this iteration's
    struct hook flush_acks;       // of questions.c
    struct late_ack *late_acks;
    struct timer late_timer;
    size_t late_count;
    struct notice *notices;
    struct orphan *orphans;
    size_t orphan_count;
    // passes
    struct standstill standstill;
    struct timer drain_timer;
    uint64_t logins_asked; // of the register
    struct admission admission, confirmations, heads_asked;
    struct passes passes;
    bool is_draining, is_stopping;
    struct endpoints endpoints;
    // counters
    struct {
        uint64_t connections, accepted, logins, login_failures, logins_put_off, takeovers, resumed,
            closed[CLOSE_KINDS], pushes, gaps, acks, loads, load_failures, not_here, news_frames,
            live_dropped, protocol_errors, silent, frames_refused, slow, connections_refused,
            gave_way, strangers_displaced, hellos_refused, orphans_given_up, pings, resends,
            attempts, parked, refused, unexpected, heads_ahead, positions_lost,
            session_steps[SESSION_STATE_COUNT], conn_steps[CONN_STATE_COUNT];
    } count;
};

// Of a slot of its slabs.
static inline struct room *conn_room(const struct conn *c) {
    return container_of(slab_of(c), struct room, conns);
}
static inline struct room *binding_room(const struct room_binding *b) {
    return container_of(slab_of(b), struct room, bindings);
}
static inline const struct voice *conn_voice(const struct conn *c) {
    return conn_room(c)->voices[c->voice];
}

// --- door.c
void room_door_init(struct room *r);
void conn_accept(void *arg, struct stream *s);

// --- places.c
uint32_t places_load(const struct room *r); // of LOAD_FULL
void places_tick(
    struct room *r); // tells the directory when it is full, and when it is not any more

// --- lingerers.c
struct lingerer_name {
    uint32_t product;
    const char *user, *device;
};
void lingerers_add(struct conn *c); // it lingers, with a live session
void lingerers_remove(struct conn *c);
struct room_binding *lingerers_find(struct room *r, const struct lingerer_name *name);

// --- carry_out.c
void carry_out_all(struct effects *q);

// --- inbox.c
// A hint, or a live message: whether it was sent now. m may be NULL.
bool inbox_deliver(struct room_binding *b, const struct stream_position *at,
                   const Hawser__Internal__StoredMessage *m);
void inbox_loaded(struct room_binding *b,
                  const Hawser__Internal__LoadReply *reply); // NULL: no answer
// The session that a delivery is for; NULL: it is not here, or not any more.
struct room_binding *inbox_delivered_to(struct room *r, const Hawser__Internal__DeliverRequest *d);

// --- notices.c: to other rooms, and to this one
// The session that had the row ends, by a login here, or as another daemon says.
void notice_replaced(struct room_binding *by, const struct session_row *row);
void notice_got(struct room *r, const Hawser__Internal__ReplacedRequest *n);
void notice_changed(struct room *r, const struct session_row *row); // it is to be confirmed at once
void notices_deinit(struct room *r);                                // after the part is gone

// --- acks.c
// Positions of a session: when it ends or is away, and now and then.
void acks_save_last(struct room_binding *b);

// --- orphans.c
void orphan_drop(const struct room_binding *b); // its row, until the register answers
// Its login step may be done later than its answer counts, or a confirmation after its drop.
void orphan_expect(const struct room_binding *b);

// --- what must end with the room
void acks_deinit(struct room *r);
void orphans_deinit(struct room *r); // after the part is gone

// --- waits.c
void room_binding_retry_later(struct room_binding *b);
void retries_deinit(struct room *r);

// --- unacked.c
void unacked_tick(struct room *r);

// --- service.c
extern const struct rpc_method room_methods[];

// --- drain.c
void room_drain_within(struct room *r, uint32_t within_ms);

#endif
