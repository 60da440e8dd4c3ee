#include "deliver.h"

#include "aim.h"
#include "hints.h"
#include "message.h"
#include "stored.h"

// --- to a user

// What hints under way may hold, as while no register answers. Beyond it a hint is left to the
// heads that rooms ask for.
enum { HINTS_BYTES_MAX = 32 * 1024 * 1024, HINT_BYTES = 512 };

struct delivery {
    struct center *center;
    size_t bytes; // of center.hints_bytes
    uint32_t product;
    char user[ID_MAX + 1];
    uint64_t epoch, seq, change;
    struct arrivals arrivals;
    Hawser__Internal__StoredMessage *message; // owned
    struct told *told;                        // owned, each first in its delivery_call
    size_t open;                              // calls
    bool looked_again, look_again;
    const struct rpc_link *asked; // the register
    bool found_again;             // at another one, since that one said nothing
    struct delivered result;
    delivered_fn *done;
    void *arg;
};

struct delivery_call {
    struct told told;
    struct delivery *delivery;
    struct hint_session session;
    char device[]; // as told has it
};

static void find(struct delivery *d);

static void delivery_over(struct delivery *d) {
    struct told *told, *next;
    if (d->done)
        d->done(d->arg, &d->result);
    for (told = d->told; told; told = next) {
        struct delivery_call *call = container_of(told, struct delivery_call, told);
        next = told->next;
        free(call);
    }
    hawser__internal__stored_message__free_unpacked(d->message, NULL);
    d->center->hints_bytes -= d->bytes;
    free(d);
}

static void delivery_step(struct delivery *d) {
    if (d->open > 0)
        return;
    if (d->look_again && !d->looked_again && !d->center->is_stopping) {
        d->looked_again = true;
        find(d);
    } else {
        delivery_over(d);
    }
}

static void on_delivered(void *arg, int error, const Hawser__Internal__DeliverReply *reply) {
    struct delivery_call *call = arg;
    struct delivery *d = call->delivery;
    struct center *c = d->center;
    d->open--;
    if (reply) {
        c->count.delivered++;
        d->result.handed_over += reply->sent ? 1 : 0;
        delivery_step(d);
        return;
    }
    known_rows_forget(&c->known_rows, d->product, d->user);
    if (error == -HW_ENOTHERE) {
        c->count.not_here++;
        call->told.was_not_here = d->look_again = true;
    } else if (error != -HW_ECANCELLED && !message_is_live(d->message)) {
        hint_keep(c, &call->session, &(struct hinted){d->product, d->epoch, d->seq});
    }
    delivery_step(d);
}

