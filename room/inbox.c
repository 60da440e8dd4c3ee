// Delivery of a session's inbox. A seq goes out only as successor of the last one sent, with the
// window open and the socket taking it; otherwise the highest seq heard of is remembered and the
// log is read again when the client is ready. Nothing is queued.
#include "room_internal.h"

enum { RUN_ITEMS_MAX = 2 * WINDOW_MESSAGES + 2 };

static bool is_for_device(const Hawser__Internal__StoredMessage *m, const char *device) {
    for (size_t i = 0; i < m->n_device; i++)
        if (strcmp(m->device[i], device) == 0)
            return true;
    return m->n_device == 0;
}

// --- from the log

static void load(struct session *s);

// Appends the frame of one entry that continues what was sent; false: it does not, or the window
// is used up.
struct inbox_run {
    struct run_item items[RUN_ITEMS_MAX];
    size_t count;
    uint64_t at; // last seq in it
    uint32_t messages_left;
};

static bool add_entry(struct session *s, struct inbox_run *run,
                      const Hawser__Internal__LoadEntry *e) {
    struct buf *out = &s->conn->room->run;
    uint64_t last = e->message ? e->seq : e->last;
    if (last <= run->at)
        return true; // sent meanwhile
    if (e->seq > run->at + 1 || run->count == RUN_ITEMS_MAX || (e->message && !run->messages_left))
        return false;
    if (e->message) {
        Hawser__V1__Push push;
        push_from_message(&push, s->product->number, HAWSER__V1__STREAM__INBOX, e->seq, e->message);
        frame_put(out, FRAME_PUSH, &push.base);
        run->messages_left--;
    } else {
        Hawser__V1__Gap gap = HAWSER__V1__GAP__INIT;
        gap.product = s->product->number;
        gap.first = run->at + 1;
        gap.last = last;
        gap.reason = (Hawser__V1__GapReason)e->gap_reason;
        frame_put(out, FRAME_GAP, &gap.base);
    }
    run->items[run->count++] = (struct run_item){last, (uint32_t)out->len, e->message != NULL};
    run->at = last;
    return true;
}

static void send_run(struct session *s, const struct inbox_run *run) {
    struct room *r = s->conn->room;
    size_t sent = conn_send_run(s->conn, r->run.data, run->items, run->count);
    uint32_t start = 0;
    for (size_t i = 0; i < sent; i++) {
        const struct run_item *item = &run->items[i];
        cursor_sent(&s->inbox, item->last, item->end - start, item->counts);
        start = item->end;
        *(item->counts ? &r->count.pushes : &r->count.gaps) += 1;
    }
}

static void start_again(struct session *s, const Hawser__Internal__LoadReply *reply) {
    cursor_start(&s->inbox, reply->epoch, reply->reset_after);
    s->inbox.heard = reply->head > reply->reset_after ? reply->head : reply->reset_after;
    s->inbox_saved = s->inbox_saving = reply->reset_after; // what is on its way is of the old log
    s->inbox_target = s->is_synced ? 0 : s->inbox.heard;
    session_send_reset(s, HAWSER__V1__STREAM__INBOX, reply->epoch, reply->reset_after,
                       "the log is not the one that it was");
    acks_attach_again(s);
}

static void take_entries(struct session *s, const Hawser__Internal__LoadReply *reply) {
    struct inbox_run run = {.at = s->inbox.sent,
                            .messages_left = cursor_window_messages(&s->inbox)};
    uint64_t before = s->inbox.sent;
    buf_reset(&s->conn->room->run);
    for (size_t i = 0; i < reply->n_entry; i++)
        if (!add_entry(s, &run, reply->entry[i]))
            break;
    send_run(s, &run);
    if (reply->head > s->inbox.heard)
        s->inbox.heard = reply->head;
    if (run.at == before && cursor_window_is_open(&s->inbox) && s->inbox.heard > before) {
        // Heard of more than the log has: what was announced was not kept (a store went back).
        if (reply->head <= before)
            s->inbox.heard = before;
        else
            session_retry_later(s);
    }
}

