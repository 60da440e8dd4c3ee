// Every call between daemons, once: who serves it, its number, what it carries, how long the caller
// waits, who may call it, how much memory a request of it may take, and the counter that a server
// keeps of it. A row makes the stub that a caller writes (common/cluster/calls.h) and what stands
// in front of the handler (common/rpc/serve.h); the numbers are those of the .proto files and never
// change.
//
//   X(server, name, NUMBER, Message, message, deadline_ms, kind, callers, memory, counter)
//
// NUMBER is the enum value less its prefix; the messages are MessageRequest and MessageReply.
// kind: REPEATABLE calls may be done twice and their callers ask again, so that they are given up
// early where the peer is silent and another one of its role is not; the others are made ONCE. A
// LONG one is answered when there is something to say: its silence says nothing.
// callers: a set of enum rpc_caller. memory: bytes that a decoded request may take; more is
// refused, since a frame of tiny sub-messages takes many times its bytes on the wire.
#ifndef HW_METHODS_H
#define HW_METHODS_H

#include "cluster.pb-c.h"
#include "register.pb-c.h"
#include "room.pb-c.h"
#include "saver.pb-c.h"

enum {
    MEMORY_SMALL = 64 * 1024,        // names, positions, a member
    MEMORY_MESSAGE = 256 * 1024,     // a payload of 60 KiB with its names
    MEMORY_RECORD = 4 * 1024 * 1024, // of the catalog
};
enum call_kind { ONCE, REPEATABLE, LONG };

#define REGISTER_METHODS(X)                                                                        \
    X(register, announce, CLUSTER_METHOD__CLUSTER_ANNOUNCE, Announce, announce, 3000, ONCE,        \
      RPC_EVERY_ROLE, MEMORY_SMALL, announces)                                                     \
    X(register, withdraw, CLUSTER_METHOD__CLUSTER_WITHDRAW, Withdraw, withdraw, 1000, ONCE,        \
      RPC_EVERY_ROLE, MEMORY_SMALL, withdrawals)                                                   \
    X(register, watch, CLUSTER_METHOD__CLUSTER_WATCH, Watch, watch, 8000, LONG, RPC_EVERY_ROLE,    \
      MEMORY_SMALL, watches)                                                                       \
    X(register, catalog_put, CLUSTER_METHOD__CLUSTER_CATALOG_PUT, CatalogPut, catalog_put, 3000,   \
      ONCE, RPC_CENTER, MEMORY_RECORD, catalog_puts)                                               \
    X(register, catalog_get, CLUSTER_METHOD__CLUSTER_CATALOG_GET, CatalogGet, catalog_get, 3000,   \
      REPEATABLE, RPC_EVERY_ROLE, MEMORY_SMALL, catalog_gets)                                      \
    X(register, login, REGISTER_METHOD__REGISTER_LOGIN, Login, login, 3000, ONCE, RPC_ROOM,        \
      MEMORY_SMALL, logins)                                                                        \
    X(register, drop, REGISTER_METHOD__REGISTER_DROP, Drop, drop, 3000, ONCE, RPC_ROOM,            \
      MEMORY_SMALL, drops)                                                                         \
    X(register, confirm, REGISTER_METHOD__REGISTER_CONFIRM, Confirm, confirm, 3000, ONCE,          \
      RPC_ROOM, MEMORY_SMALL, confirms)                                                            \
    X(register, find, REGISTER_METHOD__REGISTER_FIND, Find, find, 3000, REPEATABLE,                \
      RPC_ROOM | RPC_CENTER, MEMORY_SMALL, finds)                                                  \
    X(register, online, REGISTER_METHOD__REGISTER_ONLINE, Online, online, 3000, ONCE, RPC_CENTER,  \
      MEMORY_SMALL, onlines)                                                                       \
    X(register, takeover, REGISTER_METHOD__REGISTER_TAKEOVER, Takeover, takeover, 3000, ONCE,      \
      RPC_ROOM, MEMORY_SMALL, takeovers_told)

