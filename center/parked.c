// Dead letters of a user: looked at, thrown away, sent anew.
#include "anew.h"
#include "handlers.h"
#include "message.h"
#include "push_answer.h"
#include "request.h"
#include "send.h"
#include "texts.h"

enum {
    PAGE_BYTES = 256 * 1024, // of dead letters that are read at once, to be sent anew
    CURSOR_CHARS = 24,
};

static struct peer saver_of_user(struct request *q) {
    return saver_of(q->center->cluster, request_product(q)->number, q->segments[4]);
}

// --- looked at

static void payload_set(json_t *item, const Hawser__Internal__StoredMessage *m) {
    const char *data = m->payload.len > 0 ? (const char *)m->payload.data : "";
    json_t *text = json_stringn(data, m->payload.len);
    if (text) {
        json_object_set_new(item, "payload", text);
        return;
    }
    struct buf base64 = BUF_EMPTY;
    base64_encode(m->payload.data, m->payload.len, &base64);
    json_object_set_new(item, "payload_base64", json_string(buf_cstr(&base64)));
    buf_free(&base64);
}

static json_t *letter_json(const Hawser__Internal__DeadLetter *letter) {
    const Hawser__Internal__StoredMessage *m = letter->message;
    json_t *item = json_pack("{s:I, s:o, s:o}", "seq", (json_int_t)letter->seq, "parked_at",
                             time_json(letter->parked_ms), "device", text_json(letter->device));
    json_t *devices = json_array();
    json_object_set_new(item, "devices", devices);
    if (!m) // its bytes did not decode
        return item;
    for (size_t i = 0; i < m->n_device; i++)
        json_array_append_new(devices, text_json(m->device[i]));
    json_object_set_new(item, "id", text_json(m->id));
    json_object_set_new(item, "class", json_string(push_class_name(class_of_stored(m->class_))));
    json_object_set_new(item, "sent_at", time_json(m->sent_ms));
    json_object_set_new(item, "expires_at", time_json(m->expires_ms));
    json_object_set_new(item, "content_type",
                        *m->content_type ? text_json(m->content_type) : json_null());
    payload_set(item, m);
    return item;
}

static void on_listed(void *arg, int error, const Hawser__Internal__ParkedReply *reply) {
    struct request *q = arg;
    if (!reply) {
        reply_unanswered(q, "saver", error);
        return;
    }
    json_t *items = json_array();
    bool is_whole = !reply->more || reply->n_letter == 0;
    char next[CURSOR_CHARS];
    for (size_t i = 0; i < reply->n_letter; i++)
        json_array_append_new(items, letter_json(reply->letter[i]));
    if (!is_whole)
        snprintf(next, sizeof(next), "%llu",
                 (unsigned long long)reply->letter[reply->n_letter - 1]->seq);
    reply_list(q, items, is_whole ? NULL : next);
}

static bool query_after(struct request *q, uint64_t *ret_after) {
    char text[CURSOR_CHARS];
    bool bad = false;
    *ret_after = 0;
    if (!http_query_get(q->http->query, "after", text, sizeof(text), &bad))
        return true;
    char *end = NULL;
    *ret_after = bad ? 0 : strtoull(text, &end, 10);
    if (!bad && *text >= '0' && *text <= '9' && *end == '\0')
        return true;
    reply_bad_after(q);
    return false;
}

void handle_parked(struct request *q) {
    Hawser__Internal__ParkedRequest request = HAWSER__INTERNAL__PARKED_REQUEST__INIT;
    uint64_t limit;
    struct problem p = {0};
    if (!query_after(q, &request.after))
        return;
    if (!request_limit(q, &limit, &p)) {
        reply_problem(q, &p);
        return;
    }
    request.product = request_product(q)->number;
    request.user = q->segments[4];
    request.max_letters = (uint32_t)limit;
    saver_parked(saver_of_user(q), &request, on_listed, q);
}

// --- thrown away

static void on_thrown_away(void *arg, int error, const Hawser__Internal__UnparkReply *reply) {
    struct request *q = arg;
    if (reply)
        reply_empty(q);
    else
        reply_unanswered(q, "saver", error);
}

void handle_parked_delete(struct request *q) {
    Hawser__Internal__UnparkRequest request = HAWSER__INTERNAL__UNPARK_REQUEST__INIT;
    struct peer saver = saver_of_user(q);
    request.product = request_product(q)->number;
    request.user = q->segments[4];
    request.all = true;
    q->was_up = peer_is_up(saver);
    saver_unpark(saver, &request, on_thrown_away, q);
}

// --- sent anew: one after the other, so that they keep their order. Each is appended under an id
// that is made of where it was, which the saver remembers for longer than the dead letter is kept,
// and is taken away then: whoever calls again after half of it was done sends none twice.

struct redelivery {
    struct request *request;
    Hawser__Internal__ParkedReply *page; // owned
    size_t at;                           // in it
    uint64_t after;                      // the last seq that was dealt with
    struct buf results;                  // of those
};

static void redelivery_free(void *state) {
    struct redelivery *r = state;
    if (r->page)
        hawser__internal__parked_reply__free_unpacked(r->page, NULL);
    buf_free(&r->results);
    free(r);
}

static void redelivery_over(struct redelivery *r) {
    struct buf text = BUF_EMPTY;
    buf_append_str(&text, "{\"results\":[");
    buf_append(&text, r->results.data, r->results.len);
    buf_append_str(&text, "]}");
    reply_text(r->request, 200, &text);
}

static json_t *letter_now(const struct redelivery *r) {
    return text_json(r->page->letter[r->at]->message->id);
}

