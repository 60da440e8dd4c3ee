// A peer that knows the secret and means harm: it calls every method of a daemon with empty
// messages, with messages of random values that fit their type, and with random bytes. Each call
// must be answered, by whatever, and the daemon must live on. Included by one test program for each
// daemon.
#ifndef HOSTILE_PEER_H
#define HOSTILE_PEER_H

#include "arena.h"
#include "buf.h"
#include "daemon.h"
#include "rpc.h"
#include "rpc.pb-c.h"
#include "serve.h"

enum { ROUNDS = 300, AT_ONCE = 20, DEPTH_MAX = 4, BYTES_MAX = 200 };

struct hostile_method {
    uint16_t method;
    const ProtobufCMessageDescriptor *request;
    unsigned callers;
};
#define HOSTILE_METHOD(server, name, value, Message, message, deadline_ms, repeat, callers, ...)   \
    {HAWSER__INTERNAL__##value, &hawser__internal__##message##_request__descriptor, callers},

struct hostile {
    struct os *os;
    struct loop *loop;
    struct config *config;
    struct daemon *daemon;
    struct arena arena;
    struct rng rng;
    uint16_t port;
    int open, answered;
};

static const char hostile_secret[] = "a-secret-of-this-test-0123456789";

static bool hostile_line(void *arg, const char *line, size_t len) {
    (void)arg;
    (void)line;
    (void)len;
    return true;
}

static void hostile_set(struct hostile *h, const char *key, const char *value) {
    struct buf error = BUF_EMPTY;
    ck_assert_msg(config_set(h->config, key, value, &error) == 0, "%s", key);
    buf_free(&error);
}

// --- messages of random values

static uint64_t random_number(struct hostile *h) {
    static const uint64_t edges[] = {0, 1, 2, 3, 16, 64, UINT32_MAX, UINT64_C(1) << 53, UINT64_MAX};
    if (rng_below(&h->rng, 4) == 0)
        return rng_u64(&h->rng);
    return edges[rng_below(&h->rng, sizeof(edges) / sizeof(edges[0]))];
}

static char *random_text(struct hostile *h) {
    static const char *const texts[] = {
        "", "a", "b", "product/p", "settings", "room", "0123456789abcdef"};
    if (rng_below(&h->rng, 6) != 0)
        return (char *)(uintptr_t)texts[rng_below(&h->rng, sizeof(texts) / sizeof(texts[0]))];
    size_t len = rng_below(&h->rng, 2000);
    char *text = arena_alloc(&h->arena, len + 1);
    memset(text, 'x', len);
    text[len] = '\0';
    return text;
}

static ProtobufCBinaryData random_bytes(struct hostile *h) {
    size_t len = rng_below(&h->rng, 3) == 0 ? 16 : rng_below(&h->rng, 40);
    uint8_t *data = arena_alloc(&h->arena, len + 1);
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)rng_u64(&h->rng);
    return (ProtobufCBinaryData){len, data};
}

static ProtobufCMessage *random_message(struct hostile *h, const ProtobufCMessageDescriptor *d,
                                        int depth);

static void random_value(struct hostile *h, const ProtobufCFieldDescriptor *f, void *at,
                         int depth) {
    switch ((int)f->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **)at = random_text(h);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)at = random_bytes(h);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)at = random_message(h, f->descriptor, depth + 1);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        *(uint64_t *)at = random_number(h);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)at = (protobuf_c_boolean)rng_below(&h->rng, 2);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_ENUM:
        *(uint32_t *)at = (uint32_t)random_number(h);
        break;
    default:
        ck_abort_msg("%s: a type that the generator does not know", f->name);
    }
}

static ProtobufCMessage *random_message(struct hostile *h, const ProtobufCMessageDescriptor *d,
                                        int depth) {
    enum { VALUE_BYTES = sizeof(ProtobufCBinaryData), REPEATED_MAX = 4 };
    ProtobufCMessage *m = arena_calloc(&h->arena, 1, d->sizeof_message);
    protobuf_c_message_init(d, m);
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        char *at = (char *)m + f->offset;
        bool is_message = f->type == PROTOBUF_C_TYPE_MESSAGE;
        if ((is_message && depth >= DEPTH_MAX) || rng_below(&h->rng, 5) == 0)
            continue;
        if (f->label != PROTOBUF_C_LABEL_REPEATED) {
            random_value(h, f, at, depth);
            continue;
        }
        size_t width = f->type == PROTOBUF_C_TYPE_BYTES    ? sizeof(ProtobufCBinaryData)
                       : f->type == PROTOBUF_C_TYPE_UINT32 ? sizeof(uint32_t)
                                                           : sizeof(void *);
        size_t count = rng_below(&h->rng, REPEATED_MAX);
        char *list = arena_calloc(&h->arena, REPEATED_MAX, VALUE_BYTES);
        for (size_t k = 0; k < count; k++)
            random_value(h, f, list + k * width, depth);
        *(char **)at = list;
        *(size_t *)((char *)m + f->quantifier_offset) = count;
    }
    return m;
}

