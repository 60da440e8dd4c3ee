// Who is let in, and who gives way: a room's places, who has them and who waits for one.
#ifndef HW_PLACES_H
#define HW_PLACES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
    LOGIN_MS = 5000,
    FULL_HELLO_MS = 2000, // a full room waits so long for a Hello that resumes
    BEYOND_MAX = 1024,    // connections beyond connections_max, on their way in or out
    BINDINGS_UNCHECKED_MAX = 2 * BEYOND_MAX,
};

struct room;
struct transit;
TAILQ_HEAD(transits, transit);

struct places {
    uint32_t connections_max, sessions_max;
    uint32_t taken;   // by connections, those that linger too
    uint32_t holders; // of places for sessions: bindings whose token is right
    uint32_t lingering_count, strangers_count;
    struct transits lingering; // those lost first come first
    struct transits strangers; // no whole Hello yet; who came in first comes first
    uint64_t strangers_bytes;  // of frames that are not whole, of who is not logged in
    bool is_full_told;
    uint64_t gave_way, strangers_displaced; // counters
};

uint32_t places_load(const struct room *r); // of LOAD_FULL
// Tells the directory when it is full, and when it is not any more.
void places_tick(struct room *r);

#endif
