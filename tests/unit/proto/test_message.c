// A copy of a message shares nothing with it, and says the same.
#include "suite.h"

#include <stdlib.h>

#include "cluster.pb-c.h"
#include "message.h"

// Packed: of a name's length, with two keys, one of them without its secret, and a field that this
// version does not know.
static ProtobufCMessage *product_new(const char *name) {
    char *given[] = {(char *)(uintptr_t) "payload_bytes", (char *)(uintptr_t) ""};
    Hawser__Internal__ProductLimits limits = HAWSER__INTERNAL__PRODUCT_LIMITS__INIT;
    limits.payload_bytes = UINT64_C(1) << 40;
    limits.reject_new = true;
    limits.given = given;
    limits.n_given = 2;
    Hawser__Internal__ProductKey keys[2] = {HAWSER__INTERNAL__PRODUCT_KEY__INIT,
                                            HAWSER__INTERNAL__PRODUCT_KEY__INIT};
    keys[0].kind = HAWSER__INTERNAL__KEY_KIND__KEY_TOKEN;
    keys[0].secret = (ProtobufCBinaryData){3, (uint8_t *)(uintptr_t) "\0\1\2"};
    keys[1].kid = (char *)(uintptr_t) "second";
    Hawser__Internal__ProductKey *list[] = {&keys[0], &keys[1]};
    Hawser__Internal__Product product = HAWSER__INTERNAL__PRODUCT__INIT;
    product.name = (char *)(uintptr_t)name;
    product.number = 7;
    product.limits = &limits;
    product.key = list;
    product.n_key = 2;
    uint8_t bytes[256];
    size_t len = protobuf_c_message_pack(&product.base, bytes);
    memcpy(bytes + len, "\xFA\x7F\x02no", 5); // field 2047
    return protobuf_c_message_unpack(product.base.descriptor, NULL, len + 5, bytes);
}

static void check_copy(ProtobufCMessage *m, const ProtobufCMessage *same) {
    ProtobufCMessage *copy = message_copy(m);
    ck_assert(message_equal(copy, m));
    protobuf_c_message_free_unpacked(m, NULL);
    ck_assert(message_equal(copy, same));
    protobuf_c_message_free_unpacked(copy, NULL);
}

START_TEST(test_a_copy_outlives_its_original) {
    ProtobufCMessage *same = product_new("shop"), *other = product_new("shot");
    ck_assert_uint_eq(same->n_unknown_fields, 1);
    check_copy(product_new("shop"), same);
    ck_assert(!message_equal(same, other));
    protobuf_c_message_free_unpacked(same, NULL);
    protobuf_c_message_free_unpacked(other, NULL);
}
END_TEST

START_TEST(test_a_copy_of_numbers) {
    uint32_t transports[] = {1, 0, UINT32_MAX};
    Hawser__Internal__MemberEndpoint e = HAWSER__INTERNAL__MEMBER_ENDPOINT__INIT;
    e.port = 65535;
    e.transport = transports;
    e.n_transport = 3;
    check_copy(message_copy(&e.base), &e.base);
}
END_TEST

// Also where the original has no pointer to an empty text.
START_TEST(test_a_copy_of_nothing) {
    Hawser__Internal__MemberEndpoint e = HAWSER__INTERNAL__MEMBER_ENDPOINT__INIT;
    e.host = NULL;
    Hawser__Internal__MemberEndpoint *copy = (void *)message_copy(&e.base);
    ck_assert_str_eq(copy->host, "");
    ck_assert_str_eq(copy->idc, "");
    ck_assert_ptr_null(copy->transport);
    hawser__internal__member_endpoint__free_unpacked(copy, NULL);
    ck_assert_ptr_null(message_copy(NULL));
}
END_TEST

RUN_TESTS("message", test_a_copy_outlives_its_original, test_a_copy_of_numbers,
          test_a_copy_of_nothing)
