// Whether the session of a binding is awake: one that waits for nothing is packed into some twenty
// bytes (session_rest.h), and only who needs more of it wakes it.
#ifndef HW_SLEEP_H
#define HW_SLEEP_H

#include "handles.h"
#include "session_rest.h"
#include "slab.h"

struct awake;
struct room;
struct room_binding;

struct awake_ones {
    struct slab slab;    // of struct awake: one for each binding
    struct handles list; // each that is awake stands there once
    uint64_t count;
};

void awake_begin(struct room_binding *b); // all zero
void awake_free(struct room_binding *b);  // also if it sleeps; its names too
void room_bindings_rest(struct room *r);  // a tick: those that wait for nothing for long lie down
// Its session, which is awake from then on, until ticks find that it waits for nothing.
struct awake *room_binding_wake(struct room_binding *b);
struct session *room_binding_session(struct room_binding *b);

// These wake nobody.
void room_binding_rest(const struct room_binding *b, struct session_rest *ret_rest); // of a sleeper
// It sleeps, and has got everything up to there.
bool room_binding_sleeps_at(const struct room_binding *b, enum feed_stream stream,
                            const struct stream_position *head);
uint64_t room_binding_expires_ms(const struct room_binding *b);
uint64_t room_binding_since_ms(const struct room_binding *b);
bool room_binding_leaves_out(const struct room_binding *b, enum feed_stream stream);
bool room_binding_is_entered(const struct room_binding *b); // LIVE or AWAY
uint64_t room_binding_generation(const struct room_binding *b);

#endif
