// Which store redis.url opens: memory, of which the log is warned, Redis, or none with the reason.
#include "store_open.h"

#include "../suite.h"

static int opened; // 1 memory, 2 Redis
static int warned; // lines that say what memory forgets
static struct store none;

static struct store *open_memory(struct loop *l) {
    (void)l;
    opened = 1;
    return &none;
}

static struct store *open_redis(const struct redis_options *o) {
    ck_assert_uint_eq(o->timeout_ms, 7);
    opened = 2;
    return &none;
}

static bool keep_line(void *arg, const char *line, size_t len) {
    (void)arg;
    (void)len;
    warned += strstr(line, "level=warn") && strstr(line, "nothing survives") &&
              strstr(line, "the only one of its role");
    return true;
}

static const struct {
    const char *url;
    int opens;
    const char *why; // a part of the reason, when it opens none
} rows[] = {
    {"memory:", 1, NULL},
    {"redis://127.0.0.1", 2, NULL},
    {"unix:///run/redis.sock", 2, NULL},
    {"rediss://127.0.0.1", 0, "redis.url: "},
    {"memory", 0, "redis.url: "},
    {"", 0, "redis.url: "},
};

START_TEST(test_rows) {
    static const struct store_backends backends = {open_memory, open_redis};
    struct log log;
    log_init(&log, "saver", LOG_INFO);
    log.sink = keep_line;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct redis_options o = {.url = rows[i].url, .timeout_ms = 7, .log = &log};
        struct buf why = BUF_EMPTY;
        struct store *store = NULL;
        opened = warned = 0;
        int rc = store_open(&backends, &o, &why, &store);
        ck_assert_int_eq(opened, rows[i].opens);
        ck_assert_int_eq(warned, rows[i].opens == 1);
        ck_assert_int_eq(rc, rows[i].opens ? 0 : -HW_ECONFIG);
        ck_assert_ptr_eq(store, rows[i].opens ? &none : NULL);
        if (rows[i].why)
            ck_assert_ptr_nonnull(strstr(buf_cstr(&why), rows[i].why));
        else
            ck_assert_uint_eq(why.len, 0);
        buf_free(&why);
    }
}
END_TEST

static const struct redis_options *got;
static struct redis_options got_options;
static struct store *keep_options(const struct redis_options *o) {
    got_options = *o;
    got = &got_options;
    return &none;
}

static void configure(struct config *c, const char *key, const char *value) {
    struct buf why = BUF_EMPTY;
    ck_assert_msg(config_set(c, key, value, &why) == 0, "%s", buf_cstr(&why));
    buf_free(&why);
}

// Each key of the configuration arrives where the store is opened.
START_TEST(test_as_configured) {
    static const struct store_backends backends = {open_memory, keep_options};
    struct log log;
    struct config *config = config_default();
    struct buf why = BUF_EMPTY;
    struct store *store = NULL;
    log_init(&log, "saver", LOG_INFO);
    log.sink = keep_line;
    const struct store_env env = {.log = &log, .config = config};
    ck_assert(store_is_in_memory(config));
    opened = 0;
    ck_assert_int_eq(store_open_configured(&backends, &env, &why, &store), 0);
    ck_assert_int_eq(opened, 1);
    configure(config, "redis.url", "redis://h:7");
    configure(config, "redis.timeout", "2s");
    configure(config, "redis.allow_volatile", "yes");
    ck_assert(!store_is_in_memory(config));
    ck_assert_int_eq(store_open_configured(&backends, &env, &why, &store), 0);
    ck_assert_ptr_nonnull(got);
    ck_assert_str_eq(got->url, "redis://h:7");
    ck_assert_uint_eq(got->timeout_ms, 2000);
    ck_assert(got->allow_volatile);
    ck_assert_ptr_eq(got->log, &log);
    config_free(config);
}
END_TEST

RUN_TESTS("store_open", test_rows, test_as_configured)
