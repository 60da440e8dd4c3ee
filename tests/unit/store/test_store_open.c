// Which stores the configuration opens: memory, of which the log is warned, Redis, one over the
// other, or none with the reason. Which of them is spoken of when one is down.
#include <errno.h>

#include "redis_store.h"
#include "store_pair.h"

#include "../suite.h"

static char opened[32]; // m: memory, r: Redis, b: the one behind
static int warned;      // lines that say what memory forgets
static struct loop *loop;
static struct os *os;

struct plain { // a store that may be down
    struct store store;
    const char *down;
};
static struct plain *front, *back;

static const char *plain_down(struct store *s) {
    return ((struct plain *)s)->down;
}

static bool plain_is_coming(struct store *s) {
    return ((struct plain *)s)->down && strstr(((struct plain *)s)->down, "loading");
}

static struct plain *plain_new(char letter) {
    static const struct store_kind plain = {.down_reason = plain_down,
                                            .is_coming = plain_is_coming},
                                   memory = {.is_in_memory = true};
    struct plain *p = hw_calloc(1, sizeof(*p));
    store_init(&p->store, letter == 'm' ? &memory : &plain, loop);
    opened[strlen(opened)] = letter;
    return p;
}

static struct store *open_memory(const struct store_env *env) {
    (void)env;
    return &plain_new('m')->store;
}

static struct redis_options got;
static struct store *open_redis(const struct store_env *env) {
    got = redis_options_of(env);
    front = plain_new('r');
    return &front->store;
}

static struct store *open_behind(const struct store_env *env) {
    (void)env;
    back = plain_new('b');
    return &back->store;
}

static struct store *lay_over(struct store *before, struct store *behind) {
    static const struct store_kind kind = {STORE_PAIR_FUNCTIONS};
    struct store_pair *p = hw_calloc(1, sizeof(*p));
    store_pair_init(p, &kind, before, behind);
    return &p->store;
}

static int check_behind(const char *url, struct buf *ret_error) {
    if (!strstr(url, "/no"))
        return 0;
    buf_append_str(ret_error, "wrong");
    return -EINVAL;
}

static const struct store_backend table[] = {
    {"redis.url", .is_its_url = store_url_is_memory, .open = open_memory},
    {"redis.url", .check = redis_url_check, .open = open_redis},
    {"mariadb.url", .check = check_behind, .open = open_behind, .over = lay_over},
    {0},
};

static bool keep_line(void *arg, const char *line, size_t len) {
    (void)arg;
    (void)len;
    warned += strstr(line, "level=warn") && strstr(line, "redis.url is memory") &&
              strstr(line, "nothing survives") && strstr(line, "the only one of its role");
    return true;
}

static void configure(struct config *c, const char *key, const char *value) {
    struct buf why = BUF_EMPTY;
    ck_assert_msg(config_set(c, key, value, &why) == 0, "%s", buf_cstr(&why));
    buf_free(&why);
}

static struct log log_of_test;
static struct config *config;
static void set_up(void) {
    os = os_new();
    loop = loop_new(os);
    config = config_default();
    log_init(&log_of_test, "saver", LOG_INFO);
    log_of_test.sink = keep_line;
    memset(opened, 0, sizeof(opened));
    warned = 0;
}

static void tear_down(void) {
    config_free(config);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}

static struct store *open_it(int want, const char *why) {
    const struct store_env env = {loop, &log_of_test, config};
    struct buf error = BUF_EMPTY;
    struct store *s = NULL;
    ck_assert_int_eq(store_open(table, &env, &error, &s), want);
    ck_assert_str_eq(buf_cstr(&error), why);
    ck_assert_int_eq(want != 0, s == NULL);
    buf_free(&error);
    return s;
}

