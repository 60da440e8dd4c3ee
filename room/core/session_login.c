// A login: the register writes the row and gives the generation, and only then the saver is asked
// for positions (register, then load), so that every message is seen by one of the two ways.
#include "close_codes.h"
#include "session_internal.h"

#define MEANWHILE_TEXT "replaced by a newer login meanwhile"

static enum session_state refuse_as(struct step *t, const struct session_refusal *r) {
    t->s->refusal = *r;
    step_adds(t, EFFECT_SETTLED);
    return SESSION_REFUSED;
}

static enum session_state login_refuse(struct step *t, uint32_t code, const char *reason,
                                       uint32_t retry_after_ms) {
    return refuse_as(t, &(struct session_refusal){code, retry_after_ms, reason});
}

static enum session_state refuse_busy(struct step *t, const char *reason) {
    return login_refuse(t, CLOSE_BUSY, reason, BUSY_RETRY_MS);
}

enum session_state login_denied(struct step *t) {
    return refuse_as(t, &t->e->of.refusal);
}

enum session_state login_admitted(struct step *t) {
    fence_asks_login(&t->s->fence, t->env->lease, t->e->of.order);
    step_adds(t, EFFECT_ENTER);
    return SESSION_ENTERING;
}

// --- the row

static void login_tell(struct step *t, enum session_effect_kind kind,
                       const struct session_row *row) {
    if (row->incarnation != 0)
        step_adds(t, kind)->of.row = *row;
}

// Nobody is replaced by a client that is not there any more: it may be the one that was taken over.
enum session_state login_row_of_leaving(struct step *t) {
    const struct session_row_answer *a = &t->e->of.row;
    if (a->result == ROW_NO_ANSWER) {
        step_adds(t, EFFECT_EXPECT_ROW);
    } else if (a->result == ROW_WRITTEN) {
        fence_logged_in(&t->s->fence, a->generation);
        step_adds(t, EFFECT_DROP_ROW);
        login_tell(t, EFFECT_TELL_CHANGED, &a->replaced);
    }
    return SESSION_GONE;
}

static enum session_state row_written(struct step *t, const struct session_row_answer *a) {
    struct session *s = t->s;
    if (fence_was_noticed(&s->fence, a->generation)) {
        if (s->refusal.code != CLOSE_REPLACED) // else the row is another's already
            fence_logged_in(&s->fence, a->generation);
        return refuse_as(t, &s->refusal);
    }
    fence_logged_in(&s->fence, a->generation);
    if (a->is_overtaken) { // of two logins here the one asked for later is the newer one
        login_tell(t, EFFECT_TELL_CHANGED, &a->replaced);
        return login_refuse(t, CLOSE_REPLACED, MEANWHILE_TEXT, 0);
    }
    login_tell(t, EFFECT_TELL_REPLACED, &a->replaced);
    s->heads_needed = t->env->heads.asked + 1;
    step_adds(t, EFFECT_ATTACH);
    step_adds(t, EFFECT_ASK_NEWS);
    return SESSION_ATTACHING;
}

enum session_state login_row(struct step *t) {
    const struct session_row_answer *a = &t->e->of.row;
    if (a->client_is_gone)
        return login_row_of_leaving(t);
    if (a->result == ROW_WRITTEN)
        return row_written(t, a);
    if (a->result == ROW_REFUSED)
        return refuse_as(t, &a->refusal);
    step_adds(t, EFFECT_EXPECT_ROW);
    return refuse_busy(t, "the register cannot be asked");
}

// --- positions

static void start_inbox(struct session *s, const struct session_start *a) {
    struct feed *f = &s->feed[FEED_INBOX];
    uint64_t hinted = f->epoch == a->after.epoch ? f->heard : 0; // since the row was written
    s->is_log_another = f->epoch != 0 && f->epoch != a->after.epoch;
    feed_start(f, a->after);
    feed_hear(f, a->head);
    f->target = f->heard;
    feed_hear(f, hinted);
}

