// Reading the fields of a request's body, each within its limits. Each function returns false with
// the problem set, which names the field by its path, such as "to.user". A field that is not there
// leaves what was given for it as it was.
#ifndef HW_FIELDS_H
#define HW_FIELDS_H

#include <jansson.h>

#include "problem.h"

enum { ID_MAX = 64, FIELD_PATH_MAX = 160 };

struct fields { // an object that is read
    const json_t *object;
    const char *path; // of the object, "" for the body
    struct problem *problem;
};

struct range {
    uint64_t low, high;
};

// That it is an object, and has no fields but these.
bool fields_known(const struct fields *in, const char *const *names);
// An id: UTF-8 without control characters, 1..max bytes; borrowed from the object.
bool field_text(const struct fields *in, const char *name, size_t max, const char **ret_text);
bool field_text_needed(const struct fields *in, const char *name, size_t max,
                       const char **ret_text);
bool field_number(const struct fields *in, const char *name, struct range range,
                  uint64_t *ret_value);
bool field_bool(const struct fields *in, const char *name, bool *ret_value);
// A text as a user, device or tag may have.
bool check_id(const json_t *value, const char *path, struct problem *p);
bool check_ids(const json_t *list, const char *path, struct problem *p); // each of a list
bool check_tags(const json_t *list, const char *path, size_t max, struct problem *p);

#endif
