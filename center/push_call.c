// The calls that push: one message, and batches. Each message is read and checked (core/push.h),
// then sent (send.h).
#include "dry_run.h"
#include "handlers.h"
#include "push.h"
#include "push_answer.h"
#include "request.h"
#include "send.h"
#include "texts.h"

enum { BATCH_MAX = 1000, BATCH_TARGETS_MAX = 10000, ANSWER_BYTES = 160 };

struct shape { // what an answer shows of the push itself
    enum push_class class;
    size_t targets; // 0: there is one log
};

static struct shape shape_of(const struct push *push) {
    bool has_many = push->to.kind == TO_USERS || push->to.kind == TO_DEVICES;
    return (struct shape){push->class, has_many ? push->to.count : 0};
}

static void dry_put(struct buf *out, const struct sent *sent, const struct shape *shape,
                    int status) {
    const struct dry_answer answer = {.class = push_class_name(shape->class),
                                      .targets = sent->targets,
                                      .has_online = sent->has_online,
                                      .online = sent->online,
                                      .status = status};
    dry_answer_put(out, &answer);
}

static void sent_put(struct buf *out, const struct sent *sent, const struct shape *shape,
                     int status) {
    bool is_live = shape->class == PUSH_LIVE;
    if (sent->is_dry) {
        dry_put(out, sent, shape, status ? 200 : 0);
        return;
    }
    const struct push_answer answer = {
        .id = sent->id,
        .class = push_class_name(shape->class),
        .is_live = is_live,
        .expires_ms = sent->expires_ms,
        .has_seq = sent->has_seq,
        .seq = sent->seq,
        .targets = shape->targets,
        .has_online = is_live && !sent->replayed, // how many had it then is not remembered
        .online = sent->online,
        .is_replayed = sent->replayed,
        .status = status,
    };
    push_answer_put(out, &answer);
}

static struct push_rules rules_of(const struct product *product, bool in_batch) {
    return (struct push_rules){.payload_bytes = product->limits.payload_bytes,
                               .retention_s = product->limits.retention_s,
                               .in_batch = in_batch};
}

// --- a message

struct push_item {
    struct request *request;
    struct push_batch *batch; // NULL: it is the only one of its call
    const json_t *body;       // borrowed from the request
    struct push push;         // while it is read
    struct problem problem;
    struct shape shape;
    bool is_read, is_checked;
    struct buf result; // owned; of a batch, until its answer
};

static void item_read(struct push_item *item) {
    const struct request *q = item->request;
    const struct product *product = request_product(item->request);
    struct problem *p = &item->problem;
    item->is_read = true;
    if (!product) { // deleted since the first slice
        problem_set(p, PROBLEM_not_found, NULL, "no product '%s'", q->product_name);
        return;
    }
    const struct push_rules rules = rules_of(product, item->batch != NULL);
    if (push_read(item->body, &rules, &item->push, p) && !item->batch &&
        q->http->has_idempotency_key)
        (void)push_take_key(&item->push, q->http->idempotency_key, p);
    item->shape = shape_of(&item->push);
}

// A piece of the checks; true: there is another. The two that take long are apart.
static bool item_check(struct push_item *item) {
    if (item->is_read) {
        push_hash(&item->push, item->body);
        return false;
    }
    item_read(item);
    return item->problem.code == PROBLEM_NONE && item->push.idempotency_key;
}

static void item_send(struct push_item *item, sent_fn *done) {
    const struct product *product = request_product(item->request);
    struct sent refused = {.problem = item->problem};
    if (!product)
        problem_set(&refused.problem, PROBLEM_not_found, NULL, "no product '%s'",
                    item->request->product_name);
    if (refused.problem.code == PROBLEM_NONE) {
        (item->push.is_dry ? dry_run : send_push)(item->request->center, product, &item->push,
                                                  (struct sender){done, item});
        return;
    }
    push_deinit(&item->push);
    done(item, &refused);
}

// --- one

static void on_sent(void *arg, const struct sent *sent) {
    struct push_item *item = arg;
    struct buf text = BUF_EMPTY;
    if (sent->problem.code != PROBLEM_NONE) {
        reply_problem(item->request, &sent->problem);
        return;
    }
    buf_reserve(&text, ANSWER_BYTES);
    sent_put(&text, sent, &item->shape, 0);
    reply_text(item->request, sent->is_dry ? 200 : 202, &text);
}

static void item_free(void *state) {
    struct push_item *item = state;
    push_deinit(&item->push);
    free(item);
}

static bool check_one(struct request *q) {
    return item_check(q->state);
}

static void send_one(struct request *q) {
    item_send(q->state, on_sent);
}

void handle_push(struct request *q) {
    static const char *const later[] = {"targets", NULL}; // a list of users, line by line
    if (!request_asks_for_none_of(q, later))
        return;
    struct push_item *item = hw_calloc(1, sizeof(*item));
    item->request = q;
    item->body = q->reader.root;
    q->state = item;
    q->free_state = item_free;
    request_work(q, check_one, send_one);
}

