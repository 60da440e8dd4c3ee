// What clients have handled, on its way to the saver: one request per session at a time, all of an
// iteration in one frame. What a session leaves behind when it ends goes on its own and is tried
// for a minute.
#include "message.h"
#include "room_internal.h"

enum { LATE_TRIES = 60, LATE_RETRY_MS = 1000, LATE_MAX = 100000 };

// --- a session's inbox

// The saver knows a higher generation. That may be of a login that has ended, or of an earlier one
// that was given the row in between: the register says whose it is.
static void say_stale(struct session *s) {
    s->is_stale = true;
    session_row_has_changed(s);
}

static void on_acked(struct room *r, struct session *s, int error, const uint8_t *body,
                     size_t len) {
    Hawser__Internal__AckReply *reply =
        error == 0 ? hawser__internal__ack_reply__unpack(NULL, len, body) : NULL;
    bool stale = reply && reply->stale;
    bool unknown = reply && reply->unknown;
    (void)r;
    s->ack_in_flight = false;
    if (reply)
        hawser__internal__ack_reply__free_unpacked(reply, NULL);
    if (s->saving_generation != s->generation) {
        acks_note(s); // attached again by the one that the register gave it meanwhile
    } else if (stale) {
        say_stale(s);
    } else if (error != 0) {
        session_retry_later(s);
    } else if (unknown) {
        acks_attach_again(s);
    } else {
        if (s->inbox_saved < s->inbox_saving)
            s->inbox_saved = s->inbox_saving;
        acks_note(s);
    }
}

static void fill(const struct session *s, Hawser__Internal__AckRequest *request) {
    request->product = s->product->number;
    request->user = s->user;
    request->device = s->conn->device;
    request->generation = s->generation;
}

static void send_ack(struct session *s) {
    Hawser__Internal__AckRequest request = HAWSER__INTERNAL__ACK_REQUEST__INIT;
    Hawser__Internal__StreamPosition at = HAWSER__INTERNAL__STREAM_POSITION__INIT, *list[1] = {&at};
    fill(s, &request);
    at.stream = HAWSER__V1__STREAM__INBOX;
    at.epoch = s->inbox.epoch;
    at.seq = s->inbox.acked;
    request.n_upto = 1;
    request.upto = list;
    s->inbox_saving = at.seq;
    s->saving_generation = s->generation;
    s->ack_in_flight = true;
    session_call(s, session_saver(s), HAWSER__INTERNAL__SAVER_METHOD__SAVER_ACK, &request.base,
                 on_acked);
}

static uint64_t inbox_epoch_of(const Hawser__Internal__AttachReply *reply) {
    for (size_t i = 0; i < reply->n_stream; i++)
        if (reply->stream[i]->stream == HAWSER__V1__STREAM__INBOX)
            return reply->stream[i]->epoch;
    return 0;
}

// A store that lost the device must know it again, or what others handled leaves the log before
// this one had it.
static void on_attached_again(struct room *r, struct session *s, int error, const uint8_t *body,
                              size_t len) {
    Hawser__Internal__AttachReply *reply =
        error == 0 ? hawser__internal__attach_reply__unpack(NULL, len, body) : NULL;
    bool stale = reply && reply->stale;
    uint64_t epoch = reply ? inbox_epoch_of(reply) : 0;
    (void)r;
    s->ack_in_flight = false;
    if (reply)
        hawser__internal__attach_reply__free_unpacked(reply, NULL);
    if (error != 0) {
        session_retry_later(s);
    } else if (s->saving_generation != s->generation) {
        acks_note(s); // once more
    } else if (stale) {
        say_stale(s);
    } else if (epoch != s->inbox.epoch) {
        inbox_head_seen(s, epoch, 0); // the load tells the client first
        session_retry_later(s);
    } else {
        s->attach_again = false;
        s->inbox_saved = s->inbox_saving;
        acks_note(s);
    }
}

static void send_attach(struct session *s) {
    Hawser__Internal__AttachRequest request = HAWSER__INTERNAL__ATTACH_REQUEST__INIT;
    Hawser__Internal__StreamPosition at[2], *list[2] = {&at[0], &at[1]};
    const struct cursor *cursors[2] = {&s->inbox, &s->news};
    for (uint32_t i = 0; i < 2; i++) {
        hawser__internal__stream_position__init(&at[i]);
        at[i].stream = i;
        at[i].epoch = cursors[i]->epoch;
        at[i].seq = cursors[i]->acked;
    }
    request.product = s->product->number;
    request.user = s->user;
    request.device = s->conn->device;
    request.generation = s->generation;
    request.n_have = 2;
    request.have = list;
    s->inbox_saving = s->inbox.acked;
    s->saving_generation = s->generation;
    s->ack_in_flight = true;
    session_call(s, session_saver(s), HAWSER__INTERNAL__SAVER_METHOD__SAVER_ATTACH, &request.base,
                 on_attached_again);
}

static void flush(struct hook *h) {
    struct room *r = container_of(h, struct room, flush_acks);
    while (r->dirty) {
        struct session *s = r->dirty;
        r->dirty = s->next_dirty;
        s->is_dirty = false;
        if (s->attach_again)
            send_attach(s);
        else
            send_ack(s);
    }
}

