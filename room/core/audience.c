#include "audience.h"

#include <stdint.h>
#include <string.h>

#include "buf.h"

struct audience {
    uint32_t bytes; // of the block
    uint16_t any, all, none;
    char text[]; // the tags in that order, a NUL after each
};

static size_t text_bytes(struct audience_tags list) {
    size_t bytes = 0;
    for (size_t i = 0; i < list.count; i++)
        bytes += strlen(list.tag[i]) + 1;
    return bytes;
}

static char *copy_tags(char *to, struct audience_tags list) {
    for (size_t i = 0; i < list.count; i++) {
        size_t len = strlen(list.tag[i]) + 1;
        memcpy(to, list.tag[i], len);
        to += len;
    }
    return to;
}

struct audience *audience_new(struct audience_tags any, struct audience_tags all,
                              struct audience_tags none) {
    if (any.count + all.count + none.count == 0)
        return NULL;
    size_t bytes = sizeof(struct audience) + text_bytes(any) + text_bytes(all) + text_bytes(none);
    struct audience *a = hw_calloc(1, bytes);
    a->bytes = (uint32_t)bytes;
    a->any = (uint16_t)any.count;
    a->all = (uint16_t)all.count;
    a->none = (uint16_t)none.count;
    (void)copy_tags(copy_tags(copy_tags(a->text, any), all), none);
    return a;
}

static bool has_tag(const char *tags, const char *tag) {
    for (const char *t = tags; t && *t; t += strlen(t) + 1)
        if (strcmp(t, tag) == 0)
            return true;
    return false;
}

// How many of the next `count` tags of *at are there; *at is behind them afterwards.
static uint32_t count_had(const char *tags, const char **at, uint32_t count) {
    uint32_t had = 0;
    for (uint32_t i = 0; i < count; i++) {
        had += has_tag(tags, *at) ? 1 : 0;
        *at += strlen(*at) + 1;
    }
    return had;
}

bool audience_names(const struct audience *a, const char *tags) {
    const char *at = a->text;
    bool any = count_had(tags, &at, a->any) > 0 || a->any == 0;
    bool all = count_had(tags, &at, a->all) == a->all;
    return any && all && count_had(tags, &at, a->none) == 0;
}

size_t audience_bytes(const struct audience *a) {
    return a ? a->bytes : 0;
}
