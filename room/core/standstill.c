#include "standstill.h"

#include <stdbool.h>

static bool is_late(const struct standstill *s, uint64_t now_ms) {
    return s->ticked_ms != 0 && now_ms - s->ticked_ms >= STANDSTILL_MS;
}

// Another one before the first was caught up with: what the first left may still be unread.
static uint64_t begin_ms(const struct standstill *s) {
    return s->ticked_ms < s->until_ms ? s->since_ms : s->ticked_ms;
}

void standstill_tick(struct standstill *s, uint64_t now_ms) {
    if (is_late(s, now_ms)) {
        s->since_ms = begin_ms(s);
        s->until_ms = now_ms + STANDSTILL_READS_MS;
    }
    s->ticked_ms = now_ms;
}

// By the time, too: what is read first is read before the tick.
uint64_t standstill_since_ms(const struct standstill *s, uint64_t now_ms) {
    if (is_late(s, now_ms))
        return begin_ms(s);
    return now_ms < s->until_ms ? s->since_ms : 0;
}
