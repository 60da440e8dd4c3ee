// Delivery of a session's inbox: what a center hands over, and what is read from the log. A message
// goes out only as the successor of the last one sent, with the window open and the socket taking
// it; of all else only the number is remembered. Nothing is queued.
#include "room_internal.h"
#include "stored.h"

struct room_binding *inbox_delivered_to(struct room *r, const Hawser__Internal__DeliverRequest *d) {
    struct room_binding *b =
        d->incarnation == r->env->incarnation ? room_binding_of_row_slot(r, d->slot) : NULL;
    bool is_its = b && b->product && b->product->number == d->product;
    return is_its && session_is_here(room_binding_session(b), d->generation) ? b : NULL;
}

static bool is_for_device(const Hawser__Internal__StoredMessage *m, const char *device) {
    for (size_t i = 0; i < m->n_device; i++)
        if (strcmp(m->device[i], device) == 0)
            return true;
    return m->n_device == 0;
}

static void inbox_send_run(struct room_binding *b, const struct frame_run *run) {
    struct room *r = binding_room(b);
    size_t items = conn_send_run(b->conn, r->scratch.run.data, run);
    size_t messages =
        frame_run_went(run, items, &room_binding_session(b)->feed[FEED_INBOX]).messages;
    session_shares_window(room_binding_session(b));
    r->count.delivery.pushes += messages;
    r->count.delivery.gaps += items - messages;
    if (items == 0)
        return;
    if (session_wants_once(room_binding_session(b), FEED_INBOX)) {
        (void)session_handled_sent(room_binding_session(b), FEED_INBOX);
        room_binding_go_on(b); // which saves it
    } else if (conn_voice(b->conn)->went) {
        conn_voice(b->conn)->went(b, FEED_INBOX, run, items);
    }
}

static struct stream_range inbox_range(struct room_binding *b, uint64_t first, uint64_t last) {
    return (struct stream_range){.product = b->product->number,
                                 .stream = FEED_INBOX,
                                 .first = first,
                                 .last = last,
                                 .store_ms = store_clock_ms(&binding_room(b)->clock),
                                 .is_once =
                                     session_wants_once(room_binding_session(b), FEED_INBOX)};
}

// Its bytes are made for this one, so that only whether it is sent again is of the moment. false: a
// gap is put instead, since its client does not take so many.
static bool inbox_put(struct room_binding *b, const struct stream_range *at,
                      const Hawser__Internal__StoredMessage *m) {
    struct buf *out = &binding_room(b)->scratch.run;
    const struct voice *voice = conn_voice(b->conn);
    size_t start = out->len;
    const struct feed *f = &room_binding_session(b)->feed[FEED_INBOX];
    voice->put_message(out, at, m);
    if (!feed_takes_frame(f, out->len - start)) {
        out->len = start;
        voice->put_gap(out, b, at, GAP_UNKNOWN);
        return false;
    }
    if (!voice->touch_up || !feed_was_written(f, at->last))
        return true;
    voice->touch_up(b, out->data + start,
                    &(struct frame_moment){.len = out->len - start,
                                           .expires_ms = m->expires_ms,
                                           .store_ms = at->store_ms,
                                           .is_again = true});
    return true;
}

// --- from the log

// false: it does not go on where the run ends, or the window is used up.
static bool add_entry(struct room_binding *b, struct frame_run *run,
                      const Hawser__Internal__LoadEntry *e) {
    struct buf *out = &binding_room(b)->scratch.run;
    uint64_t last = e->message ? e->seq : e->last;
    enum frame_run_fit fit = frame_run_fit(run, e->seq, last, e->message != NULL);
    if (fit != RUN_NEXT)
        return fit == RUN_KNOWN;
    struct stream_range at = inbox_range(b, run->at + 1, last);
    bool is_message = e->message != NULL && inbox_put(b, &at, e->message);
    if (!e->message)
        conn_voice(b->conn)->put_gap(out, b, &at, (enum gap_reason)e->gap_reason);
    frame_run_add(run, last, (uint32_t)out->len, is_message);
    return true;
}

