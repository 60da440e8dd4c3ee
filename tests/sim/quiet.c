// After the faults: what takes a moment when nothing is wrong takes no more than that. A way that
// is broken, but is made good by a repair half a minute later, shows here.
#include "run.h"

enum {
    AT_ONCE_US = 3000000,
    LOGIN_US = 200000,
    LINKS_US = 5000000,
    AWAY_US = 6000000,
    ACKED_US = 25000000
};

static bool pushes_are_done(struct run *r) {
    return workload_is_over(r) && everything_arrived(r, false);
}

static void check_pushes(struct run *r) {
    if (wait_for(r, AT_ONCE_US, pushes_are_done))
        return;
    violation(r, "a push takes too long");
    everything_arrived(r, true);
}

// A socket that takes a part of something may drop one; most arrive.
static void check_live(struct run *r) {
    int first = r->message_count, arrived, wanted;
    push_to_all(r, true);
    world_run(&r->world, r->world.now_us + AT_ONCE_US);
    count_live(r, first, &arrived, &wanted);
    if (arrived * 10 < wanted * 8)
        violation(r, "%d of %d live messages arrived", arrived, wanted);
}

static bool takeovers_are_done(struct run *r) {
    for (int i = DEVICES; i < CLIENTS; i++)
        if (!client_is_settled(&r->clients[i]) && !client_is_throttled(&r->clients[i]))
            return false;
    return true;
}

static void check_takeovers(struct run *r) {
    if (wait_for(r, AT_ONCE_US, takeovers_are_done))
        return;
    for (int i = DEVICES; i < CLIENTS; i++)
        if (!client_is_settled(&r->clients[i]) && !client_is_throttled(&r->clients[i])) {
            violation(r, "a takeover of %s takes too long", r->clients[i].device);
            inspect_client(&r->clients[i]);
        }
}

static void start_takeover(void *arg) {
    struct client *twin = arg;
    bool has_it = twin->sdk && !twin->is_out[twin->bindings[0].product];
    client_take_over(has_it ? twin->rival : twin);
}

static void come_back(void *arg) {
    client_boot(arg);
}

static void go_and_come(void *arg) {
    struct client *c = arg;
    struct world *w = &c->run->world;
    if (!c->sdk)
        return;
    client_halt(c, false);
    world_at(w, world_between(w, 1000, LOGIN_US / 2), come_back, c);
}

// The first devices of users are away for a while.
static void firsts_leave(struct run *r) {
    for (int i = 0; i < FIRST_TWIN; i++)
        if (r->clients[i].sdk)
            client_halt(&r->clients[i], false);
    world_run(&r->world, r->world.now_us + AWAY_US);
}

static void firsts_return(struct run *r) {
    for (int i = 0; i < FIRST_TWIN; i++)
        if (!r->clients[i].sdk)
            client_boot(&r->clients[i]);
    if (!wait_for(r, 3 * (uint64_t)THROTTLED_US, clients_are_settled))
        violation(r, "a device is not settled when it has come again");
}

// Some devices go, and their sessions end; the others of their users get a message. Those that come
// again get the next one as soon as these.
static void check_comings(struct run *r) {
    firsts_leave(r);
    push_to_all(r, false);
    world_run(&r->world, r->world.now_us + AT_ONCE_US);
    firsts_return(r);
    push_to_all(r, false);
    check_pushes(r);
}

// Three messages with one key, of which some users' second devices have the first: it stays for the
// first ones, which are away. Who has no other device gets the last one alone.
static void check_collapse(struct run *r) {
    firsts_leave(r);
    int first = r->message_count;
    push_with_key(r, 1);
    world_run(&r->world, r->world.now_us + ACKED_US);
    for (int i = 0; i < 2; i++) {
        push_with_key(r, 1);
        world_run(&r->world, r->world.now_us + AT_ONCE_US);
    }
    int last = r->message_count - (r->message_count - first) / 3;
    firsts_return(r);
    check_pushes(r);
    for (int i = DEVICES - FIRST_LEAVER; i < FIRST_TWIN; i++)
        for (int k = 0; k < r->clients[i].binding_count; k++)
            for (int n = first; n < last; n++)
                if (was_handled(&r->clients[i].bindings[k], n))
                    violation(r, "client%d got m%d, which was replaced", i, n);
}

static bool recalls_are_answered(struct run *r) {
    return recalls_are_over(r);
}

// What waits for devices that are away is recalled: the devices are told of a gap when they come
// again.
static void check_recall(struct run *r) {
    firsts_leave(r);
    int first = r->message_count;
    push_to_all(r, false);
    world_run(&r->world, r->world.now_us + AT_ONCE_US);
    recall_from(r, first);
    if (!wait_for(r, AWAY_US, recalls_are_answered))
        violation(r, "a recall is not answered though nothing is wrong");
    firsts_return(r);
    check_pushes(r);
}

// The installation that lost takes its device back, and the other hears of it; others log out and
// in again; all users get a message in the meantime, and one more when all is over.
void quiet_check(struct run *r) {
    world_run(&r->world, r->world.now_us + LINKS_US); // those between daemons are made again
    for (int i = DEVICES; i < CLIENTS; i++)
        world_at(&r->world, world_between(&r->world, 0, LOGIN_US), start_takeover, &r->clients[i]);
    for (int i = 0; i < FIRST_TWIN; i++)
        world_at(&r->world, world_between(&r->world, 0, LOGIN_US), go_and_come, &r->clients[i]);
    world_run(&r->world, r->world.now_us + world_between(&r->world, 0, 2 * LOGIN_US));
    push_to_all(r, false);
    world_run(&r->world, r->world.now_us + LOGIN_US);
    check_takeovers(r);
    // A device that was refused waits until it may come, and then for its own back-off.
    if (!wait_for(r, 3 * (uint64_t)THROTTLED_US, clients_are_settled))
        violation(r, "a device is not settled after its takeover");
    check_pushes(r);
    push_to_all(r, false);
    check_pushes(r);
    check_live(r);
    check_comings(r);
    if (r->has_variety) // else each seq is a message
        check_collapse(r);
    if (r->has_variety)
        check_recall(r);
    push_bursts(r); // acks that come while others are on their way
    check_pushes(r);
    wait_for_refused(r);
    everything_arrived(r, true);
}