// --- many: checked and sent one by one, in slices. What is durable is stored later than what is
// not, so that one behind the other waits: a user's messages keep their order.

struct push_batch {
    struct request *request;
    struct push_item *items; // owned
    size_t count, sent, answered;
    enum push_class class; // of those that are under way
    bool waits;            // for their answers
    bool is_all_sent;
};

static void batch_free(void *state) {
    struct push_batch *b = state;
    for (size_t i = 0; i < b->count; i++) {
        push_deinit(&b->items[i].push);
        buf_free(&b->items[i].result);
    }
    free(b->items);
    free(b);
}

static struct push_batch *batch_new(struct request *q, const json_t *messages) {
    struct push_batch *b = hw_calloc(1, sizeof(*b));
    b->request = q;
    b->count = json_array_size(messages);
    b->items = hw_calloc(b->count, sizeof(b->items[0]));
    for (size_t i = 0; i < b->count; i++) {
        b->items[i].request = q;
        b->items[i].batch = b;
        b->items[i].body = json_array_get(messages, i);
    }
    return b;
}

static void batch_over(struct push_batch *b) {
    struct buf text = BUF_EMPTY;
    buf_append_str(&text, "{\"results\":[");
    for (size_t i = 0; i < b->count; i++) {
        buf_append(&text, ",", i > 0 ? 1 : 0);
        buf_append(&text, b->items[i].result.data, b->items[i].result.len);
    }
    buf_append_str(&text, "]}");
    reply_text(b->request, 200, &text);
}

static void problem_put(struct buf *out, const struct problem *p) {
    json_t *json = problem_json(p, NULL);
    char *text = json_dumps(json, JSON_COMPACT);
    if (text)
        buf_append_str(out, text);
    free(text);
    json_decref(json);
}

static void batch_go_on(struct push_batch *b);

static void on_item_sent(void *arg, const struct sent *sent) {
    struct push_item *item = arg;
    struct push_batch *b = item->batch;
    if (sent->problem.code != PROBLEM_NONE)
        problem_put(&item->result, &sent->problem);
    else
        sent_put(&item->result, sent, &item->shape, 202);
    b->answered++;
    if (b->is_all_sent && b->answered == b->count)
        batch_over(b);
    else if (b->waits && b->answered == b->sent)
        batch_go_on(b);
}

static bool has_order(const struct push_item *item) {
    return item->problem.code == PROBLEM_NONE && item->push.class != PUSH_LIVE;
}

static bool item_waits(const struct push_item *item) {
    const struct push_batch *b = item->batch;
    return has_order(item) && b->answered < b->sent && item->push.class != b->class;
}

static bool push_call_send_next(struct request *q) {
    struct push_batch *b = q->state;
    struct push_item *item = &b->items[b->sent];
    if (!item->is_checked && item_check(item))
        return true;
    item->is_checked = true;
    if (item_waits(item))
        return false;
    if (has_order(item))
        b->class = item->push.class;
    b->sent++;
    item_send(item, on_item_sent);
    return b->sent < b->count;
}

static void slices_over(struct request *q) {
    struct push_batch *b = q->state;
    b->is_all_sent = b->sent == b->count;
    b->waits = b->answered < b->sent;
    if (!b->waits && b->is_all_sent)
        batch_over(b);
    else if (!b->waits)
        batch_go_on(b);
}

static void batch_go_on(struct push_batch *b) {
    b->waits = false;
    request_work(b->request, push_call_send_next, slices_over);
}

// Too many targets are refused by their number alone, before anything is looked at.
static bool batch_check(const json_t *body, struct problem *p) {
    static const char *const names[] = {"messages", NULL};
    const json_t *list = json_object_get(body, "messages");
    size_t targets = 0, i;
    json_t *message;
    if (!fields_known(&(struct fields){body, "", p}, names))
        return false;
    if (!json_is_array(list) || json_array_size(list) < 1 || json_array_size(list) > BATCH_MAX)
        return problem_set(p, list ? PROBLEM_invalid_value : PROBLEM_missing_field, "messages",
                           "messages is a list of 1..%d", BATCH_MAX);
    json_array_foreach((json_t *)(uintptr_t)list, i, message) targets += targets_named(message);
    return targets <= BATCH_TARGETS_MAX ||
           problem_set(p, PROBLEM_invalid_value, "messages", "at most %d targets together",
                       BATCH_TARGETS_MAX);
}

void handle_batch(struct request *q) {
    struct problem p = {0};
    if (q->http->has_idempotency_key)
        problem_set(&p, PROBLEM_unknown_field, "Idempotency-Key",
                    "a batch has none: each of its messages may have an idempotency_key");
    if (p.code != PROBLEM_NONE || !batch_check(q->reader.root, &p)) {
        reply_problem(q, &p);
        return;
    }
    q->state = batch_new(q, json_object_get(q->reader.root, "messages"));
    q->free_state = batch_free;
    batch_go_on(q->state);
}
