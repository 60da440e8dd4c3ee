// Whom a broadcast is for: any, all and none of some tags, alone and together.
#include <stdlib.h>
#include <string.h>

#include "audience.h"
#include "suite.h"

struct words { // of a text with blanks between them
    char text[64];
    char *word[8];
    size_t count;
};

static struct audience_tags split(struct words *w, const char *text) {
    char *rest = w->text, *word;
    w->count = 0;
    snprintf(w->text, sizeof(w->text), "%s", text);
    while ((word = strsep(&rest, " ")) != NULL)
        if (*word)
            w->word[w->count++] = word;
    return (struct audience_tags){w->word, w->count};
}

static bool is_for(const char *any, const char *all, const char *none, const char *tags) {
    struct words w[3];
    struct audience *a = audience_new(split(&w[0], any), split(&w[1], all), split(&w[2], none));
    bool has = audience_has(a, tags);
    ck_assert_uint_gt(audience_bytes(a), 0);
    free(a);
    return has;
}

START_TEST(test_everyone) {
    static const struct audience_tags nothing;
    ck_assert_ptr_null(audience_new(nothing, nothing, nothing));
    ck_assert(audience_has(NULL, NULL));
    ck_assert(audience_has(NULL, "a\0"));
    ck_assert_uint_eq(audience_bytes(NULL), 0);
}
END_TEST

START_TEST(test_tags) {
    ck_assert(is_for("x b", "", "", "a\0b\0"));
    ck_assert(!is_for("x ab", "", "", "a\0b\0"));
    ck_assert(!is_for("x", "", "", NULL));
    ck_assert(is_for("", "a b", "", "b\0c\0a\0"));
    ck_assert(!is_for("", "a d", "", "b\0c\0a\0"));
    ck_assert(is_for("", "", "d", "b\0c\0a\0"));
    ck_assert(is_for("", "", "d", NULL));
    ck_assert(!is_for("", "", "d c", "b\0c\0a\0"));
    ck_assert(is_for("x c", "a", "d", "b\0c\0a\0"));
    ck_assert(!is_for("x c", "a", "b", "b\0c\0a\0"));
}
END_TEST

RUN_TESTS("audience", test_everyone, test_tags)
