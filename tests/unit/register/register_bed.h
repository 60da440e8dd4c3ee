// A register store with the steps of its contract suite: memory, or a private redis-server on a
// UNIX socket in a folder of its own.
#ifndef HW_REGISTER_BED_H
#define HW_REGISTER_BED_H

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop.h"
#include "message.h"
#include "redis_conn.h"
#include "register_store.h"
#include "suite.h"

#define ROW(b, ...) ROW_OF(b, "d", __VA_ARGS__)
#define ROW_OF(b, name, ...)                                                                       \
    login(b, &(Hawser__Internal__LoginRequest){                                                    \
                 .base = PROTOBUF_C_MESSAGE_INIT(&hawser__internal__login_request__descriptor),    \
                 .product = 1,                                                                     \
                 .user = (char *)"u",                                                              \
                 .device = (char *)(uintptr_t)(name),                                              \
                 .room = (char *)"room-a",                                                         \
                 .address = (char *)"192.0.2.1:5000",                                              \
                 __VA_ARGS__})

struct bed {
    struct os *os;
    struct loop *loop;
    struct store *store;
    ProtobufCMessage *reply; // owned, of the last step
    int error;
    bool done;
    char dir[64];
    pid_t redis; // 0: memory
};

// --- the bed

static inline void redis_start(struct bed *b) {
    char socket_path[96];
    snprintf(socket_path, sizeof(socket_path), "%s/s", b->dir);
    b->redis = fork();
    if (b->redis != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen("/dev/null", "w", stdout))
        _exit(1);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path, "--dir",
           b->dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
           "--maxmemory-policy", "noeviction", (char *)NULL);
    _exit(1);
}

static inline struct bed *bed_new(bool on_redis) {
    struct bed *b = hw_calloc(1, sizeof(*b));
    b->os = os_new();
    b->loop = loop_new(b->os);
    if (!on_redis) {
        b->store = register_store_memory(b->loop);
        return b;
    }
    char url[96];
    snprintf(b->dir, sizeof(b->dir), "/tmp/hawser-test-register.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(b->dir));
    redis_start(b);
    snprintf(url, sizeof(url), "unix://%s/s", b->dir);
    b->store = register_store_redis(
        &(struct redis_options){.url = url, .timeout_ms = 20000, .loop = b->loop});
    while (store_down_reason(b->store))
        loop_step(b->loop, -1);
    return b;
}

static inline void bed_free(struct bed *b) {
    if (b->reply)
        protobuf_c_message_free_unpacked(b->reply, NULL);
    store_free(b->store);
    loop_step(b->loop, 0);
    ck_assert_int_eq(loop_free(b->loop), 0);
    os_free(b->os);
    if (b->redis) {
        char command[128];
        kill(b->redis, SIGKILL);
        waitpid(b->redis, NULL, 0);
        snprintf(command, sizeof(command), "rm -rf '%s'", b->dir);
        ck_assert_int_eq(system(command), 0);
    }
    free(b);
}

static inline void on_done(void *arg, int error, const ProtobufCMessage *reply) {
    struct bed *b = arg;
    ck_assert(!b->done);
    b->done = true;
    b->error = error;
    if (b->reply)
        protobuf_c_message_free_unpacked(b->reply, NULL);
    b->reply = message_copy(reply);
}

// Completes once, and not before the call returned. The reply lives until the next step.
static inline const void *ask(struct bed *b, const ProtobufCMessage *request) {
    b->done = false;
    store_call(b->store, request, on_done, b);
    ck_assert(!b->done);
    while (!b->done)
        loop_step(b->loop, -1);
    ck_assert_int_eq(b->error, 0);
    return b->reply;
}

// The Redis store's view of who lives is up to 100 ms old.
static inline void let_it_be_seen(struct bed *b) {
    uint64_t end = loop_now_ms(b->loop) + 250;
    while (b->redis && loop_now_ms(b->loop) < end)
        loop_step(b->loop, 50);
}

// --- steps

static inline const Hawser__Internal__AnnounceReply *announce(struct bed *b, const char *id,
                                                              uint64_t incarnation,
                                                              uint64_t sessions,
                                                              uint32_t lease_ms) {
    Hawser__Internal__AnnounceRequest q = HAWSER__INTERNAL__ANNOUNCE_REQUEST__INIT;
    Hawser__Internal__Member m = HAWSER__INTERNAL__MEMBER__INIT;
    m.role = (char *)"room";
    m.id = (char *)(uintptr_t)id;
    m.rpc = m.id;
    m.incarnation = incarnation;
    m.sessions = sessions;
    m.started_ms = incarnation;
    q.member = &m;
    q.lease_ms = lease_ms;
    return ask(b, &q.base);
}

static inline void rooms_live(struct bed *b) {
    announce(b, "a", 11, 0, 60000);
    announce(b, "b", 22, 0, 60000);
    let_it_be_seen(b);
}

static inline const Hawser__Internal__LoginReply *login(struct bed *b,
                                                        const Hawser__Internal__LoginRequest *q) {
    return ask(b, &q->base);
}

static inline bool drop_of(struct bed *b, const char *device, uint64_t incarnation,
                           uint64_t generation) {
    Hawser__Internal__DropRequest q = HAWSER__INTERNAL__DROP_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)"u";
    q.device = (char *)(uintptr_t)device;
    q.incarnation = incarnation;
    q.generation = generation;
    return ((const Hawser__Internal__DropReply *)ask(b, &q.base))->dropped;
}