#define BEHIND "mariadb://u:p@h:1/"
static const struct {
    const char *url, *behind, *opens;
    const char *why; // when it opens none
} rows[] = {
    {"memory:", "", "m", NULL},
    {"redis://127.0.0.1", "", "r", NULL},
    {"unix:///run/redis.sock", "", "r", NULL},
    {"redis://127.0.0.1", BEHIND "yes", "rb", NULL},
    {"memory:", BEHIND "yes", "mb", NULL},
    {"redis://127.0.0.1", BEHIND "no", "r", "mariadb.url: wrong"},
};

START_TEST(test_rows) {
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        set_up();
        configure(config, "redis.url", rows[i].url);
        configure(config, "mariadb.url", rows[i].behind);
        struct store *s = open_it(rows[i].why ? -HW_ECONFIG : 0, rows[i].why ? rows[i].why : "");
        ck_assert_str_eq(opened, rows[i].opens);
        ck_assert_int_eq(warned, opened[0] == 'm');
        if (s) {
            ck_assert_int_eq(store_is_in_memory(s), opened[0] == 'm');
            store_free(s);
        }
        tear_down();
    }
}
END_TEST

// What the configuration's own check would not let pass.
START_TEST(test_wrong_url) {
    static const struct store_backend wrong[] = {
        {"cluster.idc", .is_its_url = store_url_is_memory, .open = open_memory},
        {"cluster.idc", .check = redis_url_check, .open = open_redis},
        {0},
    };
    set_up();
    const struct store_env env = {loop, &log_of_test, config};
    const char *const urls[] = {"rediss://127.0.0.1", "memory", "memory:x"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct buf why = BUF_EMPTY;
        struct store *s = NULL;
        configure(config, "cluster.idc", urls[i]);
        ck_assert_int_eq(store_open(wrong, &env, &why, &s), -HW_ECONFIG);
        ck_assert(strncmp(buf_cstr(&why), "cluster.idc: ", 13) == 0 && why.len > 13);
        ck_assert_ptr_null(s);
        buf_free(&why);
    }
    ck_assert_str_eq(opened, "");
    tear_down();
}
END_TEST

// Each key of the configuration arrives where the store is opened.
START_TEST(test_as_configured) {
    set_up();
    configure(config, "redis.url", "redis://h:7");
    configure(config, "redis.timeout", "2s");
    configure(config, "redis.allow_volatile", "yes");
    struct store *s = open_it(0, "");
    ck_assert_str_eq(got.url, "redis://h:7");
    ck_assert_uint_eq(got.timeout_ms, 2000);
    ck_assert(got.allow_volatile);
    ck_assert_ptr_eq(got.log, &log_of_test);
    ck_assert_ptr_eq(got.loop, loop);
    store_free(s);
    tear_down();
}
END_TEST

static void is_opened_by(struct store *s, const char *url, const char *place) {
    const char *said = store_opened_by(s);
    ck_assert_msg(strstr(said, url) && strstr(said, place) && !strstr(said, "secret"), "%s", said);
}

// The store that is down is named by its own key and URL, without the password; of two the front,
// without which nothing is done.
START_TEST(test_who_is_down) {
    set_up();
    configure(config, "redis.url", "redis://:secret@h:7");
    configure(config, "mariadb.url", "mariadb://u:secret@h:8/d");
    struct store *s = open_it(0, "");
    ck_assert_ptr_null(store_down_reason(s));
    ck_assert(!store_is_coming(s));
    back->down = "loading";
    ck_assert_ptr_null(store_down_reason(s));
    ck_assert_str_eq(store_down_reason(&back->store), "loading");
    is_opened_by(&back->store, "mariadb.url: mariadb://", "@h:8/d");
    ck_assert(store_is_coming(&back->store) && !store_is_coming(s));
    front->down = "gone";
    ck_assert_str_eq(store_down_reason(s), "gone");
    is_opened_by(s, "redis.url: redis://", "@h:7");
    ck_assert(!store_is_coming(s));
    back->down = NULL;
    ck_assert_str_eq(store_down_reason(s), "gone");
    store_free(s);
    tear_down();
}
END_TEST

RUN_TESTS("store_open", test_rows, test_wrong_url, test_as_configured, test_who_is_down)
