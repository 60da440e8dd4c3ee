// A product with sessions here, and its broadcasts as far as this room knows them.
#ifndef HW_PRODUCTS_H
#define HW_PRODUCTS_H

#include "table.h"

#include "binding.h"
#include "cluster.h"
#include "news_window.h"
#include "rpc.h"
#include "saver.pb-c.h"
#include "timer.h"
#include "voice.h"

// What a room has of a broadcast log, encoded for one voice, and there for those who want each
// message, or for those who want it at most once; from the first such session on. All of a log have
// the same epoch and head.
enum { VOICE_NEWS = 2 * VOICES };
static inline size_t voice_news_index(size_t voice, bool is_once) {
    return 2 * voice + is_once;
}
struct voice_news {
    struct broadcasts *log; // holds it; NULL: there was no such session yet
    const struct voice *voice;
    bool is_once; // for those who want it at most once
    struct news_window window;
};

struct sums { // of devices, for DELIVERY's sums
    uint64_t sent, acked;
};

// One of a product's broadcast logs: what is known of it, and the walk that hands it round.
struct broadcasts {
    struct room_product *product; // holds it
    enum feed_stream stream;
    struct voice_news by_voice[VOICE_NEWS];
    const struct news_window *known; // any of them: a product has a session when it begins
    uint64_t heard;                  // >= known->head
    uint64_t change;                 // of the log: rises when something in it is recalled
    struct timer hole;
    bool hole_loading, is_hole_stale; // stale: what is being loaded may have been recalled since
    struct sums sums, sums_telling;   // since the last SumsRequest; what is in flight
    // the walk
    struct job walk;
    struct room_binding *walk_at; // who is next; NULL: it is over
    // At the end it begins again, up to walk_until (NULL: all): these had passed when the latest
    // came. is_back: it has begun again.
    struct room_binding *walk_until;
    bool walk_again, walk_is_back, walk_running;
};

struct passing { // one passing broadcast on its way round the sessions
    struct passing *next;
    struct room_binding *at;
    struct audience *audience; // owned; NULL = everyone
    struct rpc_call *call;     // owned: answered at the end
    uint64_t session_count;    // connected ones that it was for
    struct buf frame[VOICES];  // of those that are spoken
};

struct products {
    struct room_product *table;              // by number
    uint64_t turns;                          // of products that ever were here
    uint64_t sessions;                       // LIVE or AWAY
    uint64_t count, news_window_bytes;       // at the last tick
    struct news_window_limits window_limits; // of each product's news
    struct news_room older;                  // blocks before the windows
    struct hook ask_older;
};

struct room_product {
    UT_hash_handle hh;
    struct room *room;
    uint32_t number;
    char name[33];
    bool is_deleted;
    // LIVE or AWAY, as they came: so do they lie in memory, mostly, and a walk goes there in order
    struct room_binding *bindings, *last_binding;
    uint64_t session_count;         // of them
    uint64_t holders;               // bindings that name it, those not live yet too
    uint64_t held_ms;               // when the last one was let go
    uint64_t turn;                  // of the room's products: one that comes back is another
    uint64_t usual_epoch[LOGS_ALL]; // of its logs when its first session lay down
    bool has_usual;                 // one has
    struct broadcasts log[LOGS];    // product_log()
    // heads of its logs: one question at a time
    uint64_t heads_asked, heads_answered; // how many questions; the last one that was answered
    bool heads_under_way, heads_wanted;   // asked now; to be asked once more behind it
    uint64_t heads_trusted;               // the first question behind the last gap in the lease
    uint64_t store;         // the run of the savers' store that answered last; 0 = none
    struct handles waiters; // logins that wait for heads
    // passing broadcasts
    struct job passing_job;
    struct passing *passing, **passing_end;
    int passing_count;
    // the sums of its logs, told once a second under one id
    bool sums_in_flight;
    uint8_t sums_id[16];
};

