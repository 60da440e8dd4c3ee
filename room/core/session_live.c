// Delivery of a live session: what is heard of, what is read from the log, what its client has
// handled. Nothing is queued: what cannot go out now is read again when it can.
#include "session_internal.h"

// --- going on

static void live_save(struct step *t) {
    struct session *s = t->s;
    const struct feed *f = &s->feed[FEED_INBOX];
    if (s->saving.is_open || s->is_retrying || s->fence.is_stale ||
        (f->acked <= f->saved && !s->saving.attach_again))
        return;
    s->saving.is_open = true;
    step_adds(t, EFFECT_SAVE);
}

static void live_load(struct step *t) {
    struct session *s = t->s;
    const struct feed *f = &s->feed[FEED_INBOX];
    bool has_more = !session_leaves_out(s, FEED_INBOX) && feed_is_behind(f) && feed_is_open(f);
    if (!(has_more || s->is_log_another) || s->load != LOAD_NONE || s->is_retrying ||
        s->unacked.is_attempting || !session_can_send(s, t->env))
        return;
    s->load = LOAD_ASKED;
    step_adds(t, EFFECT_LOAD);
}

void live_go_on(struct step *t) {
    live_save(t);
    live_load(t);
    step_adds(t, EFFECT_SEND_NEWS);
}

bool session_has_to_go_on(const struct session *s, const struct product_heads *known) {
    const struct feed *inbox = &s->feed[FEED_INBOX];
    bool is_to_save = inbox->acked > inbox->saved || s->saving.attach_again;
    bool has_more =
        (!session_leaves_out(s, FEED_INBOX) && feed_is_behind(inbox)) || s->is_log_another;
    for (int i = 0; i < LOGS; i++) {
        enum feed_stream stream = (enum feed_stream)(FEED_NEWS + i);
        const struct feed *f = &s->feed[stream];
        bool is_level = f->epoch == known->log[i].epoch && f->sent >= known->log[i].heard;
        has_more = has_more || !(is_level || session_leaves_out(s, stream));
    }
    return !s->is_synced || is_to_save || has_more;
}

static void retry(struct step *t) {
    if (!t->s->is_retrying)
        step_adds(t, EFFECT_RETRY);
    t->s->is_retrying = true;
}

enum session_state live_ready(struct step *t) {
    live_go_on(t);
    return t->s->state;
}

enum session_state live_waited(struct step *t) {
    t->s->is_retrying = false;
    live_go_on(t);
    return t->s->state;
}

enum session_state live_news_unread(struct step *t) {
    retry(t);
    return t->s->state;
}

// --- what the inbox has

// Another epoch: the saver says what became of this one.
static void hear(struct session *s, const struct session_hint *hint) {
    if (hint->head.epoch == s->feed[FEED_INBOX].epoch) {
        feed_hear(&s->feed[FEED_INBOX], hint->head.seq);
        if (s->load != LOAD_NONE && s->change < hint->change)
            s->change = (uint32_t)hint->change;
        return;
    }
    s->is_log_another = true;
    if (s->load == LOAD_ASKED)
        s->load = LOAD_STALE;
}

enum session_state live_hinted(struct step *t) {
    hear(t->s, &t->e->of.hint);
    live_load(t);
    return t->s->state;
}

static void start_again(struct step *t, const struct session_loaded *a) {
    struct session *s = t->s;
    struct feed *f = &s->feed[FEED_INBOX];
    feed_start(f, a->after);
    s->stream[FEED_INBOX].is_refused = false;
    session_shares_window(s);
    feed_hear(f, a->head);
    f->target = s->is_synced ? 0 : f->heard;
    s->saving.upto = a->after.seq; // what is on its way is of the old log
    s->saving.attach_again = true;
    step_says_reset(t, FEED_INBOX, "the log is not the one that it was");
    live_save(t);
}

static void entries_went(struct step *t, const struct session_loaded *a) {
    struct feed *f = &t->s->feed[FEED_INBOX];
    feed_hear(f, a->head);
    if (a->has_begun || !feed_is_open(f) || !feed_is_behind(f))
        return;
    // Heard of more than the log has: what was announced was not kept (a store went back).
    if (a->head <= f->sent)
        f->heard = f->sent;
    else
        retry(t);
}

