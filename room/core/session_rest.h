// A live session that waits for nothing, in a quarter of its bytes: what it would know again when
// it gets up. Most sessions of a room are at rest most of the time.
#ifndef HW_SESSION_REST_H
#define HW_SESSION_REST_H

#include "session.h"

struct feed_rest {
    uint64_t epoch, sent;      // which is heard and shown, too
    uint32_t unacked, unsaved; // sent - acked, of what was passed over; acked - saved
};

struct session_rest {
    uint64_t generation, login_generation, login_order; // of its fence
    uint32_t asked_round, confirmed_round;
    struct feed_rest feed[FEEDS];
    const struct ack_limits *limits; // borrowed, of each feed
    bool is_resumed, is_left_out[FEEDS];
};

// false: it is not live and synced, something is under way, or it knows what would be forgotten.
bool session_lies_down(const struct session *s, struct session_rest *ret_rest);
// As it lay down, but for what a live session does not need any more: the positions and targets of
// its login, and what it last saved.
void session_gets_up(const struct session_rest *rest, struct session *ret_s);

// Questions that need not wake it.
static inline bool session_rest_can_send(const struct session_rest *rest,
                                         const struct session_env *env) {
    return env->socket_takes && env->lease->is_held &&
           rest->confirmed_round >= env->lease->required;
}
static inline bool session_rest_is_level(const struct session_rest *rest, enum feed_stream stream,
                                         const struct stream_position *head) {
    const struct feed_rest *f = &rest->feed[stream];
    return f->epoch == head->epoch && f->sent >= head->seq;
}

#endif
