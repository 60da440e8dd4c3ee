// The calls that push: one message, and batches.
#include "center_internal.h"

static json_t *sent_json(const struct sent *sent, size_t targets, bool is_live) {
    json_t *body =
        json_pack("{s:s, s:s, s:o}", "id", sent->id, "class", is_live ? "live" : "stored",
                  "expires_at", is_live ? json_null() : time_json(sent->expires_ms));
    if (sent->has_seq)
        json_object_set_new(body, "seq", json_integer((json_int_t)sent->seq));
    if (targets > 0)
        json_object_set_new(body, "targets", json_integer((json_int_t)targets));
    if (is_live && !sent->replayed) // how many had it then is not remembered
        json_object_set_new(body, "online", json_integer((json_int_t)sent->online));
    if (sent->replayed)
        json_object_set_new(body, "replayed", json_true());
    return body;
}

// --- one

struct single {
    size_t targets; // of a push to many; 0 = one
    bool is_live;
};

static void on_sent(void *arg, const struct sent *sent) {
    struct request *q = arg;
    const struct single *single = q->state;
    if (sent->problem.code != PROBLEM_NONE)
        reply_problem(q, &sent->problem);
    else
        reply_json(q, 202, sent_json(sent, single->targets, single->is_live));
}

static size_t shown_targets(const struct push *push) {
    return push->kind == TO_USERS || push->kind == TO_DEVICES ? push->target_count : 0;
}

void handle_push(struct request *q) {
    const struct product *product = request_product(q);
    struct push push;
    struct problem p = {0};
    const json_t *body = q->reader.root;
    if ((q->http->has_idempotency_key &&
         !idempotency_key_check(q->http->idempotency_key, strlen(q->http->idempotency_key),
                                "Idempotency-Key", &p)) ||
        !push_parse(body, false, product, &push, &p)) {
        reply_problem(q, &p);
        return;
    }
    if (q->http->has_idempotency_key)
        push_set_key(&push, q->http->idempotency_key, body);
    struct single *single = hw_calloc(1, sizeof(*single));
    *single = (struct single){shown_targets(&push), push.is_live};
    q->state = single;
    q->free_state = free;
    send_push(q->center, product, &push, on_sent, q);
}

// --- many

struct batch;
struct batch_item {
    struct batch *batch;
    json_t *result; // owned until the answer
    size_t targets;
    bool is_live;
};

struct batch {
    struct request *request;
    const json_t *messages;   // borrowed from the body
    struct batch_item *items; // owned
    size_t count, read, left;
};

static void batch_free(void *state) {
    struct batch *b = state;
    for (size_t i = 0; i < b->count; i++)
        json_decref(b->items[i].result);
    free(b->items);
    free(b);
}

static void one_over(struct batch *b) {
    if (--b->left > 0)
        return;
    json_t *results = json_array();
    for (size_t i = 0; i < b->count; i++) {
        json_array_append_new(results, b->items[i].result);
        b->items[i].result = NULL;
    }
    reply_json(b->request, 200, json_pack("{s:o}", "results", results));
}

static void on_item_sent(void *arg, const struct sent *sent) {
    struct batch_item *item = arg;
    if (sent->problem.code != PROBLEM_NONE) {
        item->result = problem_json(&sent->problem, NULL);
    } else {
        item->result = sent_json(sent, item->targets, item->is_live);
        json_object_set_new(item->result, "status", json_integer(202));
    }
    one_over(item->batch);
}

static void item_send(struct batch *b, size_t i) {
    struct request *q = b->request;
    const struct product *product = request_product(q);
    struct batch_item *item = &b->items[i];
    struct sent refused = {0};
    struct push push;
    item->batch = b;
    if (!product) { // deleted since the first slice
        problem_set(&refused.problem, PROBLEM_not_found, NULL, "no product '%s'", q->product_name);
        on_item_sent(item, &refused);
    } else if (!push_parse(json_array_get(b->messages, i), true, product, &push,
                           &refused.problem)) {
        on_item_sent(item, &refused);
    } else {
        item->is_live = push.is_live;
        item->targets = shown_targets(&push);
        send_push(q->center, product, &push, on_item_sent, item);
    }
}

static bool send_next(struct request *q) {
    struct batch *b = q->state;
    item_send(b, b->read++);
    return b->read < b->count;
}

static void all_read(struct request *q) {
    one_over(q->state);
}

// The count alone, before anything is looked at.
static bool batch_is_small(struct request *q, const json_t *messages) {
    size_t total = 0, i;
    json_t *message;
    json_array_foreach((json_t *)(uintptr_t)messages, i, message) total +=
        push_targets_named(message);
    if (total <= BATCH_TARGETS_MAX)
        return true;
    reply_fault(q, PROBLEM_invalid_value, "messages", "at most %d targets together",
                BATCH_TARGETS_MAX);
    return false;
}

void handle_batch(struct request *q) {
    static const char *const names[] = {"messages", NULL};
    struct problem p = {0};
    const json_t *body = q->reader.root;
    const json_t *list = json_object_get(body, "messages");
    if (!fields_known(body, "", names, &p)) {
        reply_problem(q, &p);
        return;
    }
    if (!list || !json_is_array(list) || json_array_size(list) < 1 ||
        json_array_size(list) > BATCH_MAX) {
        reply_fault(q, list ? PROBLEM_invalid_value : PROBLEM_missing_field, "messages",
                    "messages is a list of 1..%d", BATCH_MAX);
        return;
    }
    if (!batch_is_small(q, list))
        return;
    struct batch *b = hw_calloc(1, sizeof(*b));
    b->request = q;
    b->messages = list;
    b->count = json_array_size(list);
    b->items = hw_calloc(b->count, sizeof(b->items[0]));
    b->left = b->count + 1; // the last is the slices' own
    q->state = b;
    q->free_state = batch_free;
    request_work(q, send_next, all_read);
}