enum session_state live_loaded(struct step *t) {
    struct session *s = t->s;
    const struct session_loaded *a = &t->e->of.loaded;
    bool is_stale = s->load == LOAD_STALE;
    s->change = 0;
    s->load = LOAD_NONE;
    if (a->result == LOADED_NO_ANSWER) {
        retry(t);
        return s->state;
    }
    if (a->result == LOADED_UNREAD)
        return s->state;
    s->is_log_another = is_stale;
    if (a->result == LOADED_RESET)
        start_again(t, a);
    else if (a->result == LOADED_ENTRIES)
        entries_went(t, a);
    live_load(t);
    return s->state;
}

// --- what the client has handled

enum feed_ack session_acked(struct session *s, enum feed_stream stream, struct stream_position upto,
                            uint32_t *ret_messages) {
    enum feed_ack ack = feed_acked(&s->feed[stream], upto, ret_messages);
    if (ack != FEED_ACKED)
        return ack;
    s->unacked.is_shut_asked = s->stream[stream].is_refused = false;
    session_shares_window(s);
    return ack;
}

bool session_refused(struct session *s, enum feed_stream stream, struct stream_position at) {
    const struct feed *f = &s->feed[stream];
    bool is_in_flight = at.epoch == f->epoch && at.seq > f->acked && at.seq <= f->sent;
    s->stream[stream].is_refused = s->stream[stream].is_refused || is_in_flight;
    return is_in_flight;
}

uint32_t session_handled_sent(struct session *s, enum feed_stream stream) {
    const struct feed *f = &s->feed[stream];
    uint32_t messages;
    (void)session_acked(s, stream, (struct stream_position){f->epoch, f->sent}, &messages);
    return messages;
}

void session_shares_window(struct session *s) {
    uint32_t all = 0;
    if (!s->feed[FEED_INBOX].limits->are_together)
        return;
    for (int i = 0; i < FEEDS; i++)
        all += feed_in_flight(&s->feed[i]);
    for (int i = 0; i < FEEDS; i++)
        s->feed[i].of_others = all - feed_in_flight(&s->feed[i]);
}

void session_has_others(struct session *s) {
    for (int i = 0; i < FEEDS; i++)
        feed_has_others(&s->feed[i]);
}

void live_has(struct step *t, enum feed_stream stream, struct stream_position upto) {
    uint32_t messages;
    if (session_acked(t->s, stream, upto, &messages) != FEED_ACKED || messages == 0)
        return;
    struct session_effect *e = step_adds(t, EFFECT_ACKED);
    e->of.acked.stream = stream;
    e->of.acked.messages = messages;
}

bool session_begins_save(struct session *s) {
    s->saving.upto = s->feed[FEED_INBOX].acked;
    s->saving.generation = s->fence.generation;
    return s->saving.attach_again;
}

enum session_state live_saved(struct step *t) {
    struct session *s = t->s;
    struct feed *f = &s->feed[FEED_INBOX];
    enum session_saver_result result = t->e->of.saved;
    s->saving.is_open = false;
    if (s->saving.generation != s->fence.generation) {
        live_save(t); // attached again, by the one that the register gave it meanwhile
    } else if (result == SAVER_STALE) {
        step_stale(t);
    } else if (result == SAVER_NO_ANSWER) {
        retry(t);
    } else {
        if (result == SAVER_UNKNOWN)
            s->saving.attach_again = true;
        else if (f->saved < s->saving.upto)
            f->saved = s->saving.upto;
        live_save(t);
    }
    return s->state;
}

size_t session_unsaved(const struct session *s, struct session_have *ret_at) {
    size_t count = 0;
    *ret_at = (struct session_have){0};
    for (int i = 0; i < FEEDS_SERVED; i++) {
        const struct feed *f = &s->feed[i];
        ret_at->given[i] = f->acked > f->saved;
        ret_at->at[i] = (struct stream_position){f->epoch, f->acked};
        count += ret_at->given[i];
    }
    return count;
}

void session_saved_last(struct session *s, const struct session_have *at) {
    for (int i = 0; i < FEEDS_SERVED; i++) {
        struct feed *f = &s->feed[i];
        if (at->given[i] && at->at[i].epoch == f->epoch && at->at[i].seq > f->saved)
            f->saved = at->at[i].seq;
    }
}

