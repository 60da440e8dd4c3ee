// The simulation: ./dev sim [--seed N] [--seeds N [--from S]] [--for 1h] [--trace] [--stop]
#include <getopt.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "run.h"
#include "saver.pb-c.h"

enum {
    READY_US = 30 * 1000000,
    SYNC_US = 60 * 1000000,
    QUIET_US = 60 * 1000000,
    CONFIRMED_US = 76 * 1000000,
    ROWS_US = 15 * 1000000,
    ROWLESS_MAX = 7,
    TICK_US = 500000
};

void violation(struct run *r, const char *format, ...) {
    va_list args;
    char text[160];
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    world_note(&r->world, "VIOLATION", "%s", text);
    if (r->violations < VIOLATIONS_MAX)
        memcpy(r->what[r->violations], text, sizeof(text));
    r->violations++;
}

bool wait_for(struct run *r, uint64_t limit_us, bool (*what)(struct run *r)) {
    uint64_t end = r->world.now_us + limit_us;
    while (!what(r) && r->world.now_us < end)
        world_run(&r->world, r->world.now_us + TICK_US);
    return what(r);
}

static bool has_tokens(struct run *r) {
    return r->tokens_left == 0;
}

static bool a_device_is_throttled(struct run *r) {
    for (int i = 0; i < DEVICES; i++)
        if (client_is_throttled(&r->clients[i]))
            return true;
    return false;
}

static bool is_healed(struct run *r) {
    return workload_is_over(r) && daemons_are_ready(r) && clients_are_synced(r) &&
           everything_arrived(r, false);
}

static Hawser__Internal__StatsReply *stats_of(struct run *r, uint32_t product) {
    Hawser__Internal__StatsRequest q = HAWSER__INTERNAL__STATS_REQUEST__INIT;
    q.product = product;
    return (Hawser__Internal__StatsReply *)stores_ask_saver(r->stores, &q.base);
}

// But those whose rows are taken by logins that nobody waited for, at rooms that are gone; and a
// few that a later login has replaced, and that have not heard of it.
static bool most_have_rows(struct run *r) {
    return inspect_rowless(r, false) <= ROWLESS_MAX;
}

static bool all_have_rows(struct run *r) {
    return inspect_rowless(r, true) == 0;
}

static bool acks_are_in(struct run *r) {
    uint64_t pending = 0;
    for (uint32_t number = 1; number <= PRODUCTS; number++) {
        Hawser__Internal__StatsReply *s = stats_of(r, number);
        pending += s->pending;
        hawser__internal__stats_reply__free_unpacked(s, NULL);
    }
    return r->store_lost || waits_for_nobody(r, pending);
}

// accepted = acked + pending + expired + overflowed + ..., and with every inbox handled nothing is
// pending but what is for users without a device.
static void check_sums(struct run *r) {
    uint64_t pending = 0;
    for (uint32_t number = 1; number <= PRODUCTS; number++) {
        Hawser__Internal__StatsReply *s = stats_of(r, number);
        if (s->accepted != s->acked + s->pending + s->expired + s->overflowed + s->collapsed +
                               s->recalled + s->parked)
            violation(r, "the sum of product %u is wrong", number);
        pending += s->pending;
        hawser__internal__stats_reply__free_unpacked(s, NULL);
    }
    if (!r->store_lost && !waits_for_nobody(r, pending))
        violation(r, "%llu messages are pending at the end", (unsigned long long)pending);
}

// What a store loses of the catalog, registers write back.
static void check_catalog(struct run *r) {
    char name[16];
    for (int i = 0; i < PRODUCTS; i++) {
        snprintf(name, sizeof(name), "product%d", i);
        if (stores_product(r->stores, name) == 0)
            violation(r, "the store has no %s at the end", name);
    }
}

static void check_acks(struct run *r) {
    wait_for(r, QUIET_US, acks_are_in);
    check_sums(r);
}

static void finish(struct run *r) {
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &r->clients[i];
        if (c->sdk)
            client_halt(c, false);
        c->positions->close(c->positions);
        for (int k = 0; k < PRODUCTS; k++)
            free(c->tokens[k]);
    }
    for (int i = DAEMONS - 1; i >= 0; i--) {
        struct daemon_slot *d = &r->daemons[i];
        if (d->self && daemon_halt(d, false) != 0)
            violation(r, "%s left something in its loop", r->world.nodes[d->node].name);
        config_free(d->config);
    }
    world_run(&r->world, r->world.now_us + 100 * 1000000); // what is under way arrives nowhere
    if (app_halt(r) != 0)
        violation(r, "the app server left something in its loop");
    stores_free(r->stores);
}

static void say_who(struct run *r, bool (*is_well)(const struct client *c), const char *what) {
    for (int i = 0; i < DEVICES; i++)
        if (!is_well(&r->clients[i])) {
            violation(r, "client%d is %s at the end", i, what);
            inspect_client(&r->clients[i]);
        }
}

static bool come_up(struct run *r) {
    for (int i = 0; i < DAEMONS; i++)
        daemon_boot(&r->daemons[i]);
    app_boot(r);
    workload_prepare(r);
    if (!wait_for(r, READY_US, daemons_are_ready) || !wait_for(r, READY_US, has_tokens)) {
        violation(r, "the cluster does not come up");
        return false;
    }
    for (int i = 0; i < DEVICES; i++)
        client_boot(&r->clients[i]);
    if (!wait_for(r, SYNC_US, clients_are_synced)) {
        violation(r, "the clients do not get in");
        return false;
    }
    return true;
}

