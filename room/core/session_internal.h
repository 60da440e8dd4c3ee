// What the files of the session share. From the top: session.c (the table of steps),
// session_login.c (from the token to the Welcome), session_row.c (whose the row is), session_live.c
// (delivery and acks), session_step.c (what a step writes down).
#ifndef HW_SESSION_INTERNAL_H
#define HW_SESSION_INTERNAL_H

#include "session.h"

// One step under way.
struct step {
    struct session *s;
    const struct session_event *e;
    const struct session_env *env;
    struct session_effects *out;
    void (*then)(struct step *t); // what follows in the next state; NULL: nothing
};

// An action answers with the next state, and sets none itself.
typedef enum session_state session_action(struct step *t);

// session_step.c
struct session_effect *step_adds(struct step *t, enum session_effect_kind kind);
void step_confirm(struct step *t); // whose the row is
void step_says_reset(struct step *t, enum feed_stream stream, const char *reason);
void step_stale(struct step *t); // the saver knows a higher generation

// session_login.c
session_action login_admitted, login_denied, login_row, login_row_of_leaving, login_attached,
    login_confirmed, login_noticed, login_noticed_early, login_hinted, login_told;

// session_row.c
session_action row_confirmed, row_answered_late, row_noticed, row_changed, row_changed_early,
    row_due;
void row_taken_over(struct step *t); // if that is what the notice tells

// session_live.c
session_action live_hinted, live_loaded, live_saved, live_attached, live_ready, live_waited,
    live_ponged, live_attempted, live_news_unread, live_lost, live_resumed, live_wants;
void live_attempt(struct step *t, uint64_t upto); // the client had it up to there
// The client says elsewhere than in an Ack what it has handled.
void live_has(struct step *t, enum feed_stream stream, struct stream_position upto);
void live_go_on(struct step *t); // whatever can be sent, read or saved now

#endif
