// The serving side: a listener, its channels, and calls that may be answered now, later, or after
// their channel has gone.
#include <assert.h>

#include "addr.h"
#include "arena.h"
#include "channel.h"

enum {
    // A reply travels behind less than a batch of others, and has its own item's head.
    RPC_REPLY_BYTES_MAX = RPC_FRAME_MAX - BATCH_BYTES_MAX - 1024,
    // A peer's open calls: four times what a link has in flight, since the link forgets at a call's
    // deadline and its handler may not.
    CALLS_BYTES_MAX = 32 * 1024 * 1024,
    // Who has not proven itself holds a part of the descriptors, for the time of a hand-shake.
    UNPROVEN_MAX = 1024,
    UNPROVEN_PART = 4
};

struct rpc_conn {
    struct rpc_conn *next, **link; // in one of the server's lists
    struct rpc_server *server;     // borrowed: frees us before it goes
    struct rpc_call *calls;        // open ones; cleared of us when we end
    size_t calls_bytes;
    struct channel channel;
    bool is_proven;
    unsigned role;      // a bit of enum rpc_caller, once proven; 0: none that we know
    char from[48];      // its address
    struct buf replies; // this iteration's, one frame for each BATCH_BYTES_MAX
};

struct rpc_server {
    struct loop *loop;
    const struct rpc_identity *self; // borrowed
    struct log *log;                 // borrowed
    struct listener *listener;       // owned
    const struct rpc_method *methods;
    void *daemon;
    uint64_t *served;                          // owned; of each method
    struct arena requests;                     // of the handler under way
    struct rpc_conn *conns;                    // proven
    struct rpc_conn *unproven, **unproven_end; // oldest first
    uint32_t unproven_count, unproven_max;
    struct rpc_counts counts;
};

struct rpc_call {
    struct rpc_call *next, **link; // in conn's list; link NULL when the connection has gone
    struct rpc_conn *conn;         // borrowed; NULL when gone
    size_t bytes;                  // of the request and of this
    uint32_t call;
    const struct rpc_method *method; // borrowed, static; NULL: unknown
    char peer_role[ROLE_MAX + 1];
    uint64_t peer_incarnation;
};

static void call_unlink(struct rpc_call *call) {
    if (!call->link)
        return;
    *call->link = call->next;
    if (call->next)
        call->next->link = call->link;
    call->conn->calls_bytes -= call->bytes;
    call->link = NULL;
    call->conn = NULL;
}

static void call_answer(struct rpc_call *call, int error, const ProtobufCMessage *reply) {
    struct rpc_conn *conn = call->conn;
    if (conn && conn->channel.state == CHANNEL_OPEN) {
        rpc_put_reply_item(&conn->replies, call->call, (uint32_t)-error, reply);
        if (conn->replies.len >= BATCH_BYTES_MAX)
            channel_put_batch(&conn->channel, &(struct rpc_frame){.kind = RPC_REPLY},
                              &conn->replies);
        channel_want_flush(&conn->channel);
    }
    call_unlink(call);
    free(call);
}

// The peer would take a frame that is too large for a fault of the whole link.
void rpc_reply(struct rpc_call *call, const ProtobufCMessage *reply) {
    assert(reply->descriptor == call->method->reply);
    bool fits = protobuf_c_message_get_packed_size(reply) <= RPC_REPLY_BYTES_MAX;
    call_answer(call, fits ? 0 : -HW_ETOOBIG, fits ? reply : NULL);
}

void rpc_fail(struct rpc_call *call, int error) {
    assert(error < 0);
    call_answer(call, error, NULL);
}

// conn is there while its handler runs, which is when a request is refused.
static void call_refuse(struct rpc_call *call, int error) {
    struct rpc_conn *conn = call->conn;
    if (conn) {
        conn->server->counts.calls_refused++;
        log_peer_event(conn->server->log, LOG_WARN, "call refused", conn->from,
                       "peer=%s method=%s reason=\"%s\"", log_quote_str(call->peer_role),
                       call->method->name, hw_strerror(error));
    }
    rpc_fail(call, error);
}

