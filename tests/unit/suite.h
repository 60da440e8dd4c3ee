// The main of every unit program: one suite of one test case.
#ifndef HW_SUITE_H
#define HW_SUITE_H

#include <check.h>
#include <stdlib.h>

// A case that takes more than RUN_TESTS says: loop tests, signals.
static inline int run_case(const char *name, TCase *test_case) {
    Suite *suite = suite_create(name);
    tcase_set_timeout(test_case, 120); // ends a hang; no test is judged by its time
    suite_add_tcase(suite, test_case);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static inline int run_tests(const char *name, const TTest *const *tests, size_t count) {
    TCase *test_case = tcase_create(name);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(test_case, tests[i]);
    return run_case(name, test_case);
}
#define RUN_TESTS(name, ...)                                                                       \
    int main(void) {                                                                               \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        return run_tests(name, tests, sizeof(tests) / sizeof(tests[0]));                           \
    }

#endif
