// A push as it is asked for: what is taken and how, and what is refused, with its field. Where a
// row says nothing of it, the push is to user "u" with payload "x".
#include "../suite.h"

#include <string.h>

#include "push.h"

static const struct push_rules rules = {.payload_bytes = 10, .retention_s = 100};
static const struct push_rules batch_rules = {10, 100, true};

static json_t *body_of(const char *fields) {
    json_t *body = json_loads(fields, 0, NULL);
    ck_assert_msg(body != NULL, "%s", fields);
    if (!json_object_get(body, "to") && !json_object_get(body, "no_to"))
        json_object_set_new(body, "to", json_pack("{s:s}", "user", "u"));
    if (!json_object_get(body, "payload") && !json_object_get(body, "payload_base64") &&
        !json_object_get(body, "no_payload"))
        json_object_set_new(body, "payload", json_string("x"));
    json_object_del(body, "no_to");
    json_object_del(body, "no_payload");
    return body;
}

// --- refused

#define SIXTEEN "0123456789abcdef"

static const struct {
    const char *fields;
    enum problem_code code;
    const char *field;
} refused[] = {
    {"{\"no_to\": 1}", PROBLEM_missing_field, "to"},
    {"{\"to\": []}", PROBLEM_invalid_value, "to"},
    {"{\"to\": {}}", PROBLEM_missing_field, "to"},
    {"{\"to\": {\"user\": \"a\", \"all\": true}}", PROBLEM_conflicting_fields, "to"},
    {"{\"to\": {\"nobody\": 1}}", PROBLEM_unknown_field, "to.nobody"},
    {"{\"to\": {\"user\": \"\"}}", PROBLEM_invalid_value, "to.user"},
    {"{\"to\": {\"user\": 5}}", PROBLEM_invalid_value, "to.user"},
    {"{\"to\": {\"user\": null}}", PROBLEM_invalid_value, "to.user"},
    {"{\"to\": {\"users\": []}}", PROBLEM_invalid_value, "to.users"},
    {"{\"to\": {\"users\": \"a\"}}", PROBLEM_invalid_value, "to.users"},
    {"{\"to\": {\"users\": [\"a\", \"b\\u0007\"]}}", PROBLEM_invalid_value, "to.users[1]"},
    {"{\"to\": {\"devices\": []}}", PROBLEM_invalid_value, "to.devices"},
    {"{\"to\": {\"devices\": [5]}}", PROBLEM_invalid_value, "to.devices[0]"},
    {"{\"to\": {\"devices\": [{\"user\": \"a\"}]}}", PROBLEM_missing_field, "to.devices[0].device"},
    {"{\"to\": {\"devices\": [{\"user\": \"a\", \"device\": \"d\", \"x\": 1}]}}",
     PROBLEM_unknown_field, "to.devices[0].x"},
    {"{\"to\": {\"tags\": {}}}", PROBLEM_invalid_value, "to.tags"},
    {"{\"to\": {\"tags\": {\"some\": [\"a\"]}}}", PROBLEM_unknown_field, "to.tags.some"},
    {"{\"to\": {\"tags\": {\"any\": [\"a\", 5]}}}", PROBLEM_invalid_value, "to.tags.any[1]"},
    {"{\"to\": {\"all\": false}}", PROBLEM_invalid_value, "to.all"},
    {"{\"no_payload\": 1}", PROBLEM_missing_field, "payload"},
    {"{\"payload\": \"x\", \"payload_base64\": \"eA==\"}", PROBLEM_conflicting_fields, "payload"},
    {"{\"payload\": 5}", PROBLEM_invalid_value, "payload"},
    {"{\"payload_base64\": \"eA\"}", PROBLEM_invalid_value, "payload_base64"},
    {"{\"payload\": \"12345678901\"}", PROBLEM_payload_too_large, "payload"},
    {"{\"content_type\": \"\"}", PROBLEM_invalid_value, "content_type"},
    {"{\"class\": \"other\"}", PROBLEM_invalid_value, "class"},
    {"{\"class\": \"durable\", \"ttl_s\": 0}", PROBLEM_conflicting_fields, "ttl_s"},
    {"{\"class\": \"live\", \"ttl_s\": 1}", PROBLEM_conflicting_fields, "ttl_s"},
    {"{\"class\": \"stored\", \"ttl_s\": 0}", PROBLEM_conflicting_fields, "ttl_s"},
    {"{\"ttl_s\": 101}", PROBLEM_invalid_value, "ttl_s"},
    {"{\"receipt\": true}", PROBLEM_invalid_value, "receipt"},
    {"{\"collapse_key\": \"\"}", PROBLEM_invalid_value, "collapse_key"},
    {"{\"collapse_key\": 5}", PROBLEM_invalid_value, "collapse_key"},
    {"{\"collapse_key\": \"" SIXTEEN SIXTEEN SIXTEEN SIXTEEN "x\"}", PROBLEM_invalid_value,
     "collapse_key"},
    {"{\"collapse_key\": \"k\", \"to\": {\"all\": true}}", PROBLEM_conflicting_fields,
     "collapse_key"},
    {"{\"collapse_key\": \"k\", \"to\": {\"tags\": {\"any\": [\"a\"]}}}",
     PROBLEM_conflicting_fields, "collapse_key"},
    {"{\"collapse_key\": \"k\", \"class\": \"live\"}", PROBLEM_conflicting_fields, "collapse_key"},
    {"{\"collapse_key\": \"k\", \"ttl_s\": 0}", PROBLEM_conflicting_fields, "collapse_key"},
    {"{\"send_at\": \"now\"}", PROBLEM_invalid_value, "send_at"},
    {"{\"dry_run\": 1}", PROBLEM_invalid_value, "dry_run"},
    {"{\"idempotency_key\": \"k\"}", PROBLEM_unknown_field, "idempotency_key"},
    {"{\"nope\": 1}", PROBLEM_unknown_field, "nope"},
};

