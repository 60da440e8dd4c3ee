// Whose the row is: confirmations, and what other rooms say of it.
#include "close_codes.h"
#include "session_internal.h"

void row_taken_over(struct step *t) {
    if (t->e->of.notice.refusal.code == CLOSE_REPLACED)
        step_adds(t, EFFECT_TAKEN_OVER);
}

static void row_over(struct step *t, uint32_t code, const char *reason) {
    step_adds(t, EFFECT_OVER)->of.refusal = (struct session_refusal){code, 0, reason};
}

// --- of a live session

static void row_is_still_ours(struct step *t, bool was_void, const struct fence_ours *ours) {
    const struct session_confirmed *c = &t->e->of.confirmed;
    if (was_void || ours->is_rewritten)
        step_adds(t, EFFECT_ARRIVE);
    if (c->replaced.incarnation != 0)
        step_adds(t, EFFECT_TELL_CHANGED)->of.row = c->replaced;
    if (ours->is_anew) // the saver must know the new one before acks count
        t->s->saving.attach_again = true;
    live_go_on(t);
}

enum session_state row_confirmed(struct step *t) {
    const struct session_confirmed *c = &t->e->of.confirmed;
    struct fence *f = &t->s->fence;
    bool was_void = fence_row_is_void(f, t->env->lease);
    struct fence_ours ours;
    fence_answered(f, c->is_answer);
    if (!c->is_answer) {
        step_adds(t, EFFECT_CONFIRM_SOON);
        return t->s->state;
    }
    switch (fence_confirmed(f, &c->answer, t->env->now_ms, &ours)) {
    case FENCE_OURS:
        row_is_still_ours(t, was_void, &ours);
        break;
    case FENCE_WAIT:
        step_adds(t, EFFECT_CONFIRM_SOON);
        break;
    case FENCE_REPLACED:
        row_over(t, CLOSE_REPLACED, "the register knows a newer login");
        break;
    case FENCE_TOO_LOW:
        row_over(t, CLOSE_BUSY, "the store knows a higher generation");
        break;
    }
    return t->s->state;
}

enum session_state row_noticed(struct step *t) {
    const struct session_notice *n = &t->e->of.notice;
    if (fence_noticed(&t->s->fence, n->generation)) {
        for (int i = FEED_NEWS; i < FEEDS_SERVED; i++)
            if (n->have.given[i])
                live_has(t, (enum feed_stream)i, n->have.at[i]);
        row_taken_over(t);
        step_adds(t, EFFECT_OVER)->of.refusal = n->refusal;
    }
    return t->s->state;
}

enum session_state row_changed(struct step *t) {
    fence_row_changed(&t->s->fence);
    step_adds(t, EFFECT_CONFIRM_SOON);
    step_confirm(t);
    return t->s->state;
}

enum session_state row_due(struct step *t) {
    step_confirm(t);
    return t->s->state;
}

// --- of one that is not live

enum session_state row_changed_early(struct step *t) {
    fence_row_changed(&t->s->fence);
    return t->s->state;
}

enum session_state row_answered_late(struct step *t) {
    fence_answered(&t->s->fence, t->e->of.confirmed.is_answer);
    return t->s->state;
}
