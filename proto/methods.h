// Every call between daemons, once: who serves it, its number, what it carries, and how long the
// caller waits. A row makes the stub that a caller writes (common/cluster/calls.h), the handler's
// type and the counters; the numbers are those of the .proto files and never change.
//
//   X(server, name, NUMBER, Message, message, deadline_ms)
//
// NUMBER is the enum value less its prefix; the messages are MessageRequest and MessageReply.
#ifndef HW_METHODS_H
#define HW_METHODS_H

#define REGISTER_METHODS(X)                                                                        \
    X(register, announce, CLUSTER_METHOD__CLUSTER_ANNOUNCE, Announce, announce, 3000)              \
    X(register, withdraw, CLUSTER_METHOD__CLUSTER_WITHDRAW, Withdraw, withdraw, 1000)              \
    X(register, watch, CLUSTER_METHOD__CLUSTER_WATCH, Watch, watch, 8000)                          \
    X(register, catalog_put, CLUSTER_METHOD__CLUSTER_CATALOG_PUT, CatalogPut, catalog_put, 3000)   \
    X(register, catalog_get, CLUSTER_METHOD__CLUSTER_CATALOG_GET, CatalogGet, catalog_get, 3000)   \
    X(register, login, REGISTER_METHOD__REGISTER_LOGIN, Login, login, 3000)                        \
    X(register, drop, REGISTER_METHOD__REGISTER_DROP, Drop, drop, 3000)                            \
    X(register, confirm, REGISTER_METHOD__REGISTER_CONFIRM, Confirm, confirm, 3000)                \
    X(register, find, REGISTER_METHOD__REGISTER_FIND, Find, find, 3000)                            \
    X(register, online, REGISTER_METHOD__REGISTER_ONLINE, Online, online, 3000)                    \
    X(register, takeover, REGISTER_METHOD__REGISTER_TAKEOVER, Takeover, takeover, 3000)

#define SAVER_METHODS(X)                                                                           \
    X(saver, append, SAVER_METHOD__SAVER_APPEND, Append, append, 2000)                             \
    X(saver, load, SAVER_METHOD__SAVER_LOAD, Load, load, 3000)                                     \
    X(saver, head, SAVER_METHOD__SAVER_HEAD, Head, head, 3000)                                     \
    X(saver, product_heads, SAVER_METHOD__SAVER_PRODUCT_HEADS, ProductHeads, product_heads, 3000)  \
    X(saver, attach, SAVER_METHOD__SAVER_ATTACH, Attach, attach, 3000)                             \
    X(saver, ack, SAVER_METHOD__SAVER_ACK, Ack, ack, 3000)                                         \
    X(saver, sums, SAVER_METHOD__SAVER_SUMS, Sums, sums, 3000)                                     \
    X(saver, stats, SAVER_METHOD__SAVER_STATS, Stats, stats, 3000)                                 \
    X(saver, user, SAVER_METHOD__SAVER_USER, User, user, 3000)                                     \
    X(saver, clock, SAVER_METHOD__SAVER_CLOCK, Clock, clock, 3000)

#define ROOM_METHODS(X)                                                                            \
    X(room, deliver, ROOM_METHOD__ROOM_DELIVER, Deliver, deliver, 3000)                            \
    X(room, news, ROOM_METHOD__ROOM_NEWS, News, news, 3000)                                        \
    X(room, replaced, ROOM_METHOD__ROOM_REPLACED, Replaced, replaced, 2000)                        \
    X(room, drain, ROOM_METHOD__ROOM_DRAIN, Drain, drain, 3000)                                    \
    X(room, stats, ROOM_METHOD__ROOM_STATS, RoomStats, room_stats, 3000)                           \
    X(room, confirm_row, ROOM_METHOD__ROOM_CONFIRM_ROW, ConfirmRow, confirm_row, 2000)

#endif
