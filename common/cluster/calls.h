// Calls to other daemons, typed: each row of proto/methods.h is a function that takes its request
// and answers with its reply, which is decoded and freed for the caller.
//
//   saver_append(saver_of(cluster, product, user), &request, on_appended, arg);
//
// done is called once, never before the call returns: error 0 and the reply, valid during the call,
// or a negative error (rpc.h) and NULL. A peer that is not in the directory is -HW_ELINK.
#ifndef HW_CALLS_H
#define HW_CALLS_H

#include "cluster.h"
#include "methods.h"

struct peer {
    struct cluster *cluster;
    struct rpc_link *link; // NULL: nobody is there
};
struct peer register_of(struct cluster *c);
struct peer saver_of(struct cluster *c, uint32_t product, const char *user); // of the user's bucket
struct peer saver_of_product(struct cluster *c, uint32_t product); // of its broadcasts and sums
struct peer room_of(struct cluster *c, uint64_t incarnation);      // that run of a room
struct peer peer_by(struct cluster *c, struct rpc_link *link);     // whom a link leads to
bool peer_is_up(struct peer p);

#define CALL_DECLARATION(server, name, number, Message, message, deadline_ms, ...)                 \
    typedef void server##_##name##_done(void *arg, int error,                                      \
                                        const Hawser__Internal__##Message##Reply *reply);          \
    void server##_##name(struct peer to, const Hawser__Internal__##Message##Request *request,      \
                         server##_##name##_done *done, void *arg);
ALL_METHODS(CALL_DECLARATION)
#undef CALL_DECLARATION

#endif
