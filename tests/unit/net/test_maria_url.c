// mariadb.url: what it may be, what it means, and what is refused with a reason that has no
// password in it.
#include "suite.h"

#include <string.h>

#include "maria_url.h"

static const struct {
    const char *url, *host, *user, *password, *database;
    uint16_t port;
    bool unix_socket;
} good[] = {
    {"mariadb://u:p@127.0.0.1/d", "127.0.0.1", "u", "p", "d", 3306, false},
    {"mariadb://u@[::1]:3307/hawser_1-a", "::1", "u", "", "hawser_1-a", 3307, false},
    {"mariadb://u%3A:p%40ss%2f%25:@db.example:1/D", "db.example", "u:", "p@ss/%:", "D", 1, false},
    {"unix://u:p@/run/s.sock?db=d", "/run/s.sock", "u", "p", "d", 0, true},
};

static const char *const bad[] = {
    "",
    "mysql://u:hidden@h/d",
    "mariadb://h/d",
    "mariadb://:hidden@h/d",
    "mariadb://u:hid@den@h/d",
    "mariadb://u:hidden@h",
    "mariadb://u:hidden@h/",
    "mariadb://u:hidden@h/d/e",
    "mariadb://u:hidden@h/d`e",
    "mariadb://u:hidden@h/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", // 65
    "mariadb://u:hidden@/d",
    "mariadb://u:hidden@h:0/d",
    "mariadb://u:hidden@h:1-2/d",
    "mariadb://u:hidden%00@h/d",
    "unix:///s?db=d",
    "unix://u:hidden@s?db=d",
    "unix://u:hidden@/s",
    "unix://u:hidden@/s?db=",
    "unix://u:hidden@/s?other=d",
};

START_TEST(test_good) {
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct maria_url u;
        struct buf error = BUF_EMPTY;
        ck_assert_msg(maria_url_parse(good[i].url, &u, &error) == 0, "%s", good[i].url);
        ck_assert_str_eq(u.host, good[i].host);
        ck_assert_str_eq(u.user, good[i].user);
        ck_assert_str_eq(u.password, good[i].password);
        ck_assert_str_eq(u.database, good[i].database);
        ck_assert(u.port == good[i].port && u.unix_socket == good[i].unix_socket);
        buf_free(&error);
    }
}
END_TEST

START_TEST(test_bad) {
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct maria_url u;
        struct buf error = BUF_EMPTY;
        ck_assert_msg(maria_url_parse(bad[i], &u, &error) == -22, "%s", bad[i]);
        ck_assert_uint_gt(error.len, 0);
        ck_assert_ptr_null(strstr(buf_cstr(&error), "hid"));
        buf_free(&error);
    }
}
END_TEST

RUN_TESTS("maria_url", test_good, test_bad)
