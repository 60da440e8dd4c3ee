// Users: their sessions and positions, and who is online.
#include "fields.h"
#include "handlers.h"
#include "message.h"
#include "request.h"
#include "streams.h"
#include "texts.h"

enum { QUERY_USERS_MAX = 1000 };

// --- one user: the register's rows and the saver's positions, asked side by side

struct user_view {
    Hawser__Internal__FindReply *found; // owned
    Hawser__Internal__UserReply *kept;  // owned
    int left;
    bool failed;
    char user[ID_MAX + 1];
};

static void view_free(void *state) {
    struct user_view *v = state;
    if (v->found)
        hawser__internal__find_reply__free_unpacked(v->found, NULL);
    if (v->kept)
        hawser__internal__user_reply__free_unpacked(v->kept, NULL);
    free(v);
}

static const char *const stream_names[STREAMS] = {
    [STREAM_INBOX] = "inbox", [STREAM_NEWS] = "news", [STREAM_BULK] = "bulk"};

static json_t *sessions_json(const Hawser__Internal__FindReply *found, uint64_t *ret_last_seen) {
    json_t *sessions = json_array();
    for (size_t i = 0; i < found->n_row; i++) {
        const Hawser__Internal__SessionRow *row = found->row[i];
        if (row->last_seen_ms > *ret_last_seen)
            *ret_last_seen = row->last_seen_ms;
        if (row->online)
            json_array_append_new(
                sessions, json_pack("{s:o, s:o, s:o, s:o}", "device", text_json(row->device),
                                    "room", text_json(row->room), "since", time_json(row->since_ms),
                                    "address", text_json(row->address)));
    }
    return sessions;
}

static json_t *positions_json(const Hawser__Internal__UserReply *kept) {
    json_t *positions = json_array();
    for (size_t i = 0; i < kept->n_device; i++) {
        const Hawser__Internal__UserDevice *d = kept->device[i];
        json_t *streams = json_object();
        for (size_t k = 0; k < d->n_position; k++) {
            const Hawser__Internal__StreamPosition *at = d->position[k];
            if (at->stream < STREAMS)
                json_object_set_new(streams, stream_names[at->stream],
                                    json_pack("{s:I, s:I}", "epoch", (json_int_t)at->epoch, "seq",
                                              (json_int_t)at->seq));
        }
        json_array_append_new(positions,
                              json_pack("{s:o, s:o, s:o}", "device", text_json(d->device),
                                        "streams", streams, "seen_at", time_json(d->seen_ms)));
    }
    return positions;
}

static void view_step(struct request *q) {
    struct user_view *v = q->state;
    if (--v->left > 0)
        return;
    if (v->failed) {
        reply_fault(q, PROBLEM_store_unavailable, NULL, "the register or the saver did not answer");
        return;
    }
    uint64_t last_seen_ms = 0;
    json_t *sessions = sessions_json(v->found, &last_seen_ms);
    bool online = json_array_size(sessions) > 0;
    reply_json(q, 200,
               json_pack("{s:s, s:b, s:o, s:o, s:o, s:I, s:I}", "user", v->user, "online", online,
                         "last_seen_at", time_json(last_seen_ms), "sessions", sessions, "positions",
                         positions_json(v->kept), "pending", (json_int_t)v->kept->pending, "parked",
                         (json_int_t)v->kept->parked));
}

static void on_rows(void *arg, int error, const Hawser__Internal__FindReply *reply) {
    struct request *q = arg;
    struct user_view *v = q->state;
    (void)error;
    v->found = (Hawser__Internal__FindReply *)message_copy(reply ? &reply->base : NULL);
    v->failed = v->failed || !v->found;
    view_step(q);
}

static void on_kept(void *arg, int error, const Hawser__Internal__UserReply *reply) {
    struct request *q = arg;
    struct user_view *v = q->state;
    (void)error;
    v->kept = (Hawser__Internal__UserReply *)message_copy(reply ? &reply->base : NULL);
    v->failed = v->failed || !v->kept;
    view_step(q);
}

