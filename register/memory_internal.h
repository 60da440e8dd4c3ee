// What the files of the memory store share; nobody else includes it.
#ifndef HW_REGISTER_MEMORY_INTERNAL_H
#define HW_REGISTER_MEMORY_INTERNAL_H

#include "table.h"

#include "buf.h"
#include "crypto.h"
#include "memory_store.h"
#include "message.h"
#include "methods.h"
#include "register_store.h"

struct member { // live, or gone and not forgotten yet
    UT_hash_handle hh;
    uint64_t incarnation, version, lease_end_ms, gone_ms;
    Hawser__Internal__Member *record; // owned; as watchers were told of it
    uint64_t told_ms;
    bool is_gone, was_clean;
};

struct entry { // of the catalog
    UT_hash_handle hh;
    char *key; // owned
    uint64_t version;
    uint8_t *value; // owned
    size_t len;
    uint32_t number; // of a product
    bool deleted;
};

struct row {
    struct row *next;
    char *device, *room, *address; // owned
    uint64_t incarnation, slot, generation, since_ms, last_seen_ms;
    uint64_t login; // the generation that its login gave the session; the row's, unless confirmed
    uint64_t takeovers_ms[TAKEOVERS_PER_MINUTE]; // the last ones, the oldest first
    bool online;
};

struct user { // all rows of one (product, user)
    UT_hash_handle hh;
    struct row *rows;
    size_t key_len;
    uint32_t product;
    char key[]; // product number, user
};

struct register_memory {
    struct memory_store base; // first
    uint64_t seen_ms, run_ms; // the last step; the beginning of this run
    uint64_t directory_epoch, directory_version, catalog_epoch, catalog_version, index_epoch;
    uint32_t product_numbers;
    struct member *members;
    struct entry *catalog;
    struct user *users;
};

REGISTER_METHODS(MEMORY_STEP_DECLARATION)

void register_memory_note_time(struct register_memory *m); // before each step
bool register_memory_is_gone_for_good(const struct register_memory *m, uint64_t incarnation);
bool register_memory_is_live(const struct register_memory *m, uint64_t incarnation);
void register_memory_directory_free(struct register_memory *m);
void register_memory_sessions_free(struct register_memory *m);

#endif
