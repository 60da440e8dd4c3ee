// The table of steps, and the one function that carries a state over to the next.
#include "session_internal.h"

#include <assert.h>
#include <string.h>

static const char *const state_names[] = {
#define STATE_NAME(name) #name,
    SESSION_STATES(STATE_NAME)
#undef STATE_NAME
};
static const char *const event_names[] = {
#define EVENT_NAME(name) #name,
    SESSION_EVENTS(EVENT_NAME)
#undef EVENT_NAME
};
static const char *const effect_names[] = {
#define EFFECT_NAME(name) #name,
    SESSION_EFFECTS(EFFECT_NAME)
#undef EFFECT_NAME
};

const char *session_state_name(enum session_state state) {
    return state_names[state];
}
const char *session_event_name(enum session_event_kind kind) {
    return event_names[kind];
}
const char *session_effect_name(enum session_effect_kind kind) {
    return effect_names[kind];
}

// --- the end

// The event comes too late to change anything: an answer to one that was refused meanwhile, say.
static enum session_state too_late(struct step *t) {
    return t->s->state;
}

// While the register has not answered, the row's generation is not known: the session waits for it.
static enum session_state end_later(struct step *t) {
    (void)t;
    return SESSION_LEAVING;
}

static enum session_state end_now(struct step *t) {
    struct session *s = t->s;
    if (session_is_entered(s))
        step_adds(t, EFFECT_SAVE_LAST);
    if (s->state == SESSION_LIVE && t->env->peer_had_all)
        live_attempt(t, s->feed[FEED_INBOX].sent);
    if (s->fence.generation != 0)
        step_adds(t, EFFECT_DROP_ROW);
    if (s->fence.is_row_unsure) // it may be another than was dropped
        step_adds(t, EFFECT_EXPECT_ROW);
    return SESSION_GONE;
}

// --- the table: state, event, action, and where it may lead

#define TO(name) (1u << SESSION_##name)
#define SESSION_STEPS(X)                                                                           \
    X(ASKING, ADMITTED, login_admitted, TO(ENTERING))                                              \
    X(ASKING, DENIED, login_denied, TO(REFUSED))                                                   \
    X(ASKING, ENDED, end_now, TO(GONE))                                                            \
    X(ENTERING, ROW, login_row, TO(ATTACHING) | TO(REFUSED) | TO(GONE))                            \
    X(ENTERING, NOTICED, login_noticed_early, TO(ENTERING))                                        \
    X(ENTERING, ROW_CHANGED, row_changed_early, TO(ENTERING))                                      \
    X(ENTERING, ENDED, end_later, TO(LEAVING))                                                     \
    X(LEAVING, ROW, login_row_of_leaving, TO(GONE))                                                \
    X(LEAVING, NOTICED, too_late, TO(LEAVING))                                                     \
    X(LEAVING, ROW_CHANGED, too_late, TO(LEAVING))                                                 \
    X(LEAVING, ENDED, too_late, TO(LEAVING))                                                       \
    X(ATTACHING, ATTACHED, login_attached, TO(ACCEPTED) | TO(DOUBTING) | TO(REFUSED))              \
    X(ATTACHING, HINTED, login_hinted, TO(ATTACHING))                                              \
    X(ATTACHING, NOTICED, login_noticed, TO(ATTACHING) | TO(REFUSED))                              \
    X(ATTACHING, ROW_CHANGED, row_changed_early, TO(ATTACHING))                                    \
    X(ATTACHING, ENDED, end_now, TO(GONE))                                                         \
    X(DOUBTING, CONFIRMED, login_confirmed, TO(ATTACHING) | TO(REFUSED))                           \
    X(DOUBTING, HINTED, login_hinted, TO(DOUBTING))                                                \
    X(DOUBTING, NOTICED, login_noticed, TO(DOUBTING) | TO(REFUSED))                                \
    X(DOUBTING, ROW_CHANGED, row_changed_early, TO(DOUBTING))                                      \
    X(DOUBTING, ENDED, end_now, TO(GONE))                                                          \
    X(ACCEPTED, TOLD, login_told, TO(LIVE))                                                        \
    X(ACCEPTED, HINTED, live_hinted, TO(ACCEPTED))                                                 \
    X(ACCEPTED, NOTICED, login_noticed, TO(ACCEPTED) | TO(REFUSED))                                \
    X(ACCEPTED, ROW_CHANGED, row_changed_early, TO(ACCEPTED))                                      \
    X(ACCEPTED, ENDED, end_now, TO(GONE))                                                          \
    X(REFUSED, ATTACHED, too_late, TO(REFUSED))                                                    \
    X(REFUSED, CONFIRMED, row_answered_late, TO(REFUSED))                                          \
    X(REFUSED, NOTICED, too_late, TO(REFUSED))                                                     \
    X(REFUSED, ROW_CHANGED, too_late, TO(REFUSED))                                                 \
    X(REFUSED, ENDED, end_now, TO(GONE))                                                           \
    X(LIVE, HINTED, live_hinted, TO(LIVE))                                                         \
    X(LIVE, LOADED, live_loaded, TO(LIVE))                                                         \
    X(LIVE, SAVED, live_saved, TO(LIVE))                                                           \
    X(LIVE, ATTACHED, live_attached, TO(LIVE))                                                     \
    X(LIVE, CONFIRMED, row_confirmed, TO(LIVE))                                                    \
    X(LIVE, NOTICED, row_noticed, TO(LIVE))                                                        \
    X(LIVE, ROW_CHANGED, row_changed, TO(LIVE))                                                    \
    X(LIVE, CONFIRM_DUE, row_due, TO(LIVE))                                                        \
    X(LIVE, READY, live_ready, TO(LIVE))                                                           \
    X(LIVE, WAITED, live_waited, TO(LIVE))                                                         \
    X(LIVE, NEWS_UNREAD, live_news_unread, TO(LIVE))                                               \
    X(LIVE, PONGED, live_ponged, TO(LIVE))                                                         \
    X(LIVE, ATTEMPTED, live_attempted, TO(LIVE))                                                   \
    X(LIVE, LOST, live_lost, TO(AWAY))                                                             \
    X(LIVE, RESUMED, live_resumed, TO(LIVE))                                                       \
    X(LIVE, WANTS, live_wants, TO(LIVE))                                                           \
    X(LIVE, ENDED, end_now, TO(GONE))                                                              \
    X(AWAY, HINTED, live_hinted, TO(AWAY))                                                         \
    X(AWAY, LOADED, live_loaded, TO(AWAY))                                                         \
    X(AWAY, SAVED, live_saved, TO(AWAY))                                                           \
    X(AWAY, ATTACHED, live_attached, TO(AWAY))                                                     \
    X(AWAY, CONFIRMED, row_confirmed, TO(AWAY))                                                    \
    X(AWAY, NOTICED, row_noticed, TO(AWAY))                                                        \
    X(AWAY, ROW_CHANGED, row_changed, TO(AWAY))                                                    \
    X(AWAY, CONFIRM_DUE, row_due, TO(AWAY))                                                        \
    X(AWAY, READY, live_ready, TO(AWAY))                                                           \
    X(AWAY, WAITED, live_waited, TO(AWAY))                                                         \
    X(AWAY, NEWS_UNREAD, live_news_unread, TO(AWAY))                                               \
    X(AWAY, ATTEMPTED, live_attempted, TO(AWAY))                                                   \
    X(AWAY, RESUMED, live_resumed, TO(LIVE))                                                       \
    X(AWAY, ENDED, end_now, TO(GONE))

