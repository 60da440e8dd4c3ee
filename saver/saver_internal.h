// What the files of a saver share; nobody else includes it.
#ifndef HW_SAVER_INTERNAL_H
#define HW_SAVER_INTERNAL_H

#include "saver.h"

struct saver {
    struct daemon_env *env;
    struct loop *loop;
    struct store *store;                  // owned
    bool is_in_memory;                    // so that no other saver knows what is in it
    const struct durable_counts *durable; // of the store; NULL: it takes no durable message
    char lack[400];
    struct {
        struct store_counts store;
    } count;
};

extern const struct rpc_method saver_methods[];

#endif
