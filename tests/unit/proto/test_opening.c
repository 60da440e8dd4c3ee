// A connection's first bytes: every prefix waits, each byte decides, nothing behind them is looked
// at.
#include "suite.h"

#include "opening.h"

static enum opening parse(const char *bytes, size_t len, size_t *ret_used) {
    return opening_parse((const uint8_t *)bytes, len, ret_used);
}

START_TEST(test_hawser) {
    size_t used = 9;
    for (size_t len = 0; len < 4; len++) {
        ck_assert_int_eq(parse("HWS1", len, &used), OPENING_MORE);
        ck_assert_uint_eq(used, 0);
    }
    ck_assert_int_eq(parse("HWS1", 4, &used), OPENING_HAWSER);
    ck_assert_uint_eq(used, 4);
    ck_assert_int_eq(parse("HWS1\x01rest", 9, &used), OPENING_HAWSER);
    ck_assert_uint_eq(used, 4);
}
END_TEST

START_TEST(test_each_byte_decides) {
    for (size_t i = 0; i < OPENING_MAX; i++) {
        char bytes[] = "HWS1";
        size_t used = 9;
        bytes[i]++;
        ck_assert_int_eq(parse(bytes, i + 1, &used), OPENING_UNKNOWN);
        ck_assert_int_eq(parse(bytes, 4, &used), OPENING_UNKNOWN);
        ck_assert_uint_eq(used, 0);
    }
}
END_TEST

RUN_TESTS("opening", test_hawser, test_each_byte_decides)
