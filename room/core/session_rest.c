#include "session_rest.h"

#include <string.h>

// waits: the session's Synced does, for this feed among others.
static bool feed_lies_down(const struct feed *f, bool waits, struct feed_rest *ret_rest) {
    uint64_t unacked = f->sent - f->acked, unsaved = f->acked - f->saved;
    *ret_rest = (struct feed_rest){f->epoch, f->sent, (uint32_t)unacked, (uint32_t)unsaved};
    return feed_is_at_rest(f) && (f->target != FEED_NO_TARGET || !waits) && unacked <= UINT32_MAX &&
           unsaved <= UINT32_MAX;
}

static void feed_gets_up(const struct feed_rest *rest, struct feed *f) { // of these limits
    feed_start(f, (struct stream_position){rest->epoch, rest->sent});
    f->acked = rest->sent - rest->unacked;
    f->saved = f->acked - rest->unsaved;
}

void session_gets_up(const struct session_rest *rest, struct session *ret_s) {
    memset(ret_s, 0, sizeof(*ret_s)); // also between its fields: see below
    ret_s->state = SESSION_LIVE;
    ret_s->is_synced = true;
    ret_s->is_resumed = rest->is_resumed;
    ret_s->fence.generation = rest->generation;
    ret_s->fence.login_generation = rest->login_generation;
    ret_s->fence.login_order = rest->login_order;
    ret_s->fence.asked_round = rest->asked_round;
    ret_s->fence.confirmed_round = rest->confirmed_round;
    for (int i = 0; i < FEEDS; i++) {
        ret_s->is_left_out[i] = rest->is_left_out[i];
        feed_init(&ret_s->feed[i], rest->limits);
        feed_gets_up(&rest->feed[i], &ret_s->feed[i]);
    }
}

// What a live session that waits for nothing does not need any more.
static void forget_login(struct session *s) {
    memset(&s->have, 0, sizeof(s->have));
    s->heads_needed = 0; // they were answered
    s->saving = s->saving_generation = 0;
    for (int i = 0; i < FEEDS; i++) {
        s->feed[i].target = s->feed[i].sent;
        s->feed[i].ack_window = (struct ack_window){0};
    }
}

// Whatever else it may know, now or in a later version, is not forgotten: what would get up must be
// what lies down.
bool session_lies_down(const struct session *s, struct session_rest *ret_rest) {
    struct session plain, back;
    if (s->state != SESSION_LIVE || !s->is_synced || s->is_saving || !session_is_at_rest(s))
        return false;
    *ret_rest = (struct session_rest){.generation = s->fence.generation,
                                      .login_generation = s->fence.login_generation,
                                      .login_order = s->fence.login_order,
                                      .asked_round = s->fence.asked_round,
                                      .confirmed_round = s->fence.confirmed_round,
                                      .limits = s->feed[FEED_INBOX].limits,
                                      .is_resumed = s->is_resumed};
    memcpy(ret_rest->is_left_out, s->is_left_out, sizeof(s->is_left_out));
    for (int i = 0; i < FEEDS; i++)
        if (!feed_lies_down(&s->feed[i], i < FEEDS_SERVED && !s->is_left_out[i],
                            &ret_rest->feed[i]))
            return false;
    memcpy(&plain, s, sizeof(plain));
    forget_login(&plain);
    session_gets_up(ret_rest, &back);
    return ret_rest->feed[FEED_INBOX].unsaved == 0 && memcmp(&plain, &back, sizeof(back)) == 0;
}