// Any bytes at all as the body of a call: they travel as a field that nobody knows.
static ProtobufCMessage *random_body(struct hostile *h, const ProtobufCMessageDescriptor *d) {
    Hawser__Internal__RpcRequests *m = arena_alloc(&h->arena, sizeof(*m));
    ProtobufCMessageUnknownField *field = arena_calloc(&h->arena, 1, sizeof(*field));
    const ProtobufCMessage *real = random_message(h, d, 0);
    size_t len = protobuf_c_message_get_packed_size(real);
    uint8_t *bytes = arena_calloc(&h->arena, 1, len + 8);
    protobuf_c_message_pack(real, bytes);
    hawser__internal__rpc_requests__init(m);
    for (size_t i = rng_below(&h->rng, 8); i > 0 && len > 0; i--)
        bytes[rng_below(&h->rng, len)] = (uint8_t)rng_u64(&h->rng);
    *field = (ProtobufCMessageUnknownField){.tag = 1 + (uint32_t)rng_below(&h->rng, 15),
                                            .wire_type = (ProtobufCWireType)(bytes[0] & 7),
                                            .len = len > 0 ? len - 1 : 0,
                                            .data = bytes + 1};
    m->base.unknown_fields = field;
    m->base.n_unknown_fields = 1;
    return &m->base;
}

// --- the calls

static void hostile_answered(void *arg, int error, const uint8_t *body, size_t len) {
    struct hostile *h = arg;
    (void)body;
    (void)len;
    ck_assert_int_ne(error, -HW_ELINK); // the daemon would have dropped the link, or died
    ck_assert_int_ne(error, -HW_EFORBIDDEN);
    h->open--;
    h->answered++;
}

static void attack(struct hostile *h, const struct hostile_method *m) {
    const char *role = m->callers & RPC_ROOM ? "room" : "center";
    struct rpc_identity self = {
        .role = role, .incarnation = 5, .secrets = {hostile_secret}, .secret_count = 1};
    struct rpc_link *link =
        rpc_link_new(h->loop, &self, NULL,
                     &(struct rpc_link_options){.host = "127.0.0.1",
                                                .port = h->port,
                                                .peer_role = daemon_env(h->daemon)->role,
                                                .arg = h});
    while (!rpc_link_is_up(link))
        loop_step(h->loop, -1);
    for (int i = 0; i < ROUNDS; i++) {
        const ProtobufCMessage *q = i == 0       ? random_message(h, m->request, DEPTH_MAX + 1)
                                    : i % 3 == 0 ? random_body(h, m->request)
                                                 : random_message(h, m->request, 0);
        if (i == 0)
            protobuf_c_message_init(m->request, (void *)(uintptr_t)q); // all fields empty
        h->open++;
        rpc_call(link, &(struct rpc_question){m->method, 20000, q, ONCE}, hostile_answered, h);
        while (h->open >= AT_ONCE)
            loop_step(h->loop, -1);
        arena_reset(&h->arena);
    }
    while (h->open > 0)
        loop_step(h->loop, -1);
    rpc_link_free(link);
    loop_step(h->loop, 0);
}

// Starts the daemon on memory stores, attacks each method, and ends it. Each method twice, since
// what one left behind is what another reads.
static void hostile_run(const struct daemon_role *role, const char *port,
                        const struct hostile_method *methods, size_t count) {
    struct hostile h = {.os = os_new(), .config = config_default()};
    struct buf error = BUF_EMPTY;
    char key[32];
    h.loop = loop_new(h.os);
    hostile_set(&h, "cluster.secrets", hostile_secret);
    hostile_set(&h, "cluster.registers", "127.0.0.1:1");
    snprintf(key, sizeof(key), "%s.listen", role->name);
    hostile_set(&h, key, "127.0.0.1:0");
    arena_init(&h.arena);
    rng_init(&h.rng, 42);
    struct daemon_options o = {
        .role = role, .loop = h.loop, .config = h.config, .log_sink = hostile_line};
    ck_assert_msg(daemon_new(&o, &error, &h.daemon) == 0, "%s", buf_cstr(&error));
    h.port = daemon_port(h.daemon, port);
    for (int turn = 0; turn < 2; turn++)
        for (size_t i = 0; i < count; i++)
            attack(&h, &methods[i]);
    ck_assert_int_eq(h.answered, (int)(2 * ROUNDS * count));
    daemon_free(h.daemon);
    config_free(h.config);
    arena_deinit(&h.arena);
    loop_step(h.loop, 0);
    ck_assert_int_eq(loop_free(h.loop), 0);
    os_free(h.os);
}

#endif
