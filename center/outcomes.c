// What became of messages: of one, counted; of one for its users; and of all of a user. MariaDB is
// asked where there is one, and of single users their log and devices, too.
#include "fields.h"
#include "handlers.h"
#include "job.h"
#include "message.h"
#include "message_id.h"
#include "outcome.h"
#include "request.h"
#include "streams.h"
#include "texts.h"

enum {
    ID_SEGMENT = 4, // "{*}" of messages/{*}
    USER_OF_ID = 6, // of messages/{*}/users/{*}
    STATE_CHARS = 16,
    PAGE_BYTES = 1024 * 1024, // of a log, at once
    PAGE_MESSAGES = 1000,
    PAGES_MAX = 256, // of a log, in search of a message
};

struct outcomes_call {
    struct request *request;
    Hawser__Internal__OutcomesReply *rows; // owned
    Hawser__Internal__UserReply *kept;     // owned
    const char *user, *id;                 // borrowed from the path
    uint64_t after, limit;
    char after_user[ID_MAX + 1];
    Hawser__Internal__OutcomeState state;
    bool is_all;
    int left, error, pages;
};

static void outcomes_call_free(void *state) {
    struct outcomes_call *c = state;
    if (c->rows)
        hawser__internal__outcomes_reply__free_unpacked(c->rows, NULL);
    if (c->kept)
        hawser__internal__user_reply__free_unpacked(c->kept, NULL);
    free(c);
}

static struct outcomes_call *outcomes_call_new(struct request *q) {
    struct outcomes_call *c = hw_calloc(1, sizeof(*c));
    c->request = q;
    q->state = c;
    q->free_state = outcomes_call_free;
    return c;
}

static void outcomes_fail(struct request *q, int error) {
    enum problem_code code = error == -HW_EBUSY ? PROBLEM_overloaded : PROBLEM_store_unavailable;
    reply_fault(q, code, NULL, "what became of it cannot be asked: %s", hw_strerror(error));
}

static void reply_no_message(struct request *q, bool is_unserved) {
    reply_fault(q, PROBLEM_not_found, NULL, "%s",
                is_unserved ? "without a MariaDB a message is found by one of its users only: "
                              "messages/{id}/users/{user}"
                            : "no such message is known, or not any more");
}

// --- what is asked for. False: the request is answered.

static bool message_id_is_valid(struct request *q) {
    const char *id = q->segments[ID_SEGMENT];
    if (*id && strlen(id) <= MESSAGE_ID_CHARS && is_base62(id))
        return true;
    reply_fault(q, PROBLEM_invalid_value, "id", "at most %d of 0-9, A-Z, a-z", MESSAGE_ID_CHARS);
    return false;
}

static bool read_page(struct request *q, struct outcomes_call *c) {
    char name[STATE_CHARS];
    bool bad = false;
    struct problem p = {0};
    c->is_all = !http_query_get(q->http->query, "state", name, sizeof(name), &bad);
    if (bad || (!c->is_all && !outcome_by_name(name, &c->state))) {
        reply_fault(q, PROBLEM_invalid_value, "state",
                    "pending, acked, expired, overflowed, collapsed, recalled, parked or unknown");
        return false;
    }
    if (request_limit(q, &c->limit, &p))
        return true;
    reply_problem(q, &p);
    return false;
}

static bool read_cursor(struct request *q, char *out, size_t size) {
    bool bad = false;
    out[0] = '\0';
    if (!http_query_get(q->http->query, "after", out, size, &bad) || (!bad && *out))
        return true;
    reply_bad_after(q);
    return false;
}

// --- of one message, counted

// Of a push to many a job may tell how far it is: that waits as the request's state.
static void on_message_status(void *arg, int error, const Hawser__Internal__StatusReply *reply) {
    struct request *q = arg;
    json_t *job = q->state;
    q->state = NULL;
    if (!reply) {
        json_decref(job);
        outcomes_fail(q, error);
    } else if (reply->n_count > 0) {
        reply_json(q, 200,
                   outcome_of_job_json(outcome_status_json(q->segments[ID_SEGMENT], reply), job));
    } else if (job) {
        reply_json(q, 200, job);
    } else {
        reply_no_message(q, reply->unserved);
    }
}

static void status_ask(struct request *q, saver_status_done *done) {
    Hawser__Internal__StatusRequest request = HAWSER__INTERNAL__STATUS_REQUEST__INIT;
    const struct product *product = request_product(q);
    if (!product) {
        reply_fault(q, PROBLEM_not_found, NULL, "the product was deleted");
        return;
    }
    request.product = product->number;
    request.id = q->segments[ID_SEGMENT];
    saver_status(saver_of_product(q->center->cluster, request.product), &request, done, q);
}

static void job_json_free(void *state) {
    json_decref(state);
}

static void on_message_job(void *arg, int error, const Hawser__Internal__JobsReply *reply) {
    struct request *q = arg;
    if (!reply) {
        outcomes_fail(q, error);
        return;
    }
    q->free_state = job_json_free;
    q->state = reply->n_job > 0 ? job_json(reply->job[0]) : NULL;
    status_ask(q, on_message_status);
}