static void on_loaded(struct room *r, struct session *s, int error, const uint8_t *body,
                      size_t len) {
    Hawser__Internal__LoadReply *reply =
        error == 0 ? hawser__internal__load_reply__unpack(NULL, len, body) : NULL;
    s->is_loading = false;
    if (!reply) {
        r->count.load_failures++;
        session_retry_later(s);
        return;
    }
    if (session_can_send(s)) { // else it is read again when the client is ready
        s->is_log_another = s->is_load_old;
        if (reply->reset)
            start_again(s, reply);
        else if (reply->epoch == s->inbox.epoch)
            take_entries(s, reply);
        inbox_try(s);
        session_check_synced(s);
    }
    hawser__internal__load_reply__free_unpacked(reply, NULL);
}

static void load(struct session *s) {
    Hawser__Internal__LoadRequest request = HAWSER__INTERNAL__LOAD_REQUEST__INIT;
    uint32_t messages = cursor_window_messages(&s->inbox), bytes = cursor_window_bytes(&s->inbox);
    request.product = s->product->number;
    request.stream = HAWSER__V1__STREAM__INBOX;
    request.user = s->user;
    request.device = s->conn->device;
    request.epoch = s->inbox.epoch;
    request.after = s->inbox.sent;
    request.max_messages = messages > 0 ? messages : 1;
    request.max_bytes = bytes > 0 ? bytes : 1;
    s->is_loading = true;
    s->is_load_old = false;
    s->conn->room->count.loads++;
    session_call(s, session_saver(s), HAWSER__INTERNAL__SAVER_METHOD__SAVER_LOAD, &request.base,
                 on_loaded);
}

void inbox_try(struct session *s) {
    bool has_more = s->inbox.sent < s->inbox.heard && cursor_window_is_open(&s->inbox);
    if ((has_more || s->is_log_another) && !s->is_loading && !s->in_retry && session_can_send(s))
        load(s);
}

void inbox_head_seen(struct session *s, uint64_t epoch, uint64_t head) {
    if (epoch != s->inbox.epoch) {
        s->is_log_another = true; // the saver says what became of this one
        s->is_load_old = s->is_loading;
    } else if (head > s->inbox.heard) {
        s->inbox.heard = head;
    }
    inbox_try(s);
}

// --- from a center

static bool send_live(struct session *s, const Hawser__Internal__DeliverRequest *d) {
    Hawser__V1__Push push;
    if (!session_can_send(s) || !is_for_device(d->message, s->conn->device))
        return false;
    push_from_message(&push, s->product->number, HAWSER__V1__STREAM__INBOX, 0, d->message);
    conn_send(s->conn, FRAME_PUSH, &push.base);
    s->conn->room->count.pushes++;
    return true;
}

bool inbox_deliver(struct session *s, const Hawser__Internal__DeliverRequest *d) {
    if (d->seq == 0)
        return d->message && send_live(s, d);
    bool is_next = d->message && d->epoch == s->inbox.epoch && d->seq == s->inbox.sent + 1 &&
                   !s->is_loading && session_can_send(s) && cursor_window_is_open(&s->inbox) &&
                   is_for_device(d->message, s->conn->device);
    if (is_next) {
        struct inbox_run run = {.at = s->inbox.sent, .messages_left = 1};
        Hawser__Internal__LoadEntry entry = HAWSER__INTERNAL__LOAD_ENTRY__INIT;
        entry.seq = d->seq;
        entry.message = d->message;
        buf_reset(&s->conn->room->run);
        (void)add_entry(s, &run, &entry);
        send_run(s, &run);
    }
    inbox_head_seen(s, d->epoch, d->seq);
    session_check_synced(s);
    return is_next;
}
