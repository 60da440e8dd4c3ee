// Passing broadcasts, of class live: at most once, and not where the socket would not take them.
// Each goes round the sessions in slices, one behind the other.
#include "room_internal.h"
#include "serve.h"

enum { PASSING_MAX = 64 };

// Of one slice, in which nothing of it changes: see news.c.
struct passing_slice {
    struct session_env env; // socket_takes: of the session that is sent to now
    uint64_t until_us;
};

// Answers with the connected sessions that it was for.
static void passing_over(struct passing *w) {
    Hawser__Internal__NewsReply reply = HAWSER__INTERNAL__NEWS_REPLY__INIT;
    reply.sessions = w->session_count;
    room_news_reply(w->call, &reply);
    free(w->audience);
    for (int i = 0; i < VOICES; i++)
        buf_free(&w->frame[i]);
    free(w);
}

static void passing_give(struct passing *w, struct passing_slice *t, struct room_binding *b) {
    w->session_count += room_binding_state(b) == SESSION_LIVE ? 1 : 0;
    const struct buf *frame = &w->frame[b->conn->voice];
    t->env.socket_takes = room_binding_socket_takes(b);
    if (room_binding_can_send_in(b, &t->env, frame->len))
        stream_send(b->conn->stream, frame->data, frame->len);
    else
        binding_room(b)->count.delivery.passing_dropped++;
}

static bool passing_step(struct passing *w, struct passing_slice *t, struct room_product *p) {
    for (unsigned n = 1; w->at; n++) {
        struct room_binding *b = w->at;
        w->at = b->next;
        if (!room_binding_leaves_out(b, FEED_NEWS) &&
            audience_has(w->audience, room_binding_tags(b)))
            passing_give(w, t, b);
        if (n % SLICE_CHECK == 0 && loop_clock_us(p->room->loop) >= t->until_us)
            return true;
    }
    return false;
}

static bool passing_work(struct job *j) {
    struct room_product *p = container_of(j, struct room_product, passing_job);
    struct passing_slice t = {.until_us = loop_clock_us(p->room->loop) + SLICE_US};
    effects_settle(&p->room->effects);
    room_env(p->room, p, &t.env);
    while (p->passing) {
        struct passing *w = p->passing;
        if (passing_step(w, &t, p))
            return true;
        p->passing = w->next;
        if (!p->passing)
            p->passing_end = &p->passing;
        p->passing_count--;
        passing_over(w);
    }
    return false;
}

void news_pass_on(struct room_product *p, const Hawser__Internal__StoredMessage *m,
                  struct rpc_call *call) {
    struct stream_range at = {.product = p->number,
                              .stream = FEED_NEWS,
                              .store_ms = store_clock_ms(&p->room->clock),
                              .is_once = true};
    if (p->passing_count == PASSING_MAX) {
        p->room->count.delivery.passing_dropped += p->session_count;
        rpc_fail(call, -HW_EBUSY);
        return;
    }
    struct passing *w = hw_calloc(1, sizeof(*w));
    for (int i = 0; i < VOICES; i++) {
        const struct voice_news *news =
            &product_log(p, at.stream)->by_voice[voice_news_index((size_t)i, false)];
        if (news->log)
            news->voice->put_message(&w->frame[i], &at, m);
    }
    w->audience = news_audience(m->audience);
    w->at = p->bindings;
    w->call = call;
    *p->passing_end = w;
    p->passing_end = &w->next;
    p->passing_count++;
    job_start(p->room->loop, &p->passing_job, passing_work);
}

void news_passing_free(struct room_product *p) {
    while (p->passing) {
        struct passing *w = p->passing;
        p->passing = w->next;
        passing_over(w);
    }
}
