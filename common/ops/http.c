// A server's life, and who gives way to a newcomer: of each class the one at rest for longest.
#include "http_internal.h"

enum { GRACE_MS = 100 }; // a newcomer has so long to say who it is before it may have to give way

const struct http_limits http_limits_default = {
    .head_ms = 10000,
    .idle_ms = 75000,
    .body_ms = 30000,
    .read_ms = 30000,
    .linger_ms = 5000,
    .body_bytes_max = 4096,
    .bodies_bytes_max = 1024 * 1024,
    .connections_max = 4096,
    .keyless_max = 1024,
    .address_max = 64,
};

// --- who gives way

// Whoever waits for an answer is not at rest.
static bool may_give_way(const struct http_conn *c, uint64_t until_ms) {
    return c->phase != HTTP_HANDLER && c->phase != HTTP_BODY && c->rested_ms <= until_ms;
}

static bool give_way(struct http_conn *c) {
    c->server->count.gave_way++;
    http_conn_end(c);
    return true;
}

static bool one_gives_way(struct http_conns *class, const struct http_conn *newcomer,
                          uint64_t until_ms) {
    struct http_conn *c;
    TAILQ_FOREACH(c, class, in_class)
        if (c != newcomer && may_give_way(c, until_ms))
            return give_way(c);
    return false;
}

static bool one_of_address_gives_way(struct http_address *a, const struct http_conn *newcomer,
                                     uint64_t until_ms) {
    struct http_conn *c;
    TAILQ_FOREACH(c, &a->conns, at_address)
        if (c != newcomer && may_give_way(c, until_ms))
            return give_way(c);
    return false;
}

static void make_place_for(struct http_conn *c) {
    struct http_server *s = c->server;
    const struct http_limits *l = &s->options.limits;
    uint64_t now = loop_now_ms(s->options.loop), graced = now > GRACE_MS ? now - GRACE_MS : 0;
    while (c->address->count > l->address_max && one_of_address_gives_way(c->address, c, graced)) {
    }
    // At the last, of the address that has too many, and of any.
    while (s->keyless_count > l->keyless_max && c->address->count > l->address_max &&
           one_of_address_gives_way(c->address, c, now)) {
    }
    while (s->keyless_count > l->keyless_max && one_gives_way(&s->keyless, c, now)) {
    }
    // All wait for answers, as when the registers are slow: the first one does not get its own.
    if (s->keyless_count > l->keyless_max)
        (void)give_way(TAILQ_FIRST(&s->keyless));
}

static void on_accept(void *arg, struct stream *stream) {
    struct http_server *s = arg;
    struct http_conn *c = hw_calloc(1, sizeof(*c));
    c->server = s;
    c->rested_ms = loop_now_ms(s->options.loop);
    http_conn_enter_keyless(c, stream);
    http_accept_conn(c, stream);
    make_place_for(c);
}

void http_trust(struct http_request *r) {
    struct http_exchange *x = (struct http_exchange *)r;
    struct http_conn *c = x->conn;
    if (!c || !c->address)
        return;
    struct http_server *s = c->server;
    if (s->keyed_count >= s->options.limits.connections_max &&
        !one_gives_way(&s->keyed, c, loop_now_ms(s->options.loop)))
        return; // all of them work: this one is served, and counts among those without a key
    http_conn_enter_keyed(c);
    x->may_wait = true;
}

// --- life

static void fit_descriptors(struct http_limits *l, uint32_t descriptors) {
    uint32_t count = descriptors_for_clients(descriptors);
    l->connections_max = l->connections_max < count / 2 ? l->connections_max : count / 2;
    l->keyless_max = l->keyless_max < count / 4 ? l->keyless_max : count / 4;
    l->address_max = l->address_max < l->keyless_max / 2 ? l->address_max : l->keyless_max / 2;
}

int http_server_new(const struct http_options *o, struct http_server **ret_server) {
    struct http_server *s = hw_calloc(1, sizeof(*s));
    s->options = *o;
    fit_descriptors(&s->options.limits, os_descriptors(loop_os(o->loop)));
    TAILQ_INIT(&s->keyed);
    TAILQ_INIT(&s->keyless);
    LIST_INIT(&s->exchanges);
    rng_16_bytes(loop_rng(o->loop), s->hash_key);
    int rc = listener_new(o->loop, (struct listen_at){o->host, o->port_first, o->port_last},
                          on_accept, s, &s->listener);
    if (rc != 0) {
        free(s);
        return rc;
    }
    listener_set_door(s->listener, o->door);
    *ret_server = s;
    return 0;
}

uint16_t http_server_port(const struct http_server *s) {
    return listener_port(s->listener);
}

void http_server_count(struct http_server *s, struct metrics *m, bool is_ops) {
#define COUNT(kind, name, help, value)                                                             \
    metrics_##kind(m, is_ops ? "ops_" name : "http_" name, help, value);
#define COUNT_REFUSED(code, status, title)                                                         \
    COUNT(counter, "refused_" #code "_total", "HTTP requests refused with " #status,               \
          &s->count.refused[HTTP_REFUSAL_##code])
    HTTP_REFUSALS(COUNT_REFUSED)
#undef COUNT_REFUSED
    COUNT(gauge, "connections_count", "HTTP connections", &s->count.connections)
    COUNT(gauge, "bodies_bytes", "HTTP request bodies in memory", &s->bodies_bytes)
    COUNT(counter, "gave_way_total", "HTTP connections at rest that gave way to others",
          &s->count.gave_way)
    COUNT(gauge, "abandoned_count", "HTTP requests in progress whose connection is gone",
          &s->abandoned)
    COUNT(counter, "no_wait_total", "HTTP requests that could not wait, since too many such did",
          &s->count.no_wait)
    COUNT(counter, "idle_total", "HTTP connections ended after a rest", &s->count.idle)
    COUNT(counter, "unread_total", "HTTP answers that nobody read in time", &s->count.unread)
#undef COUNT
}

void http_server_drain(struct http_server *s) {
    s->is_draining = true;
}

void http_server_free(struct http_server *s) {
    if (!s)
        return;
    listener_free(s->listener);
    while (!TAILQ_EMPTY(&s->keyless))
        http_conn_orphan(TAILQ_FIRST(&s->keyless));
    while (!TAILQ_EMPTY(&s->keyed))
        http_conn_orphan(TAILQ_FIRST(&s->keyed));
    struct http_exchange *x;
    while ((x = LIST_FIRST(&s->exchanges)) != NULL) {
        LIST_REMOVE(x, at_server);
        http_body_uncharge(x);
        x->server = NULL;
    }
    free(s);
}
