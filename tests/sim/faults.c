// What goes wrong, when and where, as the seed has it.
#include "center.h"
#include "register.h"
#include "room.h"
#include "run.h"
#include "saver.h"

enum { TOGETHER_US = 1000000, APART_US = 10000000, FAULTS_MIN = 20 };

static const char *name_of(struct run *r, int node) {
    return r->world.nodes[node].name;
}

// A fault lasts until then.
static void lasts(struct run *r, uint64_t until_us) {
    if (until_us > r->calm_us)
        r->calm_us = until_us;
}

static struct client *client_of(struct run *r, int node) {
    for (int i = 0; i < CLIENTS; i++)
        if (r->clients[i].node == node)
            return &r->clients[i];
    return NULL;
}

static struct daemon_slot *daemon_of(struct run *r, int node) {
    for (int i = 0; i < DAEMONS; i++)
        if (r->daemons[i].node == node)
            return &r->daemons[i];
    return NULL;
}

static bool is_running(struct run *r, int node) {
    return r->world.nodes[node].loop != NULL && !r->world.nodes[node].is_frozen;
}

typedef void later_fn(struct run *r, int which); // a node, or what the function takes it for

struct later {
    struct run *run;
    later_fn *fn;
    int which;
};

static void do_later(void *arg) {
    struct later *l = arg;
    l->fn(l->run, l->which);
    free(l);
}

static void later(struct run *r, uint64_t after_us, later_fn *fn, int which) {
    struct later *l = hw_malloc(sizeof(*l));
    *l = (struct later){r, fn, which};
    world_at(&r->world, after_us, do_later, l);
    lasts(r, r->world.now_us + after_us);
}

// --- kill and restart

static void revive(struct run *r, int node) {
    struct client *c = client_of(r, node);
    if (c) {
        c->is_reviving = false;
        client_boot(c);
    } else {
        daemon_boot(daemon_of(r, node));
    }
}

// A product that the store has lost, and that no register holds any more, is gone for good.
static bool is_last_holder(struct run *r, const struct daemon_slot *d) {
    char name[16], key[32];
    for (int i = 0; i < PRODUCTS && d && d->role == &register_role; i++) {
        snprintf(name, sizeof(name), "product%d", i);
        snprintf(key, sizeof(key), "product/%s", name);
        if (!register_holds(d->self, key) || stores_product(r->stores, name) != 0)
            continue;
        bool another = false;
        for (int k = 0; k < REGISTERS; k++)
            another = another || (&r->daemons[k] != d && r->daemons[k].self &&
                                  register_holds(r->daemons[k].self, key));
        if (!another)
            return true;
    }
    return false;
}

static void kill_for(struct run *r, int node, uint64_t after_us) {
    struct client *c = client_of(r, node);
    struct daemon_slot *d = daemon_of(r, node);
    if (is_last_holder(r, d))
        return;
    if (c) {
        client_halt(c, true);
        c->is_reviving = true;
    } else if (daemon_halt(d, true) != 0)
        violation(r, "%s left something in its loop", name_of(r, node));
    later(r, after_us, revive, node);
}

static void kill_node(struct run *r, int node) {
    uint64_t longest = world_chance(&r->world, 300) ? 12000000 : 1000000;
    kill_for(r, node, world_between(&r->world, 1000, longest));
}

// Rooms more often: there is most to get wrong.
static int any_daemon(struct run *r) {
    if (world_chance(&r->world, 250))
        return r->daemons[FIRST_ROOM + rng_below(&r->world.rng, ROOMS)].node;
    return r->daemons[rng_below(&r->world.rng, DAEMONS)].node;
}

static int any_node(struct run *r) {
    return world_chance(&r->world, 600) ? any_daemon(r)
                                        : r->clients[rng_below(&r->world.rng, CLIENTS)].node;
}

// A machine with one daemon of several roles.
static bool kill_machine(struct run *r) {
    static const struct daemon_role *const roles[] = {&room_role, &saver_role, &register_role,
                                                      &center_role};
    bool any = false;
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        struct daemon_slot *d = daemon_any(r, roles[i]);
        if (!d || world_chance(&r->world, 300))
            continue;
        kill_node(r, d->node);
        any = true;
    }
    return any;
}

static void kill_any(struct run *r, int unused) {
    (void)unused;
    kill_machine(r);
}

// --- freeze and thaw

static void thaw(struct run *r, int node) {
    node_freeze(&r->world, node, false);
}

static void freeze_for(struct run *r, int node, uint64_t after_us) {
    node_freeze(&r->world, node, true);
    later(r, after_us, thaw, node);
}

static void freeze(struct run *r, int node) {
    uint64_t longest = world_chance(&r->world, 300) ? 20000000 : 3000000;
    freeze_for(r, node, world_between(&r->world, 50000, longest));
}

