// What the API reads and shows: fields within their limits, and texts that come from outside.
#include "../suite.h"

#include "fields.h"
#include "texts.h"

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

static struct problem p;

static json_t *object; // what is read

static struct fields fields_of(const char *json, const char *path) {
    json_decref(object);
    object = json_loads(json, JSON_DECODE_ANY, NULL);
    ck_assert_ptr_nonnull(object);
    p = (struct problem){0};
    return (struct fields){object, path, &p};
}

static void told(enum problem_code code, const char *field) {
    ck_assert_int_eq(p.code, code);
    ck_assert_str_eq(p.field, field);
    p = (struct problem){0};
}

// Each fault names its field by the whole path, and leaves what was there as it was; so does a
// field that is not there.
START_TEST(test_fields) {
    static const char *const names[] = {"a", "n", "b", "t", NULL};
    struct fields in = fields_of("{\"a\": \"x\", \"n\": 5, \"b\": true, \"t\": \"\"}", "to");
    const char *text = "was";
    uint64_t number = 7;
    bool truth = false;
    ck_assert(fields_known(&in, names));
    ck_assert(field_text(&in, "a", 1, &text) && strcmp(text, "x") == 0);
    ck_assert(field_text(&in, "none", 1, &text) && strcmp(text, "x") == 0);
    ck_assert(!field_text_needed(&in, "none", 1, &text));
    told(PROBLEM_missing_field, "to.none");
    ck_assert(!field_text(&in, "t", 1, &text) && strcmp(text, "x") == 0);
    told(PROBLEM_invalid_value, "to.t");
    ck_assert(!field_text(&in, "n", 1, &text));
    told(PROBLEM_invalid_value, "to.n");
    ck_assert(!field_number(&in, "n", (struct range){6, 9}, &number) && number == 7);
    told(PROBLEM_invalid_value, "to.n");
    ck_assert(field_number(&in, "n", (struct range){5, 5}, &number) && number == 5);
    ck_assert(!field_number(&in, "b", (struct range){0, 9}, &number) && number == 5);
    told(PROBLEM_invalid_value, "to.b");
    ck_assert(field_bool(&in, "b", &truth) && truth);
    ck_assert(!field_bool(&in, "n", &truth) && truth);
    told(PROBLEM_invalid_value, "to.n");
    ck_assert(!fields_known(&in, names + 1));
    told(PROBLEM_unknown_field, "to.a");
    in = fields_of("5", "to");
    ck_assert(!fields_known(&in, names));
    told(PROBLEM_invalid_value, "to");
    in = fields_of("[]", "");
    ck_assert(!fields_known(&in, names));
    told(PROBLEM_malformed, "");
    json_decref(object);
}
END_TEST

// Padded base64 and nothing else, and what is read is written so again; the bits that nothing
// stands for are zeros.
START_TEST(test_base64) {
    static const struct {
        const char *text, *bytes; // NULL: refused
    } rows[] = {
        {"", ""},       {"eA==", "x"},      {"eHk=", "xy"}, {"eHl6", "xyz"}, {"eHl6eA==", "xyzx"},
        {"eA=", NULL},  {"eA", NULL},       {"eB==", NULL}, {"eHl=", NULL},  {"e===", NULL},
        {"====", NULL}, {"eA==eA==", NULL}, {"e A=", NULL}, {"-_8=", NULL}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf out = BUF_EMPTY;
        bool good = base64_decode(rows[i].text, strlen(rows[i].text), &out);
        ck_assert_msg(good == (rows[i].bytes != NULL), "%s", rows[i].text);
        if (good)
            ck_assert_str_eq(buf_cstr(&out), rows[i].bytes);
        struct buf again = BUF_EMPTY;
        base64_encode(out.data, out.len, &again);
        ck_assert(!good || strcmp(buf_cstr(&again), rows[i].text) == 0);
        buf_free(&again);
        buf_free(&out);
    }
}
END_TEST

RUN_TESTS("fields", test_text_json, test_problem_is_json, test_fields, test_base64)
