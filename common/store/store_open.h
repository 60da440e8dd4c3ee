// Which store a daemon opens: redis.url says.
#ifndef HW_STORE_OPEN_H
#define HW_STORE_OPEN_H

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

#endif
