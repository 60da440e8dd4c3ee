// What the files of the Redis store share; nobody else includes it. Each file calls those below it
// only:
//
//   store_redis.c      the table of all steps; life
//   redis_sessions.c   steps of sessions' rows
//   redis_directory.c  steps of directory and catalog
//   redis_entries.c    the catalog's entries, and what a pair asks
//   redis_view.c       keys, and which runs are alive
//
// docs/REDIS.md has the keys: a login step touches one hash slot, and so does a change of the
// directory or the catalog with its version.
//
// Whether a run is alive is not in a user's hash slot: this register reads the directory ten times
// a second and tells the scripts which runs live and which may come back.
#ifndef HW_REGISTER_REDIS_INTERNAL_H
#define HW_REGISTER_REDIS_INTERNAL_H

#include "buf.h"
#include "methods.h"
#include "register_script_values.h"
#include "register_scripts.h"
#include "register_store.h"

enum { VIEW_MS = 100, REDIS_KEY_BYTES = 192 };

struct register_redis {
    struct redis_store base; // first
    struct timer view_timer;
    struct buf live, undead; // " <incarnation> <incarnation> ": alive; alive or not gone for good
    uint64_t view_ms;        // the store's clock then
    bool view_known, view_asked;
    struct session_count *counts; // owned; what was counted and not sent yet
    struct hook counts_hook;
};
static inline struct register_redis *register_redis_of(struct redis_store *s) {
    return (struct register_redis *)s;
}

// The rows of a user's bucket, and its takeovers.
struct register_keys {
    char rows[REDIS_KEY_BYTES], takeovers[REDIS_KEY_BYTES];
};
void register_keys_of(struct register_keys *k, uint32_t product, const char *user);
extern const char register_directory_key[];

void register_counts_send(struct redis_store *s); // before each other command
void register_counts_forget(struct register_redis *s);

// redis_entries.c
// "version deleted value"; NULL for bytes that are no record, as for no entry.
Hawser__Internal__CatalogEntry *register_entry_parse(const char *key, const redisReply *v);
void register_redis_fill(struct store_step *p, const Hawser__Internal__CatalogFillRequest *q);
void register_redis_filled(struct store_step *p, const Hawser__Internal__CatalogFilledRequest *q);
void register_redis_number(struct store_step *p);

// redis_view.c
void register_view_start(struct register_redis *s);
void register_view_stop(struct register_redis *s);
void register_view_on_state(struct redis_store *store, bool up);
const char *register_view_unready(struct redis_store *s); // NULL: it is known
bool register_view_has(const struct buf *view, uint64_t incarnation);
bool register_view_is_over(const struct register_redis *s, uint64_t incarnation); // gone for good
// Whether the step can't be done before the view is known: then it completes so, later.
bool register_view_is_missing(struct store_step *p);

REGISTER_METHODS(REDIS_STEP_DECLARATION)

#endif
