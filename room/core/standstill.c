#include "standstill.h"

bool standstill_is_long(uint64_t since_ms, uint64_t now_ms) {
    return since_ms != 0 && now_ms - since_ms >= STANDSTILL_MS;
}

static bool is_late(const struct standstill *s, uint64_t now_ms) {
    return standstill_is_long(s->ticked_ms, now_ms);
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
