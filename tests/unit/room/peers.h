// A register, a saver and another room that the room of second_voice.h asks over sockets. What they
// are asked waits until the test answers it, or is failed at once. The clock stands until the test
// moves it.
#ifndef PEERS_H
#define PEERS_H

#include <time.h>

#include "second_voice.h"

#include "message.h"
#include "serve.h"

static uint64_t clock_ms = UINT64_C(1700000000000);

// In place of the C library's.
int clock_gettime(clockid_t which, struct timespec *ret_now) {
    (void)which;
    *ret_now = (struct timespec){(time_t)(clock_ms / 1000), (long)(clock_ms % 1000 * 1000000)};
    return 0;
}

enum { ASKED_MAX = 64, PEERS = 3, OTHER_ROOM = 103, THIS_ROOM = 5 };
struct asked {
    ProtobufCMessage *request; // owned
    struct rpc_call *call;     // owned; NULL: it is answered
};
static struct asked asked_list[ASKED_MAX];
static size_t asked_count;
static bool peers_fail; // what they are asked from now on

// --- those who are asked

static inline void peer_is_asked(void *daemon, const ProtobufCMessage *q, struct rpc_call *call) {
    (void)daemon;
    ck_assert_uint_lt(asked_count, ASKED_MAX);
    struct asked *a = &asked_list[asked_count++];
    *a = (struct asked){message_copy(q), peers_fail ? NULL : call};
    if (peers_fail)
        rpc_fail(call, -HW_ESTORE);
}

#define PLAYED_METHOD(server, name_, value, Message, message, ...)                                 \
    {.number = HAWSER__INTERNAL__##value,                                                          \
     .callers = RPC_EVERY_ROLE,                                                                    \
     .name = #name_,                                                                               \
     .counter = #name_,                                                                            \
     .help = #name_,                                                                               \
     .memory_max = MEMORY_RECORD,                                                                  \
     .request = &hawser__internal__##message##_request__descriptor,                                \
     .reply = &hawser__internal__##message##_reply__descriptor,                                    \
     .handler = peer_is_asked},
static const struct rpc_method played_register[] = {REGISTER_METHODS(PLAYED_METHOD){0}};
static const struct rpc_method played_saver[] = {SAVER_METHODS(PLAYED_METHOD){0}};
static const struct rpc_method played_room[] = {ROOM_METHODS(PLAYED_METHOD){0}};

static struct peer_played {
    struct rpc_identity self;
    const struct rpc_method *methods;
    struct rpc_server *server;
} peers[PEERS];

static const struct rpc_identity room_identity = {
    .role = "room", .incarnation = THIS_ROOM, .secrets = {"secret"}, .secret_count = 1};

static inline void peers_settle(void) {
    for (int i = 0; i < 20; i++)
        loop_step(bed.room.loop, 0);
}

// All that is due on the way comes in its time.
static inline void time_passes(uint64_t ms) {
    for (uint64_t end_ms = clock_ms + ms; clock_ms < end_ms;) {
        clock_ms += end_ms - clock_ms < 50 ? end_ms - clock_ms : 50;
        peers_settle();
    }
}

// --- what they are asked

static inline unsigned times_asked(const ProtobufCMessageDescriptor *what) {
    unsigned times = 0;
    peers_settle();
    for (size_t i = 0; i < asked_count; i++)
        times += asked_list[i].request->descriptor == what;
    return times;
}

// The first such question that is not answered yet.
static inline struct asked *asked(const ProtobufCMessageDescriptor *what) {
    peers_settle();
    for (size_t i = 0; i < asked_count; i++)
        if (asked_list[i].call && asked_list[i].request->descriptor == what)
            return &asked_list[i];
    ck_abort_msg("nobody was asked: %s", what->short_name);
}

static inline void answer(struct asked *a, const ProtobufCMessage *reply) {
    rpc_reply(a->call, reply);
    a->call = NULL;
    peers_settle();
}

