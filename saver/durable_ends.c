#include "durable_ends.h"

#include "ends.h"
#include "message.h"
#include "saver_store.h"

struct acker {
    uint32_t product;
    const char *user, *device;
};

struct acked {
    size_t count;
    Hawser__Internal__InboxEnd *const *end;
};

static void note_acked(struct store_step *p, uint64_t epoch, const struct acker *by,
                       const struct acked *what) {
    for (size_t i = 0; i < what->count; i++)
        ends_note_message(durable_ends_of(p), by->product, by->user,
                          &(struct message_end){.epoch = epoch,
                                                .first = what->end[i]->first,
                                                .last = what->end[i]->last,
                                                .at_ms = loop_wall_ms(p->store->loop),
                                                .state = what->end[i]->state,
                                                .device = by->device});
}

static void on_ack_at_front(void *arg, int error, const ProtobufCMessage *message) {
    struct store_step *p = arg;
    const Hawser__Internal__AckRequest *q = (const Hawser__Internal__AckRequest *)p->request;
    if (error != 0) {
        store_step_complete(p, error, NULL);
        return;
    }
    Hawser__Internal__AckReply reply = *(const Hawser__Internal__AckReply *)message;
    for (size_t i = 0; reply.left > 0 && i < q->n_upto; i++)
        if (q->upto[i]->stream == STREAM_INBOX)
            ends_note(durable_ends_of(p), q->product, q->user,
                      &(struct inbox_end){q->upto[i]->epoch, reply.left});
    reply.left = 0;
    for (size_t i = 0; reply.n_end > 0 && i < q->n_upto; i++)
        if (q->upto[i]->stream == STREAM_INBOX) // those of one log
            note_acked(p, q->upto[i]->epoch, &(struct acker){q->product, q->user, q->device},
                       &(struct acked){reply.n_end, reply.end});
    reply.n_end = 0;
    reply.end = NULL;
    store_step_complete(p, 0, message_copy(&reply.base));
}

void durable_ack(struct store_step *p, const ProtobufCMessage *request) {
    store_step_keep(p, request);
    store_call(store_pair_of(p)->front, request, on_ack_at_front, p);
}

static void on_attach_at_front(void *arg, int error, const ProtobufCMessage *message) {
    struct store_step *p = arg;
    const Hawser__Internal__AttachRequest *q = (const Hawser__Internal__AttachRequest *)p->request;
    if (error != 0) {
        store_step_complete(p, error, NULL);
        return;
    }
    Hawser__Internal__AttachReply reply = *(const Hawser__Internal__AttachReply *)message;
    for (size_t i = 0; reply.n_end > 0 && i < reply.n_stream; i++)
        if (reply.stream[i]->stream == STREAM_INBOX)
            note_acked(p, reply.stream[i]->epoch, &(struct acker){q->product, q->user, q->device},
                       &(struct acked){reply.n_end, reply.end});
    reply.n_end = 0;
    reply.end = NULL;
    store_step_complete(p, 0, message_copy(&reply.base));
}

void durable_attach(struct store_step *p, const ProtobufCMessage *request) {
    store_step_keep(p, request);
    store_call(store_pair_of(p)->front, request, on_attach_at_front, p);
}

static void on_attempt_at_front(void *arg, int error, const ProtobufCMessage *message) {
    struct store_step *p = arg;
    const Hawser__Internal__AttemptRequest *q =
        (const Hawser__Internal__AttemptRequest *)p->request;
    const Hawser__Internal__AttemptReply *reply = (const Hawser__Internal__AttemptReply *)message;
    if (error == 0 && reply->ended > 0)
        ends_note_message(
            durable_ends_of(p), q->product, q->user,
            &(struct message_end){.epoch = q->epoch,
                                  .first = reply->ended,
                                  .last = reply->ended,
                                  .at_ms = loop_wall_ms(p->store->loop),
                                  .state = HAWSER__INTERNAL__OUTCOME_STATE__STATE_PARKED,
                                  .device = q->device});
    store_step_complete(p, error, error == 0 ? message_copy(message) : NULL);
}

void durable_attempt(struct store_step *p, const ProtobufCMessage *request) {
    store_step_keep(p, request);
    store_call(store_pair_of(p)->front, request, on_attempt_at_front, p);
}

// --- a recall: before it is answered MariaDB has it

static void on_recall_landed(void *arg, int error, const ProtobufCMessage *message) {
    struct store_step *p = arg;
    ProtobufCMessage *reply = p->reply;
    (void)message;
    p->reply = NULL;
    if (error == 0) {
        store_step_complete(p, 0, reply);
        return;
    }
    protobuf_c_message_free_unpacked(reply, NULL);
    store_step_complete(p, error, NULL);
}

static void on_recall_at_front(void *arg, int error, const ProtobufCMessage *message) {
    struct store_step *p = arg;
    const Hawser__Internal__RecallRequest *q = (const Hawser__Internal__RecallRequest *)p->request;
    const Hawser__Internal__RecallReply *reply = (const Hawser__Internal__RecallReply *)message;
    Hawser__Internal__RecalledRequest at = HAWSER__INTERNAL__RECALLED_REQUEST__INIT;
    if (error != 0 || reply->outcome != HAWSER__INTERNAL__RECALL_OUTCOME__RECALL_DONE) {
        store_step_complete(p, error, error == 0 ? message_copy(message) : NULL);
        return;
    }
    p->reply = message_copy(message);
    at.product = q->product;
    at.stream = q->stream;
    at.user = q->user;
    at.id = q->id;
    at.epoch = reply->epoch;
    at.seq = reply->seq;
    at.expires_ms = reply->expires_ms;
    ends_note_message(
        durable_ends_of(p), q->product, q->user,
        &(struct message_end){.epoch = at.epoch,
                              .first = at.seq,
                              .last = at.seq,
                              .at_ms = loop_wall_ms(p->store->loop),
                              .state = HAWSER__INTERNAL__OUTCOME_STATE__STATE_RECALLED,
                              .device = ""});
    store_call(store_pair_of(p)->back, &at.base, on_recall_landed, p);
}

void durable_recall(struct store_step *p, const ProtobufCMessage *request) {
    store_step_keep(p, request);
    store_call(store_pair_of(p)->front, request, on_recall_at_front, p);
}
