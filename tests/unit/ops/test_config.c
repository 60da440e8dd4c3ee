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
        (char *)(uintptr_t) "HAWSER_CLUSTER__ADMIN_KEYS=abcdeabcdeabcdeabcde", NULL};
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
    ck_assert_int_eq(config_check(c, &error), 0);
    ck_assert_int_eq(config_set(c, "redis.url", "redis://u:hidden@h:1/0", &error), 0);
    ck_assert_int_eq(config_set(c, "mariadb.url", "mariadb://u:hid%40den@[::1]/db", &error), 0);
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
    {"cluster:\n  log_level: verbose\n",
     ":2: cluster.log_level: 'verbose' is not allowed; error, warn, info or debug"},
    {"room:\n  listen: 127.0.0.1\n", ":2: room.listen: '127.0.0.1' is not allowed; host:port, "
                                     "host:first-last or :port"},
    {"room:\n  listen: 127.0.0.300:7200\n", ":2: room.listen: '127.0.0.300:7200' is not allowed; "
                                            "host:port, host:first-last or :port"},
    {"room:\n  listen: \"\"\n",
     ":2: room.listen: '' is not allowed; host:port, host:first-last or :port"},
    {"room:\n  ops_listen: nobody here:1\n", ":2: room.ops_listen: 'nobody here:1' is not allowed; "
                                             "host:port, host:first-last or :port"},
    {"room:\n  advertise: [a, 0.0.0.0]\n", ":2: room.advertise: '0.0.0.0' is not allowed; "
                                           "host[:port][@idc] (port 1-65535), as clients reach it"},
    {"room:\n  advertise: a:1@\n", ":2: room.advertise: 'a:1@' is not allowed; host[:port][@idc] "
                                   "(port 1-65535), as clients reach it"},
    {"dispatcher:\n  advertise: [a@b]\n", ":2: dispatcher.advertise: 'a@b' is not allowed; host or "
                                          "host:port (1-65535), as others reach it"},
    {"room:\n  advertise: [a, \"a:0@b\"]\n",
     ":2: room.advertise: 'a:0@b' is not allowed; host[:port][@idc] (port 1-65535), as clients "
     "reach it"},
    {"center:\n  advertise: \"[::1]:0\"\n",
     ":2: center.advertise: '[::1]:0' is not allowed; host or host:port (1-65535), as others reach "
     "it"},
    {"saver:\n  advertise: a:1-2\n",
     ":2: saver.advertise: 'a:1-2' is not allowed; host or host:port (1-65535), "
     "as others reach it"},
    {"cluster:\n  registers: [\"a:1\", b]\n",
     ":2: cluster.registers: 'b' is not allowed; host:port"},
    {"cluster:\n  registers: a:0\n", ":2: cluster.registers: 'a:0' is not allowed; host:port"},
    {"cluster:\n  registers: \"a:1, b:2\"\n",
     ":2: cluster.registers: ' b:2' is not allowed; host:port"},
    {"cluster:\n  name: \"a\\r\"\n",
     ":2: cluster.name: has a control character in it, such as a carriage return"},
    {"cluster:\n  name: \"a\\0b\"\n", ":2: cluster.name: one value is needed here"},
    {"redis:\n  url: rediss://h\n",
     ":2: redis.url: rediss:// is not built; redis:// and unix:// are"},
    {"redis:\n  url: redis://u:hidden@/0\n",
     ":2: redis.url: needs a host, or host:port with a port of 1..65535"},
    {"redis:\n  url: redis://u:hid@den@h/0\n",
     ":2: redis.url: more than one @; in user and password it is %40"},
    {"mariadb:\n  url: mysql://h/db\n", ":2: mariadb.url: 'mysql://h/db' is not allowed; "
                                        "mariadb://user:password@host:port/database: must begin "
                                        "with mariadb:// or unix://"},
    {"mariadb:\n  url: mariadb://u:hidden@h:3306\n",
     ":2: mariadb.url: 'mariadb://...@h:3306' is not allowed; "
     "mariadb://user:password@host:port/database: behind the host stands /database, of at most 64 "
     "letters, digits, _ and -"},
    {"mariadb:\n  url: mariadb://u:hidden@h:3306/\n",
     ":2: mariadb.url: 'mariadb://...@h:3306/' is not allowed; "
     "mariadb://user:password@host:port/database: behind the host stands /database, of at most 64 "
     "letters, digits, _ and -"},
    {"mariadb:\n  url: mariadb:///db\n", ":2: mariadb.url: 'mariadb:///db' is not allowed; "
                                         "mariadb://user:password@host:port/database: needs "
                                         "user:password@"},
    {"cluster:\n  secrets: [aaaaaaaaaaaaaaaa]\n",
     ":2: cluster.secrets: a secret has less than 5 different characters; hawserctl init makes "
     "some"},
    {"cluster:\n  secrets: [0123456789abcdef01, \"0123456789abcdef0\\r\"]\n",
     ":2: cluster.secrets: a secret has a blank or a control character in it, such as a carriage "
     "return"},
    {"cluster:\n  admin_keys: \"0123456789abcdef01, 0123456789abcdef02\"\n",
     ":2: cluster.admin_keys: a secret has a blank or a control character in it, such as a "
     "carriage "
     "return"},
    {"cluster:\n  secrets: [0123456789abcde]\n",
     ":2: cluster.secrets: a secret has less than 16 bytes; hawserctl init makes some"},
    {"cluster:\n  name: a\n---\nroom: 5\n", ":4: a second document; one is allowed"},
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

