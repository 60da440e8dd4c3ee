// A request: its path is split before it is decoded, one table says who may do what, and every
// answer goes out here.
#include <stdarg.h>

#include "center_internal.h"

enum {
    SLICE_US = 1000,
    READ_PIECE_WORK = 16 * 1024, // of a body, between two looks at the clock
};

// --- problems

static const struct {
    const char *code, *title;
    int status;
} problem_table[] = {{"none", "", 200},
#define PROBLEM_ROW(code, status, title) {#code, title, status},
                     PROBLEMS(PROBLEM_ROW)
#undef PROBLEM_ROW
};

int problem_status(enum problem_code code) {
    return problem_table[code].status;
}

static void HW_PRINTF(4, 0) problem_vset(struct problem *p, enum problem_code code,
                                         const char *field, const char *format, va_list args) {
    if (p->code != PROBLEM_NONE)
        return;
    p->code = code;
    snprintf(p->field, sizeof(p->field), "%s", field ? field : "");
    vsnprintf(p->detail, sizeof(p->detail), format, args);
    utf8_mend(p->field); // names from outside stand in them, and they may be cut
    utf8_mend(p->detail);
}

bool problem_set(struct problem *p, enum problem_code code, const char *field, const char *format,
                 ...) {
    va_list args;
    va_start(args, format);
    problem_vset(p, code, field, format, args);
    va_end(args);
    return false;
}

json_t *problem_json(const struct problem *p, const char *request_id) {
    char type[64];
    const char *code = problem_table[p->code].code;
    snprintf(type, sizeof(type), "urn:hawser:error:%s", code);
    json_t *body =
        json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", type, "title", problem_table[p->code].title,
                  "status", problem_table[p->code].status, "detail", p->detail, "code", code);
    if (p->field[0])
        json_object_set_new(body, "field", json_string(p->field));
    if (p->outcome_unknown)
        json_object_set_new(body, "outcome", json_string("unknown"));
    if (request_id)
        json_object_set_new(body, "request_id", json_string(request_id));
    return body;
}

// --- answers

static void request_free(struct request *q) {
    struct center *c = q->center;
    *(q->prev ? &q->prev->next : &c->requests) = q->next;
    if (q->next)
        q->next->prev = q->prev;
    c->count.open--;
    if (q->free_state && q->state)
        q->free_state(q->state);
    job_stop(&q->work.job);
    hook_stop(&q->work.end);
    json_reader_deinit(&q->reader);
    free(q);
}

static void respond(struct request *q, struct http_response *response, json_t *body) {
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    if (text) {
        response->body = text;
        response->body_len = strlen(text);
    }
    http_respond(q->http, response);
    free(text);
    json_decref(body);
    request_free(q);
}

void reply_json(struct request *q, int status, json_t *body) {
    struct http_response response = {.status = status, .content_type = "application/json"};
    respond(q, &response, body);
}

void reply_with_etag(struct request *q, int status, json_t *body, uint64_t version) {
    char etag[32];
    snprintf(etag, sizeof(etag), "\"%llu\"", (unsigned long long)version);
    struct http_response response = {
        .status = status, .content_type = "application/json", .headers = {{"ETag", etag}}};
    respond(q, &response, body);
}

void reply_text(struct request *q, int status, const char *type, const char *text, size_t len) {
    struct http_response response = {
        .status = status, .content_type = type, .body = text, .body_len = len};
    respond(q, &response, NULL);
}

void reply_empty(struct request *q) {
    struct http_response response = {.status = 204};
    respond(q, &response, NULL);
}

static const char *allowed_methods(const struct request *q, char *out, size_t len);

void reply_problem(struct request *q, const struct problem *p) {
    char retry[16], allow[64];
    int status = problem_status(p->code), n = 0;
    struct http_response response = {.status = status, .content_type = "application/problem+json"};
    if (status == 401) {
        response.headers[n][0] = "WWW-Authenticate";
        response.headers[n++][1] = "Bearer";
    } else if (status == 429 || status == 503) {
        snprintf(retry, sizeof(retry), "%u", p->retry_after_s ? p->retry_after_s : 1);
        response.headers[n][0] = "Retry-After";
        response.headers[n++][1] = retry;
    } else if (status == 405) {
        response.headers[n][0] = "Allow";
        response.headers[n++][1] = allowed_methods(q, allow, sizeof(allow));
    }
    q->center->count.problems++;
    log_event(q->center->env->log, status >= 500 ? LOG_WARN : LOG_DEBUG, "problem",
              "request=%s status=%d code=%s field=%s detail=%s", q->http->id, status,
              problem_table[p->code].code, log_quote_str(p->field), log_quote_str(p->detail));
    respond(q, &response, problem_json(p, q->http->id));
}