void rpc_refuse(struct rpc_call *call) {
    call_refuse(call, -HW_EMALFORMED);
}

const char *rpc_call_peer_role(const struct rpc_call *call) {
    return call->peer_role;
}

uint64_t rpc_call_peer_incarnation(const struct rpc_call *call) {
    return call->peer_incarnation;
}

static unsigned role_bit(const char *role) {
    static const struct {
        const char *role;
        enum rpc_caller bit;
    } roles[] = {
        {"room", RPC_ROOM},   {"center", RPC_CENTER},           {"register", RPC_REGISTER},
        {"saver", RPC_SAVER}, {"coordinator", RPC_COORDINATOR}, {"dispatcher", RPC_DISPATCHER}};
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
        if (strcmp(role, roles[i].role) == 0)
            return roles[i].bit;
    return 0;
}

static void conn_leave(struct rpc_conn *conn) {
    struct rpc_server *server = conn->server;
    *conn->link = conn->next;
    if (conn->next)
        conn->next->link = conn->link;
    else if (server->unproven_end == &conn->next)
        server->unproven_end = conn->link;
    if (!conn->is_proven)
        server->unproven_count--;
}

static void server_on_open(void *owner) {
    struct rpc_conn *conn = owner;
    struct rpc_server *server = conn->server;
    conn_leave(conn);
    conn->is_proven = true;
    conn->role = role_bit(conn->channel.peer_role);
    conn->next = server->conns;
    conn->link = &server->conns;
    if (conn->next)
        conn->next->link = &conn->next;
    server->conns = conn;
}

static const struct rpc_method *method_find(const struct rpc_server *server, uint16_t method) {
    const struct rpc_method *m = server->methods;
    while (m->handler && m->number != method)
        m++;
    return m->handler ? m : NULL;
}

static void call_forbid(struct rpc_conn *conn, struct rpc_call *call) {
    conn->server->counts.forbidden++;
    log_peer_event(conn->server->log, LOG_WARN, "method refused", conn->from, "peer=%s method=%s",
                   log_quote_str(call->peer_role), call->method->name);
    rpc_fail(call, -HW_EFORBIDDEN);
}

// Handlers do not call each other: the arena is of one request at a time.
static void serve_call(struct rpc_conn *conn, struct rpc_call *call, const uint8_t *body,
                       size_t len) {
    struct rpc_server *server = conn->server;
    const struct rpc_method *m = call->method;
    server->requests.bytes_max = m->memory_max;
    ProtobufCMessage *request =
        protobuf_c_message_unpack(m->request, &server->requests.allocator, len, body);
    if (request) {
        server->served[m - server->methods]++;
        m->handler(server->daemon, request, call);
    } else {
        call_refuse(call, server->requests.is_over ? -HW_ETOOBIG : -HW_EMALFORMED);
    }
    arena_reset(&server->requests);
}

static void server_on_request(void *owner, const struct channel_request *q) {
    struct rpc_conn *conn = owner;
    struct rpc_call *call = hw_calloc(1, sizeof(*call));
    *call = (struct rpc_call){.next = conn->calls,
                              .link = &conn->calls,
                              .conn = conn,
                              .call = q->call,
                              .method = method_find(conn->server, q->method)};
    call->bytes = sizeof(*call) + q->len;
    conn->calls_bytes += call->bytes;
    memcpy(call->peer_role, conn->channel.peer_role, sizeof(call->peer_role));
    call->peer_incarnation = conn->channel.peer_incarnation;
    if (conn->calls)
        conn->calls->link = &call->next;
    conn->calls = call;
    if (!call->method)
        rpc_fail(call, -HW_EUNIMPLEMENTED);
    else if (!(call->method->callers & conn->role))
        call_forbid(conn, call);
    else if (conn->calls_bytes > CALLS_BYTES_MAX)
        rpc_fail(call, -HW_EBUSY);
    else
        serve_call(conn, call, q->body, q->len);
}

