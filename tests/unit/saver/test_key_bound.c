// The verdict on one more Idempotency-Key, by what was heard and what happened since: rows of a
// state and what it says; and runs, in which nobody can make more sums be asked for than one in
// each KEY_BOUND_ASK_MS and some in advance, whatever comes.
#include "key_bound.h"

#include "../suite.h"

static const struct {
    uint64_t sum, stored, open, max;
    enum key_verdict verdict;
} judged[] = {
    {0, 0, 0, 3, KEY_GO},   {2, 0, 0, 3, KEY_GO},
    {2, 0, 1, 3, KEY_WAIT}, // that one may take the last place
    {1, 0, 1, 3, KEY_GO},   {1, 1, 1, 3, KEY_WAIT},
    {3, 0, 0, 3, KEY_FULL}, {1, 2, 9, 3, KEY_FULL}, // what was stored here counts at once
    {9, 0, 0, 3, KEY_FULL},                         // the bound was lowered
    {3, 0, 0, 4, KEY_GO},                           // and raised
};

START_TEST(test_judge) {
    for (size_t i = 0; i < sizeof(judged) / sizeof(judged[0]); i++) {
        struct key_bound b = {.is_known = true,
                              .sum = judged[i].sum,
                              .stored = judged[i].stored,
                              .open = judged[i].open};
        enum key_verdict verdict = key_bound_judge(&b, judged[i].max);
        ck_assert_msg(verdict == judged[i].verdict, "row %zu: %d", i, (int)verdict);
    }
}
END_TEST

static const struct {
    uint64_t sum, max, age_ms;
    unsigned asked; // before, at once
    bool is_stale;
} aged[] = {
    {2, 3, 0, 1, true},                                      // near it each append asks,
    {2, 3, 0, 15, true},                                     //
    {2, 3, 0, 16, false},                                    // but not more than that
    {2, 3, 100, 16, true},                                   //
    {3, 3, 199, 1, false},                                   // full is believed
    {3, 3, 200, 1, true},       {0, 100000, 1999, 1, false}, // far from it the sum may be old
    {0, 100000, 2000, 1, true},
};

START_TEST(test_stale) {
    for (size_t i = 0; i < sizeof(aged) / sizeof(aged[0]); i++) {
        struct key_bound b = {0};
        ck_assert(key_bound_is_stale(&b, aged[i].max, 5000));
        for (unsigned n = 0; n < aged[i].asked; n++)
            key_bound_asked(&b, 5000);
        key_bound_heard(&b, aged[i].sum, 5000);
        bool is_stale = key_bound_is_stale(&b, aged[i].max, 5000 + aged[i].age_ms);
        ck_assert_msg(is_stale == aged[i].is_stale, "row %zu", i);
        key_bound_forget(&b);
        ck_assert(key_bound_is_stale(&b, aged[i].max, 5000));
    }
}
END_TEST

// What was sent before a sum was asked for is in that sum, however late its answer comes.
START_TEST(test_asks) {
    struct key_bound b = {0};
    key_bound_asked(&b, 1000);
    key_bound_heard(&b, 0, 1000);
    uint64_t early = key_bound_sent(&b);
    key_bound_asked(&b, 1000);
    key_bound_heard(&b, 1, 1100);
    uint64_t late = key_bound_sent(&b);
    key_bound_settled(&b, early, true);
    ck_assert(b.stored == 0 && b.open == 1);
    key_bound_settled(&b, late, false); // a repeat: it took no place
    ck_assert(b.stored == 0 && b.open == 0);
    key_bound_settled(&b, key_bound_sent(&b), true);
    ck_assert(b.stored == 1 && b.open == 0);
}
END_TEST

// 20 s of one append each millisecond at the bound, new keys or repeats; each answered at once.
static unsigned sums_asked(uint64_t in_store, uint64_t max, bool is_repeat) {
    struct key_bound b = {0};
    unsigned asked = 0;
    for (uint64_t now = 1000; now < 21000; now++) {
        if (key_bound_is_stale(&b, max, now)) {
            asked++;
            key_bound_asked(&b, now);
            key_bound_heard(&b, in_store, now);
        }
        enum key_verdict verdict = key_bound_judge(&b, max);
        ck_assert(verdict != KEY_WAIT);
        bool is_stored = verdict == KEY_GO && !is_repeat;
        key_bound_settled(&b, key_bound_sent(&b), is_stored);
        in_store += is_stored;
        ck_assert_uint_le(in_store, max);
    }
    return asked;
}

START_TEST(test_sums_are_bounded) {
    const unsigned most = 20000 / KEY_BOUND_ASK_MS + KEY_BOUND_ASKS;
    ck_assert_uint_le(sums_asked(3, 3, false), 20000 / KEY_BOUND_FULL_MS);
    ck_assert_uint_le(sums_asked(0, 3, false), most);
    ck_assert_uint_le(sums_asked(2, 3, true), most);
    ck_assert_uint_le(sums_asked(0, 30, true), most);
}
END_TEST

RUN_TESTS("key_bound", test_judge, test_stale, test_asks, test_sums_are_bounded)
