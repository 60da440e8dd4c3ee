// One binding of a connection: who it is (product, user, device), and its session, which knows
// nothing of that. Events go to the session through room_binding_tell; what it writes down waits in
// the room's queue (effects.h), at the end of which a binding whose session is gone is freed.
#ifndef HW_BINDING_H
#define HW_BINDING_H

#include "effects.h"
#include "names.h"
#include "sleep.h"

struct conn;
struct room;
struct room_product;
struct login_token;

// What is needed only while something is under way.
struct awake {
    struct session session;
    bool is_to_save;                   // in questions.to_save
    bool is_used;                      // since the last look at whether it may lie down
    struct room_binding *next_to_save; // there
    uint64_t since_ms, expires_ms;     // Unix: when its row was asked for; the token's end
    // owned: its user, a NUL; its tags with a NUL after each; another NUL. Behind them, while it
    // sleeps, what it will know again. NULL until the token is checked.
    char *names;
    struct login_token *token; // owned: until its login is over
    char *tags;                // owned: those that came with the token; until then, too
    char *reason;         // owned: of a notice that ends the session; NULL = none, or a literal
    char **known_devices; // owned, one block: of the row that its login wrote, until it is attached
    size_t known_device_count;
    uint64_t asked_since_ms; // of the loop: its client asked then or later; 0: just now
};

struct session_counters {
    uint64_t logins, login_failures, logins_put_off, takeovers, unexpected,
        steps[SESSION_STATE_COUNT]; // by where they lead
};

// At rest these 48 bytes, and one block of the allocator's.
struct room_binding {
    union {
        struct awake *awake; // owned: while is_awake; it has the names then
        char *names;         // owned: else, when the session is LIVE and sleeps
    } of;
    struct conn *conn;                // owns it; outlives it
    struct room_product *product;     // NULL until known
    struct room_binding *next, *prev; // in product.bindings while LIVE or AWAY
    uint32_t next_in_conn;            // in conn.bindings: 1 + its slot; 0: the last one
    uint16_t names_bytes;             // without what it will know again
    bool is_awake : 1;
    bool is_watched : 1;        // in room.watched
    bool was_awaited : 1;       // GONE: it was conn_awaited()
    bool is_late : 1;           // its positions are on their way to the saver, see acks.c
    bool waits_for_block[LOGS]; // one of older broadcasts is being read
};

// --- its life
struct room_binding *room_binding_new(struct conn *c,
                                      const struct session_terms *terms); // NULL: no slot
void room_binding_free(struct room_binding *b);                       // at the end of a room only
struct room_binding *room_binding_next(const struct room_binding *b); // of its connection
static inline enum session_state room_binding_state(const struct room_binding *b) { // wakes nobody
    return b->is_awake ? b->of.awake->session.state : SESSION_LIVE;
}
// One step of its session. Nothing happens yet, but that one whose session is gone is found by
// nobody any more.
void room_binding_tell(struct room_binding *b, const struct session_event *e);
void room_binding_tell_kind(struct room_binding *b, enum session_event_kind kind);
void room_binding_end(struct room_binding *b);   // ENDED
void room_binding_go_on(struct room_binding *b); // READY, if that is of any use
// The binding is to end, and its client to be told why, with what waits in the queue.
void room_binding_over(const struct room_binding *b, const struct session_refusal *why);

// --- what it can do now
struct product_heads room_binding_heads(const struct room_binding *b); // all 0: no product yet
// What is around all sessions of a product alike, whose sockets are none of it. NULL: not known.
void room_env(struct room *r, const struct room_product *p, struct session_env *ret_env);
void room_binding_env(const struct room_binding *b, struct session_env *ret_env);
bool room_binding_socket_takes(const struct room_binding *b); // for its session's env
bool room_binding_can_send(const struct room_binding *b);
// A frame of so many bytes, as each of its streams takes them; 0: of any.
bool room_binding_can_send_in(const struct room_binding *b, const struct session_env *env,
                              size_t len);
// After anything was sent: Synced, when all is; what is under way is watched.
void room_binding_sent(struct room_binding *b);
void room_binding_say_reset(struct room_binding *b, enum feed_stream stream, const char *reason);

#endif
