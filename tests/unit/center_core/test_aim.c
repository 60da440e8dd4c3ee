// Where a push goes: its id, its logs, its claim and its times; and which sessions are told.
#include "../suite.h"

#include <string.h>

#include "aim.h"
#include "anew.h"
#include "crypto.h"

static const char *const user = "u";
static Hawser__Internal__ProductLimits limits;

static struct aim_from from_with(uint8_t random) {
    hawser__internal__product_limits__init(&limits);
    limits.retention_s = 100;
    limits.idempotency_s = 60;
    limits.inbox_messages = 7;
    limits.devices_per_user = 3;
    struct aim_from from = {.product = 9, .limits = &limits, .store_ms = 5000, .wall_ms = 7000};
    memset(from.random, random, sizeof(from.random));
    return from;
}

static struct push push_to(enum target_kind kind, struct target *list, size_t count) {
    return (struct push){.to = {.kind = kind, .list = list, .count = count}};
}

static bool same_id(const struct push *a, const struct push *b) {
    struct aim_from one = from_with(1), two = from_with(2);
    return strcmp(aim_push(a, &one).id, aim_push(b, &two).id) == 0;
}

static bool is_to_many(const struct push *p) {
    return p->to.kind == TO_USERS || p->to.kind == TO_DEVICES;
}

// Without a key an id is made at random; with one it is made of the product, the targets and the
// key, whatever else the push is, and nothing else makes the same. Pushes to many have one id under
// a key, whoever they are for: other targets are another body.
START_TEST(test_id) {
    struct target ann[] = {{.user = "ann"}}, bob[] = {{.user = "bob"}}, both[] = {ann[0], bob[0]};
    struct target phone[] = {{.user = "ann", .devices = {"phone"}, .device_count = 1}};
    struct target desk[] = {{.user = "ann", .devices = {"desk"}, .device_count = 1}};
    const char *tags[] = {"a", "b"};
    const struct push to_tags = push_to(TO_TAGS, NULL, 0);
    struct push all[] = {to_tags,
                         to_tags,
                         to_tags,
                         to_tags,
                         to_tags,
                         to_tags,
                         push_to(TO_USER, ann, 1),
                         push_to(TO_USER, bob, 1),
                         push_to(TO_USERS, both, 2),
                         push_to(TO_USERS, ann, 1),
                         push_to(TO_DEVICES, phone, 1),
                         push_to(TO_DEVICES, desk, 1),
                         push_to(TO_ALL, NULL, 0),
                         push_to(TO_USER, ann, 1)};
    enum { ALL = sizeof(all) / sizeof(all[0]) };
    for (size_t i = 0; i < 2; i++) {
        const struct tag_list one = {tags + i, 1};
        all[i].to.any = one;
        all[2 + i].to.all = one;
        all[4 + i].to.none = one;
    }
    for (size_t i = 0; i < ALL; i++) {
        ck_assert(!same_id(&all[i], &all[i]));
        all[i].idempotency_key = i == ALL - 1 ? "other" : "key";
    }
    for (size_t i = 0; i < ALL; i++)
        for (size_t j = 0; j < ALL; j++)
            ck_assert_msg(same_id(&all[i], &all[j]) ==
                              (i == j || (is_to_many(&all[i]) && is_to_many(&all[j]))),
                          "%zu, %zu", i, j);
    struct push live = all[ALL - 1];
    live.class = PUSH_LIVE;
    ck_assert(same_id(&all[ALL - 1], &live));
    struct aim_from from = from_with(1), elsewhere = from;
    elsewhere.product = 10;
    ck_assert_str_ne(aim_push(&all[ALL - 1], &from).id, aim_push(&all[ALL - 1], &elsewhere).id);
}
END_TEST