// Faults under load, and then rest, in which all heals.
static void fire(struct run *r) {
    r->fire_began_us = r->world.now_us;
    r->fire_ends_us = r->world.now_us + world_between(&r->world, 115, 155) * 1000000;
    workload_start(r);
    tokens_start(r);
    faults_start(r);
    while (r->world.now_us < r->fire_ends_us || r->world.now_us < r->calm_us)
        world_run(&r->world, r->world.now_us + TICK_US);
    r->world.slow_permille = 0;
    bool healed = wait_for(r, QUIET_US, is_healed);
    if (!healed && a_device_is_throttled(r))
        healed = wait_for(r, THROTTLED_US, is_healed);
    if (!healed) {
        everything_arrived(r, true);
        say_who(r, client_is_synced, "not synced");
        if (!daemons_are_ready(r))
            violation(r, "a daemon is not ready at the end");
        if (!workload_is_over(r))
            violation(r, "a push is not answered at the end");
    }
}

static void all_is_well(struct run *r) {
    // Also when the store lost them all.
    if (!wait_for(r, ROWS_US, most_have_rows))
        violation(r, "%d sessions have no row", inspect_rowless(r, false));
    // A session that was replaced, and whose notice was lost with its sender, lives until it is
    // confirmed.
    if (!wait_for(r, CONFIRMED_US, clients_are_settled))
        say_who(r, client_is_settled, "not settled");
    // One whose row was taken by a login that nobody waited for has it again by then.
    if (!wait_for(r, CONFIRMED_US, all_have_rows))
        violation(r, "a session has no row at the end");
    if (!wait_for(r, QUIET_US, queues_are_empty))
        inspect_queues(r);
    check_acks(r); // before anything newer covers an ack that was lost
    quiet_check(r);
    check_acks(r);
    parking_check(r);
    check_acks(r);
    check_rivals(r);
    check_catalog(r);
    inspect_rooms(r);
    if (!r->store_lost) // a row whose end was lost stays until the next login
        inspect_rows(r);
    if (r->delivered < (uint64_t)r->wanted_messages)
        violation(r, "an idle run: %llu deliveries", (unsigned long long)r->delivered);
}

static void scenario(struct run *r) {
    if (!come_up(r))
        return;
    fire(r);
    all_is_well(r);
}

static int run_seed(uint64_t seed, bool trace, uint64_t *ret_hash, uint64_t *ret_virtual_ms) {
    struct run *r = hw_calloc(1, sizeof(*r));
    world_init(&r->world, seed);
    r->fails_back = seed % 12 == 3;
    r->world.trace = trace;
    r->world.stepped = inspect_step;
    r->world.stepped_arg = r;
    r->stores = stores_new(&r->world);
    daemons_add(r);
    clients_add(r);
    app_add(r);
    scenario(r);
    *ret_virtual_ms = world_ms(&r->world) - START_MS;
    finish(r);
    for (int i = 0; i < r->violations && i < VIOLATIONS_MAX; i++)
        printf("seed %llu: %s\n", (unsigned long long)seed, r->what[i]);
    if (r->violations > VIOLATIONS_MAX)
        printf("seed %llu: and %d more\n", (unsigned long long)seed,
               r->violations - VIOLATIONS_MAX);
    if (trace)
        printf("seed %llu: %d messages, %llu deliveries, %d faults, %llu steps, hash %016llx\n",
               (unsigned long long)seed, r->message_count, (unsigned long long)r->delivered,
               r->faults, (unsigned long long)r->world.steps, (unsigned long long)r->world.hash);
    *ret_hash = r->world.hash;
    int violations = r->violations;
    world_deinit(&r->world);
    free(r->parking);
    free(r);
    return violations;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double duration(const char *text) {
    char *end;
    double value = strtod(text, &end);
    return value * (*end == 'h' ? 3600 : *end == 'm' ? 60 : 1);
}

// One seed frees what the next one needs again; large blocks are not zeroed by new pages.
const char *malloc_conf = "dirty_decay_ms:-1,muzzy_decay_ms:-1,thp:always";

struct arguments {
    uint64_t from, count;
    double limit; // in seconds; 0: count
    bool trace, stop;
};

static bool take_arguments(int argc, char **argv, struct arguments *ret) {
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"seeds", required_argument, NULL, 'n'},
                                            {"from", required_argument, NULL, 'f'},
                                            {"for", required_argument, NULL, 't'},
                                            {"trace", no_argument, NULL, 'v'},
                                            {"stop", no_argument, NULL, 'x'},
                                            {NULL, 0, NULL, 0}};
    int c;
    *ret = (struct arguments){.from = 1, .count = 1};
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 's' || c == 'f')
            ret->from = strtoull(optarg, NULL, 10);
        else if (c == 'n')
            ret->count = strtoull(optarg, NULL, 10);
        else if (c == 't')
            ret->limit = duration(optarg);
        else if (c == 'v')
            ret->trace = true;
        else if (c == 'x')
            ret->stop = true;
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv) {
    struct arguments a;
    if (!take_arguments(argc, argv, &a))
        return 2;
    uint64_t hash = 0, virtual_ms = 0, bad = 0, done = 0;
    double start = seconds();
    for (; a.limit > 0 ? seconds() - start < a.limit : done < a.count; done++) {
        uint64_t one = 0, ms = 0;
        bad += run_seed(a.from + done, a.trace, &one, &ms) != 0;
        hash = (hash << 7 | hash >> 57) ^ one;
        virtual_ms += ms;
        if (a.stop && bad) {
            done++;
            break;
        }
    }
    double took = seconds() - start;
    fprintf(stderr, "%.0f times real time\n", (double)virtual_ms / 1000 / took);
    printf("%llu seeds, %llu violations, %016llx trace hash, %.0f seeds/min\n",
           (unsigned long long)done, (unsigned long long)bad, (unsigned long long)hash,
           (double)done / took * 60);
    return bad == 0 ? 0 : 1;
}