void reply_fault(struct request *q, enum problem_code code, const char *field, const char *format,
                 ...) {
    struct problem p = {0};
    va_list args;
    va_start(args, format);
    problem_vset(&p, code, field, format, args);
    va_end(args);
    reply_problem(q, &p);
}

static void reply_options(struct request *q) {
    char allowed[64], text[96];
    const char *methods = q->segment_count > 0 ? allowed_methods(q, allowed, sizeof(allowed))
                                               : "GET, PUT, POST, PATCH, DELETE";
    snprintf(text, sizeof(text), "%s%s, OPTIONS", methods, strstr(methods, "GET") ? ", HEAD" : "");
    struct http_response response = {.status = 204, .headers = {{"Allow", text}}};
    respond(q, &response, NULL);
}

bool may_be_done(int error, bool was_up) {
    switch (-error) {
    case HW_EBUSY: // not sent
    case HW_EUNIMPLEMENTED:
    case HW_ESTORE:
    case HW_EDRAINING:
        return false;
    case HW_ELINK: // by a link that was down already it was not sent
        return was_up;
    default:
        return true;
    }
}

void reply_unanswered(struct request *q, const char *who, int error) {
    struct problem p = {.outcome_unknown = may_be_done(error, q->was_up)};
    problem_set(&p, PROBLEM_store_unavailable, NULL, "the %s did not answer: %s", who,
                hw_strerror(error ? error : -HW_EMALFORMED));
    reply_problem(q, &p);
}

void request_gone_all(struct center *c) {
    while (c->requests)
        reply_fault(c->requests, PROBLEM_overloaded, NULL, "this center is ending");
}

// --- routes

enum who { ANYONE, API, ADMIN }; // API: an API key of the product in the path, or an admin key
enum {
    NO_JSON = 0,
    JSON = 1,             // its body is an object, which the handler finds read
    PRODUCT_MAY_MISS = 2, // the handler deals with a product that is not there
};

struct route {
    const char *method, *path; // "{p}" a product, "{*}" any segment
    enum who who;
    unsigned takes;
    void (*handle)(struct request *q);
};

static const struct route routes[] = {
    {"GET", "healthz", ANYONE, NO_JSON, handle_healthz},
    {"GET", "readyz", ANYONE, NO_JSON, handle_readyz},
    {"GET", "v1/openapi.yaml", ANYONE, NO_JSON, handle_openapi},
    {"GET", "v1/products", ADMIN, NO_JSON, handle_products_list},
    {"PUT", "v1/products/{p}", ADMIN, JSON | PRODUCT_MAY_MISS, handle_product_put},
    {"PATCH", "v1/products/{p}", ADMIN, JSON, handle_product_patch},
    {"GET", "v1/products/{p}", API, NO_JSON, handle_product_get},
    {"DELETE", "v1/products/{p}", ADMIN, NO_JSON, handle_product_delete},
    {"POST", "v1/products/{p}/keys", ADMIN, JSON, handle_key_new},
    {"GET", "v1/products/{p}/keys", ADMIN, NO_JSON, handle_keys_list},
    {"DELETE", "v1/products/{p}/keys/{*}", ADMIN, NO_JSON, handle_key_delete},
    {"POST", "v1/products/{p}/tokens", API, JSON, handle_token},
    {"POST", "v1/products/{p}/messages", API, JSON, handle_push},
    {"POST", "v1/products/{p}/messages/batch", API, JSON, handle_batch},
    {"POST", "v1/products/{p}/users/query", API, JSON, handle_users_query},
    {"GET", "v1/products/{p}/users/{*}", API, NO_JSON, handle_user},
    {"GET", "v1/products/{p}/stats", API, NO_JSON, handle_product_stats},
    {"GET", "v1/stats", ADMIN, NO_JSON, handle_stats},
    {"GET", "v1/cluster", ADMIN, NO_JSON, handle_cluster},
    {"POST", "v1/rooms/{*}/drain", ADMIN, JSON, handle_drain},
};
enum { ROUTES = sizeof(routes) / sizeof(routes[0]) };

static bool segment_fits(const char *pattern, size_t len, const char *segment) {
    bool is_open = len == 3 && pattern[0] == '{';
    return is_open || (strlen(segment) == len && memcmp(pattern, segment, len) == 0);
}

