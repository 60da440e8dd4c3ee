// What a saver keeps, behind one small table of functions with two implementations: memory (for
// trials and the simulation) and Redis. Held to one contract test suite.
//
// A call is a method of saver.proto with its request and reply messages; each is one atomic step.
#ifndef HW_SAVER_STORE_H
#define HW_SAVER_STORE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "saver.pb-c.h"

enum {
    STREAM_INBOX = 0,
    STREAM_NEWS = 1,
    STREAM_BULK = 2,
    STREAMS = 3,
    DROPPED_RANGES_MAX = 64,
    BROADCAST_MESSAGES_MAX = 10000,
    BROADCAST_BYTES_MAX = 16 * 1024 * 1024,
    ID_KEPT_MIN_MS = 30000,
    LOAD_BYTES_MAX = 4 * 1024 * 1024,
    KNOWN_MAX = 16, // devices of a user that an attach may name
};
#define BROADCAST_RETENTION_MS (UINT64_C(7) * 24 * 3600 * 1000)
#define DEVICE_FORGOTTEN_MS (UINT64_C(30) * 24 * 3600 * 1000)

// error 0: reply is valid during the call. -HW_ESTORE: not done; -HW_EOUTCOME: may be done (an
// append is then repeated with the same id).
typedef void saver_done_fn(void *arg, int error, const ProtobufCMessage *reply);

struct saver_store;
struct saver_store_ops {
    void (*call)(struct saver_store *s, int method, const ProtobufCMessage *request,
                 saver_done_fn *done, void *arg); // done is called once, never before it returns
    const char *(*down_reason)(struct saver_store *s); // NULL = it answers
    bool (*is_coming)(struct saver_store *s); // down, but met: worth waiting for; NULL = never down
    void (*free)(struct saver_store *s);      // calls that are open complete with -HW_ECANCELLED
};
struct saver_store {
    const struct saver_store_ops *ops;
};

struct loop;
struct saver_store *saver_store_memory(struct loop *l);
// For the simulation: from now on it is another run, as after a fail-over.
void saver_store_memory_next_run(struct saver_store *s);
struct redis_options;
// Sweeps what is due by itself. on_state and arg of the options are its own.
struct saver_store *saver_store_redis(const struct redis_options *o);

#endif
