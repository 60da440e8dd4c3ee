#include "targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

// --- users

static int by_text(const void *a, const void *b) {
    const char *const *na = a, *const *nb = b;
    return strcmp(*na, *nb);
}

// The names are sorted, not the targets, which are 18 times as large.
static void take_users(const json_t *list, struct targets *t) {
    size_t count = json_array_size(list);
    const char **names = hw_calloc(count, sizeof(names[0]));
    for (size_t i = 0; i < count; i++)
        names[i] = json_string_value(json_array_get(list, i));
    qsort(names, count, sizeof(names[0]), by_text);
    t->list = hw_calloc(count, sizeof(t->list[0]));
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(names[i - 1], names[i]) != 0)
            t->list[t->count++].user = names[i];
    free(names);
}

// A list of 1..max, which is to.users or to.devices.
static bool check_named(const json_t *list, const char *path, size_t max, struct problem *p) {
    return (json_is_array(list) && json_array_size(list) > 0 && json_array_size(list) <= max) ||
           problem_set(p, PROBLEM_invalid_value, path, "%s is a list of 1..%zu %s", path, max,
                       path + strlen("to."));
}

static bool read_users(const json_t *list, struct targets *t, struct problem *p) {
    if (!check_named(list, "to.users", USERS_MAX, p) || !check_ids(list, "to.users", p))
        return false;
    take_users(list, t);
    return true;
}

static bool read_user(const json_t *user, struct targets *t, struct problem *p) {
    if (!check_id(user, "to.user", p))
        return false;
    t->list = hw_calloc(1, sizeof(t->list[0]));
    t->list[t->count++].user = json_string_value(user);
    return true;
}

// --- devices

static int by_user_and_device(const void *a, const void *b) {
    const struct target *ta = a, *tb = b;
    int order = strcmp(ta->user, tb->user);
    return order ? order : strcmp(ta->devices[0], tb->devices[0]);
}

// From one target for each device to one for each user, its devices sorted and without duplicates.
static bool gather_devices(struct targets *t, struct problem *p) {
    size_t kept = 0;
    qsort(t->list, t->count, sizeof(t->list[0]), by_user_and_device);
    for (size_t i = 1; i < t->count; i++) {
        struct target *to = &t->list[kept];
        const struct target *from = &t->list[i];
        if (strcmp(to->user, from->user) != 0) {
            t->list[++kept] = *from;
            continue;
        }
        if (strcmp(to->devices[to->device_count - 1], from->devices[0]) == 0)
            continue;
        if (to->device_count == TARGET_DEVICES_MAX)
            return problem_set(p, PROBLEM_invalid_value, "to.devices",
                               "at most %d devices of one user", TARGET_DEVICES_MAX);
        to->devices[to->device_count++] = from->devices[0];
    }
    t->count = kept + 1;
    return true;
}

static bool read_devices(const json_t *list, struct targets *t, struct problem *p) {
    static const char *const names[] = {"user", "device", NULL};
    size_t i;
    json_t *one;
    char path[64];
    if (!check_named(list, "to.devices", DEVICES_MAX, p))
        return false;
    t->list = hw_calloc(json_array_size(list), sizeof(t->list[0]));
    json_array_foreach((json_t *)(uintptr_t)list, i, one) {
        struct fields in = {one, path, p};
        struct target *to = &t->list[t->count++];
        to->device_count = 1;
        snprintf(path, sizeof(path), "to.devices[%zu]", i);
        if (!fields_known(&in, names) || !field_text_needed(&in, "user", ID_MAX, &to->user) ||
            !field_text_needed(&in, "device", ID_MAX, &to->devices[0]))
            return false;
    }
    return gather_devices(t, p);
}

// --- tags, and all

static bool read_tag_list(const struct fields *in, const char *name, struct tag_list *ret) {
    const json_t *list = json_object_get(in->object, name);
    char path[32];
    if (!list)
        return true;
    snprintf(path, sizeof(path), "to.tags.%s", name);
    if (!check_tags(list, path, TARGET_TAGS_MAX, in->problem))
        return false;
    ret->count = json_array_size(list);
    ret->tags = hw_calloc(ret->count + 1, sizeof(char *));
    for (size_t i = 0; i < ret->count; i++)
        ret->tags[i] = json_string_value(json_array_get(list, i));
    return true;
}

static bool read_tags(const json_t *tags, struct targets *t, struct problem *p) {
    static const char *const names[] = {"any", "all", "none", NULL};
    const struct fields in = {tags, "to.tags", p};
    if (!fields_known(&in, names) || !read_tag_list(&in, "any", &t->any) ||
        !read_tag_list(&in, "all", &t->all) || !read_tag_list(&in, "none", &t->none))
        return false;
    size_t total = t->any.count + t->all.count + t->none.count;
    return (total >= 1 && total <= TARGET_TAGS_MAX) ||
           problem_set(p, PROBLEM_invalid_value, "to.tags", "1..%d tags together", TARGET_TAGS_MAX);
}

static bool read_all(const json_t *value, struct targets *t, struct problem *p) {
    (void)t;
    return json_is_true(value) || problem_set(p, PROBLEM_invalid_value, "to.all", "to.all is true");
}

// --- to

static const struct {
    const char *name;
    bool (*read)(const json_t *value, struct targets *t, struct problem *p);
} kinds[] = {[TO_USER] = {"user", read_user},
             [TO_USERS] = {"users", read_users},
             [TO_DEVICES] = {"devices", read_devices},
             [TO_TAGS] = {"tags", read_tags},
             [TO_ALL] = {"all", read_all}};
enum { TARGET_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static bool read_to(const json_t *to, struct targets *t, struct problem *p) {
    const char *names[TARGET_KINDS + 1] = {NULL};
    int given = 0;
    for (int i = 0; i < TARGET_KINDS; i++) {
        names[i] = kinds[i].name;
        if (json_object_get(to, names[i])) {
            t->kind = (enum target_kind)i;
            given++;
        }
    }
    if (!fields_known(&(struct fields){to, "to", p}, names))
        return false;
    if (given != 1)
        return problem_set(p, given ? PROBLEM_conflicting_fields : PROBLEM_missing_field, "to",
                           "exactly one of to.user, to.users, to.devices, to.tags and to.all");
    return kinds[t->kind].read(json_object_get(to, names[t->kind]), t, p);
}

bool targets_read(const json_t *body, struct targets *ret, struct problem *p) {
    const json_t *to = json_object_get(body, "to");
    *ret = (struct targets){0};
    if (to ? read_to(to, ret, p) : problem_set(p, PROBLEM_missing_field, "to", "to is needed"))
        return true;
    targets_deinit(ret);
    return false;
}

void targets_deinit(struct targets *t) {
    free(t->list);
    free(t->any.tags);
    free(t->all.tags);
    free(t->none.tags);
    *t = (struct targets){0};
}

size_t targets_named(const json_t *body) {
    const json_t *to = json_object_get(body, "to");
    size_t users = json_array_size(json_object_get(to, "users"));
    size_t devices = json_array_size(json_object_get(to, "devices"));
    return users + devices > 0 ? users + devices : 1;
}
