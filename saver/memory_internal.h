// What the files of the memory store share; nobody else includes it.
#ifndef HW_SAVER_MEMORY_INTERNAL_H
#define HW_SAVER_MEMORY_INTERNAL_H

#include "table.h"

#include "buf.h"
#include "crypto.h"
#include "memory_store.h"
#include "message.h"
#include "methods.h"
#include "saver_store.h"
#include "stream_log.h"

struct position {
    uint64_t epoch, seq;
};

struct attempts { // of the first message that a device has not handled
    uint64_t seq, count, since_ms;
    uint64_t session[PARK_SESSIONS]; // the first generations of them
    bool is_parked, is_told;         // told: a load has answered its gap
};

struct device {
    struct device *next;
    char *name;                // owned
    struct attempts *attempts; // owned; NULL: none was counted
    uint64_t generation, seen_ms;
    struct position at[STREAMS];
};

struct dead_letter {
    uint64_t seq, parked_ms, ends_ms;
    Hawser__Internal__StoredMessage *message; // owned
    char *device;                             // owned
};

struct inbox { // of one (product, user)
    UT_hash_handle hh;
    struct saver_memory *store;
    struct product_logs *product;
    struct log_stream log;
    struct device *devices;
    struct timer expiry;      // of its next entry
    struct dead_letter *dead; // owned, in the order in which they were parked
    size_t dead_count;
    struct timer dead_expiry; // of the first of them
    uint16_t arrivals;        // of sessions: counted by 65536, as in Redis
    size_t key_len;
    char key[]; // product number, user
};

struct sum_id { // of a SumsRequest that was counted
    UT_hash_handle hh;
    uint8_t id[16];
};

struct broadcast { // news or bulk of a product
    struct log_stream log;
    struct timer expiry; // of its next entry
    struct product_logs *product;
};

struct memory_job;
struct product_logs { // of one product
    UT_hash_handle hh;
    struct saver_memory *store;
    uint32_t number;
    struct broadcast stream[STREAMS]; // of news and bulk; the inbox's is empty
    struct sum_id *sum_ids;
    struct memory_job *jobs; // owned, the newest first
    uint64_t keyed_ids;      // ids with an Idempotency-Key that are remembered
    uint64_t accepted, acked, expired, overflowed, collapsed, recalled, parked, rejected,
        broadcasts, sent[STREAMS], acked_devices[STREAMS], letters_dropped;
    uint64_t pending;
};

struct known_id {
    UT_hash_handle hh;
    struct product_logs *product;
    struct timer expiry;
    uint64_t epoch, seq, change, sent_ms, expires_ms;
    uint8_t body_hash[16];
    bool has_hash;
    size_t key_len;
    char key[]; // product, stream, user, id
};

struct recalled { // a message that would not have ended yet
    UT_hash_handle hh;
    struct saver_memory *store;
    struct timer expiry;
    uint64_t seq, sent_ms, expires_ms;
    size_t key_len;
    char key[]; // product, stream, user, id
};

struct saver_memory {
    struct memory_store base; // first
    uint64_t history;
    struct inbox *inboxes;
    struct product_logs *products;
    struct known_id *ids;
    struct recalled *recalled;
};

void broadcast_expires(struct broadcast *b, uint64_t at_ms); // something in it ends then
struct product_logs *product_logs_get(struct saver_memory *m, uint32_t number);
struct inbox *inbox_find(struct saver_memory *m, uint32_t product, const char *user);
struct inbox *inbox_get(struct saver_memory *m, uint32_t product, const char *user);
void inbox_prune(
    struct inbox *b); // what all its devices have handled leaves; limits are not looked at
// What d has handled since it was at `from`.
void inbox_mark_handled(struct inbox *b, struct device *d, uint64_t from);
void inbox_expires(struct inbox *b, uint64_t at_ms);
void inbox_overflow(struct inbox *b, uint64_t messages_max, uint64_t bytes_max);
void inbox_drop(struct inbox *b, struct log_entry *e, uint32_t reason, uint64_t *counter);

// memory_collapse.c
// The message that this one would take the place of; NULL: there is none.
struct log_entry *inbox_replaced_by(const struct inbox *b, const Hawser__Internal__StoredMessage *m,
                                    uint64_t sent_ms);
void inbox_collapse(struct inbox *b, struct log_entry *e);
// The last one has a collapse key, if any: from now on it is the one that may be replaced.
void inbox_keep_collapsible(struct inbox *b);
uint64_t
inbox_first_unhandled(const struct inbox *b); // position before it; the head when there is none

struct device *device_find(const struct inbox *b, const char *name);
uint64_t device_position(const struct inbox *b, const struct device *d); // 0: of another log
void device_free(struct device *d);

// memory_dead_letters.c
void dead_letter_add(struct inbox *b, const struct device *d, const struct log_entry *e,
                     const struct park_limits *limits);
// With its entry, if that is still in the log: else it could be handled, and sent anew.
void dead_letter_drop(struct inbox *b, size_t i);
// Its dead letter alone, if it has one.
void dead_letter_forget(struct inbox *b, uint64_t seq);
// d has handled a parked entry after all, unless d was told of a gap instead.
void inbox_unpark_handled(struct inbox *b, const struct device *d, struct log_entry *e);
void inbox_dead_letters_free(struct inbox *b);

SAVER_METHODS(MEMORY_STEP_DECLARATION)

// The hash table's key of a message of that log.
enum { ID_KEY_MAX = 256 };
struct id_place {
    uint32_t product, stream;
    const char *user, *id;
};
size_t id_key(const struct id_place *at, char out[ID_KEY_MAX]);
void saver_memory_ids_free(struct saver_memory *m);
void saver_memory_jobs_free(struct saver_memory *m);
void saver_memory_recalled_free(struct saver_memory *m);
void saver_memory_logs_free(struct saver_memory *m);

#endif
