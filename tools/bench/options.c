#include "options.h"

#include <errno.h>
#include <stddef.h>

#include "payload.h"
#include "peer.h"

#define IN(name) (1u << SCENARIO_##name)
enum { EVERYWHERE = (1u << SCENARIOS) - 1 };

enum option_kind { OPTION_NUMBER, OPTION_FLAG, OPTION_TEXT };

struct option_row {
    const char *name, *value; // value: its name in the help, NULL for a flag
    enum option_kind kind;
    size_t offset; // in struct options
    unsigned scenarios;
    uint64_t min, max;
    const char *help;
};

#define NUMBER(field, value, scenarios, min, max, help)                                            \
    { #field, value, OPTION_NUMBER, offsetof(struct options, field), scenarios, min, max, help }
#define FLAG(name, field, scenarios, help)                                                         \
    { name, NULL, OPTION_FLAG, offsetof(struct options, field), scenarios, 0, 0, help }
#define TEXT(name, field, value, scenarios, help)                                                  \
    { name, value, OPTION_TEXT, offsetof(struct options, field), scenarios, 0, 0, help }

static const struct option_row rows[] = {
    NUMBER(sessions, "N", EVERYWHERE, 1, 4000000,
           "sessions, each a user with one device (10000; unicast and catchup 1000)"),
    NUMBER(size, "BYTES", EVERYWHERE & ~(IN(login) | IN(idle)), PAYLOAD_MIN, 61440,
           "of a payload (256)"),
    NUMBER(rounds, "N", IN(broadcast), 1, 1000000, "broadcasts, or bursts of them (40)"),
    NUMBER(burst, "N", IN(broadcast), 1, 64, "broadcasts pushed at once in a round (1)"),
    NUMBER(tags, "N", IN(broadcast), 1, 1000,
           "to tags: each session has one of N, and each push goes to one in turn"),
    NUMBER(seconds, "S", IN(unicast) | IN(mixed) | IN(idle), 1, 86400,
           "how long each part lasts (10); idle: over which the pings are spread"),
    NUMBER(rate, "R", IN(unicast) | IN(mixed) | IN(login), 1, 10000000,
           "messages, or logins, a second, due whether the earlier ones are done or not (unicast: "
           "as many as it takes, then half of that; mixed: 200; login: all at once)"),
    NUMBER(batch, "N", IN(unicast) | IN(catchup), 1, 1000,
           "pushes in one HTTP call (1; catchup 100)"),
    NUMBER(connections, "N", EVERYWHERE & ~(IN(login) | IN(idle)), 1, 1024,
           "HTTP connections to the center (64)"),
    NUMBER(waiting, "N", IN(catchup), 1, 100000, "messages waiting for each session (10)"),
    NUMBER(rooms, "N", EVERYWHERE, 1, 200, "room processes (as few as their descriptors allow)"),
    FLAG("kill", kill, IN(login),
         "then kill all rooms, start them again, and measure how everyone comes back"),
    FLAG("redis", redis, EVERYWHERE,
         "keep everything in a redis-server started for it (else in the daemons' memory)"),
    FLAG("floor", floor, IN(broadcast) | IN(unicast),
         "measure what the kernel, or Redis, allows in the same run, too"),
    TEXT("cluster", cluster, "FILE", EVERYWHERE,
         "a cluster.json of a cluster that runs; without it one is started"),
    TEXT("redis-url", redis_url, "URL", EVERYWHERE,
         "with --cluster: its Redis, for --floor and for what it takes"),
    TEXT("bin", bin, "DIR", EVERYWHERE, "where the daemons are (beside hawser-bench)"),
    TEXT("peer", peer, "NAME", IN(broadcast) | IN(idle),
         "redis, nats or mosquitto in the place of Hawser, to compare"),
    FLAG("no-pin", no_pin, EVERYWHERE,
         "leave the cores to the kernel (else rooms have the first, all others the rest)"),
    FLAG("json", json, EVERYWHERE, "print one JSON object"),
    FLAG("quiet", quiet, EVERYWHERE, "no progress line"),
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static const struct {
    const char *name, *help;
} scenarios[] = {
#define SCENARIO_ROW(name, help) {#name, help},
    BENCH_SCENARIOS(SCENARIO_ROW)
#undef SCENARIO_ROW
};

const char *scenario_name(enum scenario s) {
    return scenarios[s].name;
}

// --- reading

static const struct option_row *option_find(const char *name, size_t len) {
    for (int i = 0; i < ROWS; i++)
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0)
            return &rows[i];
    return NULL;
}

static bool option_number(const struct option_row *row, const char *text, uint64_t *ret_number) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    bool is_number = *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
    if (!is_number || value < row->min || value > row->max)
        return false;
    *ret_number = value;
    return true;
}

