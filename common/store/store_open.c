#include "store_open.h"

#include <string.h>

int store_open(const struct store_backends *b, const struct redis_options *o, struct buf *ret_error,
               struct store **ret_store) {
    struct buf why = BUF_EMPTY;
    if (strcmp(o->url, "memory:") == 0) {
        log_event(o->log, LOG_WARN, "store in memory",
                  "warning=\"redis.url is memory: nothing survives the end of this daemon, and it "
                  "must be the only one of its role\"");
        *ret_store = b->memory(o->loop);
        return 0;
    }
    int rc = redis_url_check(o->url, &why);
    if (rc == 0)
        *ret_store = b->redis(o);
    else
        buf_printf(ret_error, "redis.url: %s", buf_cstr(&why));
    buf_free(&why);
    return rc == 0 ? 0 : -HW_ECONFIG;
}
