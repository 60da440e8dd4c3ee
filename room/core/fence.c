#include "fence.h"

#include <string.h>

void fence_init(struct fence *f, const struct lease *l) {
    memset(f, 0, sizeof(*f)); // also between its fields, see session_rest.c
    f->confirmed_round = l->round;
}

// --- questions and answers

void fence_asks_login(struct fence *f, const struct lease *l, uint64_t order) {
    f->asked_round = lease_round(l);
    f->login_order = order;
}

void fence_logged_in(struct fence *f, uint64_t generation) {
    f->generation = f->login_generation = generation;
    f->confirmed_round = f->asked_round;
}

void fence_asks_row(struct fence *f, const struct lease *l) {
    f->asked_round = lease_round(l);
    f->asking++;
    f->is_row_unsure = true;
}

// The last question that is open was asked after all others: its answer says how the row stands.
void fence_answered(struct fence *f, bool is_answer) {
    f->asking--;
    if (!is_answer)
        f->is_unanswered = true;
    else if (f->asking == 0)
        f->is_row_unsure = false;
}

// --- a live session's confirmation

// Whether it was so for less than a lease's time of answers.
static bool superseded_lately(struct fence *f, uint64_t by, uint64_t now_ms) {
    uint64_t since_ms = now_ms - f->superseded_ms;
    if (f->superseded_by != by)
        f->superseded_for_ms = 0;
    else
        f->superseded_for_ms += (uint32_t)(since_ms < FENCE_APART_MS ? since_ms : FENCE_APART_MS);
    f->superseded_by = by;
    f->superseded_ms = now_ms;
    return f->superseded_for_ms < FENCE_SUPERSEDED_MS;
}

static void take_round(struct fence *f) {
    if (f->asking == 0) // else this was asked before
        f->confirmed_round = f->asked_round;
}

// A confirmation that had no answer may have written the row anew, which a later one finds as ours.
static void row_is_ours(struct fence *f, const struct fence_answer *a,
                        struct fence_ours *ret_ours) {
    *ret_ours =
        (struct fence_ours){.is_anew = a->generation > f->generation,
                            .is_rewritten = a->outcome == FENCE_REWRITTEN || f->is_unanswered};
    f->superseded_by = 0;
    f->is_undecided = f->is_unanswered = false;
    take_round(f);
    if (ret_ours->is_anew) {
        f->generation = a->generation;
        f->is_stale = false;
    }
}

enum fence_verdict fence_confirmed(struct fence *f, const struct fence_answer *a, uint64_t now_ms,
                                   struct fence_ours *ret_ours) {
    if (a->outcome == FENCE_UNKNOWN) {
        f->is_undecided = true;
        f->superseded_by = 0; // should that room come back, it has its time once more
        return FENCE_WAIT;
    }
    bool is_too_low = f->is_stale && a->generation <= f->generation;
    if (a->outcome != FENCE_HIGHER && !is_too_low) {
        row_is_ours(f, a, ret_ours);
        return FENCE_OURS;
    }
    if (superseded_lately(f, a->generation, now_ms))
        return FENCE_WAIT; // the other room tells of a takeover itself
    return is_too_low ? FENCE_TOO_LOW : FENCE_REPLACED;
}

void fence_rewritten(struct fence *f, uint64_t generation) {
    f->generation = generation;
    take_round(f);
}

// --- what others say

void fence_row_changed(struct fence *f) {
    f->is_undecided = true;
}

void fence_saver_knows_higher(struct fence *f) {
    f->is_stale = f->is_undecided = true;
}

bool fence_noticed(struct fence *f, uint64_t generation) {
    if (f->generation == 0) {
        f->noticed = generation;
        return false;
    }
    return f->generation <= generation; // else the row was given back to us since
}

bool fence_was_noticed(const struct fence *f, uint64_t generation) {
    return f->noticed != 0 && f->noticed == generation;
}

// --- at rest

void fence_keep(const struct fence *f, struct fence_rest *ret_rest) {
    *ret_rest = (struct fence_rest){.generation = f->generation,
                                    .login_generation = f->login_generation,
                                    .login_order = f->login_order,
                                    .asked_round = f->asked_round,
                                    .confirmed_round = f->confirmed_round};
}

void fence_restore(struct fence *f, const struct fence_rest *rest) {
    memset(f, 0, sizeof(*f)); // also between its fields, see session_rest.c
    f->generation = rest->generation;
    f->login_generation = rest->login_generation;
    f->login_order = rest->login_order;
    f->asked_round = rest->asked_round;
    f->confirmed_round = rest->confirmed_round;
}

// --- questions

bool fence_needs_confirmation(const struct fence *f, const struct lease *l) {
    return f->confirmed_round != l->round || f->superseded_by != 0 || f->is_undecided;
}

bool fence_is(const struct fence *f, uint64_t generation) {
    return generation != 0 && f->generation == generation;
}
