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
//   news.c         the walk of broadcasts over sessions; news_passing.c of passing ones
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

#include "acks.h"
#include "addr.h"
#include "bytes.h"
#include "calls.h"
#include "conn.h"
#include "daemon.h"
#include "door.h"
#include "endpoints.h"
#include "login.h"
#include "orphans.h"
#include "part.h"
#include "passes.h"
#include "places.h"
#include "questions.h"
#include "replaced.h"
#include "scratch.h"
#include "slab.h"
#include "standstill.h"
#include "store_clock.h"
#include "token.h"
#include "waits.h"

struct notice;

struct delivery_counters {
    uint64_t pushes, gaps, acks, loads, load_failures, not_here, news_frames, passing_dropped,
        heads_ahead, resends, attempts, parked, refused;
};

struct room {
    struct daemon_env *env;
    struct loop *loop;
    struct cluster *cluster;
    struct store_clock clock;
    struct lease lease;
    struct standstill standstill;
    struct endpoints endpoints;
    bool is_draining, is_stopping;
    struct timer drain_timer;
    // connections
    struct listener *listener;
    struct door door;
    struct slab conns, transits;
    const struct voice *voices[VOICES]; // that were spoken here
    struct places places;
    struct conn *gone; // to be freed at the end of the iteration
    uint8_t resume_key[32], lingerers_key[16];
    struct lingerer *lingerers;
    // sessions. bindings: sessions_max for sessions, one more for each connection (a Bind that
    // renews has a binding of its own), and BINDINGS_UNCHECKED_MAX whose token is not checked yet
    struct slab bindings;
    struct awake_ones awake_ones;
    struct effects effects; // what they have written down
    struct passes passes;
    struct waits waits;
    struct handles watched; // with something under way
    struct products products;
    // what is asked and told for them
    struct questions questions;
    struct late_acks late_acks;
    struct notice *notices;
    struct orphans orphans;
    struct replaced replaced;

    struct scratch scratch;
    struct {
        struct conn_counters conn;
        struct session_counters session;
        struct delivery_counters delivery;
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
bool inbox_deliver(struct room_binding *b, const struct session_hint *hint,
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

// --- unacked.c
void unacked_tick(struct room *r);

// --- service.c
extern const struct rpc_method room_methods[];

// --- drain.c
void room_drain_within(struct room *r, uint32_t within_ms);

#endif