void handle_user(struct request *q) {
    const struct product *product = request_product(q);
    const char *user = q->segments[4];
    struct cluster *cluster = q->center->cluster;
    Hawser__Internal__FindRequest find = HAWSER__INTERNAL__FIND_REQUEST__INIT;
    Hawser__Internal__UserRequest kept = HAWSER__INTERNAL__USER_REQUEST__INIT;
    struct user_view *v = hw_calloc(1, sizeof(*v));
    v->left = 2;
    memcpy(v->user, user, strlen(user) + 1);
    q->state = v;
    q->free_state = view_free;
    find.product = kept.product = product->number;
    find.user = kept.user = v->user;
    register_find(register_of(cluster), &find, on_rows, q);
    saver_user(saver_of(cluster, product->number, user), &kept, on_kept, q);
}

// --- who is online

struct query_item {
    struct query *query;
    const char *user; // borrowed from the body
    uint64_t last_seen_ms;
    bool online;
};

struct query {
    struct request *request;
    struct query_item *items; // owned
    size_t count, left;
    bool failed;
};

static void query_free(void *state) {
    struct query *query = state;
    free(query->items);
    free(query);
}

static void query_step(struct query *query) {
    if (--query->left > 0)
        return;
    if (query->failed) {
        reply_fault(query->request, PROBLEM_store_unavailable, NULL, "the register did not answer");
        return;
    }
    json_t *items = json_array();
    for (size_t i = 0; i < query->count; i++)
        json_array_append_new(items, json_pack("{s:s, s:b, s:o}", "user", query->items[i].user,
                                               "online", query->items[i].online, "last_seen_at",
                                               time_json(query->items[i].last_seen_ms)));
    reply_list(query->request, items, NULL);
}

static void on_queried(void *arg, int error, const Hawser__Internal__FindReply *reply) {
    struct query_item *item = arg;
    (void)error;
    item->query->failed = item->query->failed || !reply;
    for (size_t i = 0; reply && i < reply->n_row; i++) {
        item->online = item->online || reply->row[i]->online;
        if (reply->row[i]->last_seen_ms > item->last_seen_ms)
            item->last_seen_ms = reply->row[i]->last_seen_ms;
    }
    query_step(item->query);
}

static bool query_read(const json_t *body, const json_t **ret_list, struct problem *p) {
    static const char *const names[] = {"users", NULL};
    const json_t *list = json_object_get(body, "users");
    if (!fields_known(&(struct fields){body, "", p}, names))
        return false;
    if (!list)
        return problem_set(p, PROBLEM_missing_field, "users", "users is needed");
    if (!json_is_array(list) || json_array_size(list) > QUERY_USERS_MAX)
        return problem_set(p, PROBLEM_invalid_value, "users", "a list of at most %d users",
                           QUERY_USERS_MAX);
    if (!check_ids(list, "users", p))
        return false;
    *ret_list = list;
    return true;
}

void handle_users_query(struct request *q) {
    const struct product *product = request_product(q);
    const json_t *list = NULL;
    struct problem p = {0};
    const json_t *body = q->reader.root;
    if (!query_read(body, &list, &p)) {
        reply_problem(q, &p);
        return;
    }
    struct query *query = hw_calloc(1, sizeof(*query));
    query->request = q;
    query->count = json_array_size(list);
    query->items = hw_calloc(query->count + 1, sizeof(query->items[0]));
    query->left = query->count + 1;
    q->state = query;
    q->free_state = query_free;
    for (size_t i = 0; i < query->count; i++) {
        Hawser__Internal__FindRequest find = HAWSER__INTERNAL__FIND_REQUEST__INIT;
        query->items[i].query = query;
        query->items[i].user = json_string_value(json_array_get(list, i));
        find.product = product->number;
        find.user = (char *)(uintptr_t)query->items[i].user;
        register_find(register_of(q->center->cluster), &find, on_queried, &query->items[i]);
    }
    query_step(query);
}
