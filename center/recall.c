// Recalls. The log comes first: a room that loads behind that finds a gap, and so does a session
// that registers behind that. Then rooms are told. A user's are those with a session of his, as a
// register knows them; a broadcast's are all. A room that leaves the directory has lost its lease,
// and sends nothing before it has asked anew. What fails is done again from the last of these steps
// on.
//
//   the id --> which inbox --> out of the log --> its rooms are told --> 200
//       (only of a user's)          |                    |
//                                   +-- not there: 404   +-- after 5 s 202, and it goes on
#include "recall.h"

#include "handlers.h"
#include "message_id.h"
#include "streams.h"
#include "texts.h"

enum {
    RECALL_ANSWER_MS = 5000,
    RECALL_GIVE_UP_MS = 60000, // whoever asks again begins anew
    RECALL_RETRY_MS = 200,
    RECALLS_MAX = 1000, // under way at a center
};

struct recall {
    LIST_ENTRY(recall) at_center;
    struct center *center;
    struct request *request; // NULL: it is answered, or its client has gone
    uint32_t product;
    char id[MESSAGE_ID_CHARS + 1];
    struct message_home home;
    uint64_t give_up_ms;
    struct timer answer, retry;
    void (*step)(struct recall *r); // what is done again
    // which inbox
    uint64_t cursor, after;
    char **user; // owned; a page, user_at first
    size_t user_count, user_at;
    // where it was
    Hawser__Internal__RecallReply found;
    size_t open; // calls to rooms, and the loop that makes them
    bool was_missed;
};

// --- its end

static void users_free(struct recall *r) {
    for (size_t i = 0; i < r->user_count; i++)
        free(r->user[i]);
    free(r->user);
    r->user = NULL;
    r->user_count = r->user_at = 0;
}

static void recall_free(struct recall *r) {
    if (r->request)
        r->request->state = NULL;
    loop_disarm(r->center->loop, &r->answer);
    loop_disarm(r->center->loop, &r->retry);
    LIST_REMOVE(r, at_center);
    r->center->count.recalls_open--;
    users_free(r);
    free(r);
}

// Its request, which is answered next.
static struct request *request_of_recall(struct recall *r) {
    struct request *q = r->request;
    r->request = NULL;
    q->state = NULL;
    return q;
}

static void reply_status(struct recall *r, int status, const char *state) {
    json_t *body = json_pack("{s:s, s:s}", "id", r->id, "state", state);
    if (r->found.sent_ms) { // else its log has yet to say
        json_object_set_new(body, "accepted_at", time_json(r->found.sent_ms));
        json_object_set_new(body, "expires_at", time_json(r->found.expires_ms));
    }
    reply_json(request_of_recall(r), status, body);
}

static void recall_done(struct recall *r) {
    if (r->request)
        reply_status(r, 200, "recalled");
    r->center->count.recalled++;
    recall_free(r);
}

static void recall_unknown(struct recall *r) {
    if (r->request)
        reply_fault(request_of_recall(r), PROBLEM_not_found, NULL,
                    "no log has a message of this id");
    recall_free(r);
}

static void recall_on_answer_due(struct timer *t) {
    reply_status(container_of(t, struct recall, answer), 202, "recalling");
}

static void recall_client_gone(void *state) {
    struct recall *r = state;
    if (!r)
        return;
    r->request = NULL;
    loop_disarm(r->center->loop, &r->answer);
}

void recalls_end(struct center *c) {
    while (!LIST_EMPTY(&c->recalls))
        recall_free(LIST_FIRST(&c->recalls));
}

// --- again

static void recall_try_again(struct timer *t) {
    struct recall *r = container_of(t, struct recall, retry);
    r->step(r);
}

// False: it has ended.
static bool recall_goes_on(struct recall *r, int error) {
    if (error != -HW_ECANCELLED || !r->center->is_stopping)
        return true;
    recall_free(r);
    return false;
}

