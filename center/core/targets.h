// Whom a push is for: the `to` of its body, checked whole. Users and devices are sorted and without
// duplicates, so that the same list in another order is the same.
#ifndef HW_TARGETS_H
#define HW_TARGETS_H

#include "fields.h"

// A push to more targets than are stored before the answer is a job.
enum { TARGETS_AT_ONCE_MAX = 100 };
enum { USERS_MAX = 10000, DEVICES_MAX = 1000, TARGET_DEVICES_MAX = 16, TARGET_TAGS_MAX = 20 };

struct target {
    const char *user;                        // borrowed from the body
    const char *devices[TARGET_DEVICES_MAX]; // named ones; none = all
    size_t device_count;
};

struct tag_list {
    const char **tags; // owned; they are borrowed from the body
    size_t count;
};

enum target_kind { TO_USER, TO_USERS, TO_DEVICES, TO_TAGS, TO_ALL };
struct targets {
    enum target_kind kind;
    struct target *list; // owned; empty for tags and all
    size_t count;
    struct tag_list any, all, none; // of TO_TAGS
};

// The `to` of a body. On failure ret is as targets_deinit leaves it.
bool targets_read(const json_t *body, struct targets *ret, struct problem *p);
void targets_deinit(struct targets *t);
// How many targets a body names, duplicates too, without looking at them; at least 1.
size_t targets_named(const json_t *body);

#endif