static void deliver_to(struct delivery *d, const struct known_row *row) {
    struct rpc_link *room = cluster_peer(d->center->cluster, row->incarnation);
    Hawser__Internal__DeliverRequest request = HAWSER__INTERNAL__DELIVER_REQUEST__INIT;
    if (!room || told_rules_out(d->told, row))
        return;
    size_t device_size = strlen(row->device) + 1;
    struct delivery_call *call = hw_calloc(1, sizeof(*call) + device_size);
    call->delivery = d;
    call->session = (struct hint_session){row->incarnation, row->generation, row->slot};
    memcpy(call->device, row->device, device_size);
    call->told = (struct told){.next = d->told,
                               .device = call->device,
                               .generation = row->generation,
                               .incarnation = row->incarnation};
    d->told = &call->told;
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

static struct rows_of rows_of(const struct delivery *d) {
    return (struct rows_of){d->product, d->user, d->arrivals, loop_now_ms(d->center->loop)};
}

static void deliver_on_found(void *arg, int error, const Hawser__Internal__FindReply *reply) {
    struct delivery *d = arg;
    struct rows_of of = rows_of(d);
    d->open--;
    if (error == -HW_EDEADLINE && !d->found_again && !d->center->is_stopping &&
        register_of(d->center->cluster).link != d->asked) {
        d->found_again = true;
        find(d);
        return;
    }
    d->result.failed = d->result.failed || !reply;
    if (reply)
        known_rows_keep(&d->center->known_rows, &of, reply);
    for (size_t i = 0; reply && i < reply->n_row; i++)
        if (reply->row[i]->online)
            deliver_to(d, &(struct known_row){reply->row[i]->incarnation, reply->row[i]->slot,
                                              reply->row[i]->generation, reply->row[i]->device});
    delivery_step(d);
}

static void find(struct delivery *d) {
    Hawser__Internal__FindRequest request = HAWSER__INTERNAL__FIND_REQUEST__INIT;
    request.product = d->product;
    request.user = d->user;
    d->open++;
    d->center->count.rows_asked++;
    struct peer to = register_of(d->center->cluster);
    d->asked = to.link;
    register_find(to, &request, deliver_on_found, d);
}

// To those that are known, if that is all of them. A room that is not in the directory says nothing
// of its session: where that one is now a register says.
static bool deliver_to_known(struct delivery *d) {
    struct center *c = d->center;
    struct rows_of of = rows_of(d);
    const struct known_user *known = known_rows_find(&c->known_rows, &of);
    if (!known)
        return false;
    for (size_t i = 0; i < known->count; i++)
        if (!cluster_peer(c->cluster, known->row[i].incarnation))
            return false;
    c->count.rows_known++;
    for (size_t i = 0; i < known->count; i++)
        deliver_to(d, &known->row[i]); // whose answer comes later
    return true;
}

void deliver_to_user(struct center *c, const struct letter *letter, delivered_fn *done, void *arg) {
    bool is_hint = !message_is_live(letter->message); // else bounded by those who wait for it
    size_t bytes = is_hint ? HINT_BYTES + letter->message->payload.len : 0;
    if (is_hint && c->hints_bytes + bytes > HINTS_BYTES_MAX) {
        c->count.hints_dropped++;
        return;
    }
    struct delivery *d = hw_calloc(1, sizeof(*d));
    d->center = c;
    d->bytes = bytes;
    c->hints_bytes += bytes;
    d->product = letter->product;
    snprintf(d->user, sizeof(d->user), "%s", letter->user);
    d->epoch = letter->epoch;
    d->seq = letter->seq;
    d->change = letter->change;
    d->arrivals = letter->arrivals;
    d->message = (Hawser__Internal__StoredMessage *)message_copy(&letter->message->base);
    d->done = done;
    d->arg = arg;
    if (!deliver_to_known(d))
        find(d);
}

// --- to every room

struct news_delivery {
    size_t open; // calls, and the loop that makes them
    struct delivered result;
    delivered_fn *done;
    void *arg;
};

static void news_step(struct news_delivery *d) {
    if (--d->open > 0)
        return;
    if (d->done)
        d->done(d->arg, &d->result);
    free(d);
}

// A room that misses it hears of the head within a second.
static void on_news(void *arg, int error, const Hawser__Internal__NewsReply *reply) {
    struct news_delivery *d = arg;
    (void)error;
    d->result.handed_over += reply ? reply->sessions : 0;
    news_step(d);
}

void deliver_to_rooms(struct center *c, const struct letter *letter, delivered_fn *done,
                      void *arg) {
    Hawser__Internal__NewsRequest request = HAWSER__INTERNAL__NEWS_REQUEST__INIT;
    const Hawser__Internal__Member *room = NULL;
    struct news_delivery *d = hw_calloc(1, sizeof(*d));
    *d = (struct news_delivery){.open = 1, .done = done, .arg = arg};
    request.product = letter->product;
    request.message = (Hawser__Internal__StoredMessage *)(uintptr_t)letter->message;
    request.epoch = letter->epoch;
    request.seq = letter->seq;
    request.change = letter->change;
    while ((room = cluster_member_next(c->cluster, "room", room)) != NULL) {
        d->open++;
        room_news(room_of(c->cluster, room->incarnation), &request, on_news, d);
    }
    news_step(d);
}
