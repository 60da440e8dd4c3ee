// What other daemons call at a register: each method is one step of the store.
#include "buf.h"
#include "register_internal.h"

struct service_call {
    struct registry *registry;
    struct rpc_call *call;
    int method;
    ProtobufCMessage *request; // owned
};

// --- what follows a step

static void after_login(struct registry *r, const ProtobufCMessage *reply) {
    const Hawser__Internal__LoginReply *login = (const Hawser__Internal__LoginReply *)reply;
    r->count.logins++;
    r->count.refused += login->refused != 0;
    r->count.devices_full += login->devices_full != 0;
    r->count.takeovers += login->replaced != NULL;
}

static void after_change(struct registry *r, const ProtobufCMessage *reply) {
    (void)reply;
    watchers_poll(r);
}

static void after_find(struct registry *r, const ProtobufCMessage *reply) {
    (void)reply;
    r->count.finds++;
}

// --- the methods. A renewal is rarely a change: the next poll sees it soon enough.

#define METHODS(X)                                                                                 \
    X(announce, CLUSTER_METHOD__CLUSTER_ANNOUNCE, announce_request, NULL)                          \
    X(withdraw, CLUSTER_METHOD__CLUSTER_WITHDRAW, withdraw_request, after_change)                  \
    X(catalog_put, CLUSTER_METHOD__CLUSTER_CATALOG_PUT, catalog_put_request, after_change)         \
    X(catalog_get, CLUSTER_METHOD__CLUSTER_CATALOG_GET, catalog_get_request, NULL)                 \
    X(login, REGISTER_METHOD__REGISTER_LOGIN, login_request, after_login)                          \
    X(takeover, REGISTER_METHOD__REGISTER_TAKEOVER, takeover_request, NULL)                        \
    X(drop, REGISTER_METHOD__REGISTER_DROP, drop_request, NULL)                                    \
    X(confirm, REGISTER_METHOD__REGISTER_CONFIRM, confirm_request, NULL)                           \
    X(find, REGISTER_METHOD__REGISTER_FIND, find_request, after_find)                              \
    X(online, REGISTER_METHOD__REGISTER_ONLINE, online_request, NULL)

typedef void after_fn(struct registry *r, const ProtobufCMessage *reply);
static const struct {
    int method;
    const ProtobufCMessageDescriptor *request;
    after_fn *after;
} method_table[] = {
#define METHOD_ROW(name, number, message, after)                                                   \
    {HAWSER__INTERNAL__##number, &hawser__internal__##message##__descriptor, after},
    METHODS(METHOD_ROW)
#undef METHOD_ROW
};
enum {
#define METHOD_AT(name, number, message, after) AT_##name,
    METHODS(METHOD_AT)
#undef METHOD_AT
};

// A store that lost an entry that we hold, or went back to an older one, will have ours again.
static bool answer_from_held(struct service_call *c, const ProtobufCMessage *reply) {
    const Hawser__Internal__CatalogGetRequest *q =
        (const Hawser__Internal__CatalogGetRequest *)c->request;
    const Hawser__Internal__CatalogGetReply *got = (const Hawser__Internal__CatalogGetReply *)reply;
    Hawser__Internal__CatalogGetReply ours = HAWSER__INTERNAL__CATALOG_GET_REPLY__INIT;
    if (c->method != AT_catalog_get)
        return false;
    ours.entry = (Hawser__Internal__CatalogEntry *)(uintptr_t)held_entry(c->registry, q->key);
    ours.found = ours.entry != NULL;
    if (!ours.found || (got->found && got->entry->version >= ours.entry->version))
        return false;
    rpc_reply(c->call, &ours.base);
    return true;
}

static void on_step(void *arg, int error, const ProtobufCMessage *reply) {
    struct service_call *c = arg;
    if (error == 0 && answer_from_held(c, reply)) {
        // answered
    } else if (error != 0) {
        c->registry->count.store_errors++;
        rpc_fail(c->call, error);
    } else {
        rpc_reply(c->call, reply);
        if (method_table[c->method].after)
            method_table[c->method].after(c->registry, reply);
    }
    protobuf_c_message_free_unpacked(c->request, NULL);
    free(c);
}

static void serve(struct registry *r, int at, struct rpc_call *call, const uint8_t *body,
                  size_t len) {
    ProtobufCMessage *request =
        protobuf_c_message_unpack(method_table[at].request, NULL, len, body);
    const Hawser__Internal__AnnounceRequest *announce =
        (const Hawser__Internal__AnnounceRequest *)request;
    if (!request || (at == AT_announce && !announce->member)) {
        rpc_fail(call, -HW_EMALFORMED);
        if (request)
            protobuf_c_message_free_unpacked(request, NULL);
        return;
    }
    struct service_call *c = hw_malloc(sizeof(*c));
    *c = (struct service_call){r, call, at, request};
    r->store->ops->call(r->store, method_table[at].method, request, on_step, c);
}

#define METHOD_HANDLER(name, number, message, after)                                               \
    static void on_##name(void *self, struct rpc_call *call, const uint8_t *body, size_t len) {    \
        serve(self, AT_##name, call, body, len);                                                   \
    }
METHODS(METHOD_HANDLER)
#undef METHOD_HANDLER

static void on_watch(void *self, struct rpc_call *call, const uint8_t *body, size_t len) {
    watchers_add(self, call, body, len);
}

const struct rpc_method register_methods[] = {
#define METHOD_ENTRY(name, number, message, after) {HAWSER__INTERNAL__##number, on_##name},
    METHODS(METHOD_ENTRY)
#undef METHOD_ENTRY
        {HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_WATCH, on_watch},
    {0, NULL},
};