// Whether any of them went on where the last one sent ends.
static bool send_entries(struct room_binding *b, const Hawser__Internal__LoadReply *reply) {
    struct room *r = binding_room(b);
    struct feed *inbox = &room_binding_session(b)->feed[FEED_INBOX];
    uint64_t before = inbox->sent;
    frame_run_begin(&r->scratch.items, inbox);
    buf_reset(&r->scratch.run);
    size_t count = room_binding_leaves_out(b, FEED_INBOX) ? 0 : reply->n_entry;
    for (size_t i = 0; i < count; i++)
        if (!add_entry(b, &r->scratch.items, reply->entry[i]))
            break;
    inbox_send_run(b, &r->scratch.items);
    return r->scratch.items.at != before;
}

void inbox_loaded(struct room_binding *b, const Hawser__Internal__LoadReply *reply) {
    struct session_event e = {.kind = EVENT_LOADED};
    struct session_loaded *l = &e.of.loaded;
    bool takes = room_binding_can_send(b);
    const struct session *s = room_binding_session(b);
    l->result = !reply                                      ? LOADED_NO_ANSWER
                : !takes                                    ? LOADED_UNREAD
                : reply->reset                              ? LOADED_RESET
                : reply->epoch != s->feed[FEED_INBOX].epoch ? LOADED_OTHER
                : reply->change < s->change                 ? LOADED_OLD
                                                            : LOADED_ENTRIES;
    if (!reply)
        binding_room(b)->count.delivery.load_failures++;
    if (reply) {
        l->head = reply->head;
        l->after = (struct stream_position){reply->epoch, reply->reset_after};
    }
    if (l->result == LOADED_ENTRIES)
        l->has_begun = send_entries(b, reply);
    room_binding_tell(b, &e);
}

// --- from a center

static bool inbox_pass_on(struct room_binding *b, const Hawser__Internal__StoredMessage *m) {
    struct room *r = binding_room(b);
    struct stream_range at = inbox_range(b, 0, 0);
    at.is_once = true;
    if (room_binding_leaves_out(b, FEED_INBOX) || !is_for_device(m, b->conn->device))
        return false;
    if (!room_binding_can_send(b)) {
        r->count.delivery.passing_dropped++;
        return false;
    }
    buf_reset(&r->scratch.frame);
    conn_voice(b->conn)->put_message(&r->scratch.frame, &at, m);
    if (!feed_takes_frame(&room_binding_session(b)->feed[FEED_INBOX], r->scratch.frame.len)) {
        r->count.delivery.passing_dropped++;
        return false;
    }
    conn_send(b->conn, &r->scratch.frame);
    r->count.delivery.pushes++;
    return true;
}

static void inbox_send_next(struct room_binding *b, uint64_t seq,
                            const Hawser__Internal__StoredMessage *m) {
    struct room *r = binding_room(b);
    struct stream_range at = inbox_range(b, seq, seq);
    frame_run_begin(&r->scratch.items, &room_binding_session(b)->feed[FEED_INBOX]);
    buf_reset(&r->scratch.run);
    bool is_message = inbox_put(b, &at, m);
    frame_run_add(&r->scratch.items, seq, (uint32_t)r->scratch.run.len, is_message);
    inbox_send_run(b, &r->scratch.items);
}

bool inbox_deliver(struct room_binding *b, const struct session_hint *hint,
                   const Hawser__Internal__StoredMessage *m) {
    struct session *s = room_binding_session(b);
    const struct feed *f = &s->feed[FEED_INBOX];
    if (message_is_live(m))
        return inbox_pass_on(b, m);
    // One that was heard of before may have left the log since: the log says so.
    bool is_next = m && !session_leaves_out(s, FEED_INBOX) && s->load == LOAD_NONE &&
                   !feed_is_behind(f) && feed_takes(f, hint->head) && room_binding_can_send(b) &&
                   is_for_device(m, b->conn->device);
    if (is_next)
        inbox_send_next(b, hint->head.seq, m);
    bool is_sent = is_next && f->sent == hint->head.seq; // else the socket took nothing
    if (is_sent)
        room_binding_sent(b);
    else
        room_binding_tell(b, &(struct session_event){.kind = EVENT_HINTED, .of.hint = *hint});
    return is_sent;
}