static bool path_fits(const struct request *q, const char *pattern) {
    for (int i = 0; i < q->segment_count; i++) {
        size_t len = strcspn(pattern, "/");
        if (len == 0 || !segment_fits(pattern, len, q->segments[i]))
            return false;
        pattern += len;
        pattern += *pattern == '/';
    }
    return *pattern == '\0' && q->segment_count > 0;
}

// The first route of the path decides what the path is: a literal stands before "{*}".
static const struct route *route_find(const struct request *q, bool *ret_path_known) {
    const char *path = NULL;
    for (int i = 0; i < ROUTES; i++) {
        if (!path_fits(q, routes[i].path) || (path && strcmp(path, routes[i].path) != 0))
            continue;
        path = routes[i].path;
        *ret_path_known = true;
        if (strcmp(q->http->method, routes[i].method) == 0)
            return &routes[i];
    }
    return NULL;
}

static const char *allowed_methods(const struct request *q, char *out, size_t len) {
    const char *path = NULL;
    out[0] = '\0';
    for (int i = 0; i < ROUTES; i++) {
        size_t used = strlen(out);
        if (!path_fits(q, routes[i].path) || (path && strcmp(path, routes[i].path) != 0))
            continue;
        path = routes[i].path;
        snprintf(out + used, len - used, "%s%s", used ? ", " : "", routes[i].method);
    }
    return out;
}

static bool split_path(struct request *q) {
    const char *at = q->http->path;
    if (*at != '/')
        return false;
    for (at++; *at;) {
        size_t len = strcspn(at, "/");
        if (q->segment_count == SEGMENTS_MAX || len >= SEGMENT_MAX ||
            !http_unescape(at, len, false, q->segments[q->segment_count]))
            return false;
        q->segment_count++;
        at += len;
        if (*at == '/' && at[1] == '\0')
            return true; // a slash at the end names nothing more
        at += *at == '/';
    }
    return true;
}

// --- who asks

enum { KEY_BYTES_MAX = 512 };

struct shown_key {
    const char *kid; // of an API key, else NULL
    size_t kid_len;
    uint8_t hash[32];
};

// False: it is too long for any.
static bool take_key(const char *key, struct shown_key *ret_key) {
    size_t len = strlen(key);
    if (len > KEY_BYTES_MAX)
        return false;
    bool is_api_key = strncmp(key, "hwk_", 4) == 0;
    ret_key->kid = is_api_key ? key + 4 : NULL;
    ret_key->kid_len = is_api_key ? strcspn(key + 4, "_") : 0;
    crypto_sha256(key, len, ret_key->hash);
    return true;
}

static bool is_admin_key(const struct center *c, const struct shown_key *key) {
    int count;
    bool found = false;
    uint8_t known[32];
    char *const *keys = config_list(c->env->config, "cluster.admin_keys", &count);
    for (int i = 0; i < count; i++) { // hashed first, so that the time tells nothing
        crypto_sha256(keys[i], strlen(keys[i]), known);
        found = crypto_equal(key->hash, known, sizeof(known)) || found;
    }
    return found;
}

static bool is_api_key_of(const struct product *p, const struct shown_key *key) {
    const struct product_key *known =
        key->kid ? product_key_find(p, HAWSER__INTERNAL__KEY_KIND__KEY_API, key->kid, key->kid_len)
                 : NULL;
    return known && known->secret_len == sizeof(key->hash) &&
           crypto_equal(key->hash, known->secret, sizeof(key->hash));
}

