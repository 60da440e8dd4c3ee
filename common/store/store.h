// A daemon's store behind one small table of functions. saver and register each have theirs, with
// two implementations that are held to one contract test suite: memory (memory_store.h, for trials
// and the simulation) and Redis (redis_store.h).
//
// A call is a request of one of the daemon's methods (proto/methods.h): its type says which, and
// the reply is of the type that belongs to it. Each is one atomic step.
#ifndef HW_STORE_H
#define HW_STORE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

// error 0: reply is valid during the call. -HW_ESTORE: not done; -HW_EOUTCOME: may be done.
typedef void store_done_fn(void *arg, int error, const ProtobufCMessage *reply);

struct store;
struct store_ops {
    void (*call)(struct store *s, const ProtobufCMessage *request, store_done_fn *done, void *arg);
    const char *(*down_reason)(struct store *s);
    bool (*is_coming)(struct store *s); // NULL = never down
    void (*free)(struct store *s);
};
struct store {
    const struct store_ops *ops;
};

// done is called once, never before this returns. The request is the caller's.
static inline void store_call(struct store *s, const ProtobufCMessage *request, store_done_fn *done,
                              void *arg) {
    s->ops->call(s, request, done, arg);
}

static inline const char *store_down_reason(struct store *s) { // NULL = it answers
    return s->ops->down_reason(s);
}

static inline bool store_is_coming(struct store *s) { // down, but met: worth waiting for
    return s->ops->is_coming && s->ops->is_coming(s);
}

static inline void store_free(struct store *s) { // what is open completes with -HW_ECANCELLED
    s->ops->free(s);
}

#endif
