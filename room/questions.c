// What a session asks of register and saver. An answer goes to the slot and turn that asked,
// so that one for a session that is gone finds nobody.
#include "close_codes.h"
#include "room_internal.h"

#define DEADLINE(server, name, number, Message, message, deadline_ms, ...)                         \
    server##_##name##_deadline_ms = (deadline_ms),
enum { REGISTER_METHODS(DEADLINE) };
#undef DEADLINE
_Static_assert((int)register_login_deadline_ms == (int)ROW_LAST_MOMENT_MS &&
                   (int)register_confirm_deadline_ms == (int)ROW_LAST_MOMENT_MS,
               "a row may be written as long as its answer is waited for, and no longer");

enum { ASKED_MARGIN_MS = 10000 }; // the step may be held up, and the store's clock be set
enum { ADDRESS_MAX = 64 };

struct question_asker {
    struct room *room;
    uint32_t slot, turn;
    uint64_t asked_ms;
    struct admission *admission; // of a counted one's kind
};

static struct question_asker *asker_new(const struct room_binding *b) {
    struct question_asker *a = hw_malloc(sizeof(*a));
    struct room *r = binding_room(b);
    *a = (struct question_asker){r, slab_slot(b), slab_turn(b), loop_now_ms(r->loop), NULL};
    return a;
}

// Of a kind of which register and saver are not to have more than they can do.
static struct question_asker *counted_asker_new(const struct room_binding *b,
                                                struct admission *kind) {
    struct question_asker *a = asker_new(b);
    a->admission = kind;
    admission_asked(kind);
    return a;
}

// Who asked, if it is still there; frees the asker.
static struct room_binding *asker_over(void *arg) {
    struct question_asker a = *(struct question_asker *)arg;
    free(arg);
    return a.room->is_stopping ? NULL : room_binding_find(a.room, a.slot, a.turn);
}

static struct room_binding *counted_asker_over(void *arg, int error) {
    const struct question_asker *a = arg;
    admission_answered(a->admission, a->asked_ms, loop_now_ms(a->room->loop), error == 0);
    return asker_over(arg);
}

static char *user_of(const struct room_binding *b) { // requests are only read
    return (char *)(uintptr_t)room_binding_user(b);
}

static struct peer saver(const struct room_binding *b) {
    return saver_of(binding_room(b)->cluster, b->product->number, room_binding_user(b));
}

struct session_row row_of(const Hawser__Internal__SessionRow *row) {
    return row ? (struct session_row){row->incarnation, row->slot, row->generation}
               : (struct session_row){0};
}

static struct question_asker *login_asker_new(const struct room_binding *b) {
    return counted_asker_new(b, &binding_room(b)->admission);
}

// --- the row

static const char *refusal_text(const Hawser__Internal__LoginReply *reply) {
    return reply->devices_full                    ? "too many devices"
           : reply->refused == CLOSE_RATE_LIMITED ? "too many logins of this device"
           : reply->refused == CLOSE_KICKED       ? "kicked"
           : reply->refused == CLOSE_BUSY         ? "the register was asked too late"
                                                  : "refused by the register";
}

// Of two logins here the one asked for later is the newer one, whichever the register did first.
static bool is_overtaken(struct room_binding *b, const struct session_row *replaced) {
    struct room *r = binding_room(b);
    struct room_binding *other = replaced->incarnation == r->env->incarnation
                                     ? room_binding_of_row_slot(r, replaced->slot)
                                     : NULL;
    return other && room_binding_state(other) != SESSION_LEAVING &&
           room_binding_session(other)->fence.login_order >
               room_binding_session(b)->fence.login_order;
}

// Pointers and texts in one block.
static void keep_known(struct room_binding *b, const Hawser__Internal__LoginReply *reply) {
    struct awake *a = room_binding_wake(b);
    size_t bytes = reply->n_device * sizeof(char *);
    for (size_t i = 0; i < reply->n_device; i++)
        bytes += strlen(reply->device[i]) + 1;
    if (reply->n_device == 0)
        return;
    a->known_devices = hw_malloc(bytes);
    a->known_device_count = reply->n_device;
    char *at = (char *)(a->known_devices + reply->n_device);
    for (size_t i = 0; i < reply->n_device; i++) {
        size_t len = strlen(reply->device[i]) + 1;
        a->known_devices[i] = memcpy(at, reply->device[i], len);
        at += len;
    }
}