// As many as a list may have are all there; one more is refused, in the file as a list and as a
// text, and in the environment.
static const struct {
    const char *section, *key;
    int most;
} lists[] = {{"cluster", "secrets", 8},
             {"cluster", "admin_keys", 64},
             {"cluster", "registers", 16},
             {"room", "advertise", 8},
             {"dispatcher", "advertise", 8}};

static void list_of(struct buf *out, const char *key, int count) {
    bool are_secrets = strcmp(key, "secrets") == 0 || strcmp(key, "admin_keys") == 0;
    for (int i = 0; i < count; i++)
        buf_printf(out, are_secrets ? "%s0123456789abcdef-%d" : "%shost:%d", i ? "," : "", i + 1);
}

static void check_long_list(const char *section, const char *key, int most) {
    struct buf items = BUF_EMPTY, text = BUF_EMPTY, says = BUF_EMPTY, error = BUF_EMPTY;
    struct config *c = NULL;
    int count = 0;
    list_of(&items, key, most);
    buf_printf(&text, "%s.%s", section, key);
    c = config_default();
    ck_assert_int_eq(config_set(c, buf_cstr(&text), buf_cstr(&items), &error), 0);
    (void)config_list(c, buf_cstr(&text), &count);
    ck_assert_int_eq(count, most);
    buf_reset(&items);
    list_of(&items, key, most + 1);
    buf_printf(&says, "%s.%s: a list of %d; at most %d are allowed", section, key, most + 1, most);
    ck_assert_int_eq(config_set(c, buf_cstr(&text), buf_cstr(&items), &error), -HW_ECONFIG);
    ck_assert_str_eq(buf_cstr(&error), buf_cstr(&says));
    config_free(c);
    for (int form = 0; form < 2; form++) {
        buf_reset(&text);
        buf_reset(&error);
        buf_printf(&text, form ? "%s:\n  %s: [%s]\n" : "%s:\n  %s: \"%s\"\n", section, key,
                   buf_cstr(&items));
        snprintf(path, sizeof(path), "/tmp/hawser-test-config.XXXXXX");
        write_file(buf_cstr(&text));
        ck_assert_int_eq(config_load(path, no_environment, &error, &c), -HW_ECONFIG);
        unlink(path);
        ck_assert_ptr_nonnull(strstr(buf_cstr(&error), ":2: "));
        ck_assert_ptr_nonnull(strstr(buf_cstr(&error), buf_cstr(&says)));
    }
    buf_free(&items);
    buf_free(&text);
    buf_free(&says);
    buf_free(&error);
}