// The walk has been with `b`, which may have left the list since, and goes on behind it.
static inline void broadcasts_walk_on(struct broadcasts *log, const struct room_binding *b) {
    struct room_binding *next = b->next;
    if (!next && log->walk_again) {
        log->walk_again = false;
        log->walk_is_back = true;
        next = log->product->bindings;
    }
    log->walk_at = log->walk_is_back && next == log->walk_until ? NULL : next;
}

static inline struct broadcasts *product_log(struct room_product *p, enum feed_stream stream) {
    return &p->log[log_index(stream)];
}

// --- products.c
struct room_product *product_find_here(struct room *r, uint32_t number);
void product_hold(struct room_binding *b, const struct product *p); // sets b->product
void product_let_go(struct room_binding *b);                        // clears it
// From now on, broadcasts as its session wants them.
void product_keeps_for(struct room_binding *b, const struct session *s);
void product_enter(struct room_binding *b); // its session is LIVE or AWAY from now on
void product_leave(struct room_binding *b);
struct product_call { // a call for a product that may be gone when it is answered
    struct room *room;
    uint64_t turn, ticket; // ticket: of a block
    uint32_t product;
    enum feed_stream stream; // of a log
};
struct product_call *product_call_new(const struct room_product *p);
struct product_call *log_call_new(const struct broadcasts *log, uint64_t ticket);
// The product of an answer, unless it is gone or the room is ending; frees the call. A call that is
// cancelled for another reason (its saver left the directory) is an answer like any other.
struct room_product *product_call_over(struct product_call *call);
struct broadcasts *log_call_over(struct product_call *call); // its log

// --- news_read.c
struct audience *news_audience(const Hawser__Internal__Audience *a); // NULL: everyone
// Its frame, in that voice, goes to *frame, which is reset; the entry's audience is the caller's.
void news_encode(const struct voice_news *news, const Hawser__Internal__LoadEntry *e,
                 struct buf *frame, struct news_entry *ret_entry);
// Reads what is asked; done gets the product_call with that ticket.
typedef void news_loaded_fn(void *arg, int error, const Hawser__Internal__LoadReply *reply);
void news_load(struct broadcasts *log, const struct news_ask *ask, news_loaded_fn *done);
// Lets them go on, or try again later; frees the list.
void news_tell_waiters(const struct broadcasts *log, struct handles *waiters, bool loaded);

// --- the walks over sessions: how long a slice is, and after how many the clock is read
enum { SLICE_US = 1000, SLICE_CHECK = 8 };

// --- news.c: the walk
void news_send(struct room_binding *b); // what its ack windows and its socket take now
void news_walk(struct broadcasts *log);

// --- news_passing.c
// Answers the call when all sessions were walked over.
void news_pass_on(struct room_product *p, const Hawser__Internal__StoredMessage *m,
                  struct rpc_call *call);
void news_passing_free(struct room_product *p);

// --- news_log.c
void news_heard(struct broadcasts *log, struct stream_position at,
                const Hawser__Internal__StoredMessage *m);
// Of a log of that epoch somebody says so many changes. False: it may have been said before what is
// known here, so that its message may have been recalled since.
bool news_change_heard(struct broadcasts *log, uint64_t epoch, uint64_t change);
// The lease was not held for a while, in which recalls may have been answered without this room.
void news_doubt(struct room_product *p);
void news_heads_ask(struct room_product *p);
void news_wait_for_heads(struct room_binding *b);
void news_logs_tick(struct room_product *p);            // every second
uint64_t news_logs_bytes(const struct room_product *p); // of memory, without the blocks
bool news_logs_are_done(const struct room_product *p);  // nothing is to be told to the saver
void news_logs_free(struct room_product *p);
// --- news_older.c
void news_older_ask(struct room *r); // what is wanted, at the end of this iteration

// --- product_life.c
void product_end_here(struct room *r, uint32_t number); // ends its sessions
void product_free_here(struct room_product *p);
void products_tick(struct room *r); // every second

#endif
