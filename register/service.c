// What other daemons call at a register: each method is one step of the store.
#include "buf.h"
#include "register_internal.h"

enum { NAME_BYTES_MAX = 64, MEMBER_ID_MAX = 512, LEASE_MS_MAX = 60000 };

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

// --- the methods, and who may call them. A renewal is rarely a change: the next poll sees it soon
// enough.

#define METHODS(X)                                                                                 \
    X(announce, CLUSTER_METHOD__CLUSTER_ANNOUNCE, announce_request, NULL, RPC_EVERY_ROLE)          \
    X(withdraw, CLUSTER_METHOD__CLUSTER_WITHDRAW, withdraw_request, after_change, RPC_EVERY_ROLE)  \
    X(catalog_put, CLUSTER_METHOD__CLUSTER_CATALOG_PUT, catalog_put_request, after_change,         \
      RPC_CENTER)                                                                                  \
    X(catalog_get, CLUSTER_METHOD__CLUSTER_CATALOG_GET, catalog_get_request, NULL, RPC_EVERY_ROLE) \
    X(login, REGISTER_METHOD__REGISTER_LOGIN, login_request, after_login, RPC_ROOM)                \
    X(takeover, REGISTER_METHOD__REGISTER_TAKEOVER, takeover_request, NULL, RPC_ROOM)              \
    X(drop, REGISTER_METHOD__REGISTER_DROP, drop_request, NULL, RPC_ROOM)                          \
    X(confirm, REGISTER_METHOD__REGISTER_CONFIRM, confirm_request, NULL, RPC_ROOM)                 \
    X(find, REGISTER_METHOD__REGISTER_FIND, find_request, after_find, RPC_ROOM | RPC_CENTER)       \
    X(online, REGISTER_METHOD__REGISTER_ONLINE, online_request, NULL, RPC_CENTER)

typedef void after_fn(struct registry *r, const ProtobufCMessage *reply);
static const struct {
    int method;
    const ProtobufCMessageDescriptor *request;
    after_fn *after;
} method_table[] = {
#define METHOD_ROW(name, number, message, after, callers)                                          \
    {HAWSER__INTERNAL__##number, &hawser__internal__##message##__descriptor, after},
    METHODS(METHOD_ROW)
#undef METHOD_ROW
};
enum {
#define METHOD_AT(name, number, message, after, callers) AT_##name,
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

// --- what a store must not be asked, whoever asks

static bool is_session(uint32_t product, const char *user, const char *device) {
    return product != 0 && *user && strlen(user) <= NAME_BYTES_MAX && *device &&
           strlen(device) <= NAME_BYTES_MAX;
}

static bool is_run(uint64_t incarnation) {
    return incarnation != 0 && incarnation < UINT64_C(1) << 53;
}

// A daemon speaks for itself only: another's row in the directory is not its to write or to end.
static bool is_announceable(const Hawser__Internal__AnnounceRequest *a,
                            const struct rpc_call *call) {
    return a->member && a->lease_ms > 0 && a->lease_ms <= LEASE_MS_MAX &&
           is_run(a->member->incarnation) && strlen(a->member->id) <= MEMBER_ID_MAX &&
           a->member->incarnation == rpc_call_peer_incarnation(call) &&
           strcmp(a->member->role, rpc_call_peer_role(call)) == 0;
}

static bool is_askable(int at, const ProtobufCMessage *request, const struct rpc_call *call) {
    const Hawser__Internal__LoginRequest *l = (const Hawser__Internal__LoginRequest *)request;
    const Hawser__Internal__DropRequest *d = (const Hawser__Internal__DropRequest *)request;
    const Hawser__Internal__ConfirmRequest *c = (const Hawser__Internal__ConfirmRequest *)request;
    const Hawser__Internal__TakeoverRequest *k = (const Hawser__Internal__TakeoverRequest *)request;
    switch (at) {
    case AT_announce:
        return is_announceable((const Hawser__Internal__AnnounceRequest *)request, call);
    case AT_withdraw:
        return ((const Hawser__Internal__WithdrawRequest *)request)->incarnation ==
               rpc_call_peer_incarnation(call);
    case AT_catalog_put:
        return *((const Hawser__Internal__CatalogPutRequest *)request)->key != '\0';
    case AT_login:
        return is_session(l->product, l->user, l->device) && *l->room && is_run(l->incarnation);
    case AT_takeover:
        return is_session(k->product, k->user, k->device);
    case AT_drop:
        return is_session(d->product, d->user, d->device) && is_run(d->incarnation);
    case AT_confirm:
        return is_session(c->product, c->user, c->device) && *c->room && is_run(c->incarnation) &&
               c->generation != 0;
    default:
        return true;
    }
}

static void serve(struct registry *r, int at, struct rpc_call *call, const uint8_t *body,
                  size_t len) {
    ProtobufCMessage *request =
        protobuf_c_message_unpack(method_table[at].request, NULL, len, body);
    if (!request || !is_askable(at, request, call)) {
        r->count.refused_calls++;
        rpc_fail(call, -HW_EMALFORMED);
        if (request)
            protobuf_c_message_free_unpacked(request, NULL);
        return;
    }
    struct service_call *c = hw_malloc(sizeof(*c));
    *c = (struct service_call){r, call, at, request};
    store_call(r->store, request, on_step, c);
}

#define METHOD_HANDLER(name, number, message, after, callers)                                      \
    static void on_##name(void *self, struct rpc_call *call, const uint8_t *body, size_t len) {    \
        serve(self, AT_##name, call, body, len);                                                   \
    }
METHODS(METHOD_HANDLER)
#undef METHOD_HANDLER

static void on_watch(void *self, struct rpc_call *call, const uint8_t *body, size_t len) {
    watchers_add(self, call, body, len);
}

const struct rpc_method register_methods[] = {
#define METHOD_ENTRY(name, number, message, after, callers)                                        \
    {HAWSER__INTERNAL__##number, on_##name, callers},
    METHODS(METHOD_ENTRY)
#undef METHOD_ENTRY
        {HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_WATCH, on_watch, RPC_EVERY_ROLE},
    {0, NULL, 0},
};
