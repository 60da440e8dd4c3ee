// Since when what a room reads may have lain there: by the ticks that came, and that one did not
// come.
#include "suite.h"

#include "standstill.h"

static const struct row {
    const char *what;
    uint64_t ticks[4]; // 0: no more
    uint64_t now_ms, since_ms;
} rows[] = {
    {"before the first tick", {0}, 50000, 0},
    {"on time", {1000, 1100}, 1200, 0},
    {"late, but not for long", {1000}, 2999, 0},
    {"the tick has not come yet", {1000}, 3000, 1000},
    {"it has come", {1000, 3000}, 3000, 1000},
    {"what came meanwhile is still read", {1000, 3000, 3100}, 3999, 1000},
    {"all is read", {1000, 3000, 3900, 4000}, 4000, 0},
    {"another, long after", {1000, 3000, 4000}, 9000, 4000},
    {"another, before all was read", {1000, 3000, 3500}, 9000, 1000},
    {"another, and its tick", {1000, 3000, 3500, 9000}, 9000, 1000},
};

START_TEST(test_since) {
    const struct row *row = &rows[_i];
    struct standstill s = {0};
    for (size_t i = 0; i < 4 && row->ticks[i] != 0; i++)
        standstill_tick(&s, row->ticks[i]);
    ck_assert_msg(standstill_since_ms(&s, row->now_ms) == row->since_ms, "%s", row->what);
}
END_TEST

int main(void) {
    TCase *test_case = tcase_create("standstill");
    tcase_add_loop_test(test_case, test_since, 0, sizeof(rows) / sizeof(rows[0]));
    return run_case("standstill", test_case);
}