static void recall_missed(struct recall *r, int error) {
    if (!recall_goes_on(r, error))
        return;
    if (loop_now_ms(r->center->loop) < r->give_up_ms)
        loop_arm(r->center->loop, &r->retry, RECALL_RETRY_MS, recall_try_again);
    else
        recall_free(r);
}

// --- its rooms

static void tell_rooms(struct recall *r);

static void room_settled(struct recall *r) {
    if (--r->open > 0)
        return;
    if (r->was_missed)
        recall_missed(r, r->center->is_stopping ? -HW_ECANCELLED : -HW_ELINK);
    else
        recall_done(r);
}

static void on_news_told(void *arg, int error, const Hawser__Internal__NewsReply *reply) {
    struct recall *r = arg;
    (void)error;
    r->was_missed = r->was_missed || !reply;
    room_settled(r);
}

static void tell_every_room(struct recall *r) {
    Hawser__Internal__NewsRequest request = HAWSER__INTERNAL__NEWS_REQUEST__INIT;
    struct cluster *cluster = r->center->cluster;
    const Hawser__Internal__Member *room = NULL;
    request.product = r->product;
    request.epoch = r->found.epoch;
    request.seq = r->found.head;
    request.change = r->found.change;
    r->open = 1;
    while ((room = cluster_member_next(cluster, "room", room)) != NULL) {
        r->open++;
        room_news(room_of(cluster, room->incarnation), &request, on_news_told, r);
    }
    room_settled(r);
}

// A session that is not there any more has nothing; where it is now was registered behind that.
static void on_session_told(void *arg, int error, const Hawser__Internal__DeliverReply *reply) {
    struct recall *r = arg;
    r->was_missed = r->was_missed || (!reply && error != -HW_ENOTHERE);
    room_settled(r);
}

static void tell_session(struct recall *r, const Hawser__Internal__SessionRow *row) {
    Hawser__Internal__DeliverRequest request = HAWSER__INTERNAL__DELIVER_REQUEST__INIT;
    struct rpc_link *room = cluster_peer(r->center->cluster, row->incarnation);
    if (!room) { // it has come just now, or its lease is over
        r->was_missed = r->was_missed || row->online;
        return;
    }
    request.incarnation = row->incarnation;
    request.slot = row->slot;
    request.generation = row->generation;
    request.product = r->product;
    request.epoch = r->found.epoch;
    request.seq = r->found.head;
    request.change = r->found.change;
    r->open++;
    room_deliver(peer_by(r->center->cluster, room), &request, on_session_told, r);
}

static void on_sessions_found(void *arg, int error, const Hawser__Internal__FindReply *reply) {
    struct recall *r = arg;
    if (!reply) {
        recall_missed(r, error);
        return;
    }
    r->open = 1;
    for (size_t i = 0; i < reply->n_row; i++)
        if (!reply->row[i]->ended)
            tell_session(r, reply->row[i]);
    room_settled(r);
}

static void find_sessions(struct recall *r) {
    Hawser__Internal__FindRequest request = HAWSER__INTERNAL__FIND_REQUEST__INIT;
    request.product = r->product;
    request.user = r->user[r->user_at];
    register_find(register_of(r->center->cluster), &request, on_sessions_found, r);
}

static void tell_rooms(struct recall *r) {
    r->step = tell_rooms;
    r->was_missed = false;
    if (r->home.kind == MESSAGE_TO_ALL)
        tell_every_room(r);
    else
        find_sessions(r);
}

// --- out of its log

static void next_inbox(struct recall *r);
static void take_out(struct recall *r);

