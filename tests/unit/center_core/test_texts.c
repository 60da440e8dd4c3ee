// Texts that the API shows.
#include "../suite.h"

#include "bytes.h"
#include "texts.h"

// Of Python's integers: the number that the bytes are, its last digits.
static const struct {
    const char *hex, *expected;
} numbers[] = {
    {"000000000000000000000000000000000000", "0000000000000000000000000"},
    {"ffffffffffffffffffffffffffffffffffff", "28pjNsCH6744JSR6PlEQx4RcF"},
    {"000102030405060708090a0b0c0d0e0f1011", "0007qrOhzjVmDBpBBCDffnOQz"},
    {"000102030405060708090a0b0c0d0e0f1011", "DffnOQz"},
    {"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", "KOFWFS5nle95isYRe92Erp"},
    {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
     "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1"},
    {"01", "1"},
    {"3e", "10"},
};

START_TEST(test_base62) {
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint8_t data[32];
        char out[64];
        size_t len = strlen(numbers[i].hex) / 2;
        ck_assert(hex_decode(numbers[i].hex, 2 * len, data, len));
        base62(data, len, out, strlen(numbers[i].expected));
        ck_assert_str_eq(out, numbers[i].expected);
    }
}
END_TEST

START_TEST(test_base62_read) {
    static const uint8_t most[2] = {0xff, 0xff}, two[2] = {0, 62};
    uint8_t data[2];
    ck_assert(base62_read("H31", data, sizeof(data))); // 65535
    ck_assert_mem_eq(data, most, sizeof(data));
    ck_assert(base62_read("00010", data, sizeof(data)));
    ck_assert_mem_eq(data, two, sizeof(data));
    ck_assert(!base62_read("H32", data, sizeof(data)));
    ck_assert(!base62_read("1-0", data, sizeof(data)));
}
END_TEST

RUN_TESTS("texts", test_base62, test_base62_read)
