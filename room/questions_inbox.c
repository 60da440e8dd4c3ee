// What a session asks of the saver about its inbox: its head, and what is in it.
#include "questions_internal.h"

// --- the inbox's head

static void questions_took_head(struct room_binding *b, const Hawser__Internal__HeadReply *reply) {
    const struct stream_position head = {reply->epoch, reply->head};
    if (room_binding_sleeps_at(b, FEED_INBOX, &head))
        return; // all of them are asked for twice a minute
    const struct feed *inbox = &room_binding_session(b)->feed[FEED_INBOX];
    binding_room(b)->count.delivery.heads_ahead += room_binding_session(b)->is_synced &&
                                                   reply->epoch == inbox->epoch &&
                                                   reply->head > inbox->heard;
    room_binding_tell(
        b, &(struct session_event){.kind = EVENT_HINTED, .of.hint = {head, reply->change}});
}

static void on_head(void *arg, int error, const Hawser__Internal__HeadReply *reply) {
    struct room_binding *b = counted_asker_over(arg, error);
    if (b && reply) // else the next pass asks again
        questions_took_head(b, reply);
}

static void questions_head(struct room_binding *b, bool arrives, saver_head_done *done) {
    struct room *r = binding_room(b);
    Hawser__Internal__HeadRequest request = HAWSER__INTERNAL__HEAD_REQUEST__INIT;
    QUESTION_OF_USER(&request, b);
    request.arrives = arrives;
    saver_head(saver_of_binding(b), &request, done, counted_asker_new(b, &r->questions.heads));
}

void ask_head(struct room_binding *b) {
    questions_head(b, false, on_head);
}

// Until the inbox has counted it, a center may not know of its row.
static void on_arrival(void *arg, int error, const Hawser__Internal__HeadReply *reply) {
    struct room_binding *b = counted_asker_over(arg, error);
    if (b && reply)
        questions_took_head(b, reply);
    else if (b)
        handles_add(&binding_room(b)->questions.arrivals, room_binding_row_slot(b));
}

void ask_arrival(struct room_binding *b) {
    questions_head(b, true, on_arrival);
}

static bool arrives_again(void *room, uint64_t row_slot) {
    struct room_binding *b = room_binding_of_row_slot(room, row_slot);
    if (b)
        ask_arrival(b);
    return false;
}

void ask_arrivals_again(struct room *r) {
    handles_take(&r->questions.arrivals, arrives_again, r);
}

// --- the inbox itself: inbox.c takes the answer

// What goes out of it goes out at once: what was written down before comes first.
static void on_loaded(void *arg, int error, const Hawser__Internal__LoadReply *reply) {
    effects_settle(&((struct question_asker *)arg)->room->effects);
    struct room_binding *b = asker_over(arg);
    (void)error;
    if (b)
        inbox_loaded(b, reply);
}

void ask_load(struct room_binding *b) {
    Hawser__Internal__LoadRequest request = HAWSER__INTERNAL__LOAD_REQUEST__INIT;
    const struct feed *inbox = &room_binding_session(b)->feed[FEED_INBOX];
    uint32_t messages = feed_messages_left(inbox), bytes = feed_bytes_left(inbox);
    QUESTION_OF(&request, b);
    request.stream = FEED_INBOX;
    request.epoch = inbox->epoch;
    request.after = inbox->sent;
    request.max_messages = messages > 0 ? messages : 1;
    request.max_bytes = bytes > 0 ? bytes : 1;
    binding_room(b)->count.delivery.loads++;
    saver_load(saver_of_binding(b), &request, on_loaded, asker_new(b));
}
