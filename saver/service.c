// What other daemons call at a saver: each method is one step of the store.
#include "buf.h"
#include "saver_internal.h"

enum { NAME_BYTES_MAX = 64, BODY_HASH_BYTES = 16, SUMS_ID_BYTES = 16 };

struct service_call {
    struct saver *saver;
    struct rpc_call *call;
};

#define METHODS(X)                                                                                 \
    X(append, APPEND, RPC_CENTER | RPC_COORDINATOR)                                                \
    X(load, LOAD, RPC_ROOM)                                                                        \
    X(head, HEAD, RPC_ROOM)                                                                        \
    X(product_heads, PRODUCT_HEADS, RPC_ROOM)                                                      \
    X(attach, ATTACH, RPC_ROOM)                                                                    \
    X(ack, ACK, RPC_ROOM)                                                                          \
    X(sums, SUMS, RPC_ROOM | RPC_CENTER)                                                           \
    X(stats, STATS, RPC_CENTER)                                                                    \
    X(user, USER, RPC_CENTER)                                                                      \
    X(clock, CLOCK, RPC_EVERY_ROLE)

static void on_step(void *arg, int error, const ProtobufCMessage *reply) {
    struct service_call *c = arg;
    if (error != 0) {
        c->saver->count.store_errors++;
        c->saver->count.outcome_unknown += error == -HW_EOUTCOME ? 1 : 0;
        rpc_fail(c->call, error);
    } else {
        rpc_reply(c->call, reply);
    }
    free(c);
}

// What a store must not be asked: a product, user, stream or message that is not there, or names
// that it would cut.

static bool is_user(uint32_t product, const char *user) {
    return product != 0 && *user && strlen(user) <= NAME_BYTES_MAX;
}

static bool is_device(uint32_t product, const char *user, const char *device) {
    return is_user(product, user) && *device && strlen(device) <= NAME_BYTES_MAX;
}

static bool is_log(uint32_t product, uint32_t stream, const char *user) {
    return stream == STREAM_INBOX ? is_user(product, user)
                                  : product != 0 && stream < STREAMS && *user == '\0';
}

static bool is_appendable(const Hawser__Internal__AppendRequest *a) {
    return is_log(a->product, a->stream, a->user) && a->message && *a->message->id &&
           strlen(a->message->id) <= NAME_BYTES_MAX &&
           (a->body_hash.len == 0 || a->body_hash.len == BODY_HASH_BYTES);
}

static bool is_askable(int method, const ProtobufCMessage *request) {
    const Hawser__Internal__LoadRequest *l = (const Hawser__Internal__LoadRequest *)request;
    const Hawser__Internal__HeadRequest *h = (const Hawser__Internal__HeadRequest *)request;
    const Hawser__Internal__AttachRequest *a = (const Hawser__Internal__AttachRequest *)request;
    const Hawser__Internal__AckRequest *k = (const Hawser__Internal__AckRequest *)request;
    const Hawser__Internal__SumsRequest *s = (const Hawser__Internal__SumsRequest *)request;
    switch (method) {
    case HAWSER__INTERNAL__SAVER_METHOD__SAVER_APPEND:
        return is_appendable((const Hawser__Internal__AppendRequest *)request);
    case HAWSER__INTERNAL__SAVER_METHOD__SAVER_LOAD:
        return is_log(l->product, l->stream, l->user) && strlen(l->device) <= NAME_BYTES_MAX;
    case HAWSER__INTERNAL__SAVER_METHOD__SAVER_HEAD:
        return is_user(h->product, h->user);
    case HAWSER__INTERNAL__SAVER_METHOD__SAVER_ATTACH:
        return is_device(a->product, a->user, a->device);
    case HAWSER__INTERNAL__SAVER_METHOD__SAVER_ACK:
        return is_device(k->product, k->user, k->device);
    case HAWSER__INTERNAL__SAVER_METHOD__SAVER_SUMS:
        return s->product != 0 && s->id.len == SUMS_ID_BYTES;
    default:
        return true;
    }
}

static void serve(struct saver *s, int method, const ProtobufCMessageDescriptor *descriptor,
                  struct rpc_call *call, const uint8_t *body, size_t len) {
    ProtobufCMessage *request = protobuf_c_message_unpack(descriptor, NULL, len, body);
    if (!request || !is_askable(method, request)) {
        s->count.refused++;
        rpc_fail(call, -HW_EMALFORMED);
    } else {
        struct service_call *c = hw_malloc(sizeof(*c));
        *c = (struct service_call){s, call};
        s->count.calls[method]++;
        store_call(s->store, request, on_step, c);
    }
    if (request)
        protobuf_c_message_free_unpacked(request, NULL);
}

#define METHOD_HANDLER(name, number, callers)                                                      \
    static void on_##name(void *self, struct rpc_call *call, const uint8_t *body, size_t len) {    \
        serve(self, HAWSER__INTERNAL__SAVER_METHOD__SAVER_##number,                                \
              &hawser__internal__##name##_request__descriptor, call, body, len);                   \
    }
METHODS(METHOD_HANDLER)
#undef METHOD_HANDLER

const struct rpc_method saver_methods[] = {
#define METHOD_ENTRY(name, number, callers)                                                        \
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_##number, on_##name, callers},
    METHODS(METHOD_ENTRY)
#undef METHOD_ENTRY
        {0, NULL, 0},
};
