// The log: one line whatever a peer puts into its text, no more lines than an event or a peer may
// cause, and never a wait for whoever should read them.
#include "suite.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

static char logged[4096];
static int lines;
static bool takes = true;

static bool keep_line(void *arg, const char *line, size_t len) {
    (void)arg;
    if (!takes)
        return false;
    memcpy(logged, line, len);
    logged[len] = '\0';
    lines++;
    return true;
}

static uint64_t now_ms = 1700000000123;

static uint64_t test_clock(void *arg) {
    (void)arg;
    return now_ms;
}

static struct log l;

static void setup(void) {
    log_init(&l, "room", LOG_INFO);
    l.sink = keep_line;
    l.wall_ms = test_clock;
}

START_TEST(test_line) {
    setup();
    log_event(&l, LOG_DEBUG, "not this", NULL);
    ck_assert_str_eq(logged, "");
    log_event(&l, LOG_INFO, "refused", "peer=%s", log_quote("a\"\n\xff", 4));
    ck_assert_str_eq(logged, "ts=2023-11-14T22:13:20.123Z level=info role=room event=\"refused\" "
                             "peer=\"a\\\"\\x0a\\xff\"\n");
}
END_TEST

// A text of any length is cut within its line.
START_TEST(test_long_line) {
    static char text[8000];
    setup();
    memset(text, 'x', sizeof(text) - 1);
    for (int cut = 0; cut < 3000; cut++) {
        now_ms += 1000;
        log_event(&l, LOG_INFO, "long", "text=%s", text + sizeof(text) - 1 - cut);
        size_t len = strlen(logged);
        ck_assert_uint_le(len, 2050);
        ck_assert_int_eq(logged[len - 1], '\n');
        ck_assert_ptr_eq(strchr(logged, '\n'), logged + len - 1);
    }
}
END_TEST

// One peer has five lines, another one its own five, and what was kept back is told later.
START_TEST(test_limit_by_peer) {
    setup();
    for (int i = 0; i < 50; i++)
        log_peer_event(&l, LOG_WARN, "refused", "192.0.2.1", "try=%d", i);
    ck_assert_int_eq(lines, 5);
    ck_assert_uint_eq(l.kept_back, 45);
    log_peer_event(&l, LOG_WARN, "refused", "192.0.2.2", NULL);
    ck_assert_int_eq(lines, 6);
    ck_assert_ptr_nonnull(strstr(logged, "from=192.0.2.2 kept_back=45"));
    now_ms += 10000;
    for (int i = 0; i < 50; i++)
        log_peer_event(&l, LOG_WARN, "refused", "192.0.2.1", NULL);
    ck_assert_int_eq(lines, 7);
    now_ms -= 3600 * 1000; // the wall clock steps back: nothing stands still
    log_peer_event(&l, LOG_WARN, "refused", "192.0.2.1", NULL);
    now_ms += 10000;
    log_peer_event(&l, LOG_WARN, "refused", "192.0.2.1", NULL);
    ck_assert_int_ge(lines, 8);
}
END_TEST

// Who comes from ever new addresses has the event's share: 100 lines and then ten a second. Other
// events are told all the while.
START_TEST(test_limit_by_event) {
    char from[32];
    setup();
    for (int i = 0; i < 10000; i++) {
        snprintf(from, sizeof(from), "10.0.%d.%d", i / 250, i % 250);
        log_peer_event(&l, LOG_WARN, "refused", from, NULL);
    }
    ck_assert_int_eq(lines, 100);
    log_event(&l, LOG_INFO, "listening", NULL);
    ck_assert_int_eq(lines, 101);
    now_ms += 1000;
    for (int i = 0; i < 100; i++) {
        snprintf(from, sizeof(from), "10.1.0.%d", i);
        log_peer_event(&l, LOG_WARN, "refused", from, NULL);
    }
    ck_assert_int_eq(lines, 111);
}
END_TEST

// What the sink does not take is dropped, and told ahead of the first line that it takes again.
START_TEST(test_drops_are_told) {
    setup();
    takes = false;
    for (int i = 0; i < 7; i++)
        log_event(&l, LOG_INFO, "lost", NULL);
    takes = true;
    log_event(&l, LOG_INFO, "kept", NULL);
    ck_assert_int_eq(lines, 2);
    ck_assert_uint_eq(l.dropped, 7);
    ck_assert_ptr_nonnull(strstr(logged, "event=\"kept\""));
    takes = false;
    log_event(&l, LOG_INFO, "lost", NULL);
    takes = true;
    log_event(&l, LOG_INFO, "kept", NULL);
    log_event(&l, LOG_INFO, "kept", NULL);
    ck_assert_int_eq(lines, 5);
}
END_TEST

static void flood(void) {
    log_init(&l, "room", LOG_DEBUG);
    for (int i = 0; i < 10000; i++)
        log_event(&l, LOG_DEBUG, "flood", "n=%d", i);
    ck_assert_uint_gt(l.dropped, 0);
}

static bool is_blocking(int fd) {
    return (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
}

// A pipe that nobody reads takes what it can hold; the rest is dropped without a wait. Whoever
// shares the pipe keeps it blocking.
START_TEST(test_unread_pipe) {
    int ends[2];
    static char text[1 << 20];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    flood();
    ck_assert(is_blocking(ends[1]));
    uint64_t dropped = l.dropped;
    ssize_t got = read(ends[0], text, sizeof(text) - 1);
    ck_assert_int_gt(got, 4096);
    log_event(&l, LOG_INFO, "again", NULL);
    ck_assert_uint_eq(l.dropped, dropped);
    got = read(ends[0], text, sizeof(text) - 1);
    text[got > 0 ? got : 0] = '\0';
    char told[64];
    snprintf(told, sizeof(told), "lines=%llu\n", (unsigned long long)dropped);
    ck_assert_ptr_nonnull(strstr(text, told));
    ck_assert_ptr_nonnull(strstr(text, "event=\"again\""));
}
END_TEST

// So it is with a socket, as service managers give one.
START_TEST(test_unread_socket) {
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    flood();
    ck_assert(is_blocking(ends[1]));
}
END_TEST

RUN_TESTS("log", test_line, test_long_line, test_limit_by_peer, test_limit_by_event,
          test_drops_are_told, test_unread_pipe, test_unread_socket)