START_TEST(test_long_lists) {
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        check_long_list(lists[i].section, lists[i].key, lists[i].most);
}
END_TEST

START_TEST(test_no_secrets) {
    struct config *c = config_default();
    struct buf error = BUF_EMPTY;
    ck_assert_int_eq(config_check(c, &error), -HW_ECONFIG);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&error), "cluster.secrets: empty"));
    buf_free(&error);
    config_free(c);
}
END_TEST

static char value_path[] = "/tmp/hawser-test-config.XXXXXX";

static void expect_environment(char *const environment[], const char *says) {
    struct buf error = BUF_EMPTY;
    struct config *c = NULL;
    ck_assert_int_eq(config_load(NULL, environment, &error, &c), says ? -HW_ECONFIG : 0);
    ck_assert_str_eq(buf_cstr(&error), says ? says : "");
    buf_free(&error);
    config_free(c);
}

// Names that only look like ours, and values from files of every kind, are one line or taken; none
// ends the process, or holds it up.
START_TEST(test_environment) {
    static const struct {
        const char *variable, *says; // NULL: taken
    } cases[] = {
        {"HAWSER_ROOM__FILE=/etc/hostname", "HAWSER_ROOM__FILE: no such key; docs/CONFIG.md has "
                                            "those there are"},
        {"HAWSER__FILE=x", NULL}, // no section: not ours
        {"HAWSER_FILE=x", NULL},
        {"HAWSER___FILE=x", "HAWSER___FILE: no such key; docs/CONFIG.md has those there are"},
        {"HAWSER_____=x", "HAWSER_____: no such key; docs/CONFIG.md has those there are"},
        {"HAWSER_ROOM__=x", "HAWSER_ROOM__: no such key; docs/CONFIG.md has those there are"},
        {"HAWSER_ROOM__LISTEN__FILE=x",
         "HAWSER_ROOM__LISTEN__FILE: no such key; docs/CONFIG.md has those there are"},
        {"HAWSER_ROOM__LINGER_FILE=/", "HAWSER_ROOM__LINGER_FILE: /: is no regular file"},
        {"HAWSER_ROOM__LINGER_FILE=/dev/zero",
         "HAWSER_ROOM__LINGER_FILE: /dev/zero: is no regular file"},
        {"HAWSER_ROOM__LINGER_FILE=/nope",
         "HAWSER_ROOM__LINGER_FILE: /nope: No such file or directory"},
        {"HAWSER_ROOM__LINGER=9h", "HAWSER_ROOM__LINGER: room.linger: '9h' is not allowed; a "
                                   "duration such as 10s from 0ms to 5m"},
        {"HAWSER_ROOM__LINGER=9s", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *const environment[] = {(char *)(uintptr_t)cases[i].variable, NULL};
        expect_environment(environment, cases[i].says);
    }
    char longest[400];
    memset(longest, 'A', sizeof(longest));
    memcpy(longest, "HAWSER_A__", 10);
    memcpy(longest + sizeof(longest) - 8, "_FILE=x", 8);
    char *const too_long[] = {longest, NULL};
    struct buf error = BUF_EMPTY;
    struct config *c = NULL;
    ck_assert_int_eq(config_load(NULL, too_long, &error, &c), -HW_ECONFIG);
    buf_free(&error);
}
END_TEST

static void expect_value_file(const char *bytes, size_t len, const char *says) {
    char variable[128];
    struct buf expected = BUF_EMPTY;
    const char *at = says ? strstr(says, "@") : NULL; // stands for the file's path
    snprintf(value_path, sizeof(value_path), "/tmp/hawser-test-config.XXXXXX");
    int fd = mkstemp(value_path);
    ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
    close(fd);
    snprintf(variable, sizeof(variable), "HAWSER_CLUSTER__SECRETS_FILE=%s", value_path);
    char *const environment[] = {variable, NULL};
    buf_append(&expected, says, at ? (size_t)(at - says) : says ? strlen(says) : 0);
    if (at)
        buf_printf(&expected, "%s%s", value_path, at + 1);
    expect_environment(environment, says ? buf_cstr(&expected) : NULL);
    buf_free(&expected);
    unlink(value_path);
}

START_TEST(test_value_files) {
    static const char good[] = "0123456789abcdef01\n", crlf[] = "0123456789abcdef01\r\n",
                      nul[] = "0123456789abcdef01\0x";
    char *large = calloc(1, 70000);
    expect_value_file(good, sizeof(good) - 1, NULL);
    expect_value_file(crlf, sizeof(crlf) - 1,
                      "HAWSER_CLUSTER__SECRETS_FILE: cluster.secrets: a secret has a blank or a "
                      "control character in it, such as a carriage return");
    expect_value_file(nul, sizeof(nul) - 1, "HAWSER_CLUSTER__SECRETS_FILE: @: has a NUL in it");
    expect_value_file(large, 70000, "HAWSER_CLUSTER__SECRETS_FILE: @: is larger than 65536 bytes");
    free(large);
    char *const twice[] = {(char *)(uintptr_t) "HAWSER_ROOM__LINGER=1s",
                           (char *)(uintptr_t) "HAWSER_ROOM__LINGER_FILE=/nope", NULL};
    expect_environment(twice,
                       "HAWSER_ROOM__LINGER_FILE: is given as a value and as a file; once is "
                       "allowed");
}
END_TEST

static void add_line(void *arg, const char *line) {
    buf_append_str(arg, line);
    buf_append_str(arg, ";");
}

static void set(struct config *c, const char *key, const char *text) {
    struct buf error = BUF_EMPTY;
    ck_assert_msg(config_set(c, key, text, &error) == 0, "%s", buf_cstr(&error));
    buf_free(&error);
}

// What is read at the start only stays as it is in force, and is named to the roles that read it.
START_TEST(test_keep) {
    struct config *in_force = config_default(), *c = config_default();
    struct buf told = BUF_EMPTY;
    set(c, "room.listen", "127.0.0.1:1");
    set(c, "room.linger", "5s");
    set(c, "center.body_max", "1MiB");
    set(c, "redis.url", "redis://h");
    set(c, "cluster.registers", "a:1,b:2");
    config_keep(c, in_force, "room", add_line, &told);
    ck_assert_str_eq(buf_cstr(&told), "cluster.registers;room.listen;");
    ck_assert_str_eq(config_text(c, "room.listen"), config_text(in_force, "room.listen"));
    ck_assert_uint_eq(config_bytes(c, "center.body_max"), 8 * 1024 * 1024);
    ck_assert_uint_eq(config_ms(c, "room.linger"), 5000);
    int count = 0;
    ck_assert_str_eq(config_list(c, "cluster.registers", &count)[0], "127.0.0.1:7400");
    ck_assert_int_eq(count, 1);
    buf_reset(&told);
    config_keep(c, in_force, "room", add_line, &told); // as it is in force
    ck_assert_uint_eq(told.len, 0);
    set(c, "redis.url", "redis://h");
    config_keep(c, in_force, "saver", add_line, &told);
    ck_assert_str_eq(buf_cstr(&told), "redis.url;");
    buf_free(&told);
    config_free(c);
    config_free(in_force);
}
END_TEST

// A name to listen at is looked up once; one that there is not is refused.
START_TEST(test_resolve) {
    struct config *c = config_default();
    struct buf error = BUF_EMPTY, printed = BUF_EMPTY;
    set(c, "room.listen", "localhost:7200-7205");
    set(c, "center.listen", "no-such-host.invalid:1");
    ck_assert_int_eq(config_resolve(c, "room", &error), 0);
    const char *bound = config_text(c, "room.listen");
    ck_assert_msg(strcmp(bound, "127.0.0.1:7200-7205") == 0 ||
                      strcmp(bound, "[::1]:7200-7205") == 0,
                  "%s", bound);
    config_print(c, &printed);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&printed), "  listen: \"localhost:7200-7205\"\n"));
    ck_assert_int_eq(config_resolve(c, "center", &error), -HW_ECONFIG);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&error), "center.listen: no-such-host.invalid: "));
    buf_free(&printed);
    buf_free(&error);
    config_free(c);
}
END_TEST