static void job_ask(struct request *q) {
    Hawser__Internal__JobsRequest request = HAWSER__INTERNAL__JOBS_REQUEST__INIT;
    request.product = request_product(q)->number;
    request.id = q->segments[ID_SEGMENT];
    request.only = true;
    saver_jobs(saver_of_product(q->center->cluster, request.product), &request, on_message_job, q);
}

void handle_message(struct request *q) {
    struct message_home home;
    if (!message_id_is_valid(q))
        return;
    if (message_id_read(q->segments[ID_SEGMENT], &home) && home.kind == MESSAGE_TO_MANY)
        job_ask(q);
    else
        status_ask(q, on_message_status);
}

// --- of one message, for its users

static void on_no_users(void *arg, int error, const Hawser__Internal__StatusReply *reply) {
    struct request *q = arg;
    if (!reply)
        outcomes_fail(q, error);
    else if (reply->n_count == 0)
        reply_no_message(q, reply->unserved);
    else if (reply->stream != STREAM_INBOX)
        reply_fault(q, PROBLEM_invalid_value, "id", "a broadcast has no list of users");
    else
        reply_list(q, json_array(), NULL);
}

static void on_message_users(void *arg, int error, const Hawser__Internal__OutcomesReply *reply) {
    struct request *q = arg;
    if (!reply) {
        outcomes_fail(q, error);
        return;
    }
    if (reply->n_outcome == 0) {
        status_ask(q, on_no_users);
        return;
    }
    json_t *items = json_array();
    for (size_t i = 0; i < reply->n_outcome; i++)
        json_array_append_new(items, outcome_row_json(reply->outcome[i]));
    reply_list(q, items, reply->more ? reply->outcome[reply->n_outcome - 1]->user : NULL);
}

void handle_message_users(struct request *q) {
    Hawser__Internal__OutcomesRequest request = HAWSER__INTERNAL__OUTCOMES_REQUEST__INIT;
    struct outcomes_call *c = outcomes_call_new(q);
    if (!message_id_is_valid(q) || !read_page(q, c) ||
        !read_cursor(q, c->after_user, sizeof(c->after_user)))
        return;
    request.product = request_product(q)->number;
    request.id = q->segments[ID_SEGMENT];
    request.after_user = c->after_user;
    request.limit = (uint32_t)c->limit;
    request.state = c->state;
    if (!c->is_all && c->state == HAWSER__INTERNAL__OUTCOME_STATE__STATE_UNKNOWN)
        reply_list(q, json_array(), NULL); // what MariaDB has is known
    else
        saver_outcomes(saver_of_product(q->center->cluster, request.product), &request,
                       on_message_users, q);
}

// --- of a user: MariaDB and the user's devices are asked side by side, then the log

static void outcomes_asked(struct outcomes_call *c, void (*then)(struct outcomes_call *c)) {
    struct request *q = c->request;
    if (--c->left > 0)
        return;
    if (c->error != 0)
        outcomes_fail(q, c->error);
    else if (!request_product(q))
        reply_fault(q, PROBLEM_not_found, NULL, "the product was deleted");
    else
        then(c);
}

static void load_ask(struct outcomes_call *c, uint64_t after, saver_load_done *done) {
    Hawser__Internal__LoadRequest request = HAWSER__INTERNAL__LOAD_REQUEST__INIT;
    struct request *q = c->request;
    request.product = request_product(q)->number;
    request.stream = STREAM_INBOX;
    request.user = (char *)(uintptr_t)c->user;
    request.epoch = c->kept->epoch;
    request.after = after;
    request.max_messages = c->id ? PAGE_MESSAGES : (uint32_t)c->limit;
    request.max_bytes = PAGE_BYTES;
    saver_load(saver_of(q->center->cluster, request.product, c->user), &request, done, c);
}

static void user_page(struct outcomes_call *c, const Hawser__Internal__LoadReply *log) {
    char cursor[24];
    uint64_t next;
    const struct outcome_page page = {.rows = c->rows,
                                      .kept = c->kept,
                                      .log = log && !log->reset ? log : NULL,
                                      .limit = c->limit,
                                      .state = c->state,
                                      .is_all = c->is_all};
    json_t *items = outcome_page_json(&page, &next);
    snprintf(cursor, sizeof(cursor), "%llu", (unsigned long long)next);
    reply_list(c->request, items, next > 0 ? cursor : NULL);
}

static void on_user_log(void *arg, int error, const Hawser__Internal__LoadReply *reply) {
    struct outcomes_call *c = arg;
    if (!reply)
        outcomes_fail(c->request, error);
    else
        user_page(c, reply);
}

// A user who was never here has no log, and gets none by being asked for.
static void user_log(struct outcomes_call *c) {
    if (c->kept->epoch == 0 || c->after >= c->kept->head)
        user_page(c, NULL);
    else
        load_ask(c, c->after, on_user_log);
}

static void message_log(struct outcomes_call *c);

static void outcomes_then(struct outcomes_call *c) {
    outcomes_asked(c, c->id ? message_log : user_log);
}

