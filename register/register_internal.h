// What the files of a register share; nobody else includes it.
#ifndef HW_REGISTER_INTERNAL_H
#define HW_REGISTER_INTERNAL_H

#include "register.h"

struct catalog_counts;
struct watcher;
struct held_record;

struct registry {
    struct daemon_env *env;
    struct loop *loop;
    struct store *store;                  // owned
    bool is_in_memory;                    // so that no other register knows what is in it
    const struct catalog_counts *catalog; // borrowed from the store; NULL: there is no MariaDB
    char lack[400];
    // watchers.c
    struct watcher *watchers;
    struct timer poll;
    Hawser__Internal__WatchRequest seen; // versions that were last seen changed
    bool polling, poll_again;
    bool polls; // the last one was answered
    // held.c
    struct held_record *held;
    bool held_compare; // a whole catalog is being read, in parts
    struct {
        struct store_counts store;
        uint64_t takeovers, refused, devices_full, restored;
    } count;
};

extern const struct rpc_method register_methods[];

void watchers_add(struct registry *r, const Hawser__Internal__WatchRequest *request,
                  struct rpc_call *call);
void watchers_poll(struct registry *r); // now: something changed
void watchers_tick(struct timer *t);
void watchers_free(struct registry *r);

void held_seen(struct registry *r, const Hawser__Internal__WatchReply *reply);
const Hawser__Internal__CatalogEntry *held_entry(const struct registry *r, const char *key);
void held_write_back(struct registry *r); // what the store lost and has not got again
void held_free(struct registry *r);

#endif