static bool option_take(struct options *o, const struct option_row *row, const char *text,
                        struct buf *ret_error) {
    void *field = (char *)o + row->offset;
    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)field = true;
        return true;
    case OPTION_TEXT:
        *(const char **)field = text;
        return true;
    case OPTION_NUMBER:
        break;
    }
    if (option_number(row, text, field))
        return true;
    buf_printf(ret_error, "--%s: '%s' is not a number from %llu to %llu", row->name, text,
               (unsigned long long)row->min, (unsigned long long)row->max);
    return false;
}

struct words { // of the command line that are still to be read
    char **at;
    int left;
};

static const char *words_next(struct words *w) {
    if (w->left == 0)
        return NULL;
    w->left--;
    return *w->at++;
}

// "--name VALUE", "--name=VALUE" or "--name"; text stands behind the two dashes.
static bool option_read(struct options *o, const char *text, struct words *w,
                        struct buf *ret_error) {
    size_t len = strcspn(text, "=");
    const struct option_row *row = option_find(text, len);
    if (!row) {
        buf_printf(ret_error, "unknown option --%.*s; --help lists them", (int)len, text);
        return false;
    }
    if (!(row->scenarios & (1u << o->scenario))) {
        buf_printf(ret_error, "--%s means nothing to %s", row->name, scenario_name(o->scenario));
        return false;
    }
    const char *value = text[len] == '=' ? text + len + 1 : NULL;
    if (row->kind == OPTION_FLAG && value) {
        buf_printf(ret_error, "--%s takes no value", row->name);
        return false;
    }
    if (row->kind != OPTION_FLAG && !value)
        value = words_next(w);
    if (row->kind != OPTION_FLAG && !value) {
        buf_printf(ret_error, "--%s needs a value: %s", row->name, row->value);
        return false;
    }
    return option_take(o, row, value, ret_error);
}

static void take_default(uint64_t *field, uint64_t value) {
    if (*field == 0)
        *field = value;
}

static void defaults_fill(struct options *o) {
    bool is_small = o->scenario == SCENARIO_unicast || o->scenario == SCENARIO_catchup;
    take_default(&o->sessions, is_small ? 1000 : 10000);
    take_default(&o->size, 256);
    take_default(&o->rounds, 40);
    take_default(&o->seconds, 10);
    take_default(&o->burst, 1);
    take_default(&o->batch, o->scenario == SCENARIO_catchup ? 100 : 1);
    take_default(&o->connections, 64);
    take_default(&o->waiting, 10);
    if (o->scenario == SCENARIO_mixed)
        take_default(&o->rate, 200);
}

static bool options_agree(const struct options *o, struct buf *ret_error) {
    const char *wrong = NULL;
    if (o->cluster && (o->bin || o->redis || o->rooms))
        wrong = "--cluster is one that runs: --bin, --redis and --rooms are for one to be started";
    else if (o->kill && o->cluster)
        wrong = "--kill is for a cluster of its own, not for one that runs";
    else if (o->redis_url && !o->cluster)
        wrong = "--redis-url goes with --cluster; --redis starts a redis-server";
    else if (o->floor && o->scenario == SCENARIO_unicast && !o->redis && !o->redis_url)
        wrong =
            "the floor of unicast is Redis: --floor needs --redis, or --cluster and --redis-url";
    else if (o->peer && !peer_is_known(o->peer))
        wrong = "--peer is redis, nats or mosquitto";
    else if (o->peer && (o->cluster || o->bin || o->redis || o->rooms || o->tags))
        wrong =
            "--peer is no Hawser: --cluster, --bin, --redis, --rooms and --tags mean nothing to it";
    else if (o->tags > o->sessions)
        wrong = "--tags: more tags than sessions";
    if (wrong)
        buf_append_str(ret_error, wrong);
    return !wrong;
}

