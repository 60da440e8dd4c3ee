// A product from its catalog record: defaults where nothing was given, also where 0 was given; keys
// by kind and kid; bad records refused.
#include "suite.h"

#include <stdbool.h>

#include "buf.h"
#include "product.h"

static struct product *make(const char *name, const char *kid, bool limited) {
    Hawser__Internal__Product record = HAWSER__INTERNAL__PRODUCT__INIT;
    Hawser__Internal__ProductKey key = HAWSER__INTERNAL__PRODUCT_KEY__INIT, *keys[] = {&key};
    Hawser__Internal__ProductLimits limits = HAWSER__INTERNAL__PRODUCT_LIMITS__INIT;
    char *given[] = {(char *)(uintptr_t) "inbox_messages", (char *)(uintptr_t) "bulk_rate_per_s"};
    limits.given = given;
    limits.n_given = 2;
    limits.inbox_messages = 10; // bulk_rate_per_s is given as 0
    limits.payload_bytes = 99;  // not given: does not count
    record.name = (char *)(uintptr_t)name;
    record.number = 7;
    record.limits = limited ? &limits : NULL;
    key.kid = (char *)(uintptr_t)kid;
    key.kind = HAWSER__INTERNAL__KEY_KIND__KEY_TOKEN;
    key.secret = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t) "secret", .len = 6};
    record.key = keys;
    record.n_key = 1;
    uint8_t bytes[512];
    size_t len = hawser__internal__product__pack(&record, bytes);
    return product_new(bytes, len, 3);
}

START_TEST(test_limits) {
    struct product *p = make("demo", "k1", true);
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq(p->limits.inbox_messages, 10);
    ck_assert_uint_eq(p->limits.bulk_rate_per_s, 0);
    ck_assert_uint_eq(p->limits.payload_bytes, 4096);
    ck_assert_uint_eq(p->limits.token_ttl_s, 86400);
    product_free(p);
    p = make("demo", "k1", false);
    ck_assert_uint_eq(p->limits.inbox_messages, 1000);
    ck_assert(!p->limits.reject_new);
    product_free(p);
}
END_TEST

START_TEST(test_keys) {
    struct product *p = make("demo", "k1", false);
    const struct product_key *key =
        product_key_find(p, HAWSER__INTERNAL__KEY_KIND__KEY_TOKEN, "k1", 2);
    ck_assert_ptr_nonnull(key);
    ck_assert_mem_eq(key->secret, "secret", 6);
    ck_assert_ptr_null(product_key_find(p, HAWSER__INTERNAL__KEY_KIND__KEY_API, "k1", 2));
    ck_assert_ptr_null(product_key_find(p, HAWSER__INTERNAL__KEY_KIND__KEY_TOKEN, "k", 1));
    product_free(p);
}
END_TEST

START_TEST(test_bad_records) {
    ck_assert_ptr_null(make("Demo", "k1", false));
    ck_assert_ptr_null(make("demo", "", false));
    ck_assert_ptr_null(make("demo", "012345678901234567890123456789012", false));
    ck_assert_ptr_null(product_new((const uint8_t *)"\xff", 1, 1));
}
END_TEST

RUN_TESTS("product", test_limits, test_keys, test_bad_records)