static const struct step_row {
    session_action *action;
    unsigned to;
} table[SESSION_STATE_COUNT][SESSION_EVENT_COUNT] = {
#define TABLE_ROW(from, event, action, to) [SESSION_##from][EVENT_##event] = {action, to},
    SESSION_STEPS(TABLE_ROW)
#undef TABLE_ROW
};

// Here the state changes, by a row of the table; but one that gets up is LIVE without a step
// (session_gets_up).
static void session_goes_to(struct step *t, enum session_state next, unsigned allowed) {
    assert(allowed & 1u << next);
    t->s->state = next;
    if (t->env->steps)
        t->env->steps[next]++;
}

bool session_step(struct session *s, const struct session_event *e, const struct session_env *env,
                  struct session_effects *out) {
    const struct step_row *row = &table[s->state][e->kind];
    struct step t = {s, e, env, out, NULL};
    if (!row->action)
        return false;
    session_goes_to(&t, row->action(&t), row->to);
    if (t.then)
        t.then(&t);
    return true;
}

void session_init(struct session *s, const struct session_terms *terms, const struct lease *lease) {
    memset(s, 0, sizeof(*s)); // also between its fields, see session_rest.c
    s->have = terms->have;
    s->is_clean = terms->is_clean;
    for (int i = 0; i < FEEDS; i++) {
        feed_init(&s->feed[i], terms->limits);
        s->stream[i].wanted = terms->wanted[i];
    }
    fence_init(&s->fence, lease);
}

// --- questions

bool session_is_answered(const struct session *s) {
    return s->state == SESSION_ACCEPTED || s->state == SESSION_REFUSED || session_is_entered(s);
}

bool session_is_entered(const struct session *s) {
    return s->state == SESSION_LIVE || s->state == SESSION_AWAY;
}

bool session_is_at_rest(const struct session *s) {
    for (int i = 0; i < FEEDS_SERVED; i++)
        if (!feed_is_at_rest(&s->feed[i]))
            return false;
    return true;
}

bool session_is_here(const struct session *s, uint64_t generation) {
    return s->state != SESSION_REFUSED && s->state != SESSION_LEAVING &&
           fence_is(&s->fence, generation);
}

bool session_wants_just(const struct session *s, const uint8_t wanted[FEEDS]) {
    for (int i = 0; i < FEEDS; i++)
        if (s->stream[i].wanted != wanted[i])
            return false;
    return true;
}

bool session_can_resume(const struct session *s, const struct session_have *have) {
    if (!session_is_entered(s))
        return false;
    for (int i = 0; i < FEEDS_SERVED; i++)
        if (have->given[i] && !feed_can_resume(&s->feed[i], have->at[i]))
            return false;
    return true;
}

unsigned session_leads_to(enum session_state from, enum session_event_kind event) {
    return table[from][event].to;
}
