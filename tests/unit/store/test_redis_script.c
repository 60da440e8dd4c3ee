// Scripts as their heads made them: the text that is sent, arguments in the order of the table from
// a struct, and the slot that keys name.
#include "redis_script.h"

#include <signal.h>
#include <stddef.h>

#include "../suite.h"
#include "crypto.h"

struct example_args {
    const char *first, *second, *text;
    struct redis_bytes bytes;
    uint64_t number;
    bool flag;
    const struct redis_args *rest;
};
static const struct redis_script_arg args_of[] = {
    {REDIS_ARG_KEY, offsetof(struct example_args, first)},
    {REDIS_ARG_KEY, offsetof(struct example_args, second)},
    {REDIS_ARG_TEXT, offsetof(struct example_args, text)},
    {REDIS_ARG_BYTES, offsetof(struct example_args, bytes)},
    {REDIS_ARG_NUMBER, offsetof(struct example_args, number)},
    {REDIS_ARG_DIGITS, offsetof(struct example_args, number)},
    {REDIS_ARG_FLAG, offsetof(struct example_args, flag)},
    {REDIS_ARG_REST, offsetof(struct example_args, rest)},
};
static const struct redis_script_source example = {
    .name = "example",
    .shape = "i",
    .constants = (const struct redis_script_constant[]){{"LIMIT", INT64_C(2592000000)}, {0}},
    .pieces = (const char *const[]){"local a = KEYS[1]\n", "return LIMIT\n", NULL},
    .args = args_of,
    .arg_count = sizeof(args_of) / sizeof(args_of[0]),
    .key_count = 2,
};

static const struct redis_bytes history = {"before", 6};

START_TEST(test_text) {
    struct redis_script s;
    char sha1[41];
    redis_script_init(&s, &example);
    ck_assert_str_eq(s.text, "local LIMIT = 2592000000\nlocal a = KEYS[1]\nreturn LIMIT\n");
    crypto_sha1_hex(s.text, strlen(s.text), sha1);
    ck_assert_str_eq(s.sha1, sha1);
    redis_script_deinit(&s);
}
END_TEST

START_TEST(test_pack) {
    static const char *const want[] = {
        "hw:{1:2}:a",           "hw:{1:2}:b",           "before", "t",    "b\0c",
        "18446744073709551615", "18446744073709551615", "1",      "last", "7"};
    enum { WANTED = sizeof(want) / sizeof(want[0]), BYTES = 4 };
    struct redis_args rest = {0}, out;
    redis_arg_text(&rest, "last");
    redis_arg_u64(&rest, 7);
    redis_script_pack(&example,
                      &(struct example_args){.first = want[0],
                                             .second = want[1],
                                             .text = "t",
                                             .bytes = {want[BYTES], 3},
                                             .number = UINT64_MAX,
                                             .flag = true,
                                             .rest = &rest},
                      history, &out);
    ck_assert_int_eq(out.count, WANTED);
    for (int i = 0; i < WANTED; i++) {
        size_t len = i == BYTES ? 3 : strlen(want[i]);
        ck_assert_uint_eq(out.len[i], len);
        ck_assert_mem_eq(out.v[i], want[i], len);
    }
}
END_TEST

// What a Redis Cluster takes for the slot: what stands between the first braces, if anything does.
START_TEST(test_tag) {
    static const char *const keys[][2] = {{"hw:{1:2}:u:ann", "1:2"}, {"hw:{dir}", "dir"},
                                          {"hw:{1}:{2}", "1"},       {"hw:products", "hw:products"},
                                          {"a{}b{c}", "a{}b{c}"},    {"a{b", "a{b"}};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct redis_bytes tag = redis_key_tag(keys[i][0]);
        ck_assert_uint_eq(tag.len, strlen(keys[i][1]));
        ck_assert_mem_eq(tag.data, keys[i][1], tag.len);
    }
}
END_TEST

static void pack(const char *first, const char *second, const char *text) {
    struct redis_args out;
    redis_script_pack(&example,
                      &(struct example_args){.first = first, .second = second, .text = text},
                      history, &out);
}

START_TEST(test_two_slots) {
    pack("hw:{1:2}:a", "hw:{1:3}:b", "");
}
END_TEST

START_TEST(test_text_is_missing) {
    pack("hw:{1:2}:a", "hw:{1:2}:b", NULL);
}
END_TEST

START_TEST(test_too_many) {
    struct redis_args a = {0};
    for (int i = 0; i <= REDIS_ARGS_MAX; i++)
        redis_arg_u64(&a, 1);
}
END_TEST

int main(void) {
    TCase *test_case = tcase_create("redis_script");
    tcase_add_test(test_case, test_text);
    tcase_add_test(test_case, test_pack);
    tcase_add_test(test_case, test_tag);
    tcase_add_test_raise_signal(test_case, test_two_slots, SIGABRT);
    tcase_add_test_raise_signal(test_case, test_text_is_missing, SIGABRT);
    tcase_add_test_raise_signal(test_case, test_too_many, SIGABRT);
    return run_case("redis_script", test_case);
}
