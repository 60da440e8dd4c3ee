// The pace of a product's pushes.
#include "../suite.h"

#include "pace.h"

// A second's worth at once, then as it fills again; one push to more than that goes when all is
// there.
START_TEST(test_pace) {
    struct pace *all = NULL;
    struct pace_ask one = {1, 10, 1}, ten = {1, 10, 10}, many = {1, 10, 500}, none = {2, 0, 1000};
    ck_assert(pace_take(&all, &none, 0));
    ck_assert_ptr_null(all);
    ck_assert(pace_take(&all, &ten, 0));
    ck_assert(!pace_take(&all, &one, 0));
    ck_assert(!pace_take(&all, &one, 99));
    ck_assert(pace_take(&all, &one, 100));
    ck_assert(!pace_take(&all, &many, 1000));
    ck_assert(pace_take(&all, &many, 1100));
    ck_assert(!pace_take(&all, &one, 1100));
    ck_assert(pace_take(&all, &(struct pace_ask){3, 10, 10}, 1100)); // another product's
    ck_assert(pace_take(&all, &ten, 60000));
    ck_assert(!pace_take(&all, &one, 60000));
    paces_free(&all);
    ck_assert_ptr_null(all);
}
END_TEST

RUN_TESTS("pace", test_pace)
