// What clients have handled: into their sessions, and, of one that is ending or away and of all now
// and then, to the saver on its own, tried for a minute.
#include "close_codes.h"
#include "message.h"
#include "room_internal.h"

enum { LATE_TRIES = 60, LATE_RETRY_MS = 1000, LATE_MAX = 100000 };

void acks_count(const struct room_binding *b, enum feed_stream stream, uint32_t messages) {
    if (is_served_log(stream))
        product_log(b->product, stream)->sums.acked += messages;
}

bool ack_got(struct room_binding *b, enum feed_stream stream, struct stream_position upto) {
    uint32_t messages;
    enum feed_ack ack = session_acked(room_binding_session(b), stream, upto, &messages);
    acks_count(b, stream, messages);
    if (ack == FEED_ACK_ABOVE)
        conn_close(b->conn, CLOSE_UNEXPECTED, "an Ack above what was sent", 0);
    return ack != FEED_ACK_ABOVE;
}

void ack_refused(struct room_binding *b, enum feed_stream stream, struct stream_position at) {
    if (session_refused(room_binding_session(b), stream, at))
        binding_room(b)->count.delivery.refused++;
}

// --- what a session leaves behind

struct late_ack {
    struct late_ack *next; // in room.late_acks while it waits for another try
    struct room *room;
    Hawser__Internal__AckRequest *request; // owned
    struct session_have at;                // as in the request
    uint64_t binding;                      // the slot of its row: it may be gone
    int tries;
};

static void late_send(struct late_ack *a);

static void late_free(struct late_ack *a) {
    a->room->late_acks.count--;
    hawser__internal__ack_request__free_unpacked(a->request, NULL);
    free(a);
}

static void late_again(struct timer *t) {
    struct room *r = container_of(t, struct room, late_acks.timer);
    struct late_ack *list = r->late_acks.list;
    r->late_acks.list = NULL;
    while (list) {
        struct late_ack *a = list;
        list = a->next;
        late_send(a);
    }
}

// What was acknowledged meanwhile by one that is away goes now: it may not come back.
static void late_over(struct late_ack *a, bool is_saved) {
    struct room_binding *b =
        a->room->is_stopping ? NULL : room_binding_of_row_slot(a->room, a->binding);
    if (b) {
        b->is_late = false;
        if (is_saved)
            session_saved_last(room_binding_session(b), &a->at);
        if (is_saved && room_binding_state(b) == SESSION_AWAY)
            acks_save_last(b);
    }
    late_free(a);
}

// Stale: a newer login has said where the client is. Unknown: its next login will.
static void on_late(void *arg, int error, const Hawser__Internal__AckReply *reply) {
    struct late_ack *a = arg;
    struct room *r = a->room;
    if (error == 0 || r->is_stopping) {
        late_over(a, reply && !reply->stale && !reply->unknown);
    } else if (++a->tries == LATE_TRIES) {
        r->late_acks.lost++; // the client brings its positions, or gets repeats
        late_over(a, false);
    } else {
        a->next = r->late_acks.list;
        r->late_acks.list = a;
        if (!timer_is_armed(&r->late_acks.timer))
            loop_arm(r->loop, &r->late_acks.timer, LATE_RETRY_MS, late_again);
    }
}

static void late_send(struct late_ack *a) {
    const Hawser__Internal__AckRequest *q = a->request;
    saver_ack(saver_of(a->room->cluster, q->product, q->user), q, on_late, a);
}

static Hawser__Internal__AckRequest *late_request(const struct room_binding *b,
                                                  const struct session_have *have) {
    Hawser__Internal__AckRequest request = HAWSER__INTERNAL__ACK_REQUEST__INIT;
    struct saver_positions upto;
    request.n_upto = saver_positions_fill(&upto, have);
    request.upto = upto.list;
    QUESTION_BY(&request, b);
    return (Hawser__Internal__AckRequest *)message_copy(&request.base);
}

// One at a time, but for the last of all: that is of a session that has ended.
void acks_save_last(struct room_binding *b) {
    struct room *r = binding_room(b);
    struct session_have at;
    bool waits = b->is_late && room_binding_is_entered(b);
    if (waits || session_unsaved(room_binding_session(b), &at) == 0)
        return;
    if (r->late_acks.count == LATE_MAX) {
        r->late_acks.lost++;
        return;
    }
    struct late_ack *a = hw_calloc(1, sizeof(*a));
    a->room = r;
    a->at = at;
    a->binding = room_binding_row_slot(b);
    a->request = late_request(b, &at);
    b->is_late = true;
    r->late_acks.count++;
    late_send(a);
}

void acks_deinit(struct room *r) {
    loop_disarm(r->loop, &r->late_acks.timer);
    hook_stop(&r->questions.flush_saves);
    while (r->late_acks.list) {
        struct late_ack *a = r->late_acks.list;
        r->late_acks.list = a->next;
        late_free(a);
    }
}
