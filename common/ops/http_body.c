// The bytes of bodies. Bytes are counted as they are held, and bounded in two ways: all of them,
// and those of each product, so that one product's clients cannot take the place of all others.
#include <assert.h>

#include "http_internal.h"

enum { PRODUCT_SHARE = 4 }; // one of so many parts of all bodies

// At least one whole body, however little there is for all.
static uint64_t product_max(const struct http_limits *l) {
    size_t share = l->bodies_bytes_max / PRODUCT_SHARE;
    return share > l->body_bytes_max ? share : l->body_bytes_max;
}

// Memory doubles as the body comes, since a length alone is no reason to hold any; but it ends at
// what was announced, so that a body holds no more than its bound.
static size_t capacity_for(const struct http_exchange *x, size_t len) {
    size_t most = x->head.is_chunked ? x->server->options.limits.body_bytes_max
                                     : (size_t)x->head.content_length;
    size_t doubled = x->body.capacity * 2 < most ? x->body.capacity * 2 : most;
    if (len <= x->body.capacity)
        return x->body.capacity;
    return len > doubled ? len : doubled;
}

static enum http_bound count_more(struct http_exchange *x, size_t more) {
    struct http_server *s = x->server;
    const struct http_limits *l = &s->options.limits;
    bool has_others = x->account && x->account->requests > 1; // one alone may always go on
    if (has_others && more > 0 && x->account->bytes + more > product_max(l))
        return HTTP_BOUND_PRODUCT;
    if (more > 0 && s->bodies_bytes + more > l->bodies_bytes_max)
        return HTTP_BOUND_ALL;
    s->bodies_bytes += more;
    if (x->account)
        x->account->bytes += more;
    return HTTP_BOUND_NONE;
}

enum http_bound http_charge_made(struct http_request *r, size_t bytes) {
    struct http_exchange *x = (struct http_exchange *)r;
    if (!x->server || bytes <= x->made_bytes)
        return HTTP_BOUND_NONE;
    enum http_bound bound = count_more(x, bytes - x->made_bytes);
    if (bound == HTTP_BOUND_NONE)
        x->made_bytes = bytes;
    return bound;
}

bool http_body_keep(struct http_exchange *x, const uint8_t *data, size_t len,
                    enum http_fault *ret_fault) {
    size_t capacity = capacity_for(x, x->body.len + len), more = capacity - x->body.capacity;
    enum http_bound bound = count_more(x, more);
    if (bound != HTTP_BOUND_NONE) {
        *ret_fault = bound == HTTP_BOUND_PRODUCT ? HTTP_FAULT_PRODUCT_FULL : HTTP_FAULT_BODIES_FULL;
        return false;
    }
    if (more > 0)
        x->body.data = hw_realloc(x->body.data, capacity);
    x->body.capacity = capacity;
    buf_append(&x->body, data, len);
    return true;
}

void http_charge(struct http_request *r, uint32_t product) {
    struct http_exchange *x = (struct http_exchange *)r;
    struct http_account *a = NULL;
    if (!x->server || x->account)
        return;
    HASH_FIND(hh, x->server->accounts, &product, sizeof(product), a);
    if (!a) {
        a = hw_calloc(1, sizeof(*a));
        a->product = product;
        HASH_ADD(hh, x->server->accounts, product, sizeof(a->product), a);
    }
    a->requests++;
    assert(x->body.capacity == 0 && x->made_bytes == 0); // all of it is counted there
    x->account = a;
}

void http_body_uncharge(struct http_exchange *x) {
    struct http_account *a = x->account;
    if (!a)
        return;
    x->account = NULL;
    a->bytes -= x->body.capacity + x->made_bytes;
    if (--a->requests > 0)
        return;
    HASH_DEL(x->server->accounts, a);
    free(a);
}

void http_body_free(struct http_exchange *x) {
    http_body_uncharge(x);
    if (x->server)
        x->server->bodies_bytes -= x->body.capacity + x->made_bytes;
    buf_free(&x->body);
}
