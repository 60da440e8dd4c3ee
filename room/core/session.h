// One live binding of (product, user, device): what it has, what it waits for, and what is to be
// done. A session takes an event, writes down effects and returns before any of them happens. A
// session owns no connection, socket, call or clock, and does not know who it is: the shell carries
// the effects out after the step, and what comes of them is the next event.
//
//   ASKING --ADMITTED--> ENTERING --ROW--> ATTACHING --ATTACHED--> ACCEPTED --TOLD--> LIVE <-> AWAY
//      |                   |   |             |     ^  ATTACHED: the saver knows a higher generation
//      |                   |   |             v     |  CONFIRMED: ours, by a higher one
//      |                   |   |            DOUBTING
//      +-- not taken ------+-- | ------------+-----------> REFUSED
//                              +--ENDED--> LEAVING --ROW--> GONE
//   every state but ENTERING and LEAVING --ENDED--> GONE
//   ENTERING --ROW, its client is gone--> GONE
//
// Only a step that leaves the session GONE ends it; the shell frees it at one point, after that
// step's effects. Effects may be carried out after further steps. The table of steps is
// SESSION_STEPS in session.c, all of it drawn in docs/SESSION.md; an event that a state does not
// name changes nothing and is counted.
#ifndef HW_SESSION_H
#define HW_SESSION_H

#include <stddef.h>

#include "feed.h"
#include "fence.h"
#include "lease.h"

#define SESSION_STATES(X)                                                                          \
    X(ASKING)    /* its product and key are asked for */                                           \
    X(ENTERING)  /* the register writes its row */                                                 \
    X(ATTACHING) /* the saver is asked for its positions */                                        \
    X(DOUBTING)  /* the register is asked whose the row is */                                      \
    X(ACCEPTED)  /* the Welcome or Bound is still to go out */                                     \
    X(LIVE)      /* the client gets what is there */                                               \
    X(AWAY)      /* its connection is lost; it is kept for the linger time */                      \
    X(REFUSED)   /* the Bound or Close is still to go out */                                       \
    X(LEAVING)   /* ended while the register had not answered */                                   \
    X(GONE)      /* the shell frees it */
enum session_state {
#define SESSION_STATE_ENUM(name) SESSION_##name,
    SESSION_STATES(SESSION_STATE_ENUM)
#undef SESSION_STATE_ENUM
        SESSION_STATE_COUNT
};

// --- what a step gets

#define SESSION_EVENTS(X)                                                                          \
    X(ADMITTED)    /* the token is right; `order` counts this room's logins */                     \
    X(DENIED)      /* the token is wrong, or cannot be checked: `refusal` */                       \
    X(ROW)         /* the register's answer to the login: `row` */                                 \
    X(ATTACHED)    /* the saver's answer: `attached` */                                            \
    X(CONFIRMED)   /* the register's answer to whose the row is: `confirmed` */                    \
    X(TOLD)        /* the Welcome or Bound is on its way */                                        \
    X(NOTICED)     /* another ended it, mostly a newer login that has its row: `notice` */         \
    X(ROW_CHANGED) /* the row may be another's now */                                              \
    X(CONFIRM_DUE) /* its row is to be confirmed in this pass */                                   \
    X(HINTED)      /* of a message, or a head: `hint` says the last of the inbox, or what was */   \
    X(LOADED)      /* the log's answer: `loaded` */                                                \
    X(SAVED)       /* the saver's answer to what was handled: `saved` */                           \
    X(READY)       /* the socket takes bytes, the client has acked, a log moved: go on */          \
    X(WAITED)      /* the wait of a RETRY is over: go on */                                        \
    X(NEWS_UNREAD) /* a block of older ones that it waited for could not be read */                \
    X(PONGED)      /* the client has answered a Ping */                                            \
    X(ATTEMPTED)   /* the saver's answer to an attempt, or that there is none: go on */            \
    X(LOST)        /* its connection */                                                            \
    X(RESUMED)     /* on another socket: `resumed` */                                              \
    X(WANTS)       /* its client, other streams from now on: `wanted` */                           \
    X(ENDED)       /* by client, room or refusal */
enum session_event_kind {
#define SESSION_EVENT_ENUM(name) EVENT_##name,
    SESSION_EVENTS(SESSION_EVENT_ENUM)
#undef SESSION_EVENT_ENUM
        SESSION_EVENT_COUNT
};

// A session's row in the register, as others hold it. incarnation 0: none.
struct session_row {
    uint64_t incarnation, slot, generation;
};

