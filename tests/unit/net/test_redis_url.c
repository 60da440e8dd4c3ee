// redis.url: what it may be, what it means, and what is refused with a reason.
#include "suite.h"

#include "redis_url.h"

static const struct {
    const char *url, *host, *user, *password;
    uint16_t port;
    uint32_t db;
    bool unix_socket;
} good[] = {
    {"redis://127.0.0.1", "127.0.0.1", "", "", 6379, 0, false},
    {"redis://[::1]", "::1", "", "", 6379, 0, false},
    {"redis://redis.example:7000/3", "redis.example", "", "", 7000, 3, false},
    {"redis://:p%40ss@[::1]:7000/", "::1", "", "p@ss", 7000, 0, false},
    {"redis://hawser:secret@h", "h", "hawser", "secret", 6379, 0, false},
    {"redis://us%3Aer:p%40ss%2f%25:@h", "h", "us:er", "p@ss/%:", 6379, 0, false},
    {"redis://a%:100%%4x%@h", "h", "a%", "100%%4x%", 6379, 0, false},
    {"unix:///run/redis.sock", "/run/redis.sock", "", "", 0, 0, true},
    {"unix:///run/redis.sock?db=2", "/run/redis.sock", "", "", 0, 2, true},
};

static const char *const bad[] = {
    "",
    "127.0.0.1",
    "http://h",
    "rediss://h",
    "redis-sentinel://h",
    "redis-cluster://h",
    "redis://",
    "redis://h:x",
    "redis://h:0",
    "redis://[::1]:0",
    "redis://h/x",
    "redis://p@h",
    "redis://:p@ss@h",
    "redis://us@er:pass@h",
    "redis://:pass@h/0@x",
    "redis://:a%00b@h",
    "redis://h/123456",
    "unix://relative",
    "unix:///"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaa", // longer than a socket's path can be
    "unix:///s?",
    "unix:///s?other=1",
};

START_TEST(test_good) {
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct redis_url u;
        struct buf error = BUF_EMPTY;
        ck_assert_msg(redis_url_parse(good[i].url, &u, &error) == 0, "%s", good[i].url);
        ck_assert_str_eq(u.host, good[i].host);
        ck_assert_str_eq(u.user, good[i].user);
        ck_assert_str_eq(u.password, good[i].password);
        ck_assert(u.port == good[i].port && u.db == good[i].db &&
                  u.unix_socket == good[i].unix_socket);
        buf_free(&error);
    }
}
END_TEST

START_TEST(test_bad) {
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct redis_url u;
        struct buf error = BUF_EMPTY;
        ck_assert_msg(redis_url_parse(bad[i], &u, &error) == -22, "%s", bad[i]);
        ck_assert_uint_gt(error.len, 0);
        buf_free(&error);
    }
}
END_TEST

RUN_TESTS("redis_url", test_good, test_bad)