// --- the network

static bool cut(struct run *r) {
    int a = any_daemon(r), b = any_node(r);
    uint64_t until = r->world.now_us + world_between(&r->world, 50000, 15000000);
    bool both = world_chance(&r->world, 500);
    if (a == b)
        return false;
    world_note(&r->world, "network", "cuts %s %s %s for %llu ms", name_of(r, a),
               both ? "<->" : "->", name_of(r, b),
               (unsigned long long)((until - r->world.now_us) / 1000));
    world_cut(&r->world, a, b, until);
    if (both)
        world_cut(&r->world, b, a, until);
    lasts(r, until);
    return true;
}

static void reset(struct run *r, int node) {
    if (!is_running(r, node))
        return;
    world_note(&r->world, "network", "resets every connection of %s", name_of(r, node));
    net_reset(&r->world, node, 0);
}

// Gusts: who comes back at once is hit again on the way, with more to send than a window holds.
static bool storm(struct run *r) {
    struct daemon_slot *room = daemon_any(r, &room_role);
    uint64_t at = world_between(&r->world, 1000, 300000);
    if (!room)
        return false;
    workload_burst(r);
    for (uint64_t gusts = world_between(&r->world, 1, 8); gusts > 0; gusts--) {
        later(r, at, reset, room->node);
        at += world_between(&r->world, 1000, 500000);
    }
    return true;
}

static bool slow_down(struct run *r, int node) {
    uint64_t until = r->world.now_us + world_between(&r->world, 1000000, 15000000);
    uint32_t bytes = (uint32_t)world_between(&r->world, 1, node < DAEMONS ? 2000 : 400);
    if (!is_running(r, node))
        return false;
    world_note(&r->world, name_of(r, node), "reads %u bytes in 100 ms", bytes);
    net_slow(&r->world, node, bytes, until);
    lasts(r, until);
    return true;
}

// --- people

static bool can_start(struct run *r, const struct client *c) {
    return c->sdk ? is_running(r, c->node) : !c->is_reviving;
}

static bool take_over(struct run *r) {
    struct client *twin = &r->clients[DEVICES + rng_below(&r->world.rng, TWINS)];
    struct client *c = world_chance(&r->world, 500) ? twin : twin->rival;
    if (!can_start(r, c))
        return false;
    client_take_over(c);
    return true;
}

static void late_take_over(struct run *r, int client) {
    if (can_start(r, &r->clients[client]))
        client_take_over(&r->clients[client]);
}

// For good: what is left of it must go.
static bool leave(struct run *r) {
    struct client *c = &r->clients[FIRST_LEAVER + rng_below(&r->world.rng, DEVICES - FIRST_LEAVER)];
    if (!is_running(r, c->node))
        return false;
    world_note(&r->world, name_of(r, c->node), "leaves");
    client_halt(c, world_chance(&r->world, 500));
    c->has_left = true;
    lasts(r, r->world.now_us + 16000000); // its session lingers
    return true;
}

// While the room of the one that has the device sleeps, for longer than its lease.
static bool take_over_asleep(struct run *r) {
    struct client *twin = &r->clients[DEVICES + rng_below(&r->world.rng, TWINS)];
    bool twin_has_it = twin->sdk && !twin->is_out[twin->bindings[0].product];
    struct daemon_slot *room = inspect_room_of(r, twin->device);
    if (!room || !is_running(r, room->node))
        return false;
    freeze_for(r, room->node, world_between(&r->world, 14000000, 20000000));
    uint64_t after = world_between(&r->world, 0, 13500000); // before or after the lease is over
    later(r, after, late_take_over, (int)((twin_has_it ? twin->rival : twin) - r->clients));
    return true;
}

// --- a room that is half cut off, while its clients come, go and come again: logins are done late,
// or for nobody; their answers, heads and hints are lost

static void restart(struct run *r, int node) {
    const struct client *c = client_of(r, node);
    if (is_running(r, node) && c->sdk)
        kill_for(r, node, world_between(&r->world, 1000, 100000));
}

static void reset_clients(struct run *r, int node) {
    if (!is_running(r, node))
        return;
    world_note(&r->world, "network", "resets all clients of %s", name_of(r, node));
    net_reset(&r->world, node, r->clients[0].node);
}

static void fall_asleep(struct run *r, int node) {
    if (is_running(r, node))
        freeze_for(r, node, world_between(&r->world, 1000000, 18000000));
}