static bool scenario_read(const char *word, enum scenario *ret_scenario, struct buf *ret_error) {
    for (int i = 0; word && i < SCENARIOS; i++) {
        if (strcmp(word, scenarios[i].name) != 0)
            continue;
        *ret_scenario = (enum scenario)i;
        return true;
    }
    if (word)
        buf_printf(ret_error, "'%s' is no scenario; these are:", word);
    else
        buf_append_str(ret_error, "a scenario is needed:");
    for (int i = 0; i < SCENARIOS; i++)
        buf_printf(ret_error, " %s", scenarios[i].name);
    return false;
}

enum options_result options_parse(int argc, char **argv, struct options *ret_options,
                                  struct buf *ret_error) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return OPTIONS_HELP;
        if (strcmp(argv[i], "--version") == 0)
            return OPTIONS_VERSION;
    }
    struct options o = {0};
    struct words w = {argv + 1, argc > 0 ? argc - 1 : 0};
    if (!scenario_read(words_next(&w), &o.scenario, ret_error))
        return OPTIONS_BAD;
    for (const char *word; (word = words_next(&w));) {
        if (strncmp(word, "--", 2) != 0) {
            buf_printf(ret_error, "unexpected argument: %s", word);
            return OPTIONS_BAD;
        }
        if (!option_read(&o, word + 2, &w, ret_error))
            return OPTIONS_BAD;
    }
    defaults_fill(&o);
    if (!options_agree(&o, ret_error))
        return OPTIONS_BAD;
    *ret_options = o;
    return OPTIONS_RUN;
}

// --- help

static void put_scenarios(struct buf *out, unsigned mask) {
    if (mask == EVERYWHERE)
        return;
    const char *before = " [";
    for (int i = 0; i < SCENARIOS; i++) {
        if (!(mask & (1u << i)))
            continue;
        buf_printf(out, "%s%s", before, scenarios[i].name);
        before = ", ";
    }
    buf_append_str(out, "]");
}

static const char help_head[] =
    "usage: hawser-bench SCENARIO [OPTIONS]\n\n"
    "Loads a Hawser cluster and measures it. Without --cluster it starts daemons of its own, found "
    "beside\nits own file, and ends them with itself.\n\nScenarios:\n";

static const char help_tail[] =
    "\nWhat is printed (docs/BENCHMARKS.md says more):\n"
    "  rate             broadcast: frames that clients got a second; unicast: messages a second;\n"
    "                   login: sessions a second; catchup: messages a second; idle: pings a "
    "second\n"
    "  p50_ms ...       from when a push, a login or a ping was due until a client had it. What "
    "was\n"
    "                   due and could not be sent in time counts from when it was due\n"
    "  rss_per_session  resident bytes that all rooms grew by, for each session\n"
    "  floor_rate       broadcast: a program that only sends the same bytes to as many "
    "connections;\n"
    "                   unicast: pairs of scripts a second in the same Redis\n"
    "  ratio            rate / floor_rate\n"
    "  daemons          of each daemon, of Redis and of hawser-bench: CPU for each message,\n"
    "                   resident bytes for each session\n"
    "Exit code: 0; 1 when something failed or a message was lost; 2 for wrong arguments.\n";

void options_help(struct buf *out) {
    buf_append_str(out, help_head);
    for (int i = 0; i < SCENARIOS; i++)
        buf_printf(out, "  %-10s %s\n", scenarios[i].name, scenarios[i].help);
    buf_append_str(out, "\nOptions, with the scenarios that they are for unless for all:\n");
    for (int i = 0; i < ROWS; i++) {
        struct buf left = BUF_EMPTY;
        buf_printf(&left, "--%s%s%s", rows[i].name, rows[i].value ? " " : "",
                   rows[i].value ? rows[i].value : "");
        buf_printf(out, "  %-18s %s", buf_cstr(&left), rows[i].help);
        put_scenarios(out, rows[i].scenarios);
        buf_append_str(out, "\n");
        buf_free(&left);
    }
    buf_append_str(out, "  --help, --version\n");
    buf_append_str(out, help_tail);
}
