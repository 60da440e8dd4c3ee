// A request's way to its handler: its path is split before it is decoded, one table says who may do
// what, and its body is read once its head suffices.
#include "fields.h"
#include "handlers.h"
#include "request.h"

enum {
    READ_PIECE_WORK = 16 * 1024, // of a body, between two looks at the clock
    USER_SEGMENT = 4,            // where "{u}" stands in a path
};

// --- the table

enum who { ANYONE, API, ADMIN }; // API: an API key of the product in the path, or an admin key
enum {
    NO_JSON = 0,
    JSON = 1,             // its body is an object, which the handler finds read
    PRODUCT_MAY_MISS = 2, // the handler deals with a product that is not there
};

struct route {
    const char *method, *path; // "{p}" a product, "{u}" a user, "{*}" any segment
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
    {"GET", "v1/products/{p}/messages", API, NO_JSON, handle_jobs},
    {"POST", "v1/products/{p}/messages/batch", API, JSON, handle_batch},
    {"GET", "v1/products/{p}/messages/{*}", API, NO_JSON, handle_message},
    {"GET", "v1/products/{p}/messages/{*}/users", API, NO_JSON, handle_message_users},
    {"GET", "v1/products/{p}/messages/{*}/users/{*}", API, NO_JSON, handle_message_user},
    {"DELETE", "v1/products/{p}/messages/{*}", API, NO_JSON, handle_recall},
    {"POST", "v1/products/{p}/users/query", API, JSON, handle_users_query},
    {"GET", "v1/products/{p}/users/{u}", API, NO_JSON, handle_user},
    {"GET", "v1/products/{p}/users/{u}/messages", API, NO_JSON, handle_user_messages},
    {"GET", "v1/products/{p}/users/{u}/parked", API, NO_JSON, handle_parked},
    {"DELETE", "v1/products/{p}/users/{u}/parked", API, NO_JSON, handle_parked_delete},
    {"POST", "v1/products/{p}/users/{u}/parked/redeliver", API, NO_JSON, handle_redeliver},
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

// The first route of the path decides what the path is: a literal stands before "{u}". Where none
// is found, q->allow has the methods of the path.
static const struct route *route_find(struct request *q) {
    const char *path = NULL;
    for (int i = 0; i < ROUTES; i++) {
        size_t used = strlen(q->allow);
        if (!path_fits(q, routes[i].path) || (path && strcmp(path, routes[i].path) != 0))
            continue;
        path = routes[i].path;
        if (strcmp(q->http->method, routes[i].method) == 0)
            return &routes[i];
        snprintf(q->allow + used, sizeof(q->allow) - used, "%s%s", used ? ", " : "",
                 routes[i].method);
    }
    return NULL;
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

// --- from the head to the handler

// False: the request is answered.
static bool product_is_there(struct request *q) {
    if (!q->product_name[0] || q->route->takes & PRODUCT_MAY_MISS || request_product(q))
        return true;
    reply_fault(q, PROBLEM_not_found, NULL, "no product '%s'", q->product_name);
    return false;
}

// False: the request is answered.
static bool user_is_valid(struct request *q) {
    const char *user = q->segments[USER_SEGMENT];
    if (!strstr(q->route->path, "{u}") || id_is_valid(user, strlen(user), ID_MAX))
        return true;
    reply_fault(q, PROBLEM_invalid_value, "user",
                "1..64 bytes of UTF-8 without control characters");
    return false;
}

// What is made of a body may be some times as large as its text: it is counted with it.
static bool read_piece(struct request *q) {
    struct json_reader *r = &q->reader;
    bool is_more = json_reader_step(r, READ_PIECE_WORK) == JSON_READ_MORE;
    q->bound = http_charge_made(q->http, r->values * JSON_VALUE_BYTES);
    return is_more && q->bound == HTTP_BOUND_NONE;
}

static void reply_no_json(struct request *q) {
    const struct json_reader *r = &q->reader;
    struct buf field = BUF_EMPTY;
    if (r->is_of_value)
        json_reader_path(r, &field);
    reply_fault(q, PROBLEM_malformed, buf_cstr(&field), "the body is not JSON: %s at byte %zu",
                r->len > 0 ? r->fault : "it is empty", r->at);
    buf_free(&field);
}

static void routes_body_is_read(struct request *q) {
    const struct json_reader *r = &q->reader;
    if (q->bound == HTTP_BOUND_PRODUCT)
        reply_fault(q, PROBLEM_quota_exceeded, NULL,
                    "too many and too large bodies of this product are being read");
    else if (q->bound == HTTP_BOUND_ALL)
        reply_fault(q, PROBLEM_overloaded, NULL, "too many and too large bodies are being read");
    else if (r->is_too_long)
        reply_fault(q, PROBLEM_invalid_value, NULL, "the body has %s", r->fault);
    else if (r->fault)
        reply_no_json(q);
    else if (!json_is_object(r->root))
        reply_fault(q, PROBLEM_malformed, NULL, "the body is not a JSON object");
    else if (product_is_there(q)) // still
        q->route->handle(q);
}

// Of a call without a body: who sends one, as to choose what is deleted, must not get more than it
// asked for. A client that always sends an object sends an empty one.
static bool body_says_nothing(struct request *q, const struct http_request *r) {
    bool is_empty = r->body_len == 0 || (r->body_len == 2 && memcmp(r->body, "{}", 2) == 0);
    if (!is_empty && strcmp(r->method, "GET") != 0) {
        reply_fault(q, PROBLEM_unknown_field, NULL, "this call takes no body");
        return false;
    }
    return true;
}

static void routes_on_body(void *arg, struct http_request *r) {
    struct request *q = arg;
    if (!r) {
        request_free(q);
    } else if (q->route->takes & JSON) {
        json_reader_init(&q->reader, r->body, r->body_len);
        request_work(q, read_piece, routes_body_is_read);
    } else if (body_says_nothing(q, r) && product_is_there(q)) {
        q->route->handle(q);
    }
}

static bool api_key_suffices(struct request *q) {
    const struct product *p = q->product_name[0] ? request_product(q) : NULL;
    bool own = p && access_is_of(p, &q->key);
    if (!own && !access_is_of_any(q->center, &q->key)) {
        reply_fault(q, PROBLEM_unauthorized, NULL, "the key is not known");
        return false;
    }
    access_proven(q->center, &q->key);
    http_trust(q->http);
    if (own && q->route->who == API)
        return true;
    reply_fault(q, PROBLEM_forbidden, NULL,
                "an API key does messages, tokens, users, stats and GET of its own product");
    return false;
}

// All that can be refused by the head alone is refused before the body is read.
// Who shows no key has no body to send: it would take the place of those who do.
static void routes_enter(struct request *q) {
    if (q->route->who == ANYONE) {
        q->route->handle(q);
        return;
    }
    if ((!q->is_admin && !api_key_suffices(q)) || !product_is_there(q) || !user_is_valid(q))
        return;
    const struct product *product = q->product_name[0] ? request_product(q) : NULL;
    if (product) // whichever key it was: what is for one product must not stop all others
        http_charge(q->http, product->number);
    http_read_body(q->http, routes_on_body, q);
}

static void routes_on_product(void *arg, int error, const struct product *p) {
    struct request *q = arg;
    (void)p;
    if (error != 0 && error != -HW_EUNKNOWN)
        reply_fault(q, PROBLEM_store_unavailable, NULL,
                    "not every register can be asked for the product");
    else
        routes_enter(q);
}

static bool routes_take_product(struct request *q) {
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
    if (q->route->who == ANYONE)
        return true;
    if (!access_read(q->center, q->http->authorization, &q->key)) {
        reply_fault(q, PROBLEM_unauthorized, NULL, "Authorization: Bearer <key> is needed");
        return false;
    }
    q->is_admin = access_is_admin(q->center, &q->key);
    if (q->is_admin)
        http_trust(q->http);
    return true;
}

static void routes_admit(struct request *q) {
    if (!take_authorization(q) || !routes_take_product(q))
        return;
    if (!q->product_name[0] || request_product(q))
        routes_enter(q);
    else if (http_may_wait(q->http))
        cluster_product_ask(q->center->cluster, q->product_name, NULL, routes_on_product, q);
    else
        reply_fault(q, PROBLEM_overloaded, NULL,
                    "too many ask for products that are not known here");
}

static void reply_options(struct request *q) {
    char text[ALLOW_CHARS + 32];
    const char *methods = q->segment_count > 0 ? q->allow : "GET, PUT, POST, PATCH, DELETE";
    snprintf(text, sizeof(text), "%s%s, OPTIONS", methods, strstr(methods, "GET") ? ", HEAD" : "");
    reply_allowed(q, text);
}

void center_request(void *self, struct http_request *r) {
    struct center *c = self;
    struct request *q = request_new(c, r);
    if (strcmp(r->path, "*") != 0 && !split_path(q)) {
        reply_fault(q, PROBLEM_malformed, NULL, "the path does not decode");
        return;
    }
    q->route = route_find(q);
    bool path_known = q->allow[0] != '\0'; // unless there is a route
    if (q->route)
        routes_admit(q);
    else if (strcmp(r->method, "OPTIONS") == 0 && (path_known || q->segment_count == 0))
        reply_options(q);
    else
        reply_fault(q, path_known ? PROBLEM_method_not_allowed : PROBLEM_not_found, NULL,
                    path_known ? "the Allow header has the methods of this path" : "no such path");
}