// A push to many, and a live one, claim their key first; one append is its own claim.
START_TEST(test_logs_and_claims) {
    static const struct {
        enum target_kind kind;
        enum push_class class;
        bool has_key, needs_claim;
    } rows[] = {{TO_USER, PUSH_STORED, true, false},   {TO_USER, PUSH_LIVE, true, true},
                {TO_USERS, PUSH_STORED, true, true},   {TO_USERS, PUSH_STORED, false, false},
                {TO_DEVICES, PUSH_STORED, true, true}, {TO_TAGS, PUSH_STORED, true, false},
                {TO_ALL, PUSH_STORED, true, false},    {TO_ALL, PUSH_LIVE, true, true},
                {TO_ALL, PUSH_LIVE, false, false},     {TO_USER, PUSH_LIVE, false, false}};
    struct target two[] = {{.user = "a"}, {.user = "b"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t count = rows[i].kind == TO_USER ? 1 : rows[i].kind >= TO_TAGS ? 0 : 2;
        struct push push = push_to(rows[i].kind, two, count);
        struct aim_from from = from_with(1);
        push.class = rows[i].class;
        push.idempotency_key = rows[i].has_key ? "k" : NULL;
        struct aim aim = aim_push(&push, &from);
        ck_assert_uint_eq(aim.logs, count > 0 ? count : 1);
        ck_assert_int_eq(aim.needs_claim, rows[i].needs_claim);
        ck_assert_ptr_eq(aim_target(&push, aim.logs - 1), count > 0 ? &two[count - 1] : NULL);
        ck_assert_ptr_eq(aim_claim_user(&push), rows[i].kind == TO_USER ? two[0].user : NULL);
    }
}
END_TEST

// What is stored for more than a hundred targets is a job.
START_TEST(test_jobs) {
    static const struct {
        enum target_kind kind;
        enum push_class class;
        size_t count;
        bool is_job;
    } rows[] = {{TO_USERS, PUSH_STORED, 100, false},  {TO_USERS, PUSH_STORED, 101, true},
                {TO_DEVICES, PUSH_STORED, 101, true}, {TO_USERS, PUSH_DURABLE, 101, true},
                {TO_USERS, PUSH_LIVE, 101, false},    {TO_USER, PUSH_STORED, 1, false},
                {TO_ALL, PUSH_STORED, 0, false}};
    static struct target many[101];
    for (size_t i = 0; i < 101; i++)
        many[i].user = "ann";
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct push push = push_to(rows[i].kind, many, rows[i].count);
        struct aim_from from = from_with(1);
        push.class = rows[i].class;
        ck_assert_int_eq(aim_push(&push, &from).is_job, rows[i].is_job);
    }
}
END_TEST

// All times are the store's, where it is known; the first claim's count for those behind it, and
// their ids are never kept longer than the claim, but never for less than ID_KEPT_MS.
START_TEST(test_times) {
    struct target one[] = {{.user = user}};
    struct push push = push_to(TO_USER, one, 1);
    struct aim_from from = from_with(1);
    struct aim aim = aim_push(&push, &from);
    ck_assert_uint_eq(aim.sent_ms, 5000);
    ck_assert_uint_eq(aim.expires_ms, 105000);
    ck_assert_uint_eq(aim.not_after_ms, 5000 + APPEND_LAST_MOMENT_MS);
    ck_assert_uint_eq(aim.id_kept_ms, ID_KEPT_MS);
    ck_assert_uint_eq(aim.limits.messages, 7);
    ck_assert_uint_eq(aim.limits.retention_ms, 100000);
    ck_assert_uint_eq(aim.limits.devices, 3);
    from.store_ms = 0; // a live message needs no store
    push.ttl_ms = 3000;
    push.idempotency_key = "k";
    aim = aim_push(&push, &from);
    ck_assert_uint_eq(aim.sent_ms, 7000);
    ck_assert_uint_eq(aim.expires_ms, 10000);
    ck_assert_uint_eq(aim.id_kept_ms, 60000);
    Hawser__Internal__AppendReply claim = HAWSER__INTERNAL__APPEND_REPLY__INIT;
    claim.sent_ms = 1000;
    claim.expires_ms = 4000;
    claim.store_ms = 21000;
    aim_claimed(&aim, &claim);
    ck_assert_uint_eq(aim.sent_ms, 1000);
    ck_assert_uint_eq(aim.expires_ms, 4000);
    ck_assert_uint_eq(aim.id_kept_ms, 40000);
    aim.id_kept_ms = 60000;
    claim.store_ms = 30999;
    aim_claimed(&aim, &claim);
    ck_assert_uint_eq(aim.id_kept_ms, ID_KEPT_MS + 1);
    static const uint64_t less[] = {31000, 31001, 60999, 61000,
                                    1000000}; // of what is left of 61000
    for (size_t i = 0; i < sizeof(less) / sizeof(less[0]); i++) {
        aim.id_kept_ms = 60000;
        claim.store_ms = less[i];
        aim_claimed(&aim, &claim);
        ck_assert_uint_eq(aim.id_kept_ms, ID_KEPT_MS);
    }
}
END_TEST