enum { BUSY_RETRY_MS = 1000 }; // what a client is asked to wait
#define REPLACED_TEXT "replaced by a newer login"

struct session_refusal {
    uint32_t code; // a Close code
    uint32_t retry_after_ms;
    const char *reason; // outlives the session
};

// Positions, of some streams: where the application is, as the client or a newer login says.
struct session_have {
    struct stream_position at[FEEDS];
    bool given[FEEDS];
};

// Another daemon, or another login here, ends whoever holds the row of this generation.
struct session_notice {
    uint64_t generation;
    struct session_refusal refusal; // what its client is told
    struct session_have have;       // its login's; what it says of broadcast logs counts
};

// Where a stream goes on, as the saver says.
struct session_start {
    struct stream_position after;
    uint64_t head;
    bool is_reset; // the position that was given or kept is not one of this log
};

enum session_row_result { ROW_WRITTEN, ROW_REFUSED, ROW_NO_ANSWER };
struct session_row_answer {
    enum session_row_result result;
    struct session_refusal refusal; // REFUSED
    uint64_t generation;            // WRITTEN
    struct session_row replaced;    // WRITTEN: the live one that it took the row from
    bool is_overtaken;   // WRITTEN: that one is of this room, and was asked for after this one
    bool client_is_gone; // the socket says so, though it is still to be told
};

enum session_saver_result { SAVER_OK, SAVER_NO_ANSWER, SAVER_STALE, SAVER_UNKNOWN };
struct session_attached {
    enum session_saver_result result; // OK, NO_ANSWER or STALE
    struct session_start start[FEEDS];
    bool is_known; // OK: the store had this device before
};

struct session_confirmed {
    bool is_answer;
    struct fence_answer answer;
    struct session_row replaced; // REWRITTEN: the live one that had the row
};

enum session_loaded_result {
    LOADED_NO_ANSWER,
    LOADED_UNREAD,  // the client takes nothing now: it is read again when it does
    LOADED_OTHER,   // of a log that is not this feed's any more
    LOADED_OLD,     // something that it has has left the log since: read again at once
    LOADED_RESET,   // the log is another one: goes on behind `after`
    LOADED_ENTRIES, // as many as could went out
};
struct session_hint {
    struct stream_position head;
    uint64_t change; // of the log: rises when messages leave it that may not go out any more; 0:
                     // not told
};

struct session_loaded {
    enum session_loaded_result result;
    uint64_t head;
    struct stream_position after; // RESET
    bool has_begun;               // ENTRIES: at least one continued what was sent
};

// On another socket. Its client's limits may be others than before.
struct session_resumed {
    struct session_have have;
    const struct ack_limits *limits; // borrowed; outlives the session
};

struct session_event {
    enum session_event_kind kind;
    union {
        uint64_t order;                     // ADMITTED
        struct session_refusal refusal;     // DENIED
        struct session_row_answer row;      // ROW
        struct session_attached attached;   // ATTACHED
        struct session_confirmed confirmed; // CONFIRMED
        struct session_notice notice;       // NOTICED
        struct session_hint hint;           // HINTED
        struct session_loaded loaded;       // LOADED
        enum session_saver_result saved;    // SAVED
        struct session_resumed resumed;     // RESUMED
        uint8_t wanted[FEEDS];              // WANTS: enum feed_wanted of each stream
    } of;
};

// What is true around the session while it takes a step.
struct log_heads {
    uint64_t epoch; // 0: not known yet
    uint64_t head;  // up to there they can be sent
    uint64_t heard; // >= head
};
struct product_heads { // of its broadcast logs, as far as the room knows them; asked for together
    struct log_heads log[LOGS];
    uint64_t asked, answered; // how often they were asked for; the last of these that was answered
};
struct session_env {
    uint64_t now_ms; // of a monotonic clock
    const struct lease *lease;
    struct product_heads heads;
    bool socket_takes; // bytes, and nothing is held
    bool peer_had_all; // what was sent, when its connection ended: LOST, RESUMED, ENDED
    uint64_t *steps;   // of SESSION_STATE_COUNT: steps by where they lead; NULL: not counted
};

// --- what a step writes down

