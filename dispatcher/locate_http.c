// GET /v1/locate: the same answer in protobuf's JSON mapping, with the proto's field names.
#include <assert.h>
#include <jansson.h>

#include "dispatcher_internal.h"

enum { VALUE_MAX = 512 };

// --- names of enum values, from the generated descriptors

static const char *enum_name(const ProtobufCEnumDescriptor *d, int value) {
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);
    return v ? v->name : "";
}

static bool enum_number(const ProtobufCEnumDescriptor *d, const char *name, int *ret_value) {
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value_by_name(d, name);
    if (v)
        *ret_value = v->value;
    return v != NULL;
}

// --- the question

static const char *take_texts(struct dispatcher *d, const char *query, Hawser__V1__Locate *ask) {
    char value[VALUE_MAX];
    bool bad = false;
    if (http_query_get(query, "device", value, sizeof(value), &bad)) {
        if (bad || !id_is_valid(value, strlen(value), 64))
            return "device";
        ask->device = arena_strndup(&d->arena, value, strlen(value));
    }
    if (http_query_get(query, "product", value, sizeof(value), &bad)) {
        if (bad || !product_name_is_valid(value, strlen(value)))
            return "product";
        ask->product = arena_strndup(&d->arena, value, strlen(value));
    }
    if (http_query_get(query, "network", value, sizeof(value), &bad)) {
        int network;
        if (bad || !enum_number(&hawser__v1__network__descriptor, value, &network))
            return "network";
        ask->network = (Hawser__V1__Network)network;
    }
    if (http_query_get(query, "want", value, sizeof(value), &bad)) {
        char *end;
        unsigned long want = strtoul(value, &end, 10);
        if (bad || *value == '\0' || *end || want < 1 || want > CHOOSE_MAX)
            return "want";
        ask->want = (uint32_t)want;
    }
    return NULL;
}

static const char *take_transports(struct dispatcher *d, const char *query,
                                   Hawser__V1__Locate *ask) {
    struct http_query q = {.at = query};
    char value[VALUE_MAX];
    ask->transport = arena_calloc(&d->arena, CHOOSE_MAX, sizeof(ask->transport[0]));
    while (http_query_next(&q, "transport", value, sizeof(value))) {
        int transport;
        if (q.is_bad || ask->n_transport == CHOOSE_MAX ||
            !enum_number(&hawser__v1__transport__descriptor, value, &transport))
            return "transport";
        ask->transport[ask->n_transport++] = (Hawser__V1__Transport)transport;
    }
    return NULL;
}

static const char *take_failed(struct dispatcher *d, const char *query, Hawser__V1__Locate *ask) {
    struct http_query q = {.at = query};
    char value[VALUE_MAX];
    ask->failed = arena_calloc(&d->arena, CHOOSE_MAX, sizeof(ask->failed[0]));
    while (http_query_next(&q, "failed", value, sizeof(value))) {
        struct host_port at;
        if (q.is_bad || ask->n_failed == CHOOSE_MAX || host_port_parse(value, false, &at) != 0)
            return "failed";
        Hawser__V1__Endpoint *e = arena_alloc(&d->arena, sizeof(*e));
        hawser__v1__endpoint__init(e);
        e->host = arena_strndup(&d->arena, at.host, strlen(at.host));
        e->port = at.port;
        ask->failed[ask->n_failed++] = e;
    }
    return NULL;
}

// --- the answer

static json_t *endpoint_json(const Hawser__V1__Endpoint *e) {
    json_t *transports = json_array();
    for (size_t i = 0; i < e->n_transport; i++)
        json_array_append_new(transports, json_string(enum_name(&hawser__v1__transport__descriptor,
                                                                (int)e->transport[i])));
    json_t *one = json_pack("{s:s, s:i, s:o, s:s}", "host", e->host, "port", (int)e->port,
                            "transport", transports, "room", e->room);
    if (*e->idc)
        json_object_set_new(one, "idc", json_string(e->idc));
    if (*e->tls_name)
        json_object_set_new(one, "tls_name", json_string(e->tls_name));
    return one;
}

