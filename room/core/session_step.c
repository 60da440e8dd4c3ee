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

// Of a stream that the client does not want it is told when it does.
void step_says_reset(struct step *t, enum feed_stream stream, const char *reason) {
    t->s->stream[stream].has_reset = session_leaves_out(t->s, stream);
    if (t->s->stream[stream].has_reset)
        return;
    struct session_effect *e = step_adds(t, EFFECT_SAY_RESET);
    e->of.reset.stream = stream;
    e->of.reset.reason = reason;
}

void step_stale(struct step *t) {
    fence_saver_knows_higher(&t->s->fence);
    step_adds(t, EFFECT_CONFIRM_SOON);
    step_confirm(t);
}
