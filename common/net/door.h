// A door: where strangers come in. It has a stream from the first moment until the first bytes have
// told what the stream is, and it does what all who serve strangers need done: who says nothing is
// ended by a deadline, who says what is not served here is ended at once, somebody gives way to a
// newcomer at a full house, and each of these is counted.
//
//   accepted --first bytes of a transport--> it lies over the stream, and the door reads through it
//            --first bytes of a protocol--> the owner's
//            --other bytes, silence, a newcomer at a full house--> ended
//
// A newcomer is told nothing, since nobody knows what the newcomer speaks: it is the owner who
// refuses, in the words of the protocol. A kind of transport is a row of one table for all doors, a
// protocol is a row of the owner's. A transport comes to lie only over those whose rows stand
// before its own, so that a stranger can't begin one in another for ever.
#ifndef HW_DOOR_H
#define HW_DOOR_H

#include <sys/queue.h>

#include "opening.h"
#include "slab.h"
#include "stream.h"

struct newcomer {
    struct stream *stream;
    uint64_t accepted_ms;
    uint64_t came_ms; // then, or before: its first bytes were not sent earlier
};

struct door_options {
    struct loop *loop;
    // Both tables live as long as the door. A row of the first leads to a struct transport_kind,
    // and consumes nothing.
    const struct opening *transports, *protocols;
    // The stream is the owner's from now on, who gives it its ops before the call returns. What was
    // read behind the first bytes comes to these. n is borrowed for the call.
    void (*let_in)(void *arg, const struct newcomer *n, const struct opening *protocol);
    // Ends a connection that is in and has been silent since then or longer; false: there is none.
    // NULL: there never is.
    bool (*give_way)(void *arg, uint64_t silent_since_ms);
    void *arg;
    uint64_t connections_max;
    // The owner's counters. Newcomers are among the first, and the owner counts those that are in.
    uint64_t *connections, *unknown, *silent, *displaced;
};

// The transport gets what was read so far, and hands that out before it reads what is below it.
// NULL: it is not served at this door.
struct transport_kind {
    struct transport *(*begin)(const struct door_options *o, const uint8_t *read, size_t len);
};
extern const struct opening door_transports[]; // the kinds that there are

struct door {
    struct door_options options;
    struct slab waiters;
    TAILQ_HEAD(, door_waiter) waiting; // who came first stands first
};

void door_init(struct door *d, const struct door_options *o);
void door_deinit(struct door *d); // ends those who wait. Twice is harmless
// A stream that was just accepted is the door's from now on. Its first bytes may take wait_ms.
void door_take(struct door *d, struct stream *s, uint64_t came_ms, uint64_t wait_ms);
void door_hurry(struct door *d, uint64_t within_ms); // who waits has so long at most from now on

#endif