void acks_note(struct session *s) {
    struct room *r = s->conn->room;
    if (s->is_dirty || s->ack_in_flight || s->in_retry || s->is_stale || s->state != SESSION_LIVE ||
        (s->inbox.acked <= s->inbox_saved && !s->attach_again))
        return;
    s->is_dirty = true;
    s->next_dirty = r->dirty;
    r->dirty = s;
    hook_schedule(r->loop, &r->flush_acks, flush);
}

void acks_attach_again(struct session *s) {
    s->attach_again = true;
    acks_note(s);
}

// --- from clients

// false: a protocol error.
static bool take_position(struct session *s, const Hawser__V1__Position *p) {
    struct cursor *c = p->stream == HAWSER__V1__STREAM__INBOX ? &s->inbox : &s->news;
    if ((int)p->stream == HAWSER__V1__STREAM__BULK)
        return p->epoch != s->bulk_epoch || p->seq <= s->bulk_seq;
    if ((int)p->stream != HAWSER__V1__STREAM__INBOX && (int)p->stream != HAWSER__V1__STREAM__NEWS)
        return true; // a newer stream
    if (p->epoch != c->epoch)
        return true; // no longer current
    if (p->seq > c->shown)
        return false;
    if (p->seq <= c->acked)
        return true;
    uint32_t before = WINDOW_MESSAGES - cursor_window_messages(c);
    cursor_acked(c, p->seq);
    s->is_shut_asked = false;
    uint32_t after = WINDOW_MESSAGES - cursor_window_messages(c);
    if (c == &s->news)
        s->product->acked_sum += before - after;
    return true;
}

void ack_received(struct conn *c, const Hawser__V1__Ack *ack) {
    struct session *s = c->sessions;
    while (s && (s->state != SESSION_LIVE || s->product->number != ack->product))
        s = s->next_in_conn;
    c->room->count.acks++;
    if (!s)
        return; // no longer bound
    for (size_t i = 0; i < ack->n_upto; i++)
        if (!take_position(s, ack->upto[i])) {
            c->room->count.protocol_errors++;
            conn_close(c, 4302, "an Ack above what was sent", 0);
            return;
        }
    session_try(s);
}

// --- what a session leaves behind

struct late_ack {
    struct late_ack *next; // in room.late_acks while it waits for another try
    struct room *room;
    uint64_t key;
    Hawser__Internal__AckRequest *request; // owned
    int tries;
};

static void late_send(struct late_ack *a);

static void late_free(struct late_ack *a) {
    a->room->late_count--;
    hawser__internal__ack_request__free_unpacked(a->request, NULL);
    free(a);
}

static void late_again(struct timer *t) {
    struct room *r = container_of(t, struct room, late_timer);
    struct late_ack *list = r->late_acks;
    r->late_acks = NULL;
    while (list) {
        struct late_ack *a = list;
        list = a->next;
        late_send(a);
    }
}

static void on_late(void *arg, int error, const uint8_t *body, size_t len) {
    struct late_ack *a = arg;
    struct room *r = a->room;
    (void)body;
    (void)len;
    if (error == 0 || r->is_stopping || ++a->tries == LATE_TRIES) {
        late_free(a); // given up: the client brings its positions, or gets repeats
        return;
    }
    a->next = r->late_acks;
    r->late_acks = a;
    if (!timer_is_armed(&r->late_timer))
        loop_arm(r->loop, &r->late_timer, LATE_RETRY_MS, late_again);
}

static void late_send(struct late_ack *a) {
    struct room *r = a->room;
    cluster_call(r->cluster, cluster_pick(r->cluster, "saver", a->key),
                 HAWSER__INTERNAL__SAVER_METHOD__SAVER_ACK, &a->request->base, CALL_MS, on_late, a);
}

void acks_save_last(struct session *s) {
    struct room *r = s->conn->room;
    Hawser__Internal__AckRequest request = HAWSER__INTERNAL__ACK_REQUEST__INIT;
    Hawser__Internal__StreamPosition at[2], *list[2] = {&at[0], &at[1]};
    if (s->state != SESSION_LIVE || r->late_count == LATE_MAX)
        return;
    const struct cursor *cursors[2] = {&s->inbox, &s->news};
    const uint64_t saved[2] = {s->inbox_saved, s->news_saved};
    fill(s, &request);
    request.upto = list;
    for (int i = 0; i < 2; i++) {
        if (cursors[i]->acked <= saved[i])
            continue;
        Hawser__Internal__StreamPosition *p = &at[request.n_upto++];
        hawser__internal__stream_position__init(p);
        p->stream = i == 0 ? HAWSER__V1__STREAM__INBOX : HAWSER__V1__STREAM__NEWS;
        p->epoch = cursors[i]->epoch;
        p->seq = cursors[i]->acked;
    }
    if (request.n_upto == 0)
        return;
    s->news_saved = s->news.acked;
    struct late_ack *a = hw_calloc(1, sizeof(*a));
    a->room = r;
    a->key = bucket_key(s->product->number, s->user);
    a->request = (Hawser__Internal__AckRequest *)message_copy(&request.base);
    r->late_count++;
    late_send(a);
}

void acks_deinit(struct room *r) {
    loop_disarm(r->loop, &r->late_timer);
    hook_stop(&r->flush_acks);
    while (r->late_acks) {
        struct late_ack *a = r->late_acks;
        r->late_acks = a->next;
        late_free(a);
    }
}
