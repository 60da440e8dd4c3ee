// After the append: who is there is found, and told. It is a hint that may get lost, but for a live
// message, which is nothing else: that goes to a device at most once.
#include "message.h"
#include "send_internal.h"

struct delivery { // hints for one appended message; goes on after the answer
    struct center *center;
    uint32_t product;
    char user[65];
    uint64_t epoch, seq, change;
    Hawser__Internal__StoredMessage *message; // owned
    struct delivery_call *calls;              // owned; those that are over too
    size_t open;                              // of them
    bool looked_again, look_again;
    // live only: the leg that waits for the counts
    struct leg *leg;
    uint64_t handed_over;
    bool failed;
};

struct delivery_call {
    struct delivery *delivery;
    struct delivery_call *next;
    Hawser__Internal__SessionRow *row; // owned
    bool was_not_here;
};

static void find(struct delivery *d);

static void delivery_over(struct delivery *d) {
    struct leg *leg = d->leg;
    struct delivery_call *call, *next;
    if (leg) {
        struct sending *s = leg->sending;
        s->result.online += d->handed_over;
        if (d->failed)
            problem_set(&s->result.problem, PROBLEM_store_unavailable, NULL,
                        "no register can be asked where the user is");
    }
    for (call = d->calls; call; call = next) {
        next = call->next;
        hawser__internal__session_row__free_unpacked(call->row, NULL);
        free(call);
    }
    hawser__internal__stored_message__free_unpacked(d->message, NULL);
    free(d);
    if (leg)
        leg_ended(leg);
}

static void delivery_step(struct delivery *d) {
    if (d->open > 0)
        return;
    if (d->look_again && !d->looked_again && !d->center->is_stopping) {
        d->looked_again = true;
        find(d);
        return;
    }
    delivery_over(d);
}

static void on_delivered(void *arg, int error, const Hawser__Internal__DeliverReply *reply) {
    struct delivery_call *call = arg;
    struct delivery *d = call->delivery;
    struct center *c = d->center;
    d->open--;
    if (reply) {
        c->count.delivered++;
        d->handed_over += reply->sent ? 1 : 0;
    } else if (error == -HW_ENOTHERE) {
        c->count.not_here++;
        call->was_not_here = d->look_again = true;
    } else if (error != -HW_ECANCELLED && d->seq != 0) {
        hint_keep(c, call->row, d->product, d->epoch, d->seq);
    }
    delivery_step(d);
}

// A device that may have it is not given it again: not by the session that had it, and not by the
// next one either. Nor is a session asked twice that was not there.
static bool is_dealt_with(const struct delivery *d, const Hawser__Internal__SessionRow *row) {
    for (const struct delivery_call *call = d->calls; call; call = call->next)
        if (strcmp(call->row->device, row->device) == 0 &&
            (!call->was_not_here || (call->row->generation == row->generation &&
                                     call->row->incarnation == row->incarnation)))
            return true;
    return false;
}

static void deliver_to(struct delivery *d, const Hawser__Internal__SessionRow *row) {
    struct rpc_link *room = cluster_peer(d->center->cluster, row->incarnation);
    Hawser__Internal__DeliverRequest request = HAWSER__INTERNAL__DELIVER_REQUEST__INIT;
    if (!row->online || !room || is_dealt_with(d, row))
        return;
    struct delivery_call *call = hw_malloc(sizeof(*call));
    *call = (struct delivery_call){d, d->calls,
                                   (Hawser__Internal__SessionRow *)message_copy(&row->base), false};
    d->calls = call;
    request.incarnation = row->incarnation;
    request.slot = row->slot;
    request.generation = row->generation;
    request.product = d->product;
    request.epoch = d->epoch;
    request.seq = d->seq;
    request.change = d->change;
    request.message = d->message;
    d->open++;
    room_deliver(peer_by(d->center->cluster, room), &request, on_delivered, call);
}

static void on_found(void *arg, int error, const Hawser__Internal__FindReply *reply) {
    struct delivery *d = arg;
    (void)error;
    d->open--;
    d->failed = d->failed || !reply;
    for (size_t i = 0; reply && i < reply->n_row; i++)
        deliver_to(d, reply->row[i]);
    delivery_step(d);
}

static void find(struct delivery *d) {
    Hawser__Internal__FindRequest request = HAWSER__INTERNAL__FIND_REQUEST__INIT;
    request.product = d->product;
    request.user = d->user;
    d->open++;
    register_find(register_of(d->center->cluster), &request, on_found, d);
}

void deliver_inbox(struct leg *leg, const Hawser__Internal__AppendReply *appended) {
    struct sending *s = leg->sending;
    struct delivery *d = hw_calloc(1, sizeof(*d));
    Hawser__Internal__StoredMessage m;
    message_fill(s, leg->target, &m, NULL);
    d->center = s->center;
    d->product = s->product;
    snprintf(d->user, sizeof(d->user), "%s", leg->target->user);
    if (appended) {
        d->epoch = appended->epoch;
        d->seq = appended->seq;
        d->change = appended->change;
        m.sent_ms = appended->sent_ms;
    } else {
        d->leg = leg;
    }
    d->message = (Hawser__Internal__StoredMessage *)message_copy(&m.base);
    find(d);
}

// --- broadcasts

struct news_call {
    struct leg *leg; // of a live one, which waits for the counts; else NULL
    size_t *open;    // owned by the last to come
};

static void on_news(void *arg, int error, const Hawser__Internal__NewsReply *reply) {
    struct news_call *call = arg;
    (void)error;
    if (reply && call->leg)
        call->leg->sending->result.online += reply->sessions;
    if (call->leg && --*call->open == 0) {
        free(call->open);
        leg_ended(call->leg);
    }
    free(call);
}

// A room that misses it hears of the head within a second.
void deliver_news(struct leg *leg, const Hawser__Internal__AppendReply *appended) {
    struct sending *s = leg->sending;
    struct cluster *cluster = s->center->cluster;
    Hawser__Internal__NewsRequest request = HAWSER__INTERNAL__NEWS_REQUEST__INIT;
    Hawser__Internal__StoredMessage m;
    Hawser__Internal__Audience audience;
    const Hawser__Internal__Member *room = NULL;
    bool is_live = !appended;
    size_t *open = is_live ? hw_calloc(1, sizeof(*open)) : NULL;
    message_fill(s, NULL, &m, &audience);
    request.product = s->product;
    request.message = &m;
    if (appended) {
        request.epoch = appended->epoch;
        request.seq = appended->seq;
        request.change = appended->change;
        m.sent_ms = appended->sent_ms;
    }
    while ((room = cluster_member_next(cluster, "room", room)) != NULL) {
        struct news_call *call = hw_malloc(sizeof(*call));
        *call = (struct news_call){is_live ? leg : NULL, open};
        if (open)
            ++*open;
        room_news(room_of(cluster, room->incarnation), &request, on_news, call);
    }
    if (open && *open == 0) {
        free(open);
        leg_ended(leg);
    }
}
