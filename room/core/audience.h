// Whom a broadcast is for: who has any of some tags, all of some, and none of some. Kept in one
// block of memory; NULL is everyone.
#ifndef HW_AUDIENCE_H
#define HW_AUDIENCE_H

#include <stdbool.h>
#include <stddef.h>

struct audience; // one block: free() ends it

struct audience_tags {
    char *const *tag;
    size_t count;
};

// Copies the tags; NULL when there are none at all.
struct audience *audience_new(struct audience_tags any, struct audience_tags all,
                              struct audience_tags none);
// tags: a NUL after each and a second one at the end; NULL = none.
bool audience_names(const struct audience *a, const char *tags); // of one that is not everyone
static inline bool audience_has(const struct audience *a, const char *tags) {
    return !a || audience_names(a, tags);
}
size_t audience_bytes(const struct audience *a); // of memory; 0 for everyone

#endif
