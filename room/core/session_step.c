// What the steps of a session have in common: how they write down what is to be done.
#include "session_internal.h"

#include <assert.h>

struct session_effect *step_adds(struct step *t, enum session_effect_kind kind) {
    assert(t->out->count < SESSION_EFFECTS_MAX);
    struct session_effect *e = &t->out->list[t->out->count++];
    *e = (struct session_effect){.kind = kind};
    return e;
}

void step_confirm(struct step *t) {
    fence_asks_row(&t->s->fence, t->env->lease);
    step_adds(t, EFFECT_CONFIRM);
}

void step_stale(struct step *t) {
    fence_saver_knows_higher(&t->s->fence);
    step_adds(t, EFFECT_CONFIRM_SOON);
    step_confirm(t);
}
