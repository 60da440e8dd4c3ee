// What other daemons call at a saver: each method is one step of the store.
#include "buf.h"
#include "saver_internal.h"

struct service_call {
    struct saver *saver;
    struct rpc_call *call;
};

#define METHODS(X)                                                                                 \
    X(append, APPEND)                                                                              \
    X(load, LOAD)                                                                                  \
    X(head, HEAD)                                                                                  \
    X(product_heads, PRODUCT_HEADS)                                                                \
    X(attach, ATTACH)                                                                              \
    X(ack, ACK)                                                                                    \
    X(sums, SUMS)                                                                                  \
    X(stats, STATS)                                                                                \
    X(user, USER)                                                                                  \
    X(clock, CLOCK)

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

// What a store must not be asked: a stream or a message that is not there.
static bool is_askable(int method, const ProtobufCMessage *request) {
    if (method == HAWSER__INTERNAL__SAVER_METHOD__SAVER_APPEND) {
        const Hawser__Internal__AppendRequest *a = (const Hawser__Internal__AppendRequest *)request;
        return a->message && *a->message->id && a->stream < STREAMS &&
               (a->stream == STREAM_INBOX) == (*a->user != '\0');
    }
    if (method == HAWSER__INTERNAL__SAVER_METHOD__SAVER_LOAD) {
        const Hawser__Internal__LoadRequest *l = (const Hawser__Internal__LoadRequest *)request;
        return l->stream < STREAMS && (l->stream == STREAM_INBOX) == (*l->user != '\0');
    }
    return true;
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
        s->store->ops->call(s->store, method, request, on_step, c);
    }
    if (request)
        protobuf_c_message_free_unpacked(request, NULL);
}

#define METHOD_HANDLER(name, number)                                                               \
    static void on_##name(void *self, struct rpc_call *call, const uint8_t *body, size_t len) {    \
        serve(self, HAWSER__INTERNAL__SAVER_METHOD__SAVER_##number,                                \
              &hawser__internal__##name##_request__descriptor, call, body, len);                   \
    }
METHODS(METHOD_HANDLER)
#undef METHOD_HANDLER

const struct rpc_method saver_methods[] = {
#define METHOD_ENTRY(name, number) {HAWSER__INTERNAL__SAVER_METHOD__SAVER_##number, on_##name},
    METHODS(METHOD_ENTRY)
#undef METHOD_ENTRY
        {0, NULL},
};
