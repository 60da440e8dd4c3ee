#include "fields.h"

#include <string.h>

#include "bytes.h"

#define NO_ID "%s is 1..%zu bytes of UTF-8 without control characters"

static void path_of(const struct fields *in, const char *name, char out[FIELD_PATH_MAX]) {
    snprintf(out, FIELD_PATH_MAX, "%s%s%s", in->path, *in->path ? "." : "", name);
}

static bool is_one_of(const char *name, const char *const *names) {
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

bool fields_known(const struct fields *in, const char *const *names) {
    const char *name;
    json_t *value;
    char path[FIELD_PATH_MAX];
    if (!json_is_object(in->object))
        return *in->path
                   ? problem_set(in->problem, PROBLEM_invalid_value, in->path, "%s is an object",
                                 in->path)
                   : problem_set(in->problem, PROBLEM_malformed, NULL, "the body is a JSON object");
    json_object_foreach((json_t *)(uintptr_t)in->object, name, value) {
        if (is_one_of(name, names))
            continue;
        path_of(in, name, path);
        return problem_set(in->problem, PROBLEM_unknown_field, path, "there is no field '%.100s'",
                           path);
    }
    return true;
}

bool field_text(const struct fields *in, const char *name, size_t max, const char **ret_text) {
    const json_t *value = json_object_get(in->object, name);
    const char *text = json_string_value(value);
    char path[FIELD_PATH_MAX];
    if (!value)
        return true;
    path_of(in, name, path);
    if (!text || !id_is_valid(text, json_string_length(value), max))
        return problem_set(in->problem, PROBLEM_invalid_value, path, NO_ID, path, max);
    *ret_text = text;
    return true;
}

bool field_text_needed(const struct fields *in, const char *name, size_t max,
                       const char **ret_text) {
    char path[FIELD_PATH_MAX];
    if (json_object_get(in->object, name))
        return field_text(in, name, max, ret_text);
    path_of(in, name, path);
    return problem_set(in->problem, PROBLEM_missing_field, path, "%s is needed", path);
}

bool field_number(const struct fields *in, const char *name, struct range range,
                  uint64_t *ret_value) {
    const json_t *value = json_object_get(in->object, name);
    json_int_t number = json_integer_value(value);
    char path[FIELD_PATH_MAX];
    if (!value)
        return true;
    path_of(in, name, path);
    if (!json_is_integer(value) || number < 0 || (uint64_t)number < range.low ||
        (uint64_t)number > range.high)
        return problem_set(in->problem, PROBLEM_invalid_value, path,
                           "%s is a whole number from %llu to %llu", path,
                           (unsigned long long)range.low, (unsigned long long)range.high);
    *ret_value = (uint64_t)number;
    return true;
}

bool field_bool(const struct fields *in, const char *name, bool *ret_value) {
    const json_t *value = json_object_get(in->object, name);
    char path[FIELD_PATH_MAX];
    if (!value)
        return true;
    path_of(in, name, path);
    if (!json_is_boolean(value))
        return problem_set(in->problem, PROBLEM_invalid_value, path, "%s is true or false", path);
    *ret_value = json_is_true(value);
    return true;
}

static bool is_id(const json_t *value) {
    const char *text = json_string_value(value);
    return text && id_is_valid(text, json_string_length(value), ID_MAX);
}

bool check_id(const json_t *value, const char *path, struct problem *p) {
    return is_id(value) || problem_set(p, PROBLEM_invalid_value, path, NO_ID, path, (size_t)ID_MAX);
}

bool check_ids(const json_t *list, const char *path, struct problem *p) {
    size_t i;
    json_t *id;
    char at[FIELD_PATH_MAX];
    json_array_foreach((json_t *)(uintptr_t)list, i, id) {
        if (is_id(id)) // the usual case, and there may be 10,000
            continue;
        snprintf(at, sizeof(at), "%s[%zu]", path, i);
        return check_id(id, at, p);
    }
    return true;
}

bool check_tags(const json_t *list, const char *path, size_t max, struct problem *p) {
    if (!json_is_array(list) || json_array_size(list) > max)
        return problem_set(p, PROBLEM_invalid_value, path, "%s is a list of at most %zu tags", path,
                           max);
    return check_ids(list, path, p);
}
