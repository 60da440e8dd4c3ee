// What a command line comes to, and the one line that says what is wrong with it.
#include "suite.h"

#include "options.h"

enum { WORDS_MAX = 16 };

// Words apart by spaces, as after "hawser-bench".
static enum options_result parse(const char *line, struct options *o, struct buf *error) {
    static char text[256];
    static char *words[WORDS_MAX];
    int count = 0;
    snprintf(text, sizeof(text), "hawser-bench %s", line);
    for (char *at = text, *word; (word = strsep(&at, " "));)
        if (*word)
            words[count++] = word;
    return options_parse(count, words, o, error);
}

static const struct {
    const char *line, *error;
} bad[] = {
    {"", "a scenario is needed: broadcast unicast login idle mixed catchup"},
    {"fly", "'fly' is no scenario; these are: broadcast unicast login idle mixed catchup"},
    {"broadcast --session 5", "unknown option --session; --help lists them"},
    {"broadcast --sessions", "--sessions needs a value: N"},
    {"broadcast --sessions 0", "--sessions: '0' is not a number from 1 to 4000000"},
    {"broadcast --sessions -1", "--sessions: '-1' is not a number from 1 to 4000000"},
    {"broadcast --sessions 1e4", "--sessions: '1e4' is not a number from 1 to 4000000"},
    {"broadcast --sessions=", "--sessions: '' is not a number from 1 to 4000000"},
    {"broadcast --sessions 99999999999999999999",
     "--sessions: '99999999999999999999' is not a number from 1 to 4000000"},
    {"broadcast --size 31", "--size: '31' is not a number from 32 to 61440"},
    {"broadcast --json=yes", "--json takes no value"},
    {"broadcast extra", "unexpected argument: extra"},
    {"unicast --burst 8", "--burst means nothing to unicast"},
    {"login --floor", "--floor means nothing to login"},
    {"broadcast --tags 11 --sessions 10", "--tags: more tags than sessions"},
    {"broadcast --peer kafka", "--peer is redis, nats or mosquitto"},
    {"login --kill --cluster c.json", "--kill is for a cluster of its own, not for one that runs"},
    {"unicast --peer nats", "--peer means nothing to unicast"},
    {"broadcast --peer nats --tags 2",
     "--peer is no Hawser: --cluster, --bin, --redis, --rooms and --tags mean nothing to it"},
    {"broadcast --redis-url unix:///x",
     "--redis-url goes with --cluster; --redis starts a redis-server"},
    {"unicast --floor",
     "the floor of unicast is Redis: --floor needs --redis, or --cluster and --redis-url"},
    {"unicast --cluster c.json --redis",
     "--cluster is one that runs: --bin, --redis and --rooms are for one to be started"},
};

START_TEST(test_bad) {
    struct options o;
    struct buf error = BUF_EMPTY;
    ck_assert_int_eq(parse(bad[_i].line, &o, &error), OPTIONS_BAD);
    ck_assert_str_eq(buf_cstr(&error), bad[_i].error);
    buf_free(&error);
}
END_TEST

START_TEST(test_defaults) {
    struct options o;
    struct buf error = BUF_EMPTY;
    ck_assert_int_eq(parse("broadcast", &o, &error), OPTIONS_RUN);
    ck_assert_int_eq(o.scenario, SCENARIO_broadcast);
    ck_assert_uint_eq(o.sessions, 10000);
    ck_assert_uint_eq(o.size, 256);
    ck_assert_uint_eq(o.rounds, 40);
    ck_assert_uint_eq(o.burst, 1);
    ck_assert(!o.floor && !o.json && !o.redis && !o.cluster);
    ck_assert_int_eq(parse("unicast", &o, &error), OPTIONS_RUN);
    ck_assert_uint_eq(o.sessions, 1000);
    ck_assert_uint_eq(o.rate, 0);
}
END_TEST

START_TEST(test_given) {
    struct options o;
    struct buf error = BUF_EMPTY;
    const char *line = "unicast --redis --sessions=50 --batch 100 --rate 7 --floor --json --bin /x";
    ck_assert_int_eq(parse(line, &o, &error), OPTIONS_RUN);
    ck_assert_uint_eq(o.sessions, 50);
    ck_assert_uint_eq(o.batch, 100);
    ck_assert_uint_eq(o.rate, 7);
    ck_assert(o.redis && o.floor && o.json && !o.quiet);
    ck_assert_str_eq(o.bin, "/x");
}
END_TEST

START_TEST(test_help) {
    struct options o;
    struct buf help = BUF_EMPTY;
    ck_assert_int_eq(parse("broadcast --nonsense --help", &o, &help), OPTIONS_HELP);
    ck_assert_int_eq(parse("--version", &o, &help), OPTIONS_VERSION);
    options_help(&help);
    static const char *const all[] = {"broadcast", "catchup",         "--sessions N", "--floor",
                                      "--json",    "rss_per_session", "Exit code"};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        ck_assert_ptr_nonnull(strstr(buf_cstr(&help), all[i]));
    buf_free(&help);
}
END_TEST

int main(void) {
    TCase *c = tcase_create("options");
    tcase_add_loop_test(c, test_bad, 0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(c, test_defaults);
    tcase_add_test(c, test_given);
    tcase_add_test(c, test_help);
    return run_case("options", c);
}
