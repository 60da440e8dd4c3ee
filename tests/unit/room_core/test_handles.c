// Lists of who is told or looked at: each once, though the list changes under way.
#include "suite.h"

#include "handles.h"

static struct handles list;
static uint64_t seen[64];
static size_t seen_count;

static void list_begin(uint64_t count) {
    handles_deinit(&list);
    seen_count = 0;
    for (uint64_t i = 1; i <= count; i++)
        handles_add(&list, i);
}

static void saw(uint64_t handle) {
    ck_assert_uint_lt(seen_count, sizeof(seen) / sizeof(seen[0]));
    seen[seen_count++] = handle;
}

// In order, each once. Odd ones stay, and 2 brings a new one: all of these wait for the next time.
static bool odd_stay(void *arg, uint64_t handle) {
    ck_assert_ptr_eq(arg, seen);
    saw(handle);
    if (handle == 2)
        handles_add(&list, 20);
    return handle % 2 == 1;
}

START_TEST(test_take) {
    list_begin(4);
    handles_take(&list, odd_stay, seen);
    ck_assert_uint_eq(seen_count, 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(seen[i], i + 1);
    ck_assert_uint_eq(list.count, 3);
    ck_assert_uint_eq(list.list[0], 1);
    ck_assert_uint_eq(list.list[1], 20);
    ck_assert_uint_eq(list.list[2], 3);
    seen_count = 0;
    handles_take(&list, odd_stay, seen);
    ck_assert_uint_eq(seen_count, 3);
    handles_deinit(&list);
    handles_take(&list, odd_stay, seen); // of nobody
    ck_assert_uint_eq(seen_count, 3);
}
END_TEST

// A look goes on where the last one ended, and round.
static bool all_stay(void *arg, uint64_t handle) {
    (void)arg;
    saw(handle);
    return true;
}

START_TEST(test_look_goes_round) {
    static const uint64_t expected[] = {1, 2, 3, 1, 2, 3, 1};
    list_begin(3);
    handles_look(&list, 2, all_stay, NULL);
    handles_look(&list, 5, all_stay, NULL);
    ck_assert_uint_eq(seen_count, 7);
    ck_assert_mem_eq(seen, expected, sizeof(expected));
    handles_deinit(&list);
}
END_TEST

// Who leaves hides nobody: the one in its place is looked at next. No more looks than there are
// left, and none is left in the end.
static bool nobody_stays(void *arg, uint64_t handle) {
    (void)arg;
    saw(handle);
    return false;
}

START_TEST(test_look_lets_go) {
    static const uint64_t expected[] = {1, 4, 3, 2};
    list_begin(4);
    handles_look(&list, 60, nobody_stays, NULL);
    ck_assert_uint_eq(seen_count, 4);
    ck_assert_mem_eq(seen, expected, sizeof(expected));
    ck_assert_uint_eq(list.count, 0);
    handles_deinit(&list);
}
END_TEST

static bool nobody_is_there(void *arg, uint64_t handle) {
    (void)arg;
    (void)handle;
    return false;
}

// A storm's memory goes back, half at a time.
START_TEST(test_memory_goes_back) {
    list_begin(1000);
    ck_assert_uint_eq(list.capacity, 1024);
    handles_look(&list, 990, nobody_is_there, NULL);
    ck_assert_uint_eq(list.capacity, 512);
    for (int i = 0; i < 10; i++)
        handles_look(&list, 0, all_stay, NULL);
    ck_assert_uint_eq(list.capacity, 32);
    ck_assert_uint_eq(list.count, 10);
    handles_deinit(&list);
}
END_TEST

START_TEST(test_move) {
    struct handles other = {0};
    list_begin(3);
    handles_add(&other, 9);
    handles_move(&list, &other);
    ck_assert_uint_eq(list.count, 0);
    ck_assert_uint_eq(other.count, 4);
    ck_assert_uint_eq(other.list[0], 9);
    ck_assert_uint_eq(other.list[3], 3);
    handles_move(&other, NULL);
    ck_assert_ptr_null(other.list);
}
END_TEST

RUN_TESTS("handles", test_take, test_look_goes_round, test_look_lets_go, test_memory_goes_back,
          test_move)
