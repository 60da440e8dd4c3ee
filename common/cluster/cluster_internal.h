// What the files of this layer share; nobody else includes it. Each file calls those below it only:
//
//   cluster.c      talks to registers: announces, follows; life
//   store_clock.c  a store's clock, as one of its savers tells it
//   ask.c          questions for products that are not known here
//   calls.c        the stubs of proto/methods.h, and whom they go to
//   catalog.c      the products
//   product.c      one of them
//   directory.c    the members, and the links to them
//   registers.c    which register is asked
#ifndef HW_CLUSTER_INTERNAL_H
#define HW_CLUSTER_INTERNAL_H

#include "table.h"
#include <stddef.h>

#include "arena.h"
#include "buf.h"

#include "cluster.h"

enum {
    REGISTERS_MAX = 16,
    LEASE_MS = 10000,
    CALL_METHODS_MAX = 64,
    // Of replies decoded at once: each comes in a frame of 16 MiB at most.
    REPLIES_BYTES_MAX = 128 * 1024 * 1024
};

struct call_count { // of a method
    uint64_t calls, failures;
};

struct member_entry {
    UT_hash_handle hh; // in cluster.members, by incarnation
    uint64_t incarnation;
    Hawser__Internal__Member *member; // owned
    struct rpc_link *link;            // owned; NULL until somebody talks to it
    uint64_t failed_ms;               // when it last said that its store failed it; 0: never
};

struct api_kid {       // which product an API key is of, by what it is called
    UT_hash_handle hh; // in cluster.api_kids
    struct api_kid *next;
    const struct product *product;
    char kid[33];
};

struct product_entry {
    UT_hash_handle hh;        // in cluster.products, by name
    UT_hash_handle by_number; // in cluster.numbers
    char name[33];
    uint32_t number;
    struct product *product;  // owned
    struct api_kid *api_kids; // owned
};

struct ask;
struct asker;

struct typed_call;

struct cluster {
    struct cluster_options options;
    struct rpc_link *registers[REGISTERS_MAX]; // owned
    int register_count, current;
    // announcing
    Hawser__Internal__Member *self; // owned; NULL: nothing is announced
    struct timer renew, lease_end, watch_retry;
    struct hook announce_hook;
    uint64_t announce_sent_ms;
    uint64_t store_ms, store_read_ms; // the store's clock, and ours when it was told
    uint64_t lease_end_ms;            // 0: not held, and whoever wants to know has been told
    bool announcing, announce_again;
    void (*withdrawn)(void *arg); // the good-bye is said, or cannot be
    void *withdrawn_arg;
    // following
    bool were_registers_away, ready, ending;
    uint64_t directory_epoch, directory_version, catalog_epoch, catalog_version, index_epoch;
    struct member_entry *members;
    struct product_entry *products, *numbers;
    struct api_kid *api_kids;
    struct ask *asks;
    struct asker *askers;
    // calls.c
    struct typed_call *nowhere; // owned: without a link, completed before the loop sleeps
    struct hook nowhere_hook;
    struct arena replies; // of the completion under way
    int answering;        // completions within completions
    struct call_count calls[CALL_METHODS_MAX];
};

// registers.c
enum link_state { LINK_DOWN, LINK_SILENT, LINK_UP }; // the better, the higher
enum link_state link_state_of(struct rpc_link *link);

void directory_apply(struct cluster *c, const Hawser__Internal__WatchReply *reply);
void directory_free(struct cluster *c);
void directory_store_failed(struct cluster *c, const struct rpc_link *link);
void catalog_apply(struct cluster *c, const Hawser__Internal__CatalogEntry *e);
void catalog_whole(struct cluster *c); // what comes counts, whatever its version: a store went back
void catalog_free(struct cluster *c);
void calls_complete_nowhere(struct cluster *c);
void asks_free(struct cluster *c); // after the links, which hold calls for them

#endif