// Who listens everywhere and names no address is told what others are told.
START_TEST(test_warnings) {
    struct config *c = config_default();
    struct buf told = BUF_EMPTY;
    config_warnings(c, "room", add_line, &told);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&told), "room.advertise is empty and room.listen is all "
                                                  "addresses: clients are told 127.0.0.1"));
    ck_assert_ptr_nonnull(strstr(buf_cstr(&told), "room.rpc_advertise"));
    buf_reset(&told);
    set(c, "room.advertise", "room.test");
    set(c, "room.rpc_listen", "192.0.2.1:7700");
    config_warnings(c, "room", add_line, &told);
    set(c, "saver.listen", "192.0.2.1:7500");
    config_warnings(c, "saver", add_line, &told);
    ck_assert_str_eq(buf_cstr(&told), "");
    set(c, "mariadb.url", "mariadb://u:hidden@h/db");
    config_warnings(c, "saver", add_line, &told);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&told), "mariadb.url is not used, since redis.url is "));
    ck_assert_ptr_null(strstr(buf_cstr(&told), "hidden"));
    buf_reset(&told);
    config_warnings(c, "register", add_line, &told);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&told), "products and keys, too"));
    buf_reset(&told);
    set(c, "redis.url", "redis://h");
    config_warnings(c, "saver", add_line, &told);
    ck_assert_str_eq(buf_cstr(&told), "");
    buf_free(&told);
    config_free(c);
}
END_TEST

