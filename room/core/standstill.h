// A room that stood still (it was stopped, or its machine was) finds in its sockets what clients
// said meanwhile, and cannot know when: who waited has long logged in elsewhere, perhaps. A
// standstill knows, by the room's ticks, since when that may have lain there.
#ifndef HW_STANDSTILL_H
#define HW_STANDSTILL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    // Shorter ones are none: with the last moment of a login's step, no client has given up before.
    STANDSTILL_MS = 2000,
    STANDSTILL_READS_MS = 1000, // so long a room reads what came meanwhile
};

struct standstill {
    uint64_t ticked_ms;          // the last tick; 0: none yet
    uint64_t since_ms, until_ms; // what is read before `until_ms` may have lain there since
};

void standstill_tick(struct standstill *s, uint64_t now_ms);
// Since when what is read now may have lain in its socket. 0: it came just now.
uint64_t standstill_since_ms(const struct standstill *s, uint64_t now_ms);
// Whether what is read now has waited since then for as long as a standstill.
bool standstill_is_long(uint64_t since_ms, uint64_t now_ms);

#endif