static void cut_off(struct run *r, int node) {
    for (int i = 0; i < DAEMONS; i++) {
        int other = r->daemons[i].node;
        uint64_t until = r->world.now_us + world_between(&r->world, 200000, 5000000);
        lasts(r, until);
        if (other != node && world_chance(&r->world, 300))
            world_cut(&r->world, node, other, until);
        if (other != node && world_chance(&r->world, 300))
            world_cut(&r->world, other, node, until);
    }
    world_note(&r->world, "network", "cuts %s half off", name_of(r, node));
}

static bool crowd(struct run *r) {
    struct world *w = &r->world;
    struct daemon_slot *room = daemon_any(r, &room_role);
    if (!room || !is_running(r, room->node))
        return false;
    cut_off(r, room->node);
    workload_burst(r);
    for (int i = 0; i < 12; i++)
        later(r, world_between(w, 0, 2500000), restart,
              r->clients[rng_below(&w->rng, CLIENTS)].node);
    for (uint64_t gusts = world_between(w, 0, 4); gusts > 0; gusts--)
        for (int i = FIRST_ROOM; i < FIRST_ROOM + ROOMS; i++)
            if (world_chance(w, 600))
                later(r, world_between(w, 0, 3500000), reset_clients, r->daemons[i].node);
    if (world_chance(w, 400))
        later(r, world_between(w, 0, 4000000), fall_asleep, room->node);
    struct daemon_slot *registrar = daemon_any(r, &register_role);
    if (registrar && is_running(r, registrar->node) && world_chance(w, 300))
        freeze_for(r, registrar->node, world_between(w, 1000000, 25000000));
    return true;
}

// --- a room that sleeps, but holds its lease: clients come to it, wait in vain and log in
// elsewhere. What they said lies in its sockets still, and of their going it does not hear

static void lose_touch(struct run *r, int which) {
    int client = r->clients[which / DAEMONS].node, room = r->daemons[which % DAEMONS].node;
    uint64_t until = r->world.now_us + 10000000;
    world_cut(&r->world, client, room, until);
    world_cut(&r->world, room, client, until);
    lasts(r, until);
}

static bool sleep_on_clients(struct run *r) {
    struct world *w = &r->world;
    struct daemon_slot *room = daemon_any(r, &room_role);
    if (!room || !is_running(r, room->node))
        return false;
    freeze_for(r, room->node, world_between(w, 5500000, 9000000));
    for (int i = 0; i < 8; i++) {
        int client = (int)rng_below(&w->rng, CLIENTS);
        later(r, world_between(w, 0, 300000), restart, r->clients[client].node);
        later(r, world_between(w, 1000000, 4000000), lose_touch,
              client * DAEMONS + (int)(room - r->daemons));
    }
    return true;
}

static bool step_clock(struct run *r, int node) {
    int64_t step = (int64_t)world_between(&r->world, 0, 40000) - 20000;
    r->world.nodes[node].os.wall_step_ms = step;
    world_note(&r->world, name_of(r, node), "has its clock at %+lld ms", (long long)step);
    return true;
}

// --- one of them

// Without MariaDB the catalog is kept by the registers that saw it.
static bool catalog_is_held(struct run *r) {
    for (int i = 0; i < REGISTERS; i++)
        if (!is_running(r, r->daemons[i].node) || daemon_unready(r->daemons[i].daemon))
            return false;
    return true;
}

static void fail_back(struct run *r, int which) {
    (void)which;
    lasts(r, r->world.now_us + 10000000);
    stores_fail_back(r->stores);
}

static void lose_now(struct run *r, int everything) {
    if (everything && !catalog_is_held(r))
        return;
    r->store_lost = r->lease_may_lie = true; // it may not know of a renewal
    r->lost_us = r->world.now_us + 15000000; // until the rooms have told it of every device again
    r->lost_since_us = r->world.now_us;
    lasts(r, r->world.now_us + 10000000); // and of every session
    if (everything) {
        stores_lose_everything(r->stores);
        return;
    }
    uint64_t since_us = r->world.now_us - world_between(&r->world, 1000, 2000000);
    if (since_us < r->fire_began_us) // the products' making was copied long ago
        since_us = r->fire_began_us;
    stores_lose_tail(r->stores, since_us);
    if (r->fails_back)
        later(r, world_between(&r->world, 1000000, 15000000), fail_back, 0);
}

// Once a run at most, and when there is much under way.
static bool lose(struct run *r) {
    if (r->store_lost || r->will_lose || !(r->fails_back || world_chance(&r->world, 300)))
        return false;
    bool everything = !r->fails_back && world_chance(&r->world, 400);
    uint64_t after = world_between(&r->world, 1000, 1000000);
    r->will_lose = true;
    for (int i = 0; i < 3; i++)
        workload_burst(r);
    // Its machine may not be the only one that fails.
    for (int i = 0; i < 2 && !everything; i++)
        if (world_chance(&r->world, 400))
            later(r, after + world_between(&r->world, 0, 3000000), kill_any, 0);
    later(r, after, lose_now, everything);
    return true;
}