static void server_on_flush(void *owner) {
    struct rpc_conn *conn = owner;
    if (conn->replies.len > 0)
        channel_put_batch(&conn->channel, &(struct rpc_frame){.kind = RPC_REPLY}, &conn->replies);
}

static void conn_free(void *owner) {
    struct rpc_conn *conn = owner;
    while (conn->calls)
        call_unlink(conn->calls);
    buf_free(&conn->replies);
    free(conn);
}

static void conn_drop(struct rpc_conn *conn) {
    conn_leave(conn);
    channel_give_up(&conn->channel, conn_free);
}

static void server_on_ended(void *owner, int error) {
    struct rpc_conn *conn = owner;
    if (error == -HW_EAUTH || error == -HW_EVERSION || error == -HW_EMALFORMED ||
        error == -HW_ETOOBIG) {
        conn->server->counts.refused++;
        log_peer_event(conn->server->log, LOG_WARN, "peer refused", conn->from,
                       "peer=%s reason=\"%s\"", log_quote_str(conn->channel.peer_role),
                       hw_strerror(error));
    }
    conn_drop(conn);
}

static const struct channel_events server_events = {.on_open = server_on_open,
                                                    .on_request = server_on_request,
                                                    .on_flush = server_on_flush,
                                                    .on_ended = server_on_ended};

static void server_on_accept(void *arg, struct stream *s) {
    struct rpc_server *server = arg;
    struct rpc_conn *conn = hw_calloc(1, sizeof(*conn));
    struct sock_addr peer;
    if (server->unproven_count >= server->unproven_max) {
        server->counts.displaced++;
        conn_drop(server->unproven);
    }
    stream_peer(s, &peer);
    sock_addr_host(&peer, conn->from, sizeof(conn->from));
    conn->server = server;
    conn->link = server->unproven_end;
    *conn->link = conn;
    server->unproven_end = &conn->next;
    server->unproven_count++;
    channel_init(&conn->channel, &(struct channel_options){.loop = server->loop,
                                                           .self = server->self,
                                                           .stream = s,
                                                           .events = &server_events,
                                                           .owner = conn});
}

int rpc_server_new(const struct rpc_server_options *o, struct rpc_server **ret_server) {
    struct rpc_server *server = hw_calloc(1, sizeof(*server));
    *server = (struct rpc_server){.loop = o->loop,
                                  .self = o->self,
                                  .log = o->log,
                                  .methods = o->methods,
                                  .daemon = o->daemon};
    size_t methods = 0;
    while (o->methods[methods].handler)
        methods++;
    server->served = hw_calloc(methods + 1, sizeof(server->served[0]));
    arena_init(&server->requests);
    uint32_t part = os_descriptors(loop_os(o->loop)) / UNPROVEN_PART;
    server->unproven_end = &server->unproven;
    server->unproven_max = part < 1 ? 1 : part < UNPROVEN_MAX ? part : UNPROVEN_MAX;
    int error = listener_new(o->loop, (struct listen_at){o->host, o->first, o->last},
                             server_on_accept, server, &server->listener);
    if (error != 0) {
        rpc_server_free(server);
        return error;
    }
    listener_set_door(server->listener, DOOR_DAEMONS);
    *ret_server = server;
    return 0;
}

const uint64_t *rpc_server_served(const struct rpc_server *s, size_t at) {
    return &s->served[at];
}

uint16_t rpc_server_port(const struct rpc_server *s) {
    return listener_port(s->listener);
}

const struct rpc_counts *rpc_server_counts(const struct rpc_server *s) {
    return &s->counts;
}

void rpc_server_free(struct rpc_server *s) {
    if (!s)
        return;
    listener_free(s->listener);
    while (s->conns)
        conn_drop(s->conns);
    while (s->unproven)
        conn_drop(s->unproven);
    arena_deinit(&s->requests);
    free(s->served);
    free(s);
}