static void on_taken_out(void *arg, int error, const Hawser__Internal__RecallReply *reply) {
    struct recall *r = arg;
    if (!reply) {
        recall_missed(r, error);
        return;
    }
    switch (reply->outcome) {
    case HAWSER__INTERNAL__RECALL_OUTCOME__RECALL_MORE:
        r->after = reply->after;
        take_out(r);
        return;
    case HAWSER__INTERNAL__RECALL_OUTCOME__RECALL_DONE:
        r->found = *reply; // it has numbers only
        tell_rooms(r);
        return;
    case HAWSER__INTERNAL__RECALL_OUTCOME__RECALL_UNKNOWN:
    case _HAWSER__INTERNAL__RECALL_OUTCOME_IS_INT_SIZE:
        r->user_at++;
        next_inbox(r);
        return;
    }
    recall_missed(r, -HW_EMALFORMED);
}

static void take_out(struct recall *r) {
    Hawser__Internal__RecallRequest request = HAWSER__INTERNAL__RECALL_REQUEST__INIT;
    struct cluster *cluster = r->center->cluster;
    const char *user = r->home.kind == MESSAGE_TO_ALL ? NULL : r->user[r->user_at];
    r->step = take_out;
    request.product = r->product;
    request.stream = user ? STREAM_INBOX : STREAM_NEWS;
    request.user = (char *)(uintptr_t)(user ? user : "");
    request.id = r->id;
    request.after = r->after;
    struct peer saver =
        user ? saver_of(cluster, r->product, user) : saver_of_product(cluster, r->product);
    saver_recall(saver, &request, on_taken_out, r);
}

// --- which inbox: its user is one of those with that mark

static void ask_inboxes(struct recall *r);

static void on_inboxes(void *arg, int error, const Hawser__Internal__InboxesReply *reply) {
    struct recall *r = arg;
    if (!reply) {
        recall_missed(r, error);
        return;
    }
    users_free(r);
    r->cursor = reply->cursor;
    r->user = hw_calloc(reply->n_user + 1, sizeof(r->user[0]));
    for (size_t i = 0; i < reply->n_user; i++)
        r->user[r->user_count++] = hw_strdup(reply->user[i]);
    next_inbox(r);
}

static void ask_inboxes(struct recall *r) {
    Hawser__Internal__InboxesRequest request = HAWSER__INTERNAL__INBOXES_REQUEST__INIT;
    r->step = ask_inboxes;
    request.product = r->product;
    request.bucket = r->home.bucket;
    request.mark = r->home.mark;
    request.cursor = r->cursor;
    saver_inboxes(saver_of_product(r->center->cluster, r->product), &request, on_inboxes, r);
}

static void next_inbox(struct recall *r) {
    r->after = 0;
    if (r->user_at < r->user_count)
        take_out(r);
    else if (r->cursor != 0)
        ask_inboxes(r);
    else
        recall_unknown(r);
}

// --- the call

static void recall_begin(struct request *q, const struct message_home *home) {
    struct center *c = q->center;
    struct recall *r = hw_calloc(1, sizeof(*r));
    r->center = c;
    r->request = q;
    r->product = request_product(q)->number;
    r->home = *home;
    memcpy(r->id, q->segments[4], sizeof(r->id));
    r->give_up_ms = loop_now_ms(c->loop) + RECALL_GIVE_UP_MS;
    LIST_INSERT_HEAD(&c->recalls, r, at_center);
    c->count.recalls_open++;
    q->state = r;
    q->free_state = recall_client_gone;
    loop_arm(c->loop, &r->answer, RECALL_ANSWER_MS, recall_on_answer_due);
    if (home->kind == MESSAGE_TO_ALL)
        take_out(r);
    else
        ask_inboxes(r);
}

void handle_recall(struct request *q) {
    struct message_home home;
    if (!message_id_read(q->segments[4], &home))
        reply_fault(q, PROBLEM_not_found, NULL, "no log has a message of this id");
    else if (home.kind == MESSAGE_TO_MANY)
        reply_fault(q, PROBLEM_invalid_value, "id",
                    "a message to many users cannot be recalled by this version");
    else if (q->center->count.recalls_open >= RECALLS_MAX)
        reply_fault(q, PROBLEM_overloaded, NULL, "too many recalls are under way");
    else
        recall_begin(q, &home);
}
