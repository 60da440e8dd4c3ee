// Addresses as text: what is accepted, what it means, and what is refused.
#include "suite.h"

#include "addr.h"

static const struct {
    const char *text;
    bool port_optional;
    int error;
    const char *host;
    uint16_t first, last;
} cases[] = {
    {"127.0.0.1:7200", false, 0, "127.0.0.1", 7200, 7200},
    {"room.example:7200-7299", false, 0, "room.example", 7200, 7299},
    {"[::1]:0", false, 0, "::1", 0, 0},
    {":7300", false, 0, "", 7300, 7300},
    {"host", true, 0, "host", 0, 0},
    {"host", false, -22, "", 0, 0},
    {"host:", false, -22, "", 0, 0},
    {"host:65536", false, -22, "", 0, 0},
    {"host:1x", false, -22, "", 0, 0},
    {"host:20-10", false, -22, "", 0, 0},
    {"host:0-10", false, -22, "", 0, 0},
    {"::1:80", false, -22, "", 0, 0},
    {"[::1", false, -22, "", 0, 0},
    {"", true, -22, "", 0, 0},
};

START_TEST(test_host_port) {
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct host_port hp = {0};
        ck_assert_msg(host_port_parse(cases[i].text, cases[i].port_optional, &hp) == cases[i].error,
                      "%s", cases[i].text);
        ck_assert_str_eq(hp.host, cases[i].host);
        ck_assert_uint_eq(hp.port, cases[i].first);
        ck_assert_uint_eq(hp.port_last, cases[i].last);
    }
}
END_TEST

START_TEST(test_numeric_only) {
    struct sock_addr a;
    char text[64];
    ck_assert_int_eq(sock_addr_parse("localhost", 1, &a), -22);
    ck_assert_int_eq(sock_addr_parse("::1", 81, &a), 0);
    sock_addr_format(&a, text, sizeof(text));
    ck_assert_str_eq(text, "[::1]:81");
    ck_assert_int_eq(sock_addr_parse("*", 82, &a), 0);
    sock_addr_format(&a, text, sizeof(text));
    ck_assert_str_eq(text, "0.0.0.0:82");
    ck_assert_int_eq(sock_addr_parse("::ffff:127.0.0.1", 83, &a), 0);
    sock_addr_format(&a, text, sizeof(text));
    ck_assert_str_eq(text, "127.0.0.1:83");
    sock_addr_host(&a, text, sizeof(text));
    ck_assert_str_eq(text, "127.0.0.1");
    sock_addr_host(&(struct sock_addr){0}, text, sizeof(text));
    ck_assert_str_eq(text, "unix");
}
END_TEST

RUN_TESTS("addr", test_host_port, test_numeric_only)