static void start_feeds(struct session *s, const struct session_start start[FEEDS]) {
    start_inbox(s, &start[FEED_INBOX]);
    for (int i = FEED_NEWS; i < FEEDS; i++) {
        feed_start(&s->feed[i], start[i].after);
        s->feed[i].target = FEED_NO_TARGET;
    }
    for (int i = 0; i < FEEDS_SERVED; i++)
        s->stream[i].has_reset = start[i].is_reset;
}

// What waits counts as handled, and no position is another log's any more.
static void start_at_the_ends(struct session *s, const struct session_start start[FEEDS]) {
    for (int i = 0; i < FEEDS_SERVED; i++) {
        struct stream_position end = {s->feed[i].epoch, start[i].head};
        uint32_t messages;
        s->stream[i].has_reset = false;
        feed_sent(&s->feed[i], end.seq, 0, false);
        (void)feed_acked(&s->feed[i], end, &messages);
    }
}

enum session_state login_attached(struct step *t) {
    const struct session_attached *a = &t->e->of.attached;
    if (a->result == SAVER_STALE) {
        step_confirm(t); // whose it is the register says
        return SESSION_DOUBTING;
    }
    if (a->result != SAVER_OK)
        return refuse_busy(t, "the store cannot be asked");
    start_feeds(t->s, a->start);
    t->s->is_known = a->is_known && !t->s->is_clean;
    if (t->s->is_clean)
        start_at_the_ends(t->s, a->start);
    step_adds(t, EFFECT_SETTLED);
    return SESSION_ACCEPTED;
}

// The row was another's in between, or it is ours by a generation below one that the saver knows.
enum session_state login_confirmed(struct step *t) {
    const struct session_confirmed *c = &t->e->of.confirmed;
    struct fence *f = &t->s->fence;
    fence_answered(f, c->is_answer);
    if (c->is_answer && c->answer.outcome == FENCE_HIGHER)
        return login_refuse(t, CLOSE_REPLACED, MEANWHILE_TEXT, 0);
    if (!c->is_answer || c->answer.outcome == FENCE_UNKNOWN ||
        c->answer.generation <= f->generation)
        return refuse_busy(t, "the store knows a higher generation");
    login_tell(t, EFFECT_TELL_CHANGED, &c->replaced);
    fence_rewritten(f, c->answer.generation);
    step_adds(t, EFFECT_ATTACH);
    return SESSION_ATTACHING;
}

// --- meanwhile

// Its positions are still being asked for.
enum session_state login_hinted(struct step *t) {
    struct feed *f = &t->s->feed[FEED_INBOX];
    const struct stream_position *p = &t->e->of.hint.head;
    if (f->epoch != p->epoch)
        f->heard = 0;
    f->epoch = p->epoch;
    feed_hear(f, p->seq);
    return t->s->state;
}

enum session_state login_noticed_early(struct step *t) {
    if (t->s->fence.noticed == 0)
        row_taken_over(t);
    t->s->refusal = t->e->of.notice.refusal; // should it be this row that was meant
    (void)fence_noticed(&t->s->fence, t->e->of.notice.generation);
    return t->s->state;
}

enum session_state login_noticed(struct step *t) {
    if (!fence_noticed(&t->s->fence, t->e->of.notice.generation))
        return t->s->state;
    row_taken_over(t);
    return refuse_as(t, &t->e->of.notice.refusal);
}

// --- the client was told

// Undecided, or the pass that confirms all live sessions came and went while this one was none.
static bool is_to_be_confirmed(const struct step *t) {
    const struct lease *l = t->env->lease;
    const struct fence *f = &t->s->fence;
    return f->is_undecided || (l->is_held && fence_needs_confirmation(f, l));
}

enum session_state login_told(struct step *t) {
    struct session *s = t->s;
    for (int i = 0; i < FEEDS; i++)
        if (s->stream[i].has_reset)
            step_says_reset(t, (enum feed_stream)i, "the position is not one of this log");
    if (s->is_clean)
        step_adds(t, EFFECT_SAVE_LAST);        // of all streams
    bool is_undecided = s->fence.is_undecided; // since before it was live
    if (is_to_be_confirmed(t))
        step_confirm(t);
    if (is_undecided)
        step_adds(t, EFFECT_CONFIRM_SOON);
    t->then = live_go_on; // what goes out goes to a live session
    return SESSION_LIVE;
}
