// A quantile is never below the truth and at most 1/128 above it; merged histograms are the
// histogram of all their values.
#include "suite.h"

#include "histogram.h"

static struct histogram one, two, both;

static void clear(void) {
    memset(&one, 0, sizeof(one));
    memset(&two, 0, sizeof(two));
    memset(&both, 0, sizeof(both));
}

START_TEST(test_small_values_are_exact) {
    clear();
    for (uint64_t us = 1; us <= 100; us++)
        histogram_add(&one, us);
    ck_assert_uint_eq(histogram_quantile(&one, 0.5), 50);
    ck_assert_uint_eq(histogram_quantile(&one, 0.99), 99);
    ck_assert_uint_eq(histogram_quantile(&one, 0.999), 100);
    ck_assert_uint_eq(histogram_quantile(&one, 1), 100);
    ck_assert_uint_eq(histogram_quantile(&one, 0), 1);
}
END_TEST

START_TEST(test_an_empty_one) {
    clear();
    ck_assert_uint_eq(histogram_quantile(&one, 0.5), 0);
}
END_TEST

START_TEST(test_bounds) {
    for (int bit = 0; bit < HISTOGRAM_VALUE_BITS; bit++) {
        for (int add = -1; add <= 1; add++) {
            uint64_t us = (UINT64_C(1) << bit) + (uint64_t)(int64_t)add;
            clear();
            histogram_add(&one, us);
            histogram_add(&one, UINT64_C(1) << 39); // so that the largest does not hide the bucket
            uint64_t told = histogram_quantile(&one, 0.5);
            ck_assert_uint_ge(told, us);
            ck_assert_uint_le(told - us, us / 128);
        }
    }
}
END_TEST

START_TEST(test_beyond_the_range) {
    clear();
    histogram_add(&one, UINT64_MAX);
    ck_assert_uint_eq(one.max_us, UINT64_MAX);
    ck_assert_uint_eq(histogram_quantile(&one, 0.5), (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1);
}
END_TEST

START_TEST(test_never_above_the_largest) {
    clear();
    histogram_add(&one, 1000001);
    ck_assert_uint_eq(histogram_quantile(&one, 0.999), 1000001);
}
END_TEST

START_TEST(test_merge) {
    clear();
    for (uint64_t i = 0; i < 5000; i++) {
        uint64_t us = i * i * 7;
        histogram_add(i % 3 ? &one : &two, us);
        histogram_add(&both, us);
    }
    histogram_merge(&one, &two);
    ck_assert_mem_eq(&one, &both, sizeof(one));
}
END_TEST

RUN_TESTS("histogram", test_small_values_are_exact, test_an_empty_one, test_bounds,
          test_beyond_the_range, test_never_above_the_largest, test_merge)