#define SAVER_METHODS(X)                                                                           \
    X(saver, append, SAVER_METHOD__SAVER_APPEND, Append, append, 2000, REPEATABLE,                 \
      RPC_CENTER | RPC_COORDINATOR, MEMORY_MESSAGE, appends)                                       \
    X(saver, load, SAVER_METHOD__SAVER_LOAD, Load, load, 3000, REPEATABLE, RPC_ROOM | RPC_CENTER,  \
      MEMORY_SMALL, loads)                                                                         \
    X(saver, head, SAVER_METHOD__SAVER_HEAD, Head, head, 3000, ONCE, RPC_ROOM, MEMORY_SMALL,       \
      heads)                                                                                       \
    X(saver, product_heads, SAVER_METHOD__SAVER_PRODUCT_HEADS, ProductHeads, product_heads, 3000,  \
      REPEATABLE, RPC_ROOM, MEMORY_SMALL, product_heads)                                           \
    X(saver, attach, SAVER_METHOD__SAVER_ATTACH, Attach, attach, 3000, ONCE, RPC_ROOM,             \
      MEMORY_SMALL, attaches)                                                                      \
    X(saver, ack, SAVER_METHOD__SAVER_ACK, Ack, ack, 3000, ONCE, RPC_ROOM, MEMORY_SMALL, acks)     \
    X(saver, sums, SAVER_METHOD__SAVER_SUMS, Sums, sums, 3000, ONCE, RPC_ROOM | RPC_CENTER,        \
      MEMORY_SMALL, sums)                                                                          \
    X(saver, stats, SAVER_METHOD__SAVER_STATS, Stats, stats, 3000, ONCE, RPC_CENTER, MEMORY_SMALL, \
      stats)                                                                                       \
    X(saver, user, SAVER_METHOD__SAVER_USER, User, user, 3000, ONCE, RPC_CENTER, MEMORY_SMALL,     \
      users)                                                                                       \
    X(saver, clock, SAVER_METHOD__SAVER_CLOCK, Clock, clock, 3000, ONCE, RPC_EVERY_ROLE,           \
      MEMORY_SMALL, clocks)                                                                        \
    X(saver, attempt, SAVER_METHOD__SAVER_ATTEMPT, Attempt, attempt, 3000, ONCE, RPC_ROOM,         \
      MEMORY_SMALL, attempts)                                                                      \
    X(saver, parked, SAVER_METHOD__SAVER_PARKED, Parked, parked, 3000, REPEATABLE, RPC_CENTER,     \
      MEMORY_SMALL, parked_asked)                                                                  \
    X(saver, unpark, SAVER_METHOD__SAVER_UNPARK, Unpark, unpark, 3000, ONCE, RPC_CENTER,           \
      MEMORY_SMALL, unparked)                                                                      \
    X(saver, outcomes, SAVER_METHOD__SAVER_OUTCOMES, Outcomes, outcomes, 3000, ONCE, RPC_CENTER,   \
      MEMORY_SMALL, outcomes_asked)                                                                \
    X(saver, status, SAVER_METHOD__SAVER_STATUS, Status, status, 3000, ONCE, RPC_CENTER,           \
      MEMORY_SMALL, statuses_asked)                                                                \
    X(saver, job_put, SAVER_METHOD__SAVER_JOB_PUT, JobPut, job_put, 3000, REPEATABLE, RPC_CENTER,  \
      MEMORY_RECORD, jobs_put)                                                                     \
    X(saver, job_take, SAVER_METHOD__SAVER_JOB_TAKE, JobTake, job_take, 2000, ONCE, RPC_CENTER,    \
      MEMORY_SMALL, job_parts_taken)                                                               \
    X(saver, job_advance, SAVER_METHOD__SAVER_JOB_ADVANCE, JobAdvance, job_advance, 2000,          \
      REPEATABLE, RPC_CENTER, MEMORY_SMALL, job_parts_advanced)                                    \
    X(saver, jobs, SAVER_METHOD__SAVER_JOBS, Jobs, jobs, 3000, REPEATABLE, RPC_CENTER,             \
      MEMORY_SMALL, jobs_asked)                                                                    \
    X(saver, recall, SAVER_METHOD__SAVER_RECALL, Recall, recall, 3000, REPEATABLE, RPC_CENTER,     \
      MEMORY_SMALL, recalls)                                                                       \
    X(saver, inboxes, SAVER_METHOD__SAVER_INBOXES, Inboxes, inboxes, 3000, REPEATABLE, RPC_CENTER, \
      MEMORY_SMALL, inboxes_asked)

#define ROOM_METHODS(X)                                                                            \
    X(room, deliver, ROOM_METHOD__ROOM_DELIVER, Deliver, deliver, 3000, ONCE,                      \
      RPC_CENTER | RPC_COORDINATOR, MEMORY_MESSAGE, delivers)                                      \
    X(room, news, ROOM_METHOD__ROOM_NEWS, News, news, 3000, ONCE, RPC_CENTER | RPC_COORDINATOR,    \
      MEMORY_MESSAGE, news)                                                                        \
    X(room, replaced, ROOM_METHOD__ROOM_REPLACED, Replaced, replaced, 2000, ONCE,                  \
      RPC_ROOM | RPC_CENTER, MEMORY_SMALL, replaced)                                               \
    X(room, drain, ROOM_METHOD__ROOM_DRAIN, Drain, drain, 3000, ONCE, RPC_CENTER, MEMORY_SMALL,    \
      drains)                                                                                      \
    X(room, confirm_row, ROOM_METHOD__ROOM_CONFIRM_ROW, ConfirmRow, confirm_row, 2000, ONCE,       \
      RPC_ROOM, MEMORY_SMALL, confirm_rows)

#define ALL_METHODS(X) REGISTER_METHODS(X) SAVER_METHODS(X) ROOM_METHODS(X)

#endif