// Ports that are made by adding must be ports.
START_TEST(test_made_ports) {
    struct config *c = config_default();
    struct buf error = BUF_EMPTY;
    set(c, "cluster.secrets", "0123456789abcdef");
    set(c, "cluster.admin_keys", "0123456789abcdef");
    ck_assert_int_eq(config_check(c, &error), 0);
    set(c, "saver.listen", ":65000");
    ck_assert_int_eq(config_check(c, &error), -HW_ECONFIG);
    ck_assert_str_eq(buf_cstr(&error), "saver.ops_listen: saver.listen + 1000 is no port; one must "
                                       "be given here");
    set(c, "saver.ops_listen", ":7");
    ck_assert_int_eq(config_check(c, &error), 0);
    buf_free(&error);
    config_free(c);
}
END_TEST

static void read_page(const char *at, struct buf *ret_page) {
    enum { PAGE_BYTES_MAX = 1 << 18 };
    FILE *file = fopen(at, "r");
    ck_assert_ptr_nonnull(file);
    ret_page->len += fread(buf_reserve(ret_page, PAGE_BYTES_MAX), 1, PAGE_BYTES_MAX, file);
    ck_assert(feof(file));
    fclose(file);
}

static void write_page(const char *at, const struct buf *page) {
    FILE *file = fopen(at, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(page->data, 1, page->len, file), page->len);
    ck_assert_int_eq(fclose(file), 0);
}

// The first line in which two texts differ, from 1 on; 0: they are the same.
static int line_that_differs(const char *a, const char *b) {
    int line = 1;
    for (; *a && *a == *b; a++, b++)
        line += *a == '\n';
    return *a == *b ? 0 : line;
}

// docs/CONFIG.md is the table's own text. The page is longer than what Check prints, so one that
// differs is left in the build folder.
START_TEST(test_documented) {
    struct buf made = BUF_EMPTY, kept = BUF_EMPTY;
    config_markdown(&made);
    read_page(VECTORS_DIR "/../../docs/CONFIG.md", &kept);
    int line = line_that_differs(buf_cstr(&kept), buf_cstr(&made));
    if (line > 0)
        write_page(BUILD_DIR "/CONFIG.md", &made);
    ck_assert_msg(line == 0, "docs/CONFIG.md:%d is not what the table says; the right page is %s",
                  line, BUILD_DIR "/CONFIG.md");
    buf_free(&made);
    buf_free(&kept);
}
END_TEST

RUN_TESTS("config", test_documented, test_file_and_environment, test_faults, test_long_lists,
          test_no_secrets, test_environment, test_value_files, test_keep, test_resolve,
          test_warnings, test_made_ports)