#define SESSION_EFFECTS(X)                                                                         \
    X(ENTER)         /* the register writes the row */                                             \
    X(ATTACH)        /* the saver answers with positions */                                        \
    X(CONFIRM)       /* the register says whose the row is */                                      \
    X(LOAD)          /* the inbox, behind what was sent */                                         \
    X(ARRIVE)        /* in the inbox, whose head is asked */                                       \
    X(ASK_NEWS)      /* heads of the product's broadcast logs, by a new question */                \
    X(SAVE)          /* the inbox position, with others of this iteration */                       \
    X(SAVE_LAST)     /* positions of a session that may end: tried for a minute */                 \
    X(RETRY)         /* WAITED, in a while */                                                      \
    X(CONFIRM_SOON)  /* CONFIRM_DUE again in the next hurried pass */                              \
    X(SETTLED)       /* the login is decided: the client is to be told */                          \
    X(OVER)          /* `refusal`: the client is to be told, then ENDED */                         \
    X(ATTEMPT)       /* the client had the inbox up to `attempt`, and has not acknowledged it */   \
    X(RESENT)        /* for the counter: what was unacknowledged goes out again */                 \
    X(ACKED)         /* for the sums: `acked`, otherwise than by an Ack */                         \
    X(SAY_RESET)     /* of `reset` */                                                              \
    X(SEND_NEWS)     /* what its ack windows take of the broadcast logs */                         \
    X(TAKEN_OVER)    /* for the register's count: a newer login has its row */                     \
    X(TELL_REPLACED) /* the room of `row`: its session was taken over by this login */             \
    X(TELL_CHANGED)  /* the room of `row`: it is to be confirmed */                                \
    X(DROP_ROW)      /* until the register answers */                                              \
    X(EXPECT_ROW)    /* a row may be written late: look for it */
enum session_effect_kind {
#define SESSION_EFFECT_ENUM(name) EFFECT_##name,
    SESSION_EFFECTS(SESSION_EFFECT_ENUM)
#undef SESSION_EFFECT_ENUM
        SESSION_EFFECT_COUNT
};

struct session_effect {
    enum session_effect_kind kind;
    union {
        struct session_refusal refusal; // OVER
        struct {
            enum feed_stream stream;
            const char *reason; // a literal
        } reset;                // SAY_RESET: the feed's epoch, behind its sent
        struct {
            enum feed_stream stream;
            uint32_t messages;
        } acked; // ACKED
        struct {
            struct stream_position after; // acknowledged
            uint64_t upto;
        } attempt;              // ATTEMPT
        struct session_row row; // TELL_REPLACED, TELL_CHANGED
    } of;
};

enum { SESSION_EFFECTS_MAX = 12 };
struct session_effects {
    struct session_effect list[SESSION_EFFECTS_MAX];
    size_t count;
};

// --- the session

// The inbox is read by one load at a time.
enum session_load { LOAD_NONE, LOAD_ASKED, LOAD_STALE /* another log was heard of since */ };

// One of its streams, beside the feed: this stays when the feed begins anew, with another log.
struct session_stream {
    uint8_t wanted;      // enum feed_wanted: Synced does not wait for what is left out
    bool has_reset : 1;  // to be told before anything else of it
    bool is_asked : 1;   // a Ping is out for what is long unacknowledged: its answer resends
    bool is_refused : 1; // its client had a message in flight and says that it takes it not
};

// The inbox position on its way to the saver.
struct saving {
    uint64_t upto;
    uint64_t generation; // by whom
    bool is_open;        // a SAVE is not answered yet
    bool attach_again;   // the saver does not know this device, or its generation, any more
};

// What is asked because of what is not acknowledged.
struct unacked {
    uint64_t upto;      // what was sent of the inbox when the Ping went out that asks for it
    bool is_shut_asked; // a Ping was sent for a shut window, and no Ack has come since
    bool is_attempting; // an ATTEMPT is not answered: what is parked by it is not to be sent again
};

struct session {
    struct feed feed[FEEDS];
    struct fence fence;
    struct session_have have;       // of its login
    struct session_refusal refusal; // REFUSED
    uint64_t heads_needed; // the first question for heads that was asked after the login began
    struct saving saving;
    struct unacked unacked;
    enum session_state state;
    enum session_load load;
    uint32_t change; // the highest that was heard of while a load was asked
    struct session_stream stream[FEEDS];
    bool is_synced;
    bool is_log_another : 1; // than the inbox's epoch: to be read, whatever was heard
    bool is_retrying : 1;    // WAITED is waited for
    bool is_resumed : 1;
    bool is_clean : 1; // of its login: what waited counts as handled
    bool is_known : 1; // of its login: the device was here before, and goes on where it was
};

