// What the files of the memory store share; nobody else includes it.
#ifndef HW_REGISTER_MEMORY_INTERNAL_H
#define HW_REGISTER_MEMORY_INTERNAL_H

#include "table.h"

#include "buf.h"
#include "crypto.h"
#include "loop.h"
#include "message.h"
#include "store.h"

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

struct memory_store {
    struct register_store store; // first
    struct loop *loop;
    struct hook complete;
    struct completion *completions, **completions_end;
    uint64_t clock_offset_ms, seen_ms, run_ms; // the last step; the beginning of this run
    uint64_t directory_epoch, directory_version, catalog_epoch, catalog_version, index_epoch;
    uint32_t product_numbers;
    uint8_t hash_key[16]; // users choose their names
    struct member *members;
    struct entry *catalog;
    struct user *users;
};

uint64_t register_memory_now_ms(const struct memory_store *m); // the store's clock, Unix ms

// Each makes the reply to its request, on the heap.
ProtobufCMessage *register_memory_announce(struct memory_store *m, const ProtobufCMessage *request);
ProtobufCMessage *register_memory_withdraw(struct memory_store *m, const ProtobufCMessage *request);
ProtobufCMessage *register_memory_watch(struct memory_store *m, const ProtobufCMessage *request);
ProtobufCMessage *register_memory_catalog_put(struct memory_store *m,
                                              const ProtobufCMessage *request);
ProtobufCMessage *register_memory_catalog_get(struct memory_store *m,
                                              const ProtobufCMessage *request);
ProtobufCMessage *register_memory_login(struct memory_store *m, const ProtobufCMessage *request);
ProtobufCMessage *register_memory_drop(struct memory_store *m, const ProtobufCMessage *request);
ProtobufCMessage *register_memory_confirm(struct memory_store *m, const ProtobufCMessage *request);
ProtobufCMessage *register_memory_takeover(struct memory_store *m, const ProtobufCMessage *request);
ProtobufCMessage *register_memory_find(struct memory_store *m, const ProtobufCMessage *request);
ProtobufCMessage *register_memory_online(struct memory_store *m, const ProtobufCMessage *request);
void register_memory_note_time(struct memory_store *m); // before each step
bool register_memory_is_gone_for_good(const struct memory_store *m, uint64_t incarnation);
bool register_memory_is_live(const struct memory_store *m, uint64_t incarnation);
void register_memory_directory_free(struct memory_store *m);
void register_memory_sessions_free(struct memory_store *m);

#endif