// What is stored says whom it is for and how long it lives, and no more than that.
START_TEST(test_message) {
    const char *tags[] = {"a", "b"};
    struct target phone = {.user = user, .devices = {"phone"}, .device_count = 1};
    struct push push = push_to(TO_TAGS, NULL, 0);
    struct aim_from from = from_with(1);
    struct aimed aimed;
    push.to.none = (struct tag_list){tags, 2};
    push.class = PUSH_LIVE;
    struct aim aim = aim_push(&push, &from);
    aim_message(&push, &aim, NULL, &aimed);
    ck_assert_ptr_eq(aimed.message.audience, &aimed.audience);
    ck_assert_uint_eq(aimed.audience.n_none, 2);
    ck_assert_str_eq(aimed.audience.none[1], "b");
    ck_assert_uint_eq(aimed.audience.n_any + aimed.audience.n_all, 0);
    ck_assert_int_eq(aimed.message.class_, HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_LIVE);
    ck_assert_str_eq(aimed.message.content_type, "");
    ck_assert_str_eq(aimed.message.collapse_key, "");
    ck_assert_uint_eq(aimed.message.expires_ms, 0); // with the retention
    push = push_to(TO_DEVICES, &phone, 1);
    push.ttl_ms = 1000;
    push.content_type = "text/plain";
    push.collapse_key = "score";
    aim = aim_push(&push, &from);
    aim_message(&push, &aim, aim_target(&push, 0), &aimed);
    ck_assert_ptr_null(aimed.message.audience);
    ck_assert_uint_eq(aimed.message.n_device, 1);
    ck_assert_str_eq(aimed.message.device[0], "phone");
    ck_assert_str_eq(aimed.message.collapse_key, "score");
    ck_assert_uint_eq(aimed.message.expires_ms, 6000);
    ck_assert_int_eq(aimed.message.class_, HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_STORED);
    ck_assert_str_eq(aimed.message.id, aim.id);
}
END_TEST

static bool rules_out_at(const struct told *told, const char *device, uint64_t generation,
                         uint64_t incarnation) {
    return told_rules_out(told, &(struct known_row){incarnation, 0, generation, device});
}

static bool rules_out(const struct told *told, const char *device, uint64_t generation) {
    return rules_out_at(told, device, generation, 1);
}

// A device that may have a message is not given it again, by whichever session; one whose session
// was not there is asked again, at its next session only.
START_TEST(test_told) {
    struct told had = {.device = "had", .generation = 5, .incarnation = 1};
    struct told moved = {&had, "moved", 5, 1, true};
    ck_assert(!rules_out(NULL, "had", 5));
    ck_assert(rules_out(&moved, "had", 5));
    ck_assert(rules_out(&moved, "had", 6));
    ck_assert(rules_out_at(&moved, "had", 5, 2));
    ck_assert(rules_out(&moved, "moved", 5));
    ck_assert(!rules_out(&moved, "moved", 6));
    ck_assert(!rules_out_at(&moved, "moved", 5, 2)); // at another room
    ck_assert(!rules_out(&moved, "new", 5));
}
END_TEST

// A dead letter that is sent anew goes to the devices that it was for, under an id that is made of
// where it was: the same however often, and no key makes it. It is remembered for longer than the
// dead letter is kept.
START_TEST(test_anew) {
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    Hawser__Internal__DeadLetter letter = HAWSER__INTERNAL__DEAD_LETTER__INIT;
    char *devices[] = {(char *)(uintptr_t) "phone"};
    letter.seq = 5;
    letter.message = &m;
    m.device = devices;
    m.n_device = 1;
    m.payload = (ProtobufCBinaryData){2, (uint8_t *)(uintptr_t) "hi"};
    m.content_type = (char *)(uintptr_t) "text/plain";
    struct push push, other;
    struct aim_from from = from_with(1);
    push_of_dead_letter(&letter, &(struct inbox_place){"ann", 7}, &push);
    ck_assert(push.to.kind == TO_USER && push.class == PUSH_STORED && push.ttl_ms == 0);
    ck_assert_str_eq(push.to.list[0].user, "ann");
    ck_assert_str_eq(push.to.list[0].devices[0], "phone");
    ck_assert_str_eq(push.content_type, "text/plain");
    ck_assert_mem_eq(push.payload.data, "hi", 2);
    ck_assert(same_id(&push, &push));
    struct aim aim = aim_push(&push, &from);
    ck_assert(!aim.needs_claim && aim.logs == 1);
    ck_assert_uint_eq(aim.id_kept_ms, ANEW_KEPT_MS);
    m.class_ = HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_DURABLE;
    letter.seq = 6;
    push_of_dead_letter(&letter, &(struct inbox_place){"ann", 7}, &other);
    ck_assert(!same_id(&push, &other) && other.class == PUSH_DURABLE);
    push_deinit(&other);
    letter.seq = 5;
    m.class_ = HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_DURABLE; // as what it was
    push_of_dead_letter(&letter, &(struct inbox_place){"ann", 8}, &other);
    ck_assert(other.class == PUSH_DURABLE);
    ck_assert(!same_id(&push, &other));
    push_deinit(&other);
    push_deinit(&push);
}
END_TEST

RUN_TESTS("aim", test_id, test_logs_and_claims, test_jobs, test_times, test_message, test_told,
          test_anew)