// The members of an object, behind the message that it was.
static void put_result(struct redelivery *r, json_t *was /* taken */, const char *object) {
    char *text = json_dumps(was, JSON_COMPACT | JSON_ENCODE_ANY);
    buf_append_str(&r->results, r->results.len > 0 ? ",{\"was\":" : "{\"was\":");
    buf_append_str(&r->results, text);
    buf_append_str(&r->results, ",");
    buf_append_str(&r->results, object + 1);
    free(text);
    json_decref(was);
}

static void put_problem(struct redelivery *r, json_t *was, const struct problem *p) {
    json_t *json = problem_json(p, NULL);
    char *text = json_dumps(json, JSON_COMPACT);
    put_result(r, was, text);
    free(text);
    json_decref(json);
}

static void put_sent(struct redelivery *r, const struct sent *sent) {
    const Hawser__Internal__StoredMessage *m = r->page->letter[r->at]->message;
    const struct push_answer answer = {.id = sent->id,
                                       .class = push_class_name(class_of_stored(m->class_)),
                                       .expires_ms = sent->expires_ms,
                                       .has_seq = sent->has_seq,
                                       .seq = sent->seq,
                                       .status = 202};
    struct buf text = BUF_EMPTY;
    push_answer_put(&text, &answer);
    put_result(r, letter_now(r), buf_cstr(&text));
    buf_free(&text);
}

// Some may be left, and which is not known: it is said behind what was done.
static void redelivery_broken_off(struct redelivery *r, const struct problem *p) {
    if (r->results.len == 0) {
        reply_problem(r->request, p);
        return;
    }
    put_problem(r, json_null(), p);
    redelivery_over(r);
}

// True: its product is gone, or the center stops.
static bool redelivery_ends_early(struct redelivery *r) {
    struct problem p = {0};
    if (r->request->center->is_stopping)
        problem_set(&p, PROBLEM_overloaded, NULL, "this center is stopping");
    else if (!request_product(r->request))
        problem_set(&p, PROBLEM_not_found, NULL, "the product was deleted");
    if (p.code != PROBLEM_NONE)
        redelivery_broken_off(r, &p);
    return p.code != PROBLEM_NONE;
}

static void redeliver_next(struct redelivery *r);

// Where it could not be taken away it is still there, and the next call takes it away.
static void on_taken_away(void *arg, int error, const Hawser__Internal__UnparkReply *reply) {
    struct redelivery *r = arg;
    (void)error;
    (void)reply;
    r->after = r->page->letter[r->at++]->seq;
    redeliver_next(r);
}

static void take_away(struct redelivery *r) {
    Hawser__Internal__UnparkRequest request = HAWSER__INTERNAL__UNPARK_REQUEST__INIT;
    struct request *q = r->request;
    uint64_t seq = r->page->letter[r->at]->seq;
    if (redelivery_ends_early(r))
        return;
    request.product = request_product(q)->number;
    request.user = q->segments[4];
    request.epoch = r->page->epoch;
    request.seq = &seq;
    request.n_seq = 1;
    saver_unpark(saver_of_user(q), &request, on_taken_away, r);
}

// What stops one stops those behind it, too: the inbox is full, or the store is away.
static void on_redelivered(void *arg, const struct sent *sent) {
    struct redelivery *r = arg;
    if (sent->problem.code != PROBLEM_NONE) {
        put_problem(r, letter_now(r), &sent->problem);
        redelivery_over(r);
        return;
    }
    put_sent(r, sent);
    take_away(r);
}

static void redeliver(struct redelivery *r, const Hawser__Internal__DeadLetter *letter) {
    struct request *q = r->request;
    const struct product *product = request_product(q);
    struct push push;
    push_of_dead_letter(letter, &(struct inbox_place){q->segments[4], r->page->epoch}, &push);
    send_push(q->center, product, &push, (struct sender){on_redelivered, r});
}

static void on_page(void *arg, int error, const Hawser__Internal__ParkedReply *reply) {
    struct redelivery *r = arg;
    if (!reply) {
        struct problem p = {0};
        problem_set(&p, PROBLEM_store_unavailable, NULL, "the saver did not answer: %s",
                    hw_strerror(error));
        redelivery_broken_off(r, &p);
        return;
    }
    if (reply->n_letter == 0) {
        redelivery_over(r);
        return;
    }
    r->page = (Hawser__Internal__ParkedReply *)message_copy(&reply->base);
    r->at = 0;
    redeliver_next(r);
}

static void ask_page(struct redelivery *r) {
    Hawser__Internal__ParkedRequest request = HAWSER__INTERNAL__PARKED_REQUEST__INIT;
    struct request *q = r->request;
    if (r->page)
        hawser__internal__parked_reply__free_unpacked(r->page, NULL);
    r->page = NULL;
    request.product = request_product(q)->number;
    request.user = q->segments[4];
    request.after = r->after;
    request.max_bytes = PAGE_BYTES;
    saver_parked(saver_of_user(q), &request, on_page, r);
}

static void redeliver_next(struct redelivery *r) {
    while (r->page && r->at < r->page->n_letter && !r->page->letter[r->at]->message)
        r->after = r->page->letter[r->at++]->seq; // its bytes did not decode
    if (redelivery_ends_early(r))
        return;
    if (r->page && r->at == r->page->n_letter && !r->page->more)
        redelivery_over(r);
    else if (!r->page || r->at == r->page->n_letter)
        ask_page(r);
    else
        redeliver(r, r->page->letter[r->at]);
}

void handle_redeliver(struct request *q) {
    struct redelivery *r = hw_calloc(1, sizeof(*r));
    r->request = q;
    q->state = r;
    q->free_state = redelivery_free;
    redeliver_next(r);
}
