// One binding of a connection: who it is (product, user, device), and its session, which knows
// nothing of that. Events go to the session through room_binding_tell; what it writes down waits in
// the room's queue (effects.h), at the end of which a binding whose session is gone is freed.
#ifndef HW_BINDING_H
#define HW_BINDING_H

#include "effects.h"
#include "saver.pb-c.h"
#include "session_rest.h"

struct conn;
struct room;
struct room_product;
struct login_token;

// What is needed only while something is under way.
struct awake {
    struct session session;
    bool is_to_save;                   // in room.to_save
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
const char *room_binding_user(const struct room_binding *b); // NULL until the token is checked
const char *room_binding_tags(const struct room_binding *b); // with a NUL after each, and another
bool room_binding_has_tags(const struct room_binding *b, const char *tags); // NULL: none
// Copies both; tags may be NULL, for none.
void room_binding_name(struct room_binding *b, const char *user, const char *tags);
// Its session, which is awake from then on, until ticks find that it waits for nothing.
struct awake *room_binding_wake(struct room_binding *b);
struct session *room_binding_session(struct room_binding *b);
enum session_state room_binding_state(const struct room_binding *b); // these eight wake nobody
void room_binding_rest(const struct room_binding *b, struct session_rest *ret_rest); // of a sleeper
// It sleeps, and has got everything up to there.
bool room_binding_sleeps_at(const struct room_binding *b, enum feed_stream stream,
                            const struct stream_position *head);
uint64_t room_binding_expires_ms(const struct room_binding *b);
uint64_t room_binding_since_ms(const struct room_binding *b);
bool room_binding_leaves_out(const struct room_binding *b, enum feed_stream stream);
bool room_binding_is_entered(const struct room_binding *b); // LIVE or AWAY
uint64_t room_binding_generation(const struct room_binding *b);
void room_bindings_rest(struct room *r); // a tick: those that wait for nothing for long lie down
// One step of its session. Nothing happens yet, but that one whose session is gone is found by
// nobody any more.
void room_binding_tell(struct room_binding *b, const struct session_event *e);
void room_binding_tell_kind(struct room_binding *b, enum session_event_kind kind);
void room_binding_end(struct room_binding *b);   // ENDED
void room_binding_go_on(struct room_binding *b); // READY, if that is of any use
// The binding is to end, and its client to be told why, with what waits in the queue.
void room_binding_over(const struct room_binding *b, const struct session_refusal *why);

// --- as others name it
uint64_t room_binding_row_slot(const struct room_binding *b); // slot and turn
struct room_binding *room_binding_of_row_slot(struct room *r, uint64_t row_slot);
struct room_binding *room_binding_find(struct room *r, uint32_t slot, uint32_t turn);
uint32_t room_binding_devices_max(const struct room_binding *b); // of its user

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

// --- login.c: the token
// NULL: no slot. Else answered by hello_answered, later unless it is refused at once.
struct bind_request;
struct room_binding *login_begin(struct conn *c, const struct bind_request *bind);
// What a Bind sets, and a later one for the same session sets anew.
struct bind_terms {
    char *tags; // owned; NULL = none
    uint64_t expires_ms;
};
// Would this Bind log in to what the binding holds? Checked at once; nothing changes yet. false:
// the login must go the whole way.
bool login_check_resume(const struct room_binding *b, const struct bind_request *bind,
                        struct bind_terms *ret_terms);
// The same of whatever this Bind would log in to, and lingers here; NULL: nothing.
struct room_binding *login_find_lingering(const struct conn *c, const struct bind_request *bind,
                                          struct bind_terms *ret_terms);
void login_take_terms(struct room_binding *b, struct bind_terms *terms); // takes the tags over
const char *login_product_name(const struct room_binding *b);            // "": it cannot be known

// --- questions.c: what a session asks of other daemons
void ask_enter(struct room_binding *b);
void ask_attach(struct room_binding *b);
void ask_row(struct room_binding *b);
void ask_count_takeover(struct room_binding *b); // if its client is still there
void ask_head(struct room_binding *b);
// The same, and the inbox counts an arrival: for whom its row is once more. Asked again until it is
// answered.
void ask_arrival(struct room_binding *b);
void ask_arrivals_again(struct room *r); // those without an answer
void ask_load(struct room_binding *b);
void ask_save(struct room_binding *b); // with others, at the end of the iteration
void ask_attempt(struct room_binding *b, const struct session_effect *e); // once: it may get lost
struct saver_positions {                                                  // as a request names them
    Hawser__Internal__StreamPosition at[FEEDS], *list[FEEDS];
};
// Those that are given; how many.
size_t saver_positions_fill(struct saver_positions *out, const struct session_have *have);

// --- inbox.c
// A hint, or a live message: whether it was sent now. m may be NULL.
bool inbox_deliver(struct room_binding *b, const struct stream_position *at,
                   const Hawser__Internal__StoredMessage *m);
void inbox_loaded(struct room_binding *b,
                  const Hawser__Internal__LoadReply *reply); // NULL: no answer

// --- acks.c
void acks_save_last(
    struct room_binding *b); // positions of a session: when it ends or is away, and now and then

// --- orphans.c
void orphan_drop(const struct room_binding *b); // its row, until the register answers
// Its login step may be done later than its answer counts, or a confirmation after its drop.
void orphan_expect(const struct room_binding *b);

#endif
