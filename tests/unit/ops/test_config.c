// The configuration: defaults, file, environment, in this order; and for each kind of fault the one
// line that says where and what is allowed.
#include "suite.h"

#include <unistd.h>

#include "config.h"

static char path[] = "/tmp/hawser-test-config.XXXXXX";

static void write_file(const char *text) {
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static char *const no_environment[] = {NULL};

START_TEST(test_file_and_environment) {
    write_file(
        "cluster:\n  secrets: [0123456789abcdef0123, fedcba98765432100123]\n  registers: a:1,b:2\n"
        "room:\n  linger: 20s\n  heartbeat: 2m\ncenter: {body_max: 1MiB}\nredis:\n  "
        "allow_volatile: yes\n");
    char *const environment[] = {
        (char *)(uintptr_t) "HAWSER_ROOM__LINGER=30s", (char *)(uintptr_t) "HAWSER_NOFILE=1",
        (char *)(uintptr_t) "HAWSER_CLUSTER__ADMIN_KEYS=aaaaaaaaaaaaaaaaaaaa", NULL};
    struct buf error = BUF_EMPTY, printed = BUF_EMPTY;
    struct config *c = NULL;
    ck_assert_msg(config_load(path, environment, &error, &c) == 0, "%s", buf_cstr(&error));
    unlink(path);
    int count = 0;
    ck_assert_str_eq(config_list(c, "cluster.secrets", &count)[1], "fedcba98765432100123");
    ck_assert_int_eq(count, 2);
    ck_assert_str_eq(config_list(c, "cluster.registers", &count)[0], "a:1");
    ck_assert_uint_eq(config_ms(c, "room.linger"), 30000);
    ck_assert_uint_eq(config_ms(c, "room.heartbeat"), 120000);
    ck_assert_uint_eq(config_bytes(c, "center.body_max"), 1024 * 1024);
    ck_assert_uint_eq(config_number(c, "dispatcher.endpoints"), 5);
    ck_assert(config_bool(c, "redis.allow_volatile"));
    ck_assert_str_eq(config_text(c, "redis.url"), "memory:");
    ck_assert_int_eq(config_check_secrets(c, &error), 0);
    ck_assert_int_eq(config_set(c, "redis.url", "redis://u:hidden@h:1/0", &error), 0);
    config_print(c, &printed);
    ck_assert_ptr_null(strstr(buf_cstr(&printed), "0123456789abcdef"));
    ck_assert_ptr_null(strstr(buf_cstr(&printed), "hidden"));
    ck_assert_ptr_nonnull(strstr(buf_cstr(&printed), "  linger: 30s\n"));
    config_free(c);
    buf_free(&error);
    buf_free(&printed);
}
END_TEST

static const struct {
    const char *text, *line; // line: what follows the file's name
} faults[] = {
    {"room:\n  lingr: 1s\n", ":2: room.lingr: no such key; docs/CONFIG.md has those there are"},
    {"rooms:\n  linger: 1s\n", ":1: rooms: no such section; cluster, redis, mariadb or a role"},
    {"room:\n  linger: 1s\n  linger: 2s\n",
     ":3: room.linger: stands here a second time; once is allowed"},
    {"room:\n  linger: 10\n",
     ":2: room.linger: '10' is not allowed; a duration such as 10s from 0ms to 5m"},
    {"room:\n  linger: 6m\n",
     ":2: room.linger: '6m' is not allowed; a duration such as 10s from 0ms to 5m"},
    {"center:\n  body_max: 8MB\n",
     ":2: center.body_max: '8MB' is not allowed; a size such as 64KiB from 64KiB to 64MiB"},
    {"dispatcher:\n  endpoints: 17\n",
     ":2: dispatcher.endpoints: '17' is not allowed; a number from 1 to 16"},
    {"redis:\n  allow_volatile: maybe\n",
     ":2: redis.allow_volatile: 'maybe' is not allowed; yes or no"},
    {"room:\n  linger: [1s]\n", ":2: room.linger: one value is needed here"},
    {"room:\n  advertise: [a, {}]\n", ":2: room.advertise: a list of texts that are not empty"},
    {"- a\n", ":1: sections are needed here, such as `cluster:`"},
    {"room: 5\n", ":1: room: keys with values are needed here"},
};

START_TEST(test_faults) {
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct buf error = BUF_EMPTY, expected = BUF_EMPTY;
        struct config *c = NULL;
        snprintf(path, sizeof(path), "/tmp/hawser-test-config.XXXXXX");
        write_file(faults[i].text);
        ck_assert_int_eq(config_load(path, no_environment, &error, &c), -HW_ECONFIG);
        unlink(path);
        buf_printf(&expected, "%s%s", path, faults[i].line);
        ck_assert_str_eq(buf_cstr(&error), buf_cstr(&expected));
        buf_free(&error);
        buf_free(&expected);
    }
}
END_TEST

START_TEST(test_no_secrets) {
    struct config *c = config_default();
    struct buf error = BUF_EMPTY;
    ck_assert_int_eq(config_check_secrets(c, &error), -HW_ECONFIG);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&error), "cluster.secrets: empty"));
    buf_free(&error);
    config_free(c);
}
END_TEST

// docs/CONFIG.md is the table's own text.
START_TEST(test_documented) {
    struct buf made = BUF_EMPTY, kept = BUF_EMPTY;
    config_markdown(&made);
    FILE *file = fopen(VECTORS_DIR "/../../docs/CONFIG.md", "r");
    ck_assert_ptr_nonnull(file);
    kept.len = fread(buf_reserve(&kept, 1 << 16), 1, 1 << 16, file);
    fclose(file);
    ck_assert_str_eq(buf_cstr(&kept), buf_cstr(&made));
    buf_free(&made);
    buf_free(&kept);
}
END_TEST

RUN_TESTS("config", test_documented, test_file_and_environment, test_faults, test_no_secrets)
