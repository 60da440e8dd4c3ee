// A live session that waits for nothing: what it would know again when it gets up, and that in as
// few bytes as its numbers take, some forty of 544. Most sessions of a room are at rest most of the
// time.
#ifndef HW_SESSION_REST_H
#define HW_SESSION_REST_H

#include "session.h"

enum { LOGS_ALL = FEEDS - FEED_NEWS }; // those not served, too

struct feed_rest {
    uint64_t epoch, sent;      // which is heard and shown, too
    uint64_t unacked, unsaved; // sent - acked, of what was passed over; acked - saved
};

struct session_rest {
    struct fence_rest fence;
    struct feed_rest feed[FEEDS];
    const struct ack_limits *limits; // borrowed, of each feed
    bool is_resumed;
    uint8_t wanted[FEEDS]; // enum feed_wanted
};

// false: it is not live and synced, something is under way, or it knows what would be forgotten.
bool session_lies_down(const struct session *s, struct session_rest *ret_rest);
// As it lay down, but for what a live session does not need any more: the positions and targets of
// its login, and what it last saved.
void session_gets_up(const struct session_rest *rest, struct session *ret_s);

// What nearly all sessions of a product have, and need not write down. It must be the same whenever
// they are packed and unpacked.
struct session_usual {
    const struct ack_limits *limits;
    uint64_t epoch[LOGS_ALL]; // of the product's broadcast logs, as one of its sessions had them
};

// Returns how many bytes.
enum { SESSION_REST_BYTES_MAX = 168 };
size_t session_rest_pack(const struct session_rest *rest, const struct session_usual *usual,
                         uint8_t out[SESSION_REST_BYTES_MAX]);
// Returns where they end.
const uint8_t *session_rest_unpack(const uint8_t *bytes, const struct session_usual *usual,
                                   struct session_rest *ret_rest);

// Questions that need not wake it.
bool session_rest_is_level(const uint8_t *bytes, const struct session_usual *usual,
                           enum feed_stream stream,
                           const struct stream_position *head); // packed
static inline bool session_rest_can_send(const struct session_rest *rest,
                                         const struct session_env *env) {
    return env->socket_takes && env->lease->is_held &&
           rest->fence.confirmed_round >= env->lease->required;
}

#endif
