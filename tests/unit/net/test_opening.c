// A connection's first bytes, by a table: every prefix waits, each byte decides, nothing behind
// them is looked at, and a row that takes any bytes waits for the others.
#include "suite.h"

#include "opening.h"

enum { FIRST, SECOND, PART, ANY };
static const struct opening rows[] = {
    {"HWS1", 4, 4, NULL}, {"\x10", 1, 0, NULL}, {"HX", 2, 1, NULL}, {.bytes = NULL}};
static const struct opening all[] = {{"HWS1", 4, 4, NULL},
                                     {"\x10", 1, 0, NULL},
                                     {"HX", 2, 1, NULL},
                                     {"", 0, 0, NULL},
                                     {.bytes = NULL}};

static const struct {
    const char *bytes;
    size_t len;
    int parsed, row;         // of the first table
    int all_parsed, all_row; // of the one that ends with any
} cases[] = {
    {"HWS1", 0, OPENING_MORE, 0, OPENING_MORE, 0},
    {"HWS1", 1, OPENING_MORE, 0, OPENING_MORE, 0},
    {"HWS1", 2, OPENING_MORE, 0, OPENING_MORE, 0},
    {"HWS1", 3, OPENING_MORE, 0, OPENING_MORE, 0},
    {"HWS1", 4, OPENING_KNOWN, FIRST, OPENING_KNOWN, FIRST},
    {"HWS1\x01rest", 9, OPENING_KNOWN, FIRST, OPENING_KNOWN, FIRST},
    {"\x10", 1, OPENING_KNOWN, SECOND, OPENING_KNOWN, SECOND},
    {"\x10rest", 5, OPENING_KNOWN, SECOND, OPENING_KNOWN, SECOND},
    {"HX", 2, OPENING_KNOWN, PART, OPENING_KNOWN, PART},
    {"IWS1", 1, OPENING_UNKNOWN, 0, OPENING_KNOWN, ANY},
    {"IWS1", 4, OPENING_UNKNOWN, 0, OPENING_KNOWN, ANY},
    {"HY", 2, OPENING_UNKNOWN, 0, OPENING_KNOWN, ANY},
    {"HWT", 3, OPENING_UNKNOWN, 0, OPENING_KNOWN, ANY},
    {"HWS2", 4, OPENING_UNKNOWN, 0, OPENING_KNOWN, ANY},
    {"\x11", 1, OPENING_UNKNOWN, 0, OPENING_KNOWN, ANY},
};

static void check(const struct opening *table, size_t at, int parsed, int row) {
    const struct opening *found = NULL;
    const uint8_t *bytes = (const uint8_t *)cases[at].bytes;
    ck_assert_msg((int)opening_parse(table, bytes, cases[at].len, &found) == parsed, "case %zu",
                  at);
    ck_assert_msg(found == (parsed == OPENING_KNOWN ? &table[row] : NULL), "case %zu", at);
}

START_TEST(test_first_bytes) {
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check(rows, i, cases[i].parsed, cases[i].row);
        check(all, i, cases[i].all_parsed, cases[i].all_row);
    }
}
END_TEST

RUN_TESTS("opening", test_first_bytes)
