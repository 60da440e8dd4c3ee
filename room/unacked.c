// What clients were sent and have not acknowledged. Nothing is sent again by a timer: the client is
// asked with a Ping, which it answers when it has acknowledged all that it has handled; only then
// the rest goes out again. Sessions with something under way stand in a list, are looked at twice a
// second and leave it when all is acknowledged: who is at rest costs nothing.
#include "room_internal.h"

enum {
    SHUT_TICKS = 10,     // a window that is shut so long, with something waiting, brings a Ping
    UNACKED_TICKS = 300, // so does anything that is unacknowledged so long
    ROUND_TICKS = 5,     // each is looked at once in so many
    ASK_APART_MS = 2000,
    LOOKS_MAX = 20000 // a tick: 2 ms
};

// --- pure: what one stream asks for

enum wish { WISH_NOTHING, WISH_PING_IF_READ, WISH_PING };

// How long nothing of what is under way was acknowledged. 0 for what is seen for the first time.
static uint32_t ticks_unacked(struct cursor *c, uint32_t tick) {
    if (cursor_window_messages(c) == WINDOW_MESSAGES) {
        c->window.still_since = 0;
        return 0;
    }
    if (c->window.still_since == 0)
        c->window.still_since = tick;
    return tick - c->window.still_since;
}

static enum wish cursor_wish(struct cursor *c, uint64_t head, uint32_t tick) {
    uint32_t ticks = ticks_unacked(c, tick);
    bool waits = c->sent < head && !cursor_window_is_open(c);
    return ticks >= UNACKED_TICKS         ? WISH_PING
           : waits && ticks >= SHUT_TICKS ? WISH_PING_IF_READ
                                          : WISH_NOTHING;
}

// What was acknowledged just before the answer does not save the rest from going out again.
static bool resend_cursor(struct cursor *c, bool *is_asked) {
    bool is_due = *is_asked && c->sent > c->acked;
    *is_asked = false;
    if (is_due)
        cursor_rewind(c, c->acked);
    return is_due;
}

// --- the list

void unacked_watch(struct session *s) {
    struct room *r = s->conn->room;
    bool has_any = cursor_window_messages(&s->inbox) < WINDOW_MESSAGES ||
                   cursor_window_messages(&s->news) < WINDOW_MESSAGES;
    if (!has_any || s->is_watched)
        return;
    s->is_watched = true;
    handles_add(&r->watched, &r->watched_count, &r->watched_capacity, s);
}

// A shut window whose bytes are still on their way says nothing of the client. It is asked once
// for each; and for what is long unacknowledged not at every look, should it answer with all but a
// Pong.
static bool ask(struct session *s, enum wish wish) {
    struct conn *c = s->conn;
    uint64_t asked_ms = loop_now_ms(s->conn->room->loop) - c->pinged_ms;
    bool is_due = wish == WISH_PING ? c->pinged_ms == 0 || asked_ms >= ASK_APART_MS
                                    : !s->is_shut_asked && stream_unsent(c->stream) == 0;
    if (!is_due || !conn_ping(c))
        return false;
    s->is_shut_asked = true;
    return true;
}

// false: nothing is under way any more.
static bool look_at(struct session *s) {
    struct room *r = s->conn->room;
    if (s->state != SESSION_LIVE || s->conn->state != CONN_OPEN)
        return false; // what is sent after a resume is watched anew
    enum wish inbox = cursor_wish(&s->inbox, s->inbox.heard, r->tick_count);
    enum wish news = cursor_wish(&s->news, s->product->news.head, r->tick_count);
    enum wish wish = inbox > news ? inbox : news;
    if (wish != WISH_NOTHING && ask(s, wish)) {
        s->is_inbox_asked = inbox == WISH_PING;
        s->is_news_asked = news == WISH_PING;
    }
    return s->inbox.window.still_since != 0 || s->news.window.still_since != 0;
}

void unacked_tick(struct room *r) {
    size_t looks = r->watched_count / ROUND_TICKS + 1;
    for (looks = looks < LOOKS_MAX ? looks : LOOKS_MAX; looks > 0 && r->watched_count > 0;
         looks--) {
        if (r->watched_at >= r->watched_count)
            r->watched_at = 0;
        struct handle *h = &r->watched[r->watched_at];
        struct session *s = slab_find(&r->sessions, h->slot, h->generation);
        if (s && look_at(s)) {
            r->watched_at++;
            continue;
        }
        if (s)
            s->is_watched = false;
        *h = r->watched[--r->watched_count];
    }
}

// --- the answer

// Synced comes again behind it: a client that could not take a message was not synced.
static void go_on(struct session *s) {
    s->is_synced = false;
    s->inbox_target = s->inbox.heard;
    s->news_target = s->product->heard;
    session_try(s);
}

void unacked_answered(struct conn *c) {
    struct room *r = c->room;
    for (struct session *s = c->sessions; s; s = s->next_in_conn) {
        if (s->state != SESSION_LIVE)
            continue;
        bool inbox = resend_cursor(&s->inbox, &s->is_inbox_asked);
        bool news = resend_cursor(&s->news, &s->is_news_asked);
        r->count.resends += (uint64_t)inbox + news;
        if (inbox || news)
            go_on(s);
    }
}
