// The stubs of proto/methods.h. A done function is kept without its type and called with it by the
// method's own `answer`.
#include "calls.h"

#include <string.h>

#include "cluster_internal.h"
#include "crypto.h"

typedef void untyped_fn(void);

enum method_at {
#define METHOD_AT(server, name, ...) AT_##server##_##name,
    ALL_METHODS(METHOD_AT)
#undef METHOD_AT
        METHODS
};
_Static_assert((int)METHODS <= CALL_METHODS_MAX, "cluster.calls has a place for each method");

struct method {
    enum method_at at;
    uint16_t number;
    uint32_t deadline_ms;
    enum call_kind kind;
    const ProtobufCMessageDescriptor *reply;
    void (*answer)(untyped_fn *done, void *arg, int error, const ProtobufCMessage *reply);
    // of the metrics
    const char *calls_name, *calls_help, *failures_name, *failures_help;
};

struct typed_call {
    struct typed_call *next_nowhere; // of those that have no link
    struct cluster *cluster;
    const struct rpc_link *link; // NULL: none
    const struct method *method;
    untyped_fn *done;
    void *arg;
};

// --- whom

struct peer peer_by(struct cluster *c, struct rpc_link *link) {
    return (struct peer){c, link};
}

bool peer_is_up(struct peer p) {
    return p.link && rpc_link_is_up(p.link);
}

struct peer register_of(struct cluster *c) {
    return peer_by(c, cluster_register(c));
}

struct peer saver_of(struct cluster *c, uint32_t product, const char *user) {
    uint64_t bucket = bucket_of_user(user, strlen(user));
    return peer_by(c, cluster_pick(c, "saver", (uint64_t)product << 10 | bucket));
}

struct peer saver_of_product(struct cluster *c, uint32_t product) {
    return peer_by(c, cluster_pick(c, "saver", (uint64_t)product << 10));
}

struct peer room_of(struct cluster *c, uint64_t incarnation) {
    return peer_by(c, cluster_peer(c, incarnation));
}

// --- a call

// Replies live in the cluster's arena until the outermost completion is over: one that frees a link
// completes what was in flight there from within.
static void calls_on_answer(void *arg, int error, const uint8_t *body, size_t len) {
    struct typed_call call = *(struct typed_call *)arg;
    struct cluster *c = call.cluster;
    ProtobufCMessage *reply = NULL;
    free(arg);
    if (error == 0) {
        reply = protobuf_c_message_unpack(call.method->reply, &c->replies.allocator, len, body);
        error = reply ? 0 : c->replies.is_over ? -HW_ETOOBIG : -HW_EMALFORMED;
    }
    c->calls[call.method->at].failures += error != 0;
    if (error == -HW_ESTORE)
        directory_store_failed(c, call.link);
    c->answering++;
    call.method->answer(call.done, call.arg, error, reply);
    if (--c->answering == 0)
        arena_reset(&c->replies);
}

void calls_complete_nowhere(struct cluster *c) {
    while (c->nowhere) {
        struct typed_call *call = c->nowhere;
        c->nowhere = call->next_nowhere;
        calls_on_answer(call, -HW_ELINK, NULL, 0);
    }
}

static void complete_nowhere(struct hook *h) {
    calls_complete_nowhere(container_of(h, struct cluster, nowhere_hook));
}

// A method that this daemon never calls has no counters.
static struct call_count *count_of(struct cluster *c, const struct method *method) {
    struct call_count *count = &c->calls[method->at];
    struct metrics *m = c->options.metrics;
    if (count->calls > 0 || !m)
        return count;
    metrics_counter(m, method->calls_name, method->calls_help, &count->calls);
    metrics_counter(m, method->failures_name, method->failures_help, &count->failures);
    return count;
}

static void calls_call(struct peer to, const struct method *method, const ProtobufCMessage *request,
                       struct typed_call *with) {
    struct cluster *c = to.cluster;
    with->cluster = c;
    with->link = to.link;
    with->method = method;
    count_of(c, method)->calls++;
    if (to.link) {
        struct rpc_question q = {method->number, method->deadline_ms, request, method->kind};
        rpc_call(to.link, &q, calls_on_answer, with);
        return;
    }
    with->next_nowhere = c->nowhere;
    c->nowhere = with;
    hook_schedule(c->options.loop, &c->nowhere_hook, complete_nowhere);
}

static struct typed_call *typed_call_new(untyped_fn *done, void *arg) {
    struct typed_call *call = hw_malloc(sizeof(*call));
    *call = (struct typed_call){.done = done, .arg = arg};
    return call;
}

// --- the stubs

#define CALL_STUB(server, name, value, Message, message, deadline, kind, ...)                      \
    static void answer_##server##_##name(untyped_fn *done, void *arg, int error,                   \
                                         const ProtobufCMessage *reply) {                          \
        ((server##_##name##_done *)done)(arg, error,                                               \
                                         (const Hawser__Internal__##Message##Reply *)reply);       \
    }                                                                                              \
    void server##_##name(struct peer to, const Hawser__Internal__##Message##Request *request,      \
                         server##_##name##_done *done, void *arg) {                                \
        static const struct method method = {AT_##server##_##name,                                 \
                                             HAWSER__INTERNAL__##value,                            \
                                             deadline,                                             \
                                             kind,                                                 \
                                             &hawser__internal__##message##_reply__descriptor,     \
                                             answer_##server##_##name,                             \
                                             #server "_" #name "_calls_total",                     \
                                             "calls of " #server "_" #name " made",                \
                                             #server "_" #name "_call_failures_total",             \
                                             "calls of " #server "_" #name " that were not "       \
                                             "answered, or with an error"};                        \
        calls_call(to, &method, &request->base, typed_call_new((untyped_fn *)done, arg));          \
    }
ALL_METHODS(CALL_STUB)
