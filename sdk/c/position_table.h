// The table behind both stores of positions: entries by key, those longest unused first.
#ifndef HAWSER_POSITION_TABLE_H
#define HAWSER_POSITION_TABLE_H

#include "positions.h"
#include "table.h"

// A device binds 16 products; the rest is for users that came and went. 1,024 entries with all
// their ids make a file of 19 MB, well below what is read back. One that falls out begins again
// where the cluster last knew the device.
enum { POSITION_ENTRIES_MAX = 1024 };

struct position_entry {
    UT_hash_handle hh;
    char *text; // owned; key points into it
    struct position_key key;
    struct position_record record;
};

struct position_table {
    struct position_store store;    // the first member: a store is its table
    struct position_entry *entries; // owned; their order is that of their use
    char *path, *temp_path;         // owned; NULL in memory
    int lock_fd;                    // -1 in memory
};

struct position_entry *position_table_find(const struct position_table *t,
                                           const struct position_key *key);
// Made when missing; counts as its use.
struct position_entry *position_table_get(struct position_table *t, const struct position_key *key);
// As position_store.save; what is longest unused goes when there are too many.
int position_table_save(struct position_store *s, const struct position_change *changes,
                        size_t count);

#endif
