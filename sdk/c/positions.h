// What a device has handled: for each (product, user, device) the position in each stream and the
// last ids, so that a repeat is known as one after a restart. Behind a small table of functions: a
// file for real clients, memory for the simulation and for clients that want none.
//
// The file is text, one version of everything, with a checksum at its end; it is written beside and
// renamed over the old one after an fsync, so that a crash leaves the old or the new. A file that
// does not read back exactly is an error at opening and is never overwritten. What is kept is
// bounded: beyond 1,024 keys those longest unused go.
#ifndef HAWSER_POSITIONS_H
#define HAWSER_POSITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum { POSITION_STREAMS = 3, RECENT_IDS = 1024 };

struct position {
    uint64_t epoch; // 0 = unknown
    uint64_t seq;
};

// An id is kept as the first 64 bits of its SHA-256: 8 KiB per binding, whatever the ids' length.
struct recent_ids {
    uint64_t id[RECENT_IDS]; // a ring; 0 = empty
    uint32_t next;
};

uint64_t recent_id(const char *id); // as it is kept; 0: "", which is never there
bool recent_ids_has(const struct recent_ids *r, uint64_t id);
void recent_ids_add(struct recent_ids *r, uint64_t id);

struct position_record {
    struct position stream[POSITION_STREAMS];
    struct recent_ids recent;
};

struct position_key {
    const char *product, *user, *device; // borrowed; may hold any bytes but NUL
};

struct position_change {
    struct position_key key;
    const struct position_record *record; // borrowed
};

// An opened store. Owner: who opened it, by close.
struct position_store {
    // False: nothing is known of the key, ret_record is untouched.
    bool (*load)(struct position_store *s, const struct position_key *key,
                 struct position_record *ret_record);
    // All changes or none; when it returns 0 they are safe. Else a negative errno; the same changes
    // are given again later.
    int (*save)(struct position_store *s, const struct position_change *changes, size_t count);
    void (*close)(struct position_store *s); // frees it
};

struct position_store *positions_memory_new(void);

// Opens or prepares path; its folder must exist. NULL: the reason, with the line where a spoiled
// file goes wrong, is in error. Locks path.lock while open: -EBUSY's text when another holds it.
struct position_store *positions_file_new(const char *path, char *error, size_t error_len);

#endif