// What a login brings besides its token.
struct session_terms {
    struct session_have have;
    uint8_t wanted[FEEDS];           // enum feed_wanted
    bool is_clean;                   // it begins at the end of each stream
    const struct ack_limits *limits; // borrowed; outlives the session
};
void session_init(struct session *s, const struct session_terms *terms, const struct lease *lease);
static inline bool session_leaves_out(const struct session *s, enum feed_stream stream) {
    return s->stream[stream].wanted == FEED_LEFT_OUT;
}
static inline bool session_wants_once(const struct session *s, enum feed_stream stream) {
    return s->stream[stream].wanted == FEED_WANTED_ONCE;
}
// Whether it wants just these: enum feed_wanted of each stream.
bool session_wants_just(const struct session *s, const uint8_t wanted[FEEDS]);
// Adds to `out`, which the caller owns and has emptied. false: the state does not name this event;
// nothing changed.
bool session_step(struct session *s, const struct session_event *e, const struct session_env *env,
                  struct session_effects *out);

// --- hot paths: calls, not events

// Looks for what is long unacknowledged, or waits behind a shut window: the strongest wish of its
// feeds. If a Ping is sent for it, session_pings follows.
enum feed_wish session_look(struct session *s, const struct product_heads *heads, uint32_t tick,
                            bool *ret_is_at_rest);
// Whether what its client refuses goes out again now: as if a Ping for it was answered, so PONGED
// follows.
bool session_refusal_is_due(struct session *s, const struct product_heads *heads, uint32_t tick);
void session_pings(struct session *s, const struct product_heads *heads, uint32_t tick);
// The client has handled up to there. *ret_messages: how many left the window, for the sums.
enum feed_ack session_acked(struct session *s, enum feed_stream stream, struct stream_position upto,
                            uint32_t *ret_messages);
// The client had a message that is in flight, and refuses it: that is no ack. false: it is not in
// flight. When it has been so for as long as brings a Ping, it goes out again without one.
bool session_refused(struct session *s, enum feed_stream stream, struct stream_position at);
// The same of all that was sent of a stream that it wants once. Returns how many left the window.
uint32_t session_handled_sent(struct session *s, enum feed_stream stream);
// After what is in flight has changed in one of its feeds: the others take less, or more, where
// limits are together.
void session_shares_window(struct session *s);
// Other messages than before are for it from now on: its tags are others.
void session_has_others(struct session *s);
// Whether pushes may go out to it now; here because the walk over sessions asks each of them.
static inline bool session_can_send(const struct session *s, const struct session_env *env) {
    return s->state == SESSION_LIVE && env->socket_takes && fence_may_send(&s->fence, env->lease);
}
// Before broadcasts of a log are sent: whether the heads that the login waits for are in.
// LOG_RESET: the feed was set to the product's log, behind `base`, since that is another one. Here
// for the walk too; session_takes_log is what it does then.
enum log_ready { LOG_NOT_READY, LOG_READY, LOG_RESET };
void session_takes_log(struct session *s, const struct session_env *env, enum feed_stream stream,
                       uint64_t base);
static inline enum log_ready session_log_ready(struct session *s, const struct session_env *env,
                                               enum feed_stream stream, uint64_t base) {
    uint64_t epoch = env->heads.log[log_index(stream)].epoch;
    if (epoch == 0 || env->heads.answered < s->heads_needed || session_leaves_out(s, stream))
        return LOG_NOT_READY;
    if (s->feed[stream].epoch == epoch)
        return LOG_READY;
    session_takes_log(s, env, stream, base);
    return LOG_RESET;
}
// True once, when all that was accepted before its login has been sent: Synced is to be said.
bool session_becomes_synced(struct session *s, const struct session_env *env);
// A SAVE is carried out now. true: the saver must be asked to attach it again; else to take the
// inbox feed's acked position.
bool session_begins_save(struct session *s);

// Whether READY would write anything down: not for one that is level and has nothing to save.
bool session_has_to_go_on(const struct session *s, const struct product_heads *known);
// The positions that the saver has not answered for; how many.
size_t session_unsaved(const struct session *s, struct session_have *ret_at);
// The saver has answered for these, outside of a SAVE.
void session_saved_last(struct session *s, const struct session_have *at);

// --- questions

bool session_is_answered(const struct session *s); // the client can be told how its login ended
bool session_is_entered(const struct session *s);  // LIVE or AWAY
bool session_is_at_rest(const struct session *s);  // nothing is in flight
bool session_is_here(const struct session *s, uint64_t generation); // deliveries may name it
bool session_can_resume(const struct session *s, const struct session_have *have);

// The states that a step may lead to, each as 1 << state; 0: the state does not name the event.
unsigned session_leads_to(enum session_state from, enum session_event_kind event);

const char *session_state_name(enum session_state state);
const char *session_event_name(enum session_event_kind kind);
const char *session_effect_name(enum session_effect_kind kind);

#endif