static void on_user_rows(void *arg, int error, const Hawser__Internal__OutcomesReply *reply) {
    struct outcomes_call *c = arg;
    c->rows = (Hawser__Internal__OutcomesReply *)message_copy(reply ? &reply->base : NULL);
    c->error = reply ? c->error : error;
    outcomes_then(c);
}

static void on_user_kept(void *arg, int error, const Hawser__Internal__UserReply *reply) {
    struct outcomes_call *c = arg;
    c->kept = (Hawser__Internal__UserReply *)message_copy(reply ? &reply->base : NULL);
    c->error = reply ? c->error : error;
    outcomes_then(c);
}

static void user_ask(struct outcomes_call *c) {
    Hawser__Internal__OutcomesRequest rows = HAWSER__INTERNAL__OUTCOMES_REQUEST__INIT;
    Hawser__Internal__UserRequest kept = HAWSER__INTERNAL__USER_REQUEST__INIT;
    struct cluster *cluster = c->request->center->cluster;
    rows.product = kept.product = request_product(c->request)->number;
    rows.user = kept.user = (char *)(uintptr_t)c->user;
    rows.id = (char *)(uintptr_t)(c->id ? c->id : "");
    rows.after = c->after;
    rows.limit = (uint32_t)c->limit;
    c->left = 2;
    saver_outcomes(saver_of(cluster, rows.product, c->user), &rows, on_user_rows, c);
    saver_user(saver_of(cluster, rows.product, c->user), &kept, on_user_kept, c);
}

void handle_user_messages(struct request *q) {
    struct outcomes_call *c = outcomes_call_new(q);
    char cursor[24], *end = NULL;
    if (!read_page(q, c) || !read_cursor(q, cursor, sizeof(cursor)))
        return;
    c->after = strtoull(cursor, &end, 10);
    if (*end != '\0' || strspn(cursor, "0123456789") != strlen(cursor)) {
        reply_bad_after(q);
        return;
    }
    c->user = q->segments[4];
    user_ask(c);
}

// --- of one message, for one user: by its seq, where MariaDB has it; else it is looked for

static void reply_outcome(struct outcomes_call *c, const Hawser__Internal__LoadEntry *entry) {
    const struct outcome_of o = {.row = c->rows->n_outcome > 0 ? c->rows->outcome[0] : NULL,
                                 .kept = c->kept,
                                 .entry = entry,
                                 .seq = c->rows->n_outcome > 0 ? c->rows->outcome[0]->seq
                                                               : entry->seq};
    reply_json(c->request, 200, outcome_json(&o));
}

static void on_message_entry(void *arg, int error, const Hawser__Internal__LoadReply *reply) {
    struct outcomes_call *c = arg;
    uint64_t seq = c->rows->outcome[0]->seq;
    const Hawser__Internal__LoadEntry *e =
        reply && !reply->reset && reply->n_entry > 0 ? reply->entry[0] : NULL;
    if (!reply)
        outcomes_fail(c->request, error);
    else
        reply_outcome(c, e && seq >= e->seq && seq <= e->last ? e : NULL);
}

static void on_searched(void *arg, int error, const Hawser__Internal__LoadReply *reply) {
    struct outcomes_call *c = arg;
    struct request *q = c->request;
    if (!reply) {
        outcomes_fail(q, error);
        return;
    }
    for (size_t i = 0; !reply->reset && i < reply->n_entry; i++)
        if (reply->entry[i]->message && strcmp(reply->entry[i]->message->id, c->id) == 0) {
            reply_outcome(c, reply->entry[i]);
            return;
        }
    bool is_over = reply->reset || reply->n_entry == 0 ||
                   reply->entry[reply->n_entry - 1]->last >= reply->head || ++c->pages >= PAGES_MAX;
    if (is_over || !request_product(q))
        reply_fault(q, PROBLEM_not_found, NULL,
                    "no such message of this user is known, or not any more");
    else
        load_ask(c, reply->entry[reply->n_entry - 1]->last, on_searched);
}

static void message_log(struct outcomes_call *c) {
    const Hawser__Internal__Outcome *row = c->rows->n_outcome > 0 ? c->rows->outcome[0] : NULL;
    if (row && row->epoch != c->kept->epoch) {
        reply_outcome(c, NULL);
    } else if (row) {
        c->limit = 1;
        load_ask(c, row->seq - 1, on_message_entry);
    } else if (c->kept->epoch == 0) {
        reply_fault(c->request, PROBLEM_not_found, NULL,
                    "no such message of this user is known, or not any more");
    } else {
        load_ask(c, 0, on_searched);
    }
}

void handle_message_user(struct request *q) {
    const char *user = q->segments[USER_OF_ID];
    struct outcomes_call *c = outcomes_call_new(q);
    if (!message_id_is_valid(q))
        return;
    if (!id_is_valid(user, strlen(user), ID_MAX)) {
        reply_fault(q, PROBLEM_invalid_value, "user",
                    "1..64 bytes of UTF-8 without control characters");
        return;
    }
    c->user = user;
    c->id = q->segments[ID_SEGMENT];
    c->limit = 1;
    user_ask(c);
}
