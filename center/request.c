#include "request.h"

#include <stdarg.h>

#include "retry.h"
#include "texts.h"

enum { REQUEST_SLICE_US = 1000 };

// --- life

struct request *request_new(struct center *c, struct http_request *http) {
    struct request *q = hw_malloc(sizeof(*q));
    memset(q, 0, offsetof(struct request, segments)); // which are as large as all else
    q->center = c;
    q->http = http;
    LIST_INSERT_HEAD(&c->requests, q, at_center);
    c->count.requests++;
    c->count.open++;
    return q;
}

void request_free(struct request *q) {
    struct center *c = q->center;
    LIST_REMOVE(q, at_center);
    c->count.open--;
    if (q->free_state && q->state)
        q->free_state(q->state);
    job_stop(&q->work.job);
    hook_stop(&q->work.end);
    json_reader_deinit(&q->reader);
    free(q);
}

void request_gone_all(struct center *c) {
    while (!LIST_EMPTY(&c->requests))
        reply_fault(LIST_FIRST(&c->requests), PROBLEM_overloaded, NULL, "this center is ending");
}

const struct product *request_product(struct request *q) {
    return cluster_product_find(q->center->cluster, q->product_name, strlen(q->product_name));
}

// --- work in slices

static void work_ends(struct hook *h) {
    struct request *q = container_of(h, struct request, work.end);
    q->work.then(q);
}

static bool work_slice(struct job *j) {
    struct request *q = container_of(j, struct request, work.job);
    struct loop *l = q->center->loop;
    uint64_t until = loop_clock_us(l) + REQUEST_SLICE_US;
    while (q->work.piece(q))
        if (loop_clock_us(l) >= until)
            return true;
    hook_schedule(l, &q->work.end, work_ends); // not from here: q may end
    return false;
}

void request_work(struct request *q, bool (*piece)(struct request *q),
                  void (*then)(struct request *q)) {
    q->work.piece = piece;
    q->work.then = then;
    if (work_slice(&q->work.job))
        job_start(q->center->loop, &q->work.job, work_slice);
}

// --- answers

static void respond(struct request *q, struct http_response *response, json_t *body) {
    char *json = body ? json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    struct buf text = BUF_EMPTY;
    if (json) { // a line, as people read it
        buf_append_str(&text, json);
        buf_append(&text, "\n", 1);
        response->body = buf_cstr(&text);
        response->body_len = text.len;
    }
    http_respond(q->http, response);
    buf_free(&text);
    free(json);
    json_decref(body);
    request_free(q);
}

void reply_json(struct request *q, int status, json_t *body) {
    struct http_response response = {.status = status, .content_type = "application/json"};
    respond(q, &response, body);
}

void reply_text(struct request *q, int status, struct buf *json) {
    struct http_response response = {.status = status, .content_type = "application/json"};
    buf_append(json, "\n", 1);
    response.body = json->data;
    response.body_len = json->len;
    respond(q, &response, NULL);
    buf_free(json);
}

void etag_of(uint64_t version, char out[ETAG_CHARS]) {
    snprintf(out, ETAG_CHARS, "\"%llu\"", (unsigned long long)version);
}

void reply_with_etag(struct request *q, int status, json_t *body, uint64_t version) {
    char etag[ETAG_CHARS];
    etag_of(version, etag);
    struct http_response response = {
        .status = status, .content_type = "application/json", .headers = {{"ETag", etag}}};
    respond(q, &response, body);
}

void reply_yaml(struct request *q, const char *text, size_t len) {
    struct http_response response = {
        .status = 200, .content_type = "application/yaml", .body = text, .body_len = len};
    respond(q, &response, NULL);
}

void reply_allowed(struct request *q, const char *methods) {
    struct http_response response = {.status = 204, .headers = {{"Allow", methods}}};
    respond(q, &response, NULL);
}

void reply_empty(struct request *q) {
    struct http_response response = {.status = 204};
    respond(q, &response, NULL);
}

void reply_problem(struct request *q, const struct problem *p) {
    int status = problem_status(p->code), n = 0;
    struct http_response response = {.status = status, .content_type = "application/problem+json"};
    if (status == 401) {
        response.headers[n][0] = "WWW-Authenticate";
        response.headers[n++][1] = "Bearer";
    } else if (status == 429 || status == 503) {
        response.headers[n][0] = "Retry-After";
        response.headers[n++][1] = "1";
    } else if (status == 405) {
        response.headers[n][0] = "Allow";
        response.headers[n++][1] = q->allow;
    }
    q->center->count.problems++;
    log_event(q->center->env->log, status >= 500 ? LOG_WARN : LOG_DEBUG, "problem",
              "request=%s status=%d code=%s field=%s detail=%s", q->http->id, status,
              problem_name(p->code), log_quote_str(p->field), log_quote_str(p->detail));
    respond(q, &response, problem_json(p, q->http->id));
}

void reply_fault(struct request *q, enum problem_code code, const char *field, const char *format,
                 ...) {
    struct problem p = {0};
    char detail[sizeof(p.detail)];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    problem_set(&p, code, field, "%s", detail);
    reply_problem(q, &p);
}

bool request_asks_for_none_of(struct request *q, const char *const *names) {
    for (; *names; names++) {
        char value[2];
        bool is_bad = false;
        if (http_query_get(q->http->query, *names, value, sizeof(value), &is_bad)) {
            reply_fault(q, PROBLEM_invalid_value, *names, "%s is not served by this version",
                        *names);
            return false;
        }
    }
    return true;
}

bool request_limit(struct request *q, uint64_t *ret_limit, struct problem *p) {
    char text[16];
    bool bad = false;
    *ret_limit = 100;
    if (!http_query_get(q->http->query, "limit", text, sizeof(text), &bad))
        return true;
    char *end = NULL;
    unsigned long long value = bad ? 0 : strtoull(text, &end, 10);
    if (bad || *end || value < 1 || value > 1000)
        return problem_set(p, PROBLEM_invalid_value, "limit", "limit is a number from 1 to 1000");
    *ret_limit = value;
    return true;
}

void reply_unanswered(struct request *q, const char *who, int error) {
    struct problem p = {.outcome_unknown = outcome_of_error(error, q->was_up) == OUTCOME_UNKNOWN};
    problem_set(&p, PROBLEM_store_unavailable, NULL, "the %s did not answer: %s", who,
                hw_strerror(error ? error : -HW_EMALFORMED));
    reply_problem(q, &p);
}

void reply_list(struct request *q, json_t *items, const char *next) {
    json_t *where = next ? text_json(next) : json_null();
    reply_json(q, 200, json_pack("{s:o, s:o}", "items", items, "next", where));
}

void reply_bad_after(struct request *q) {
    reply_fault(q, PROBLEM_invalid_value, "after", "after is the next of an answer");
}
