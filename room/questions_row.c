// What a session asks of the register: its row, at its login and whenever it is in doubt.
#include "close_codes.h"
#include "questions_internal.h"

#define DEADLINE(server, name, number, Message, message, deadline_ms, ...)                         \
    server##_##name##_deadline_ms = (deadline_ms),
enum { REGISTER_METHODS(DEADLINE) };
#undef DEADLINE
_Static_assert((int)register_login_deadline_ms == (int)ROW_LAST_MOMENT_MS &&
                   (int)register_confirm_deadline_ms == (int)ROW_LAST_MOMENT_MS,
               "a row may be written as long as its answer is waited for, and no longer");

enum { ASKED_MARGIN_MS = 10000 }; // the step may be held up, and the store's clock be set
enum { ADDRESS_MAX = 64 };

static struct session_row row_of(const Hawser__Internal__SessionRow *row) { // NULL: none
    return row ? (struct session_row){row->incarnation, row->slot, row->generation}
               : (struct session_row){0};
}

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

// What a login and a confirmation write alike: a row that is written anew is as it was.
#define ROW_QUESTION(request, b, text)                                                             \
    do {                                                                                           \
        const struct room *room_ = binding_room(b);                                                \
        QUESTION_OF(request, b);                                                                   \
        (request)->room = (char *)(uintptr_t)part_id(room_->env->part);                            \
        (request)->incarnation = room_->env->incarnation;                                          \
        (request)->slot = room_binding_row_slot(b);                                                \
        (request)->address = client_address(b, text);                                              \
        (request)->devices_max = room_binding_devices_max(b);                                      \
    } while (0)

// By the store's clock: then we have given up.
static uint64_t row_last_moment(const struct room *r) {
    return cluster_store_ms(r->cluster) + ROW_LAST_MOMENT_MS;
}

void ask_enter(struct room_binding *b) {
    Hawser__Internal__LoginRequest request = HAWSER__INTERNAL__LOGIN_REQUEST__INIT;
    struct room *r = binding_room(b);
    char address[ADDRESS_MAX];
    ROW_QUESTION(&request, b, address);
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
    ROW_QUESTION(&request, b, address);
    request.generation = room_binding_generation(b);
    request.login = room_binding_session(b)->fence.login_generation;
    request.since_ms = room_binding_since_ms(b);
    request.not_after_ms = row_last_moment(r); // then the session may have ended
    register_confirm(register_of(r->cluster), &request, on_confirmed,
                     counted_asker_new(b, &r->questions.confirmations));
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
    QUESTION_OF(&request, b);
    register_takeover(register_of(conn_room(c)->cluster), &request, on_counted, NULL);
}
