// Descriptors that go first are reported before the others, however many of those are ready; alone
// they end a wait like any other; and once they are not watched, they are silent.
#include "suite.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "os.h"

enum { CROWD = 1000, EVENTS = 256, ONE = CROWD };

static struct os *os;
static int crowd[CROWD], one;

static void make_ready(int fd) {
    const uint64_t count = 1;
    ck_assert_int_eq(write(fd, &count, sizeof(count)), (ssize_t)sizeof(count));
}

static int watched(uint64_t key) {
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(os_watch(os, fd, key, OS_READABLE | OS_EDGE), 0);
    return fd;
}

static void begin(void) {
    os = os_new();
    for (uint64_t i = 0; i < CROWD; i++)
        crowd[i] = watched(i);
    one = watched(ONE);
    ck_assert_int_eq(os_watch_first(os, one, ONE, OS_READABLE | OS_EDGE), 0);
}

static void end(void) {
    for (int i = 0; i < CROWD; i++)
        close(crowd[i]);
    close(one);
    os_free(os);
}

START_TEST(test_it_comes_before_a_crowd_that_was_ready_earlier) {
    struct os_event events[EVENTS];
    begin();
    for (int i = 0; i < CROWD; i++)
        make_ready(crowd[i]);
    make_ready(one);
    ck_assert_int_gt(os_wait(os, events, EVENTS, 0), 1);
    ck_assert_uint_eq(events[0].key, ONE);
    ck_assert_uint_eq(events[0].events, OS_READABLE);
    end();
}
END_TEST

START_TEST(test_alone_it_ends_a_wait) {
    struct os_event events[EVENTS];
    begin();
    ck_assert_int_eq(os_wait(os, events, EVENTS, 0), 0);
    make_ready(one);
    ck_assert_int_eq(os_wait(os, events, EVENTS, -1), 1);
    ck_assert_uint_eq(events[0].key, ONE);
    ck_assert_int_eq(os_wait(os, events, EVENTS, 0), 0); // it reports changes
    end();
}
END_TEST

START_TEST(test_unwatched_it_is_silent) {
    struct os_event events[EVENTS];
    begin();
    os_unwatch(os, one);
    make_ready(one);
    ck_assert_int_eq(os_wait(os, events, EVENTS, 0), 0);
    make_ready(crowd[7]);
    ck_assert_int_eq(os_wait(os, events, EVENTS, -1), 1);
    ck_assert_uint_eq(events[0].key, 7);
    end();
}
END_TEST

RUN_TESTS("os_first", test_it_comes_before_a_crowd_that_was_ready_earlier,
          test_alone_it_ends_a_wait, test_unwatched_it_is_silent)
