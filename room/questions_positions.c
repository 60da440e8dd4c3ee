// What a session asks of the saver about its positions: where it goes on, what was handled, and
// what was not.
#include "questions_internal.h"

// --- positions

static void take_start(struct session_start *start, const Hawser__Internal__AttachedStream *a) {
    *start = (struct session_start){
        .after = {a->epoch, a->after}, .head = a->head, .is_reset = a->reset};
}

static void on_attached(void *arg, int error, const Hawser__Internal__AttachReply *reply) {
    struct room_binding *b = counted_asker_over(arg, error);
    struct session_event e = {.kind = EVENT_ATTACHED};
    struct session_attached *a = &e.of.attached;
    if (!b)
        return;
    a->result = error != 0 ? SAVER_NO_ANSWER : reply->stale ? SAVER_STALE : SAVER_OK;
    a->is_known = reply && reply->known;
    for (size_t i = 0; reply && i < reply->n_stream; i++)
        if (reply->stream[i]->stream < FEEDS)
            take_start(&a->start[reply->stream[i]->stream], reply->stream[i]);
    room_binding_tell(b, &e);
}

size_t saver_positions_fill(struct saver_positions *out, const struct session_have *have) {
    size_t count = 0;
    for (uint32_t i = 0; i < FEEDS; i++) {
        if (!have->given[i])
            continue;
        Hawser__Internal__StreamPosition *p = out->list[count] = &out->at[count];
        hawser__internal__stream_position__init(p);
        p->stream = i;
        p->epoch = have->at[i].epoch;
        p->seq = have->at[i].seq;
        count++;
    }
    return count;
}

static void attach(struct room_binding *b, const struct session_have *have) {
    Hawser__Internal__AttachRequest request = HAWSER__INTERNAL__ATTACH_REQUEST__INIT;
    struct awake *a = room_binding_wake(b);
    struct saver_positions at;
    request.n_have = saver_positions_fill(&at, have);
    request.have = at.list;
    QUESTION_BY(&request, b);
    request.devices_max = room_binding_devices_max(b);
    request.n_known = a->known_device_count;
    request.known = a->known_devices;
    saver_attach(saver_of_binding(b), &request, on_attached, login_asker_new(b));
    free(a->known_devices);
    a->known_devices = NULL;
    a->known_device_count = 0;
}

void ask_attach(struct room_binding *b) {
    attach(b, &room_binding_session(b)->have);
}

// --- what was handled

static void on_saved(void *arg, int error, const Hawser__Internal__AckReply *reply) {
    struct room_binding *b = asker_over(arg);
    if (!b)
        return;
    enum session_saver_result result = error != 0       ? SAVER_NO_ANSWER
                                       : reply->stale   ? SAVER_STALE
                                       : reply->unknown ? SAVER_UNKNOWN
                                                        : SAVER_OK;
    room_binding_tell(b, &(struct session_event){.kind = EVENT_SAVED, .of.saved = result});
}

static void questions_save(struct room_binding *b) {
    Hawser__Internal__AckRequest request = HAWSER__INTERNAL__ACK_REQUEST__INIT;
    Hawser__Internal__StreamPosition at = HAWSER__INTERNAL__STREAM_POSITION__INIT, *list[1] = {&at};
    const struct feed *inbox = &room_binding_session(b)->feed[FEED_INBOX];
    QUESTION_BY(&request, b);
    at.stream = FEED_INBOX;
    at.epoch = inbox->epoch;
    at.seq = inbox->acked;
    request.n_upto = 1;
    request.upto = list;
    saver_ack(saver_of_binding(b), &request, on_saved, asker_new(b));
}

// Where the client is.
static void attach_again(struct room_binding *b) {
    struct session_have have = {0};
    for (int i = 0; i < FEEDS_SERVED; i++) {
        const struct feed *f = &room_binding_session(b)->feed[i];
        have.given[i] = true;
        have.at[i] = (struct stream_position){f->epoch, f->acked};
    }
    attach(b, &have);
}

static void flush_saves(struct hook *h) {
    struct room *r = container_of(h, struct room, questions.flush_saves);
    while (r->questions.to_save) {
        struct room_binding *b = r->questions.to_save;
        r->questions.to_save = b->of.awake->next_to_save;
        b->of.awake->is_to_save = false;
        if (session_begins_save(room_binding_session(b)))
            attach_again(b);
        else
            questions_save(b);
    }
}

void ask_save(struct room_binding *b) {
    struct room *r = binding_room(b);
    struct awake *a = room_binding_wake(b);
    a->is_to_save = true;
    a->next_to_save = r->questions.to_save;
    r->questions.to_save = b;
    hook_schedule(r->loop, &r->questions.flush_saves, flush_saves);
}

// --- what was not handled

static void on_attempted(void *arg, int error, const Hawser__Internal__AttemptReply *reply) {
    struct room *r = ((const struct question_asker *)arg)->room;
    struct room_binding *b = asker_over(arg);
    (void)error;
    r->count.delivery.attempts += reply && reply->counted;
    r->count.delivery.parked += reply && reply->parked;
    if (b)
        room_binding_tell_kind(b, EVENT_ATTEMPTED);
}

void ask_attempt(struct room_binding *b, const struct session_effect *e) {
    Hawser__Internal__AttemptRequest request = HAWSER__INTERNAL__ATTEMPT_REQUEST__INIT;
    QUESTION_BY(&request, b);
    request.epoch = e->of.attempt.after.epoch;
    request.after = e->of.attempt.after.seq;
    request.upto = e->of.attempt.upto;
    saver_attempt(saver_of_binding(b), &request, on_attempted, asker_new(b));
}