static inline bool drop(struct bed *b, uint64_t incarnation, uint64_t generation) {
    return drop_of(b, "d", incarnation, generation);
}

static inline const Hawser__Internal__ConfirmReply *
confirm_login(struct bed *b, uint64_t incarnation, uint32_t slot, uint64_t generation,
              uint64_t login) {
    Hawser__Internal__ConfirmRequest q = HAWSER__INTERNAL__CONFIRM_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)"u";
    q.device = (char *)"d";
    q.room = (char *)"room-a";
    q.incarnation = incarnation;
    q.slot = slot;
    q.generation = generation;
    q.since_ms = 5;
    q.login = login;
    return ask(b, &q.base);
}

static inline const Hawser__Internal__ConfirmReply *
confirm_device(struct bed *b, const char *device, uint32_t slot, uint64_t generation) {
    Hawser__Internal__ConfirmRequest q = HAWSER__INTERNAL__CONFIRM_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)"u";
    q.device = (char *)(uintptr_t)device;
    q.room = (char *)"room-a";
    q.incarnation = 11;
    q.slot = slot;
    q.generation = generation;
    q.devices_max = 4;
    return ask(b, &q.base);
}

static inline const Hawser__Internal__ConfirmReply *confirm(struct bed *b, uint64_t incarnation,
                                                            uint32_t slot, uint64_t generation) {
    return confirm_login(b, incarnation, slot, generation, 0);
}

static inline const Hawser__Internal__FindReply *find(struct bed *b) {
    Hawser__Internal__FindRequest q = HAWSER__INTERNAL__FIND_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)"u";
    return ask(b, &q.base);
}

static inline uint64_t online(struct bed *b) {
    Hawser__Internal__OnlineRequest q = HAWSER__INTERNAL__ONLINE_REQUEST__INIT;
    q.product = 1;
    return ((const Hawser__Internal__OnlineReply *)ask(b, &q.base))->sessions;
}

static inline const Hawser__Internal__WatchReply *watch(struct bed *b, uint64_t de, uint64_t dv,
                                                        uint64_t ce, uint64_t cv) {
    Hawser__Internal__WatchRequest q = HAWSER__INTERNAL__WATCH_REQUEST__INIT;
    q.directory_epoch = de;
    q.directory_version = dv;
    q.catalog_epoch = ce;
    q.catalog_version = cv;
    return ask(b, &q.base);
}

static inline const Hawser__Internal__CatalogPutReply *
put(struct bed *b, const char *name, uint32_t number, uint64_t expect, bool deleted) {
    Hawser__Internal__CatalogPutRequest q = HAWSER__INTERNAL__CATALOG_PUT_REQUEST__INIT;
    Hawser__Internal__Product p = HAWSER__INTERNAL__PRODUCT__INIT;
    uint8_t value[128];
    char key[64];
    p.name = (char *)(uintptr_t)name;
    p.number = number;
    snprintf(key, sizeof(key), "product/%s", name);
    q.key = key;
    q.value = (ProtobufCBinaryData){hawser__internal__product__pack(&p, value), value};
    q.expect = expect;
    q.deleted = deleted;
    return ask(b, &q.base);
}

static inline uint32_t number_of(const Hawser__Internal__CatalogEntry *e) {
    Hawser__Internal__Product *p =
        hawser__internal__product__unpack(NULL, e->value.len, e->value.data);
    ck_assert_ptr_nonnull(p);
    uint32_t number = p->number;
    hawser__internal__product__free_unpacked(p, NULL);
    return number;
}

#endif
