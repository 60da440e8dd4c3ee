// What the command line asks for. One table of options and one of scenarios; both make the help.
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

#define BENCH_SCENARIOS(X)                                                                         \
    X(broadcast, "one push to everyone, round by round: frames a second, and when each came")      \
    X(unicast, "stored pushes to one user each, from HTTP in to the client that acknowledges")     \
    X(login, "a storm: all sessions log in at once, or --rate of them a second")                   \
    X(idle, "sessions at rest: what they cost in memory; each is pinged once")                     \
    X(mixed, "unicast alone, then while broadcasts run, then while half the sessions come back")   \
    X(catchup, "sessions come back to --waiting messages each")

enum scenario {
#define SCENARIO_ENUM(name, help) SCENARIO_##name,
    BENCH_SCENARIOS(SCENARIO_ENUM)
#undef SCENARIO_ENUM
        SCENARIOS
};
const char *scenario_name(enum scenario s);

struct options {
    enum scenario scenario;
    // Numbers. 0: as the scenario or the others say.
    uint64_t sessions, size, rounds, seconds, rate, burst, batch, tags, waiting, rooms, connections;
    bool redis, floor, json, quiet, no_pin, kill;
    const char *cluster, *bin, *redis_url, *peer; // borrowed from argv; NULL: not given
};

enum options_result { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION, OPTIONS_BAD };

// OPTIONS_BAD: ret_error says why, in one line.
enum options_result options_parse(int argc, char **argv, struct options *ret_options,
                                  struct buf *ret_error);
void options_help(struct buf *out);

#endif
