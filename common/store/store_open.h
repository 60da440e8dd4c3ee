// Which store a daemon opens: its table of backends, from which the URLs in the configuration
// choose. The rows of one key lie side by side, and the first one that takes its URL opens it. The
// store of a later key lies over what the keys before it have opened (store_pair.h).
#ifndef HW_STORE_OPEN_H
#define HW_STORE_OPEN_H

#include "buf.h"
#include "config.h"
#include "log.h"
#include "store.h"

struct loop;
// What a daemon's store is opened with; borrowed, loop and log for as long as it lives.
struct store_env {
    struct loop *loop;
    struct log *log;
    const struct config *config;
};

struct store_backend {                   // a row of a daemon's table
    const char *key;                     // of the configuration: its text is the URL; empty = none
    bool (*is_its_url)(const char *url); // NULL: any other
    // 0, or a negative error with the reason; NULL: what it takes is right.
    int (*check)(const char *url, struct buf *ret_error);
    struct store *(*open)(const struct store_env *env);
    // Makes one store of what was opened before and of this one; NULL in the rows of the first key.
    struct store *(*over)(struct store *front, struct store *back);
};
// table ends with key NULL. A wrong URL is -HW_ECONFIG with the reason, and nothing is left. The
// log is warned of what forgets at its end.
int store_open(const struct store_backend *table, const struct store_env *env,
               struct buf *ret_error, struct store **ret_store) HW_MUST_CHECK;

bool store_url_is_memory(const char *url);

#endif
