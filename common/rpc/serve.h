// The serving side of proto/methods.h. A daemon's service file says which rows it serves, writes a
// handler <server>_on_<name> for each, and answers each call once, now or later, by
// <server>_<name>_reply or rpc_fail:
//
//   ROOM_METHODS(SERVE)
//
//   static void room_on_deliver(void *self, const Hawser__Internal__DeliverRequest *q,
//                          struct rpc_call *call) { ... room_deliver_reply(call, &reply); }
//
//   const struct rpc_method room_methods[] = {ROOM_METHODS(SERVED){0}};
//
// The request is decoded within its bound and valid during the call. A caller of another role,
// bytes that do not decode and a request over its bound never reach the handler: they are answered
// and counted. What makes no sense the handler refuses by rpc_refuse.
#ifndef HW_RPC_SERVE_H
#define HW_RPC_SERVE_H

#include "methods.h"
#include "rpc.h"

#define SERVE(server, name, value, Message, message, deadline_ms, ...)                             \
    static void server##_on_##name(void *daemon, const Hawser__Internal__##Message##Request *q,    \
                                   struct rpc_call *call);                                         \
    static void serve_##server##_##name(void *daemon, const ProtobufCMessage *q,                   \
                                        struct rpc_call *call) {                                   \
        server##_on_##name(daemon, (const Hawser__Internal__##Message##Request *)q, call);         \
    }

#define SERVED(server, name_, value, Message, message, deadline_ms, kind, callers_, memory,        \
               counter_)                                                                           \
    {.number = HAWSER__INTERNAL__##value,                                                          \
     .name = #name_,                                                                               \
     .counter = #counter_ "_total",                                                                \
     .help = "calls of " #server "_" #name_ " taken on",                                           \
     .callers = (callers_),                                                                        \
     .memory_max = (memory),                                                                       \
     .request = &hawser__internal__##message##_request__descriptor,                                \
     .reply = &hawser__internal__##message##_reply__descriptor,                                    \
     .handler = serve_##server##_##name_},

#define SERVE_REPLY(server, name, value, Message, message, deadline_ms, ...)                       \
    static inline void server##_##name##_reply(struct rpc_call *call,                              \
                                               const Hawser__Internal__##Message##Reply *reply) {  \
        rpc_reply(call, &reply->base);                                                             \
    }
ALL_METHODS(SERVE_REPLY)
#undef SERVE_REPLY

#endif