// A store that lost the device must know it again, or what others handled leaves the log before
// this one had it.
enum session_state live_attached(struct step *t) {
    struct session *s = t->s;
    const struct session_attached *a = &t->e->of.attached;
    struct feed *f = &s->feed[FEED_INBOX];
    s->saving.is_open = false;
    if (a->result == SAVER_NO_ANSWER) {
        retry(t);
    } else if (s->saving.generation != s->fence.generation) {
        live_save(t); // once more
    } else if (a->result == SAVER_STALE) {
        step_stale(t);
    } else if (a->start[FEED_INBOX].after.epoch != f->epoch) {
        hear(s, &(struct session_hint){{a->start[FEED_INBOX].after.epoch, 0},
                                       0}); // the load tells the client
        live_load(t);
        retry(t);
    } else {
        s->saving.attach_again = false;
        f->saved = s->saving.upto;
        live_save(t);
    }
    return s->state;
}

// --- broadcasts

void session_takes_log(struct session *s, const struct session_env *env, enum feed_stream stream,
                       uint64_t base) {
    const struct log_heads *log = &env->heads.log[log_index(stream)];
    struct feed *f = &s->feed[stream];
    bool has_target = f->target != FEED_NO_TARGET;
    feed_start(f, (struct stream_position){log->epoch, base});
    s->stream[stream].is_refused = false;
    session_shares_window(s);
    f->target = has_target ? log->heard : FEED_NO_TARGET;
}

// --- Synced: the inbox up to the head that was read after the row was written, broadcasts up to a
// head that was asked for after the login began.

static void take_targets(struct session *s, const struct product_heads *heads) {
    for (int i = 0; i < LOGS && heads->answered >= s->heads_needed; i++) {
        struct feed *f = &s->feed[FEED_NEWS + i];
        if (f->target == FEED_NO_TARGET && f->epoch == heads->log[i].epoch) // else a Reset comes
            f->target = heads->log[i].heard;
    }
}

bool session_becomes_synced(struct session *s, const struct session_env *env) {
    take_targets(s, &env->heads);
    if (s->is_synced || s->is_log_another || !session_can_send(s, env))
        return false;
    for (int i = 0; i < FEEDS_SERVED; i++)
        if (s->feed[i].sent < s->feed[i].target && !session_leaves_out(s, (enum feed_stream)i))
            return false;
    s->is_synced = true;
    return true;
}

// Synced comes once more, behind all that is known of now. A head that the login waits for is
// waited for still.
static void sync_again(struct session *s, const struct product_heads *heads) {
    s->is_synced = false;
    s->feed[FEED_INBOX].target = s->feed[FEED_INBOX].heard;
    for (int i = 0; i < LOGS; i++) {
        struct feed *f = &s->feed[FEED_NEWS + i];
        bool has_target = f->target != FEED_NO_TARGET && f->epoch == heads->log[i].epoch;
        f->target = has_target ? heads->log[i].heard : FEED_NO_TARGET;
    }
}

// --- what is not acknowledged. Nothing is sent again by a timer: the client is asked with a Ping,
// which it answers when it has acknowledged all that it has handled; only then the rest goes again.

static uint64_t head_of(const struct session *s, const struct product_heads *heads, int stream) {
    return stream == FEED_INBOX ? s->feed[stream].heard
                                : heads->log[log_index((enum feed_stream)stream)].head;
}

enum feed_wish session_look(struct session *s, const struct product_heads *heads, uint32_t tick,
                            bool *ret_is_at_rest) {
    enum feed_wish strongest = WISH_NOTHING;
    *ret_is_at_rest = true;
    for (int i = 0; i < FEEDS_SERVED; i++) {
        enum feed_wish wish = feed_look(&s->feed[i], head_of(s, heads, i), tick);
        strongest = wish > strongest ? wish : strongest;
        *ret_is_at_rest = *ret_is_at_rest && feed_is_at_rest(&s->feed[i]);
    }
    return strongest;
}

void session_pings(struct session *s, const struct product_heads *heads, uint32_t tick) {
    s->unacked.is_shut_asked = true;
    s->unacked.upto = s->feed[FEED_INBOX].sent;
    for (int i = 0; i < FEEDS_SERVED; i++)
        s->stream[i].is_asked = feed_look(&s->feed[i], head_of(s, heads, i), tick) == WISH_PING;
}

