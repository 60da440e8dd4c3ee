// How many Idempotency-Keys a product has, as far as this saver knows, and what that means for one
// more. The keys lie in the buckets of its users, which share no script, so the sum over all
// buckets is asked for, and in between what this saver stored itself is added. Pure.
//
// The sum may be as old as it would take many keys a second to fill what is left: near the bound it
// is asked for before each append, so that appends one after the other meet the bound exactly,
// whichever saver has them. That it is full is believed for KEY_BOUND_FULL_MS. A sum is dear, so
// that there is one in KEY_BOUND_ASK_MS at most, with KEY_BOUND_ASKS in advance: who pushes more
// near the bound is judged by the last one, and what other savers store meanwhile may pass it.
#ifndef HW_SAVER_KEY_BOUND_H
#define HW_SAVER_KEY_BOUND_H

#include <stdbool.h>
#include <stdint.h>

enum { KEY_BOUND_FULL_MS = 200, KEY_BOUND_ASK_MS = 100, KEY_BOUND_ASKS = 16 };

struct key_bound {
    bool is_known;
    uint64_t sum, heard_ms;
    uint64_t paid_ms; // the sums that were asked for are paid with the time until then
    uint64_t asks;    // how many sums were asked for
    // Since the last one was asked for: stored here, and under way.
    uint64_t stored, open;
};

// Whether the sum is to be asked for (again) before one more is judged.
bool key_bound_is_stale(const struct key_bound *b, uint64_t max, uint64_t now_ms);
enum key_verdict {
    KEY_GO,
    KEY_FULL,
    KEY_WAIT, // for one of those under way, which may take the last place
};
enum key_verdict key_bound_judge(const struct key_bound *b, uint64_t max);

// All sent before is in the answer: commands keep their order.
void key_bound_asked(struct key_bound *b, uint64_t now_ms);
void key_bound_heard(struct key_bound *b, uint64_t sum, uint64_t now_ms);
void key_bound_forget(struct key_bound *b); // it could not be asked, or an outcome is unknown

uint64_t key_bound_sent(struct key_bound *b); // one more is under way; `asks`, to settle it with
// stored: it took a place that was free before.
void key_bound_settled(struct key_bound *b, uint64_t asks, bool is_stored);

#endif
