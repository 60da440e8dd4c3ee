// Reading the fields of a request, without a center.
#include "../suite.h"

#include "center_internal.h"

// A text from another daemon makes JSON whatever its bytes are.
START_TEST(test_text_json) {
    static const char *const texts[][2] = {
        {"", ""}, {"a\xc3\xa9", "a\xc3\xa9"}, {"\xff", "?"}, {"a\xe2\x82", "a"}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *value = text_json(texts[i][0]);
        ck_assert_str_eq(json_string_value(value), texts[i][1]);
        json_decref(value);
    }
}
END_TEST

// A problem's texts are cut between characters.
START_TEST(test_problem_is_json) {
    char name[400] = "";
    for (size_t len = 0; len < 4; len++) {
        struct problem p = {0};
        memset(name, 'x', len);
        for (size_t i = len; i + 3 < sizeof(name); i += 2)
            memcpy(name + i, "\xc3\xa9", 3);
        problem_set(&p, PROBLEM_invalid_value, name, "what '%s' is", name);
        json_t *body = problem_json(&p, "r");
        ck_assert_ptr_nonnull(body);
        ck_assert_ptr_nonnull(json_object_get(body, "field"));
        ck_assert_ptr_nonnull(json_object_get(body, "detail"));
        json_decref(body);
    }
}
END_TEST

RUN_TESTS("fields", test_text_json, test_problem_is_json)