// --- life

static inline void peer_joins(size_t i, const char *role, const struct rpc_method *methods) {
    peers[i] = (struct peer_played){
        .self = {.role = role, .incarnation = 101 + i, .secrets = {"secret"}, .secret_count = 1},
        .methods = methods};
    ck_assert_int_eq(rpc_server_new(&(struct rpc_server_options){.loop = bed.room.loop,
                                                                 .self = &peers[i].self,
                                                                 .host = "127.0.0.1",
                                                                 .methods = methods},
                                    &peers[i].server),
                     0);
    Hawser__Internal__Member m = HAWSER__INTERNAL__MEMBER__INIT, *list[1] = {&m};
    Hawser__Internal__WatchReply reply = HAWSER__INTERNAL__WATCH_REPLY__INIT;
    char rpc[32];
    snprintf(rpc, sizeof(rpc), "127.0.0.1:%u", rpc_server_port(peers[i].server));
    m.role = (char *)(uintptr_t)role;
    m.incarnation = peers[i].self.incarnation;
    m.rpc = rpc;
    reply.n_member = 1;
    reply.member = list;
    directory_apply(&cluster, &reply);
    struct rpc_link *link = cluster_peer(&cluster, m.incarnation);
    for (peers_settle(); !rpc_link_is_up(link); peers_settle())
        clock_ms++; // a link begins by a timer
    if (i == 0) {
        cluster.registers[0] = link; // which the directory owns
        cluster.register_count = 1;
    }
}

// A room with a voice as `begin` makes it.
static inline void begin_among_peers(const struct voice *voice) {
    begin(voice);
    asked_count = 0;
    peers_fail = false;
    arena_init(&cluster.replies);
    cluster.replies.bytes_max = 1024 * 1024;
    cluster.options.self = &room_identity;
    bed.env.incarnation = THIS_ROOM;
    takes_bindings(4);
    admission_init(&bed.room.questions.logins);
    admission_init(&bed.room.questions.confirmations);
    admission_init(&bed.room.questions.heads);
    admission_init(&bed.room.orphans.asks);
    peer_joins(0, "register", played_register);
    peer_joins(1, "saver", played_saver);
    peer_joins(2, "room", played_room);
}

// A session that is there from the beginning of each log. Its login is told by hand; what it writes
// down from then on is all carried out.
static inline void log_in_among_peers(void) {
    log_in(all, 0, 0);
    room_binding_name(binding, "ann", NULL);
    bed.conn->device = hw_strdup("phone");
    bed.room.effects.run = carry_out_all;
}

static inline void begin_live_among_peers(const struct voice *voice) {
    begin_among_peers(voice);
    log_in_among_peers();
}

static inline void asked_free(void) {
    for (size_t i = 0; i < asked_count; i++) {
        if (asked_list[i].call)
            rpc_fail(asked_list[i].call, -HW_ESTORE);
        protobuf_c_message_free_unpacked(asked_list[i].request, NULL);
    }
    asked_count = 0;
}

// Its client is gone, and its session with it.
static inline void end_among_peers(void) {
    struct room *r = &bed.room;
    if (!bed.conn->is_gone)
        conn_end(bed.conn);
    peers_settle();
    r->is_stopping = true;
    asked_free();
    for (size_t i = 0; i < PEERS; i++)
        rpc_server_free(peers[i].server);
    directory_free(&cluster);
    cluster.register_count = 0;
    calls_complete_nowhere(&cluster);
    hook_stop(&cluster.nowhere_hook);
    notices_deinit(r);
    orphans_deinit(r);
    acks_deinit(r);
    waits_deinit(r);
    hook_stop(&r->products.ask_older);
    handles_deinit(&r->questions.arrivals);
    bed_conn(&bed, &tiny); // which the end ends
    end();
    arena_deinit(&cluster.replies);
}

#endif