bool session_refusal_is_due(struct session *s, const struct product_heads *heads, uint32_t tick) {
    bool any = false;
    for (int i = 0; i < FEEDS_SERVED; i++)
        if (s->stream[i].is_refused &&
            feed_look(&s->feed[i], head_of(s, heads, i), tick) == WISH_PING)
            any = s->stream[i].is_asked = true;
    if (any)
        s->unacked.upto = s->feed[FEED_INBOX].sent;
    return any;
}

// Which message it is an attempt of, and whether that is parked now, the saver says; before it has
// answered nothing goes out again.
void live_attempt(struct step *t, uint64_t upto) {
    struct session *s = t->s;
    const struct feed *f = &s->feed[FEED_INBOX];
    if (f->acked >= upto)
        return;
    struct session_effect *e = step_adds(t, EFFECT_ATTEMPT);
    e->of.attempt.after = (struct stream_position){f->epoch, f->acked};
    e->of.attempt.upto = upto;
    s->unacked.is_attempting = true;
}

enum session_state live_attempted(struct step *t) {
    t->s->unacked.is_attempting = false;
    live_go_on(t);
    return t->s->state;
}

// What was acknowledged just before the answer does not save the rest from going out again.
// Synced comes again behind it: a client that could not take a message was not synced.
enum session_state live_ponged(struct step *t) {
    struct session *s = t->s;
    bool any = false;
    for (int i = 0; i < FEEDS_SERVED; i++) {
        struct feed *f = &s->feed[i];
        bool is_due = s->stream[i].is_asked && f->sent > f->acked;
        s->stream[i].is_asked = s->stream[i].is_refused = false;
        if (is_due && i == FEED_INBOX)
            live_attempt(t, s->unacked.upto);
        if (is_due)
            feed_rewind(f, f->acked);
        any = any || is_due;
    }
    s->unacked.upto = 0;
    if (!any)
        return s->state;
    session_shares_window(s);
    step_adds(t, EFFECT_RESENT);
    sync_again(s, &t->env->heads);
    live_go_on(t);
    return s->state;
}

// --- its connection

enum session_state live_lost(struct step *t) {
    step_adds(t, EFFECT_SAVE_LAST);
    if (t->env->peer_had_all)
        live_attempt(t, t->s->feed[FEED_INBOX].sent);
    return SESSION_AWAY;
}

// What the client has is an ack, and where it goes on.
static void rewind_feed(struct step *t, enum feed_stream stream) {
    const struct session_have *have = &t->e->of.resumed.have;
    struct feed *f = &t->s->feed[stream];
    if (have->given[stream])
        live_has(t, stream, have->at[stream]);
    feed_rewind(f, f->acked);
}

// What was under way when the connection was lost is sent again: the client drops repeats. Nothing
// goes out before the Welcome; READY follows it.
enum session_state live_resumed(struct step *t) {
    struct session *s = t->s;
    bool is_attempt = s->state == SESSION_LIVE && t->env->peer_had_all;
    uint64_t had = s->feed[FEED_INBOX].sent;
    if (s->feed[FEED_INBOX].limits->frame_bytes != t->e->of.resumed.limits->frame_bytes)
        session_has_others(s);
    for (int i = 0; i < FEEDS; i++)
        s->feed[i].limits = t->e->of.resumed.limits;
    for (int i = 0; i < FEEDS_SERVED; i++) {
        rewind_feed(t, (enum feed_stream)i);
        s->stream[i].is_asked = s->stream[i].is_refused = false;
    }
    session_shares_window(s);
    s->unacked.is_shut_asked = false;
    s->is_resumed = true;
    s->unacked.upto = 0;
    if (is_attempt)
        live_attempt(t, had);
    sync_again(s, &t->env->heads);
    live_save(t);
    return SESSION_LIVE;
}

// --- what it wants

// A stream goes on where it was. Synced comes once more, behind what is there of it.
enum session_state live_wants(struct step *t) {
    struct session *s = t->s;
    bool any = false;
    for (int i = 0; i < FEEDS; i++) {
        enum feed_stream stream = (enum feed_stream)i;
        bool was_left_out = session_leaves_out(s, stream);
        s->stream[i].wanted = t->e->of.wanted[i];
        bool begins = was_left_out && !session_leaves_out(s, stream);
        if (begins && s->stream[i].has_reset)
            step_says_reset(t, stream, "the log is not the one that it was");
        any = any || begins;
    }
    if (any) {
        sync_again(s, &t->env->heads);
        live_go_on(t);
    }
    return s->state;
}