static bool stall(struct run *r) {
    uint64_t longest = world_chance(&r->world, 100) ? 25000000 : 6000000;
    uint64_t until = r->world.now_us + world_between(&r->world, 100000, longest);
    stores_stall(r->stores, until, world_chance(&r->world, 500));
    lasts(r, until);
    return true;
}

// The clock that leases and generations go by.
static bool step_store(struct run *r) {
    int64_t step = (int64_t)world_between(&r->world, 0, 10000) - 5000;
    stores_step_clock(r->stores, step);
    lasts(r, r->world.now_us + 10000000); // until all have heard of it
    r->lease_may_lie = true;
    return true;
}

#define KINDS(X)                                                                                   \
    X(KILL, 30)                                                                                    \
    X(MACHINE, 4) /* several daemons at once */                                                    \
    X(FREEZE, 17)                                                                                  \
    X(CUT, 17)                                                                                     \
    X(RESET, 7)                                                                                    \
    X(STORM, 4)                                                                                    \
    X(CROWD, 3)                                                                                    \
    X(VISITED, 2) /* asleep, by clients that log in elsewhere */                                   \
    X(SLOW, 8)                                                                                     \
    X(TAKEOVER, 7)                                                                                 \
    X(ASLEEP, 2) /* a takeover while the room sleeps */                                            \
    X(LEAVE, 3)                                                                                    \
    X(CLOCK, 4)                                                                                    \
    X(STORE_CLOCK, 1)                                                                              \
    X(STALL, 5)                                                                                    \
    X(LOSE, 3)
enum {
#define KIND_ENUM(name, weight) name,
    KINDS(KIND_ENUM)
#undef KIND_ENUM
        KIND_COUNT
};
_Static_assert((int)KIND_COUNT <= (int)FAULT_KINDS_MAX, "run.fault_weights");
static const uint32_t weights[] = {
#define KIND_WEIGHT(name, weight) weight,
    KINDS(KIND_WEIGHT)
#undef KIND_WEIGHT
};

// Each run has its own mix: what needs much of one kind, or none of another, is met too.
static void mix(struct run *r) {
    for (int i = 0; i < KIND_COUNT; i++)
        r->fault_weights[i] = weights[i] * (world_chance(&r->world, 150)   ? 0
                                            : world_chance(&r->world, 150) ? 4
                                                                           : 1);
    r->fault_weights[KILL] += 1;
    r->fault_weights[LOSE] += r->fails_back ? 20 : 0;
}

static int any_kind(struct run *r) {
    uint32_t sum = 0, kind = 0;
    for (int i = 0; i < KIND_COUNT; i++)
        sum += r->fault_weights[i];
    uint64_t at = rng_below(&r->world.rng, sum);
    while (at >= r->fault_weights[kind])
        at -= r->fault_weights[kind++];
    return (int)kind;
}

static bool do_fault(struct run *r, int kind) {
    int node = any_node(r);
    bool runs = is_running(r, node);
    switch (kind) {
    case KILL:
        if (runs)
            kill_node(r, node);
        return runs;
    case MACHINE:
        return kill_machine(r);
    case FREEZE:
        if (runs)
            freeze(r, node);
        return runs;
    case RESET:
        reset(r, node);
        return runs;
    case CUT:
        return cut(r);
    case STORM:
        return storm(r);
    case CROWD:
        return crowd(r);
    case VISITED:
        return sleep_on_clients(r);
    case SLOW:
        return slow_down(r, node);
    case TAKEOVER:
        return take_over(r);
    case CLOCK:
        return step_clock(r, node);
    case STORE_CLOCK:
        return step_store(r);
    case STALL:
        return stall(r);
    case LEAVE:
        return leave(r);
    case ASLEEP:
        return take_over_asleep(r);
    default:
        return lose(r);
    }
}

// Until the time is over, and there were enough of them.
static void fault(void *arg) {
    struct run *r = arg;
    struct world *w = &r->world;
    if (do_fault(r, any_kind(r))) {
        r->faults++;
        lasts(r, w->now_us);
    }
    // They come in groups: what is worst takes two or three together.
    uint64_t after = world_chance(w, 650) ? world_between(w, 1000, TOGETHER_US)
                                          : world_between(w, TOGETHER_US, APART_US);
    if (w->now_us + after < r->fire_ends_us)
        world_at(w, after, fault, r);
    else if (r->faults < FAULTS_MIN) { // the rest at once
        r->fire_ends_us = w->now_us + TOGETHER_US;
        world_at(w, TOGETHER_US / 10, fault, r);
    }
}

void faults_start(struct run *r) {
    mix(r);
    fault(r);
}
