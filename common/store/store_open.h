// Which store a daemon opens: its configuration's redis.url says.
#ifndef HW_STORE_OPEN_H
#define HW_STORE_OPEN_H

#include "config.h"
#include "redis_conn.h"
#include "store.h"

struct store_backends { // of a daemon
    struct store *(*memory)(struct loop *l);
    struct store *(*redis)(const struct redis_options *o);
};
// o->url: memory: (of which the log is warned) or what redis_url.h takes; o->log and o->loop are
// the store's too. A wrong url is -HW_ECONFIG with the reason.
int store_open(const struct store_backends *b, const struct redis_options *o, struct buf *ret_error,
               struct store **ret_store) HW_MUST_CHECK;

// What a daemon's store is opened with; borrowed, loop and log for as long as it lives.
struct store_env {
    struct loop *loop;
    struct log *log;
    const struct config *config;
};
// The same, with redis.url, redis.timeout and redis.allow_volatile.
int store_open_configured(const struct store_backends *b, const struct store_env *env,
                          struct buf *ret_error, struct store **ret_store) HW_MUST_CHECK;
// Whether that is a store in memory, which no other daemon knows.
bool store_is_in_memory(const struct config *config);

#endif
