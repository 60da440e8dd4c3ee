// What other daemons call at a register: each method is one step of the store.
#include "buf.h"
#include "register_internal.h"
#include "serve.h"
#include "shared_limits.h"

enum { MEMBER_ID_MAX = 512, LEASE_MS_MAX = 60000 };

struct service_call {
    struct registry *registry;
    struct rpc_call *call;
    // What follows a step that was done: whether it has answered the call. NULL: nothing.
    bool (*after)(struct service_call *c, const ProtobufCMessage *reply);
    char *key; // owned; of CATALOG_GET
};

static void register_on_step(void *arg, int error, const ProtobufCMessage *reply) {
    struct service_call *c = arg;
    if (error != 0)
        rpc_fail(c->call, error);
    else if (!c->after || !c->after(c, reply))
        rpc_reply(c->call, reply);
    free(c->key);
    free(c);
}

// The caller may say what follows; NULL: the request was refused.
static struct service_call *register_ask(struct registry *r, const ProtobufCMessage *request,
                                         bool is_right, struct rpc_call *call) {
    if (!is_right) {
        rpc_refuse(call);
        return NULL;
    }
    struct service_call *c = hw_calloc(1, sizeof(*c));
    c->registry = r;
    c->call = call;
    store_call(r->store, request, register_on_step, c);
    return c;
}

static void register_then(struct service_call *c,
                          bool (*after)(struct service_call *c, const ProtobufCMessage *reply)) {
    if (c)
        c->after = after;
}

// --- what a store must not be asked, whoever asks

static bool is_session(uint32_t product, const char *user, const char *device) {
    return product != 0 && *user && strlen(user) <= NAME_BYTES_MAX && *device &&
           strlen(device) <= NAME_BYTES_MAX;
}

// Where a session is, and its client.
static bool is_place(const char *room, const char *address) {
    return *room && strlen(room) <= ROW_TEXT_MAX && strlen(address) <= ROW_TEXT_MAX;
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

// --- the directory

REGISTER_METHODS(SERVE)

// A renewal is rarely a change: the next poll sees it soon enough.
static void register_on_announce(void *self, const Hawser__Internal__AnnounceRequest *q,
                                 struct rpc_call *call) {
    (void)register_ask(self, &q->base, is_announceable(q, call), call);
}

static bool after_change(struct service_call *c, const ProtobufCMessage *reply) {
    (void)reply;
    watchers_poll(c->registry);
    return false;
}

static void register_on_withdraw(void *self, const Hawser__Internal__WithdrawRequest *q,
                                 struct rpc_call *call) {
    bool is_own = q->incarnation == rpc_call_peer_incarnation(call);
    register_then(register_ask(self, &q->base, is_own, call), after_change);
}

static void register_on_watch(void *self, const Hawser__Internal__WatchRequest *q,
                              struct rpc_call *call) {
    watchers_add(self, q, call);
}

// --- the catalog

static void register_on_catalog_put(void *self, const Hawser__Internal__CatalogPutRequest *q,
                                    struct rpc_call *call) {
    bool is_entry = *q->key != '\0' && (q->value.len > 0 || q->deleted);
    register_then(register_ask(self, &q->base, is_entry, call), after_change);
}

// A store that lost an entry that we hold, or went back to an older one, will have ours again.
static bool answer_from_held(struct service_call *c, const ProtobufCMessage *reply) {
    const Hawser__Internal__CatalogGetReply *got = (const Hawser__Internal__CatalogGetReply *)reply;
    Hawser__Internal__CatalogGetReply ours = HAWSER__INTERNAL__CATALOG_GET_REPLY__INIT;
    ours.entry = (Hawser__Internal__CatalogEntry *)(uintptr_t)held_entry(c->registry, c->key);
    ours.found = ours.entry != NULL;
    if (!ours.found || (got->found && got->entry->version >= ours.entry->version))
        return false;
    register_catalog_get_reply(c->call, &ours);
    return true;
}

static void register_on_catalog_get(void *self, const Hawser__Internal__CatalogGetRequest *q,
                                    struct rpc_call *call) {
    struct service_call *c = register_ask(self, &q->base, true, call);
    c->key = hw_strdup(q->key);
    c->after = answer_from_held;
}

// --- sessions

static bool after_login(struct service_call *c, const ProtobufCMessage *reply) {
    const Hawser__Internal__LoginReply *login = (const Hawser__Internal__LoginReply *)reply;
    struct registry *r = c->registry;
    r->count.refused += login->refused != 0;
    r->count.devices_full += login->devices_full != 0;
    r->count.takeovers += login->replaced != NULL;
    return false;
}

static void register_on_login(void *self, const Hawser__Internal__LoginRequest *q,
                              struct rpc_call *call) {
    bool is_right = is_session(q->product, q->user, q->device) && is_place(q->room, q->address) &&
                    is_run(q->incarnation);
    register_then(register_ask(self, &q->base, is_right, call), after_login);
}

static void register_on_takeover(void *self, const Hawser__Internal__TakeoverRequest *q,
                                 struct rpc_call *call) {
    (void)register_ask(self, &q->base, is_session(q->product, q->user, q->device), call);
}

static void register_on_drop(void *self, const Hawser__Internal__DropRequest *q,
                             struct rpc_call *call) {
    bool is_right = is_session(q->product, q->user, q->device) && is_run(q->incarnation);
    (void)register_ask(self, &q->base, is_right, call);
}

static void register_on_confirm(void *self, const Hawser__Internal__ConfirmRequest *q,
                                struct rpc_call *call) {
    bool is_right = is_session(q->product, q->user, q->device) && is_place(q->room, q->address) &&
                    is_run(q->incarnation) && q->generation != 0;
    (void)register_ask(self, &q->base, is_right, call);
}

static void register_on_find(void *self, const Hawser__Internal__FindRequest *q,
                             struct rpc_call *call) {
    (void)register_ask(self, &q->base, true, call);
}

static void register_on_online(void *self, const Hawser__Internal__OnlineRequest *q,
                               struct rpc_call *call) {
    (void)register_ask(self, &q->base, true, call);
}

const struct rpc_method register_methods[] = {REGISTER_METHODS(SERVED){0}};