static void on_entered(void *arg, int error, const Hawser__Internal__LoginReply *reply) {
    struct room_binding *b = counted_asker_over(arg, error);
    struct session_event e = {.kind = EVENT_ROW};
    struct session_row_answer *a = &e.of.row;
    if (!b)
        return;
    a->client_is_gone = !b->conn->stream || stream_peer_is_gone(b->conn->stream);
    a->result = error != 0 ? ROW_NO_ANSWER : reply->refused != 0 ? ROW_REFUSED : ROW_WRITTEN;
    if (a->result == ROW_REFUSED)
        a->refusal = (struct session_refusal){reply->refused, (uint32_t)reply->retry_after_ms,
                                              refusal_text(reply)};
    if (a->result == ROW_WRITTEN) {
        a->generation = reply->generation;
        a->replaced = row_of(reply->replaced);
        a->is_overtaken = is_overtaken(b, &a->replaced);
        keep_known(b, reply);
    }
    room_binding_tell(b, &e);
}

// At most, when the register does the step. Its client may have logged in elsewhere since.
static uint64_t asked_ago_ms(const struct room_binding *b) {
    if (b->of.awake->asked_since_ms == 0)
        return 0;
    return loop_now_ms(binding_room(b)->loop) - b->of.awake->asked_since_ms + ASKED_MARGIN_MS;
}

// Empty of one that has left meanwhile: its row goes when it is answered, or when it has lingered.
static char *client_address(const struct room_binding *b, char out[ADDRESS_MAX]) {
    struct sock_addr peer = {.len = 0};
    *out = '\0';
    if (b->conn->stream)
        stream_peer(b->conn->stream, &peer);
    if (peer.len > 0)
        sock_addr_format(&peer, out, ADDRESS_MAX);
    return out;
}

// By the store's clock: then we have given up.
static uint64_t row_last_moment(const struct room *r) {
    return cluster_store_ms(r->cluster) + ROW_LAST_MOMENT_MS;
}

void ask_enter(struct room_binding *b) {
    Hawser__Internal__LoginRequest request = HAWSER__INTERNAL__LOGIN_REQUEST__INIT;
    struct room *r = binding_room(b);
    char address[ADDRESS_MAX];
    request.product = b->product->number;
    request.user = user_of(b);
    request.device = b->conn->device;
    request.room = (char *)(uintptr_t)part_id(r->env->part);
    request.incarnation = r->env->incarnation;
    request.slot = room_binding_row_slot(b);
    request.address = client_address(b, address);
    request.devices_max = room_binding_devices_max(b);
    request.not_after_ms = row_last_moment(r); // then the client may log in again
    request.asked_ago_ms = asked_ago_ms(b);
    room_binding_wake(b)->since_ms = loop_wall_ms(r->loop);
    register_login(register_of(r->cluster), &request, on_entered, login_asker_new(b));
}

static void on_confirmed(void *arg, int error, const Hawser__Internal__ConfirmReply *reply) {
    static const enum fence_outcome outcomes[] = {
        [HAWSER__INTERNAL__CONFIRMED__CONFIRMED_HELD] = FENCE_HELD,
        [HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN] = FENCE_REWRITTEN,
        [HAWSER__INTERNAL__CONFIRMED__CONFIRMED_SUPERSEDED] = FENCE_HIGHER,
        [HAWSER__INTERNAL__CONFIRMED__CONFIRMED_UNDECIDED] = FENCE_UNKNOWN};
    struct room_binding *b = counted_asker_over(arg, error);
    struct session_event e = {.kind = EVENT_CONFIRMED};
    struct session_confirmed *c = &e.of.confirmed;
    if (!b)
        return;
    c->is_answer = error == 0;
    if (reply) {
        bool is_known = reply->outcome <= HAWSER__INTERNAL__CONFIRMED__CONFIRMED_UNDECIDED;
        c->answer.outcome = is_known ? outcomes[reply->outcome] : FENCE_UNKNOWN;
        c->answer.generation = reply->generation;
        c->replaced = row_of(reply->replaced);
    }
    room_binding_tell(b, &e);
}

void ask_row(struct room_binding *b) {
    Hawser__Internal__ConfirmRequest request = HAWSER__INTERNAL__CONFIRM_REQUEST__INIT;
    struct room *r = binding_room(b);
    char address[ADDRESS_MAX];
    request.product = b->product->number;
    request.user = user_of(b);
    request.device = b->conn->device;
    request.room = (char *)(uintptr_t)part_id(r->env->part);
    request.incarnation = r->env->incarnation;
    request.slot = room_binding_row_slot(b);
    request.generation = room_binding_generation(b);
    request.login = room_binding_session(b)->fence.login_generation;
    request.since_ms = room_binding_since_ms(b);
    request.address = client_address(b, address); // a row written anew has it again
    request.devices_max = room_binding_devices_max(b);
    request.not_after_ms = row_last_moment(r); // then the session may have ended
    register_confirm(register_of(r->cluster), &request, on_confirmed,
                     counted_asker_new(b, &r->confirmations));
}

static void on_counted(void *arg, int error, const Hawser__Internal__TakeoverReply *reply) {
    (void)arg; // one that is lost was not counted
    (void)error;
    (void)reply;
}