START_TEST(test_refused) {
    json_t *body = body_of(refused[_i].fields);
    struct push push;
    struct problem p = {0};
    ck_assert_msg(!push_read(body, &rules, &push, &p), "%s is taken", refused[_i].fields);
    ck_assert_msg(p.code == refused[_i].code && strcmp(p.field, refused[_i].field) == 0,
                  "%s: %s, %s", refused[_i].fields, problem_name(p.code), p.field);
    push_deinit(&push); // harmless
    json_decref(body);
}
END_TEST

// --- taken

static struct push taken(const char *fields, const struct push_rules *by) {
    static json_t *body;
    struct push push;
    struct problem p = {0};
    json_decref(body);
    body = body_of(fields);
    ck_assert_msg(push_read(body, by, &push, &p), "%s: %s", fields, p.detail);
    return push;
}

// The class is said, or follows from a life time of 0; live is one of them.
START_TEST(test_class) {
    static const struct {
        const char *fields;
        enum push_class class;
        uint64_t ttl_ms;
    } rows[] = {{"{}", PUSH_STORED, 0},
                {"{\"class\": \"stored\"}", PUSH_STORED, 0},
                {"{\"class\": \"live\"}", PUSH_LIVE, 0},
                {"{\"class\": \"durable\"}", PUSH_DURABLE, 0},
                {"{\"class\": \"durable\", \"ttl_s\": 100}", PUSH_DURABLE, 100000},
                {"{\"class\": \"live\", \"ttl_s\": 0}", PUSH_LIVE, 0},
                {"{\"ttl_s\": 0}", PUSH_LIVE, 0},
                {"{\"ttl_s\": 100}", PUSH_STORED, 100000},
                {"{\"receipt\": false, \"collapse_key\": null}", PUSH_STORED, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct push push = taken(rows[i].fields, &rules);
        ck_assert_int_eq(push.class, rows[i].class);
        ck_assert_uint_eq(push.ttl_ms, rows[i].ttl_ms);
        push_deinit(&push);
    }
}
END_TEST

// As long as it may be, for whatever waits in an inbox; null is none.
START_TEST(test_collapse_key) {
    struct push push = taken("{\"collapse_key\": \"" SIXTEEN SIXTEEN SIXTEEN SIXTEEN "\"}", &rules);
    ck_assert_str_eq(push.collapse_key, SIXTEEN SIXTEEN SIXTEEN SIXTEEN);
    push_deinit(&push);
    push = taken(
        "{\"collapse_key\": \"k\", \"class\": \"durable\", \"to\": {\"users\": [\"a\", \"b\"]}}",
        &rules);
    ck_assert_str_eq(push.collapse_key, "k");
    push_deinit(&push);
    push = taken("{\"collapse_key\": null}", &rules);
    ck_assert_ptr_null(push.collapse_key);
    push_deinit(&push);
}
END_TEST

// Users and devices are sorted, and each is there once.
START_TEST(test_targets) {
    struct push push = taken("{\"to\": {\"users\": [\"b\", \"a\", \"b\", \"a\"]}}", &rules);
    ck_assert_uint_eq(push.to.count, 2);
    ck_assert_str_eq(push.to.list[0].user, "a");
    ck_assert_str_eq(push.to.list[1].user, "b");
    push_deinit(&push);
    push = taken("{\"to\": {\"devices\": [{\"user\": \"b\", \"device\": \"2\"},"
                 "{\"user\": \"a\", \"device\": \"1\"}, {\"user\": \"b\", \"device\": \"1\"},"
                 "{\"user\": \"b\", \"device\": \"2\"}]}}",
                 &rules);
    ck_assert_uint_eq(push.to.count, 2);
    ck_assert_uint_eq(push.to.list[0].device_count, 1);
    ck_assert_uint_eq(push.to.list[1].device_count, 2);
    ck_assert_str_eq(push.to.list[1].devices[0], "1");
    ck_assert_str_eq(push.to.list[1].devices[1], "2");
    push_deinit(&push);
    push = taken("{\"to\": {\"tags\": {\"any\": [\"a\"], \"none\": [\"b\", \"c\"]}}}", &rules);
    ck_assert_int_eq(push.to.kind, TO_TAGS);
    ck_assert_uint_eq(push.to.any.count, 1);
    ck_assert_uint_eq(push.to.all.count, 0);
    ck_assert_str_eq(push.to.none.tags[1], "c");
    push_deinit(&push);
}
END_TEST

static json_t *named_users(size_t count) {
    json_t *users = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(users, json_sprintf("%zu", i));
    return json_pack("{s:o}", "users", users);
}

static json_t *devices_of(size_t users, size_t count) {
    json_t *devices = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(devices,
                              json_pack("{s:o, s:o}", "user", json_sprintf("%zu", i % users),
                                        "device", json_sprintf("%zu", i)));
    return json_pack("{s:o}", "devices", devices);
}

static json_t *devices_of_one(size_t count) {
    return devices_of(1, count);
}

static json_t *devices_of_many(size_t count) {
    return devices_of(100, count);
}

// Neither of the two lists is too long by itself.
static json_t *tags_of_two_lists(size_t count) {
    json_t *any = json_array(), *none = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(i % 2 ? any : none, json_sprintf("%zu", i));
    return json_pack("{s:{s:o, s:o}}", "tags", "any", any, "none", none);
}

// The numbers that http.md names: so many are taken, and one more is not.
START_TEST(test_most_targets) {
    static const struct {
        json_t *(*to)(size_t count);
        size_t most;
        const char *field;
        bool is_named; // as targets_named counts
    } rows[] = {{named_users, 10000, "to.users", true},
                {devices_of_one, 16, "to.devices", true},
                {devices_of_many, 1000, "to.devices", true},
                {tags_of_two_lists, 20, "to.tags", false}};
    for (size_t i = 0; i < 2 * (sizeof(rows) / sizeof(rows[0])); i++) {
        size_t count = rows[i / 2].most + i % 2;
        json_t *body = json_pack("{s:s, s:o}", "payload", "x", "to", rows[i / 2].to(count));
        struct push push;
        struct problem p = {0};
        ck_assert_int_eq(push_read(body, &rules, &push, &p), i % 2 == 0);
        ck_assert_str_eq(p.field, i % 2 ? rows[i / 2].field : "");
        ck_assert_uint_eq(targets_named(body), rows[i / 2].is_named ? count : 1);
        push_deinit(&push);
        json_decref(body);
    }
}
END_TEST

// A key comes in a batch's body or in the head; the hash is that of the body without it, whatever
// the order of its fields.
START_TEST(test_key) {
    struct problem p = {0};
    struct push in_body = taken("{\"idempotency_key\": \"k\", \"ttl_s\": 5}", &batch_rules);
    ck_assert_str_eq(in_body.idempotency_key, "k");
    uint8_t hash[sizeof(in_body.body_hash)];
    json_t *with_key = body_of("{\"idempotency_key\": \"k\", \"ttl_s\": 5}");
    push_hash(&in_body, with_key);
    json_decref(with_key);
    memcpy(hash, in_body.body_hash, sizeof(hash));
    push_deinit(&in_body);
    json_t *same = body_of("{\"ttl_s\": 5}"), *other = body_of("{\"ttl_s\": 6}");
    struct push push = taken("{}", &rules);
    ck_assert_ptr_null(push.idempotency_key);
    ck_assert(push_take_key(&push, "k", &p));
    push_hash(&push, same);
    ck_assert_mem_eq(push.body_hash, hash, sizeof(hash));
    push_hash(&push, other);
    ck_assert_mem_ne(push.body_hash, hash, sizeof(hash));
    ck_assert(!push_take_key(&push, "", &p));
    ck_assert_str_eq(p.field, "Idempotency-Key");
    push_deinit(&push);
    static const char *const bad[] = {"{\"idempotency_key\": 5}", "{\"idempotency_key\": \"\"}",
                                      "{\"idempotency_key\": \"k\\u00e9\"}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *body = body_of(bad[i]);
        p = (struct problem){0};
        ck_assert(!push_read(body, &batch_rules, &push, &p));
        ck_assert_str_eq(p.field, "idempotency_key");
        json_decref(body);
    }
    json_decref(same);
    json_decref(other);
}
END_TEST

int main(void) {
    TCase *test_case = tcase_create("push");
    tcase_add_loop_test(test_case, test_refused, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(test_case, test_class);
    tcase_add_test(test_case, test_collapse_key);
    tcase_add_test(test_case, test_targets);
    tcase_add_test(test_case, test_most_targets);
    tcase_add_test(test_case, test_key);
    return run_case("push", test_case);
}
