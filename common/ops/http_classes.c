// The two classes of connections. A flood of those without a key must not keep out those who have
// one, so each is counted by itself: a connection is keyless until its first valid key.
#include <arpa/inet.h>

#include "addr.h"
#include "bytes.h"
#include "http_internal.h"

// --- addresses

static struct http_address *address_get(struct http_server *s, const struct stream *stream) {
    struct sock_addr peer;
    uint8_t key[16] = {0};
    stream_peer(stream, &peer);
    if (peer.storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&peer.storage;
        bool is_v4 = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
        memcpy(key, &in6->sin6_addr, is_v4 ? 16 : 8);
    } else if (peer.storage.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&peer.storage;
        key[10] = key[11] = 0xff; // as ::ffff:a.b.c.d
        memcpy(key + 12, &in->sin_addr, 4);
    }
    unsigned hash = (unsigned)siphash(s->hash_key, key, sizeof(key));
    struct http_address *a = NULL;
    HASH_FIND_BYHASHVALUE(hh, s->addresses, key, sizeof(key), hash, a);
    if (a)
        return a;
    a = hw_calloc(1, sizeof(*a));
    memcpy(a->key, key, sizeof(key));
    TAILQ_INIT(&a->conns);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, s->addresses, a->key, sizeof(a->key), hash, a);
    return a;
}

static void leave_address(struct http_conn *c) {
    struct http_address *a = c->address;
    c->address = NULL;
    TAILQ_REMOVE(&a->conns, c, at_address);
    if (--a->count > 0)
        return;
    HASH_DEL(c->server->addresses, a);
    free(a);
}

// --- classes

void http_conn_enter_keyless(struct http_conn *c, const struct stream *stream) {
    struct http_server *s = c->server;
    c->address = address_get(s, stream);
    c->address->count++;
    TAILQ_INSERT_TAIL(&c->address->conns, c, at_address);
    TAILQ_INSERT_TAIL(&s->keyless, c, in_class);
    s->keyless_count++;
    s->count.connections = s->keyed_count + s->keyless_count;
}

void http_conn_enter_keyed(struct http_conn *c) {
    struct http_server *s = c->server;
    TAILQ_REMOVE(&s->keyless, c, in_class);
    s->keyless_count--;
    leave_address(c);
    TAILQ_INSERT_TAIL(&s->keyed, c, in_class);
    s->keyed_count++;
}

void http_conn_forget(struct http_conn *c) {
    struct http_server *s = c->server;
    if (c->phase == HTTP_CLOSED)
        return;
    if (c->address) {
        TAILQ_REMOVE(&s->keyless, c, in_class);
        s->keyless_count--;
        leave_address(c);
    } else {
        TAILQ_REMOVE(&s->keyed, c, in_class);
        s->keyed_count--;
    }
    s->count.connections = s->keyed_count + s->keyless_count;
}

void http_conn_rest(struct http_conn *c) {
    struct http_conns *class = c->address ? &c->server->keyless : &c->server->keyed;
    c->rested_ms = loop_now_ms(c->server->options.loop);
    TAILQ_REMOVE(class, c, in_class);
    TAILQ_INSERT_TAIL(class, c, in_class);
    if (c->address) {
        TAILQ_REMOVE(&c->address->conns, c, at_address);
        TAILQ_INSERT_TAIL(&c->address->conns, c, at_address);
    }
}

bool http_may_wait(struct http_request *r) {
    struct http_exchange *x = (struct http_exchange *)r;
    struct http_server *s = x->server;
    x->may_wait = x->may_wait || s->abandoned < s->options.limits.keyless_max;
    s->count.no_wait += !x->may_wait;
    return x->may_wait;
}
