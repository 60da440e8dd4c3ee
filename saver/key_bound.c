#include "key_bound.h"

enum { KEYS_PER_MS = 50 }; // what is thought to come at most, from all savers

static uint64_t places_left(const struct key_bound *b, uint64_t max) {
    uint64_t used = b->sum + b->stored;
    return used < max ? max - used : 0;
}

bool key_bound_is_stale(const struct key_bound *b, uint64_t max, uint64_t now_ms) {
    uint64_t left = places_left(b, max);
    uint64_t kept_ms = left > 0 ? left / KEYS_PER_MS : KEY_BOUND_FULL_MS;
    bool may_ask = b->paid_ms <= now_ms + (KEY_BOUND_ASKS - 1) * KEY_BOUND_ASK_MS;
    return !b->is_known || (now_ms - b->heard_ms >= kept_ms && may_ask);
}

enum key_verdict key_bound_judge(const struct key_bound *b, uint64_t max) {
    uint64_t left = places_left(b, max);
    if (left == 0)
        return KEY_FULL;
    return b->open < left ? KEY_GO : KEY_WAIT;
}

void key_bound_asked(struct key_bound *b, uint64_t now_ms) {
    b->paid_ms = (b->paid_ms > now_ms ? b->paid_ms : now_ms) + KEY_BOUND_ASK_MS;
    b->asks++;
    b->stored = b->open = 0;
}

void key_bound_heard(struct key_bound *b, uint64_t sum, uint64_t now_ms) {
    b->is_known = true;
    b->sum = sum;
    b->heard_ms = now_ms;
}

void key_bound_forget(struct key_bound *b) {
    b->is_known = false;
}

uint64_t key_bound_sent(struct key_bound *b) {
    b->open++;
    return b->asks;
}

void key_bound_settled(struct key_bound *b, uint64_t asks, bool is_stored) {
    if (asks != b->asks)
        return; // the sum has it
    b->open--;
    b->stored += is_stored;
}