// Only here is it known whether its client was still there: one that comes back after a crash takes
// nobody's place.
void ask_count_takeover(struct room_binding *b) {
    Hawser__Internal__TakeoverRequest request = HAWSER__INTERNAL__TAKEOVER_REQUEST__INIT;
    struct conn *c = b->conn;
    if (!c->stream || stream_peer_is_gone(c->stream))
        return;
    request.product = b->product->number;
    request.user = user_of(b);
    request.device = c->device;
    register_takeover(register_of(conn_room(c)->cluster), &request, on_counted, NULL);
}

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
    request.product = b->product->number;
    request.user = user_of(b);
    request.device = b->conn->device;
    request.generation = room_binding_generation(b);
    request.devices_max = room_binding_devices_max(b);
    request.n_known = a->known_device_count;
    request.known = a->known_devices;
    saver_attach(saver(b), &request, on_attached, login_asker_new(b));
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
    request.product = b->product->number;
    request.user = user_of(b);
    request.device = b->conn->device;
    request.generation = room_binding_generation(b);
    at.stream = FEED_INBOX;
    at.epoch = inbox->epoch;
    at.seq = inbox->acked;
    request.n_upto = 1;
    request.upto = list;
    saver_ack(saver(b), &request, on_saved, asker_new(b));
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
    struct room *r = container_of(h, struct room, flush_acks);
    while (r->to_save) {
        struct room_binding *b = r->to_save;
        r->to_save = b->of.awake->next_to_save;
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
    a->next_to_save = r->to_save;
    r->to_save = b;
    hook_schedule(r->loop, &r->flush_acks, flush_saves);
}

// --- what was not handled

static void on_attempted(void *arg, int error, const Hawser__Internal__AttemptReply *reply) {
    struct room *r = ((const struct question_asker *)arg)->room;
    struct room_binding *b = asker_over(arg);
    (void)error;
    r->count.attempts += reply && reply->counted;
    r->count.parked += reply && reply->parked;
    if (b)
        room_binding_tell_kind(b, EVENT_ATTEMPTED);
}

void ask_attempt(struct room_binding *b, const struct session_effect *e) {
    Hawser__Internal__AttemptRequest request = HAWSER__INTERNAL__ATTEMPT_REQUEST__INIT;
    request.product = b->product->number;
    request.user = user_of(b);
    request.device = b->conn->device;
    request.generation = room_binding_generation(b);
    request.epoch = e->of.attempt.after.epoch;
    request.after = e->of.attempt.after.seq;
    request.upto = e->of.attempt.upto;
    saver_attempt(saver(b), &request, on_attempted, asker_new(b));
}

// --- the inbox's head

static void on_head(void *arg, int error, const Hawser__Internal__HeadReply *reply) {
    struct room_binding *b = counted_asker_over(arg, error);
    if (!b || !reply)
        return; // the next pass asks again
    const struct stream_position head = {reply->epoch, reply->head};
    if (room_binding_sleeps_at(b, FEED_INBOX, &head))
        return; // all of them are asked for twice a minute
    const struct feed *inbox = &room_binding_session(b)->feed[FEED_INBOX];
    binding_room(b)->count.heads_ahead += room_binding_session(b)->is_synced &&
                                          reply->epoch == inbox->epoch &&
                                          reply->head > inbox->heard;
    room_binding_tell(b, &(struct session_event){.kind = EVENT_HINTED,
                                                 .of.position = {reply->epoch, reply->head}});
}

static void questions_head(struct room_binding *b, bool arrives, saver_head_done *done) {
    struct room *r = binding_room(b);
    Hawser__Internal__HeadRequest request = HAWSER__INTERNAL__HEAD_REQUEST__INIT;
    request.product = b->product->number;
    request.user = user_of(b);
    request.arrives = arrives;
    saver_head(saver(b), &request, done, counted_asker_new(b, &r->heads_asked));
}

void ask_head(struct room_binding *b) {
    questions_head(b, false, on_head);
}

// Until the inbox has counted it, a center may not know of its row.
static void on_arrival(void *arg, int error, const Hawser__Internal__HeadReply *reply) {
    const struct question_asker *a = arg;
    struct room *r = a->room;
    struct room_binding *b = r->is_stopping ? NULL : room_binding_find(r, a->slot, a->turn);
    if (b && !reply)
        handles_add(&r->arrivals, room_binding_row_slot(b));
    on_head(arg, error, reply);
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
    handles_take(&r->arrivals, arrives_again, r);
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
    request.product = b->product->number;
    request.stream = FEED_INBOX;
    request.user = user_of(b);
    request.device = b->conn->device;
    request.epoch = inbox->epoch;
    request.after = inbox->sent;
    request.max_messages = messages > 0 ? messages : 1;
    request.max_bytes = bytes > 0 ? bytes : 1;
    binding_room(b)->count.loads++;
    saver_load(saver(b), &request, on_loaded, asker_new(b));
}
