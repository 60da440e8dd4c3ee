// What the files of a room share; nobody else includes it. From the socket inwards:
//
//   places.c       who is let in, and who gives way
//   door.c         the first bytes of a connection: which voice it speaks
//   voice_hawser.c client.proto: frames into calls, what is to be said into frames
//   conn.c         connections: heartbeats, closing, lingering
//   hello.c        a Hello: its bindings, resume, Welcome; Bind and Unbind
//   login.c        a Bind's token, tags and product
//   binding.c      who a session is; what it writes down is carried out here
//   core/          the session itself, and all else that needs no loop (see core/session.h)
//   questions.c    what a session asks of register and saver, and their answers
//   inbox.c        deliveries and loads of a session's inbox
//   products.c     the products with sessions here
//   news.c         the walk of broadcasts over sessions; news_live.c of live ones
//   news_log.c     heads of the product's logs, and holes; news_older.c blocks before the window
//   acks.c         what clients have handled, on its way to the saver
//   unacked.c      what is not acknowledged: the Ping that asks
//   notices.c      what is told to rooms whose sessions were replaced by ones here
//   orphans.c      rows on their way out: of ended sessions, and those that lost logins left behind
//   passes.c       the passes over all sessions: confirm, heads; the lease
//   service.c      what other daemons call
//   room.c         life: start, announce, drain, stop
#ifndef HW_ROOM_INTERNAL_H
#define HW_ROOM_INTERNAL_H

#include "products.h"

#include "addr.h"
#include "arena.h"
#include "bytes.h"
#include "calls.h"
#include "conn.h"
#include "daemon.h"
#include "endpoints.h"
#include "part.h"
#include "slab.h"
#include "store_clock.h"
#include "token.h"

enum {
    LOGIN_MS = 5000,
    LAST_MOMENT_MS = 3000, // of a login step: when it is over, we have given up
    RETRY_MS = 500,        // of what a saver did not answer
    VISIT_MS = 2000,       // a full room waits so long for a Hello that resumes
    VISITORS_MAX = 1024,   // connections beyond connections_max, on their way in or out
    BINDINGS_UNCHECKED_MAX = 2 * VISITORS_MAX,
    CLOSE_KIND_FIRST = 40, // Close codes are told apart by their hundreds: 40xx .. 43xx
    CLOSE_KINDS = 4,
};

struct late_ack;
struct notice;
struct orphan;

// Slots that a pass goes over, a share at each tick, or all in a hurry.
struct pass {
    uint32_t at, rest,
        hurried; // the last slot; rest of a division; slots still to visit in a hurry
};

struct room {
    struct daemon_env *env;
    struct loop *loop;
    struct cluster *cluster;
    struct listener *listener;
    struct slab conns, bindings; // of the latter one more for each connection: a Bind renews one
                                 // that is there in a binding of its own; and some whose tokens
                                 // are not checked yet
    uint32_t sessions_max, connections_max;
    uint32_t places, lingering_count;
    uint32_t holders;                      // of places for sessions: bindings whose token is right
    TAILQ_HEAD(conn_list, conn) lingering; // those lost first come first
    struct conn *gone;                     // to be freed at the end of the iteration
    struct hook reap;
    bool is_full_told;
    struct room_product *products;
    uint64_t product_turns, product_count, window_bytes; // the latter two: at the last tick
    struct news_window_limits window_limits;             // of each product's news
    struct news_room news;
    struct hook ask_blocks;
    struct store_clock clock;
    uint64_t live_sessions;
    struct lease lease;

    uint8_t resume_key[32];
    struct arena arena;     // of one frame's decoding
    struct buf scratch;     // of a frame on its way out
    struct buf run;         // of frames from a load
    struct frame_run items; // of it
    struct handles retries; // whose RETRY is waited for
    struct timer retry;
    struct handles watched; // with something under way
    size_t watched_at;
    // acks
    struct room_binding *saving; // this iteration's
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
    uint32_t tick_count;
    struct pass confirm, heads, save, hurried_confirm, hurried_heads;
    uint64_t hurried_heads_ms;
    bool confirm_again, heads_wanted, heads_twice, is_draining, is_stopping;
    struct endpoints endpoints;
    // counters
    struct {
        uint64_t connections, accepted, logins, login_failures, takeovers, resumed,
            closed[CLOSE_KINDS], pushes, gaps, acks, loads, load_failures, not_here, news_frames,
            live_dropped, protocol_errors, slow, connections_refused, gave_way, orphans_given_up,
            pings, resends, unexpected, heads_ahead, positions_lost;
    } count;
};

// --- door.c
extern const struct stream_ops door_ops; // of a connection that has not said which voice it speaks

// --- notices.c: to other rooms, and to this one
// The session that had the row ends, by a login here, or as another daemon says.
void notice_replaced(const struct room_binding *by, const struct session_row *row);
void notice_got(struct room *r, const Hawser__Internal__ReplacedRequest *n);
void notice_changed(struct room *r, const struct session_row *row); // it is to be confirmed at once
void notices_deinit(struct room *r);                                // after the part is gone

// --- what must end with the room
void acks_deinit(struct room *r);
void orphans_deinit(struct room *r); // after the part is gone
void retries_deinit(struct room *r);

// --- binding.c
void room_binding_retry_later(struct room_binding *b);

// --- passes.c
void passes_tick(struct timer *t);
void passes_on_lease(struct room *r, bool held);
void passes_confirm_all(struct room *r);
void passes_heads_all(struct room *r);
void passes_hints_lost(struct room *r);
void passes_store_seen(struct room_product *p, uint64_t run); // that answered for the heads

// --- unacked.c
void unacked_tick(struct room *r);

// --- service.c
extern const struct rpc_method room_methods[];
struct session_row row_of(const Hawser__Internal__SessionRow *row); // NULL: none

// --- room.c
void room_drain_within(struct room *r, uint32_t within_ms);
void room_tick(struct room *r); // tells the directory when it is full, and when it is not any more

#endif
