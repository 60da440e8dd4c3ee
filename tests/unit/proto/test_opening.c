// A connection's first bytes: every prefix waits, each byte decides, nothing behind them is looked
// at, and what is the first message's own beginning stays.
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

// Of a protocol without a preface the bytes that decide are its first message's.
START_TEST(test_what_stays) {
    enum { OPENING_OTHER = OPENING_UNKNOWN + 1, OPENING_PART };
    static const struct opening_row rows[] = {{OPENING_HAWSER, "HWS1", 4, .consumed = 4},
                                              {(enum opening)OPENING_OTHER, "\x10", 1, 0},
                                              {(enum opening)OPENING_PART, "HX", 2, 1},
                                              {.len = 0}};
    static const struct {
        const char *bytes;
        size_t len, used;
        int opening;
    } cases[] = {
        {"\x10", 1, 0, OPENING_OTHER},   {"\x10rest", 5, 0, OPENING_OTHER},
        {"H", 1, 0, OPENING_MORE},       {"HX", 2, 1, OPENING_PART},
        {"HW", 2, 0, OPENING_MORE},      {"HWS1", 4, 4, OPENING_HAWSER},
        {"\x11", 1, 0, OPENING_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t used = 9;
        int opening =
            (int)opening_parse_by(rows, (const uint8_t *)cases[i].bytes, cases[i].len, &used);
        ck_assert_int_eq(opening, cases[i].opening);
        ck_assert_uint_eq(used, cases[i].used);
    }
}
END_TEST

RUN_TESTS("opening", test_hawser, test_each_byte_decides, test_what_stays)