static json_t *located_json(const Hawser__V1__Located *l) {
    json_t *endpoints = json_array();
    for (size_t i = 0; i < l->n_endpoint; i++)
        json_array_append_new(endpoints, endpoint_json(l->endpoint[i]));
    json_t *body = json_pack("{s:o, s:i, s:i, s:i, s:i, s:i, s:i}", "endpoint", endpoints, "ttl_s",
                             (int)l->ttl_s, "heartbeat_s", (int)l->heartbeat_s, "heartbeat_max_s",
                             (int)l->heartbeat_max_s, "backoff_base_ms", (int)l->backoff_base_ms,
                             "backoff_cap_ms", (int)l->backoff_cap_ms, "start_after_ms",
                             (int)l->start_after_ms);
    if (l->error) {
        json_object_set_new(body, "error", json_integer(l->error));
        json_object_set_new(body, "reason", json_string(l->reason));
    }
    return body;
}

static void locate_respond(struct http_request *r, int status, const char *type, json_t *body) {
    char *text = json_dumps(body, JSON_COMPACT);
    http_respond(r, &(struct http_response){.status = status,
                                            .content_type = type,
                                            .body = text,
                                            .body_len = strlen(text),
                                            .headers = {{"Cache-Control", "no-store"},
                                                        {status == 405 ? "Allow" : NULL, "GET"}}});
    free(text);
    json_decref(body);
}

struct locate_fault {
    int status;
    const char *code, *title, *detail;
};
static const struct locate_fault no_such_path = {404, "not_found", "Not found",
                                                 "no such path; there is /v1/locate"};
static const struct locate_fault no_such_method = {
    405, "method_not_allowed", "This path does not have that method", "only GET"};

static void locate_problem(struct http_request *r, const struct locate_fault *f,
                           const char *field) {
    char type[64];
    snprintf(type, sizeof(type), "urn:hawser:error:%s", f->code);
    json_t *body =
        json_pack("{s:s, s:s, s:i, s:s, s:s, s:s}", "type", type, "title", f->title, "status",
                  f->status, "detail", f->detail, "code", f->code, "request_id", r->id);
    if (field)
        json_object_set_new(body, "field", json_string(field));
    locate_respond(r, f->status, "application/problem+json", body);
}

// What a query field may be; where it is a name of an enum, the text before the names.
static const struct {
    const char *field, *allowed;
    const ProtobufCEnumDescriptor *names;
} query_fields[] = {
    {"device", "device is 1..64 bytes of UTF-8 without control characters", NULL},
    {"product", "product is the name of one: [a-z0-9][a-z0-9_-]{0,31}", NULL},
    {"network", "network is one of", &hawser__v1__network__descriptor},
    {"want", "want is a number from 1 to 16", NULL},
    {"transport", "up to 16 times, transport is one of", &hawser__v1__transport__descriptor},
    {"failed", "up to 16 times, failed is host:port", NULL},
};
static_assert(CHOOSE_MAX == 16, "what the texts say");

static void wrong_value(struct http_request *r, const char *field) {
    struct buf detail = BUF_EMPTY;
    size_t i = 0;
    while (strcmp(query_fields[i].field, field) != 0) {
        i++;
        assert(i < sizeof(query_fields) / sizeof(query_fields[0]));
    }
    buf_append_str(&detail, query_fields[i].allowed);
    const ProtobufCEnumDescriptor *names = query_fields[i].names;
    for (unsigned n = 0; names && n < names->n_values; n++)
        buf_printf(&detail, "%s %s", n ? "," : "", names->values[n].name);
    locate_problem(
        r,
        &(struct locate_fault){422, "invalid_value", "A value is not allowed", buf_cstr(&detail)},
        field);
    buf_free(&detail);
}

void locate_http(void *arg, struct http_request *r) {
    struct dispatcher *d = arg;
    Hawser__V1__Locate ask = HAWSER__V1__LOCATE__INIT;
    d->count.http_requests++;
    if (strcmp(r->path, "/healthz") == 0) {
        locate_respond(r, 200, "application/json", json_pack("{s:s}", "status", "ok"));
    } else if (strcmp(r->path, "/v1/locate") != 0) {
        locate_problem(r, &no_such_path, NULL);
    } else if (strcmp(r->method, "OPTIONS") == 0) {
        http_respond(r, &(struct http_response){.status = 204,
                                                .headers = {{"Allow", "GET, HEAD, OPTIONS"}}});
    } else if (strcmp(r->method, "GET") != 0) {
        locate_problem(r, &no_such_method, NULL);
    } else {
        const char *field = take_texts(d, r->query, &ask);
        field = field ? field : take_transports(d, r->query, &ask);
        field = field ? field : take_failed(d, r->query, &ask);
        if (field)
            wrong_value(r, field);
        else
            locate_respond(r, 200, "application/json", located_json(locate(d, &ask)));
    }
    arena_reset(&d->arena);
}
