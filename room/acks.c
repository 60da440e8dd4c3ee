// What clients have handled: into their sessions, and, of one that is ending or away and of all now
// and then, to the saver on its own, tried for a minute.
#include "close_codes.h"
#include "message.h"
#include "room_internal.h"

enum { LATE_TRIES = 60, LATE_RETRY_MS = 1000, LATE_MAX = 100000 };

bool ack_got(struct room_binding *b, enum feed_stream stream, struct place upto) {
    uint32_t messages;
    switch (session_acked(&b->session, stream, upto, &messages)) {
    case FEED_ACKED:
        if (stream == FEED_NEWS)
            b->product->sums.acked += messages;
        return true;
    case FEED_ACK_OLD:
        return true;
    case FEED_ACK_ABOVE:
        break;
    }
    conn_fault(b->conn, CLOSE_UNEXPECTED, "an Ack above what was sent");
    return false;
}

// --- what a session leaves behind

struct late_ack {
    struct late_ack *next; // in room.late_acks while it waits for another try
    struct room *room;
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

static void on_late(void *arg, int error, const Hawser__Internal__AckReply *reply) {
    struct late_ack *a = arg;
    struct room *r = a->room;
    (void)reply;
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
    const Hawser__Internal__AckRequest *q = a->request;
    saver_ack(saver_of(a->room->cluster, q->product, q->user), q, on_late, a);
}

// The positions of inbox and news that the saver does not know.
static size_t unsaved(const struct session *s, Hawser__Internal__StreamPosition at[2]) {
    size_t n = 0;
    for (uint32_t i = FEED_INBOX; i <= FEED_NEWS; i++) {
        const struct feed *f = &s->feed[i];
        if (f->acked <= f->saved)
            continue;
        hawser__internal__stream_position__init(&at[n]);
        at[n].stream = i;
        at[n].epoch = f->epoch;
        at[n++].seq = f->acked;
    }
    return n;
}

void acks_save_last(struct room_binding *b) {
    struct room *r = b->conn->room;
    Hawser__Internal__AckRequest request = HAWSER__INTERNAL__ACK_REQUEST__INIT;
    Hawser__Internal__StreamPosition at[2], *list[2] = {&at[0], &at[1]};
    struct feed *news = &b->session.feed[FEED_NEWS];
    request.n_upto = unsaved(&b->session, at);
    if (request.n_upto == 0 || r->late_count == LATE_MAX)
        return;
    request.upto = list;
    request.product = b->product->number;
    request.user = b->user;
    request.device = b->conn->device;
    request.generation = b->session.fence.generation;
    news->saved = news->acked;
    struct late_ack *a = hw_calloc(1, sizeof(*a));
    a->room = r;
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