static bool is_api_key_of_any(const struct center *c, const struct shown_key *key) {
    const struct product *p =
        key->kid ? cluster_product_by_api_kid(c->cluster, key->kid, key->kid_len) : NULL;
    return p && is_api_key_of(p, key);
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
    uint64_t until = loop_clock_us(l) + SLICE_US;
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

// --- the body

// False: the request is answered.
static bool product_is_there(struct request *q) {
    if (!q->product_name[0] || q->route->takes & PRODUCT_MAY_MISS || request_product(q))
        return true;
    reply_fault(q, PROBLEM_not_found, NULL, "no product '%s'", q->product_name);
    return false;
}

static bool read_piece(struct request *q) {
    return json_reader_step(&q->reader, READ_PIECE_WORK) == JSON_READ_MORE;
}

static void body_is_read(struct request *q) {
    const struct json_reader *r = &q->reader;
    if (r->is_too_long)
        reply_fault(q, PROBLEM_invalid_value, NULL, "the body has %s", r->fault);
    else if (r->fault)
        reply_fault(q, PROBLEM_malformed, NULL, "the body is not JSON: %s at byte %zu",
                    r->len > 0 ? r->fault : "it is empty", r->at);
    else if (!json_is_object(r->root))
        reply_fault(q, PROBLEM_malformed, NULL, "the body is not a JSON object");
    else if (product_is_there(q)) // still
        q->route->handle(q);
}

static void on_body(void *arg, struct http_request *r) {
    struct request *q = arg;
    if (!r) {
        request_free(q);
    } else if (q->route->takes & JSON) {
        json_reader_init(&q->reader, r->body, r->body_len);
        request_work(q, read_piece, body_is_read);
    } else if (product_is_there(q)) {
        q->route->handle(q);
    }
}

static bool api_key_suffices(struct request *q) {
    const struct product *p = q->product_name[0] ? request_product(q) : NULL;
    struct shown_key key;
    bool may_be = take_key(q->http->authorization + 7, &key);
    bool own = may_be && p && is_api_key_of(p, &key);
    if (!own && !(may_be && is_api_key_of_any(q->center, &key))) {
        reply_fault(q, PROBLEM_unauthorized, NULL, "the key is not known");
        return false;
    }
    http_trust(q->http);
    if (own && q->route->who == API)
        return true;
    reply_fault(q, PROBLEM_forbidden, NULL,
                "an API key does messages, tokens, users and stats of its own product");
    return false;
}

// All that can be refused by the head alone is refused before the body is read.
// Who shows no key has no body to send: it would take the place of those who do.
static void enter(struct request *q) {
    if (q->route->who == ANYONE) {
        q->route->handle(q);
        return;
    }
    if ((!q->is_admin && !api_key_suffices(q)) || !product_is_there(q))
        return;
    const struct product *product = q->product_name[0] ? request_product(q) : NULL;
    if (product) // whichever key it was: what is for one product must not stop all others
        http_charge(q->http, product->number);
    http_read_body(q->http, on_body, q);
}

static void on_product(void *arg, int error, const struct product *p) {
    struct request *q = arg;
    (void)p;
    if (error != 0 && error != -HW_EUNKNOWN)
        reply_fault(q, PROBLEM_store_unavailable, NULL, "no register can be asked for the product");
    else
        enter(q);
}

static bool take_product(struct request *q) {
    const char *name = q->segment_count > 2 ? q->segments[2] : "";
    if (!strstr(q->route->path, "{p}"))
        return true;
    if (!product_name_is_valid(name, strlen(name))) {
        bool is_new = q->route->takes & PRODUCT_MAY_MISS;
        reply_fault(q, is_new ? PROBLEM_invalid_value : PROBLEM_not_found,
                    is_new ? "product" : NULL, "a product's name is [a-z0-9][a-z0-9_-]{0,31}");
        return false;
    }
    memcpy(q->product_name, name, strlen(name) + 1);
    return true;
}

static bool take_authorization(struct request *q) {
    const char *auth = q->http->authorization;
    struct shown_key key;
    if (q->route->who == ANYONE)
        return true;
    if (strncasecmp(auth, "Bearer ", 7) != 0 || auth[7] == '\0') {
        reply_fault(q, PROBLEM_unauthorized, NULL, "Authorization: Bearer <key> is needed");
        return false;
    }
    q->is_admin = take_key(auth + 7, &key) && is_admin_key(q->center, &key);
    if (q->is_admin)
        http_trust(q->http);
    return true;
}

static void admit(struct request *q) {
    if (!take_authorization(q) || !take_product(q))
        return;
    if (!q->product_name[0] || request_product(q))
        enter(q);
    else if (http_may_wait(q->http))
        cluster_product_ask(q->center->cluster, q->product_name, NULL, on_product, q);
    else
        reply_fault(q, PROBLEM_overloaded, NULL,
                    "too many ask for products that are not known here");
}

void center_request(void *self, struct http_request *r) {
    struct center *c = self;
    struct request *q = hw_calloc(1, sizeof(*q));
    bool path_known = false;
    q->center = c;
    q->http = r;
    q->next = c->requests;
    if (q->next)
        q->next->prev = q;
    c->requests = q;
    c->count.requests++;
    c->count.open++;
    if (strcmp(r->path, "*") != 0 && !split_path(q)) {
        reply_fault(q, PROBLEM_malformed, NULL, "the path does not decode");
        return;
    }
    q->route = route_find(q, &path_known);
    if (q->route)
        admit(q);
    else if (strcmp(r->method, "OPTIONS") == 0 && (path_known || q->segment_count == 0))
        reply_options(q);
    else
        reply_fault(q, path_known ? PROBLEM_method_not_allowed : PROBLEM_not_found, NULL,
                    path_known ? "the Allow header has the methods of this path" : "no such path");
}
