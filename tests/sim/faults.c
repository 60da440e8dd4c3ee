// What goes wrong, when and where, as the seed has it.
#include "center.h"
#include "room.h"
#include "run.h"

enum { FAULT_APART_US = 1500000 };

static const char *name_of(struct run *r, int node) {
    return r->world.nodes[node].name;
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

// --- kill and restart

struct revival {
    struct run *run;
    int node;
};

static void revive(void *arg) {
    struct revival *v = arg;
    struct client *c = client_of(v->run, v->node);
    if (c)
        client_boot(c);
    else
        daemon_boot(daemon_of(v->run, v->node));
    free(v);
}

static void kill_node(struct run *r, int node) {
    struct client *c = client_of(r, node);
    struct daemon_slot *d = daemon_of(r, node);
    struct revival *v = hw_malloc(sizeof(*v));
    *v = (struct revival){r, node};
    if (c)
        client_halt(c, true);
    else if (daemon_halt(d, true) != 0)
        violation(r, "%s left something in its loop", name_of(r, node));
    world_at(&r->world,
             world_between(&r->world, 1000, world_chance(&r->world, 300) ? 12000000 : 1000000),
             revive, v);
}

static bool is_running(struct run *r, int node) {
    return r->world.nodes[node].loop != NULL && !r->world.nodes[node].is_frozen;
}

static int any_daemon(struct run *r) {
    return r->daemons[rng_below(&r->world.rng, DAEMONS)].node;
}

static int any_node(struct run *r) {
    return world_chance(&r->world, 600) ? any_daemon(r)
                                        : r->clients[rng_below(&r->world.rng, CLIENTS)].node;
}

// --- freeze and thaw

static void thaw(void *arg) {
    struct revival *v = arg;
    node_freeze(&v->run->world, v->node, false);
    free(v);
}

static void freeze(struct run *r, int node) {
    struct revival *v = hw_malloc(sizeof(*v));
    *v = (struct revival){r, node};
    node_freeze(&r->world, node, true);
    world_at(&r->world,
             world_between(&r->world, 50000, world_chance(&r->world, 300) ? 20000000 : 3000000),
             thaw, v);
}

// --- the network

static void cut(struct run *r) {
    int a = any_daemon(r), b = any_node(r);
    uint64_t until = r->world.now_us + world_between(&r->world, 50000, 15000000);
    bool both = world_chance(&r->world, 500);
    if (a == b)
        return;
    world_note(&r->world, "network", "cuts %s %s %s for %llu ms", name_of(r, a),
               both ? "<->" : "->", name_of(r, b),
               (unsigned long long)((until - r->world.now_us) / 1000));
    world_cut(&r->world, a, b, until);
    if (both)
        world_cut(&r->world, b, a, until);
}

static void storm(struct run *r) {
    struct daemon_slot *room = daemon_any(r, &room_role);
    if (!room)
        return;
    world_note(&r->world, "network", "resets every connection of %s", name_of(r, room->node));
    net_reset_all(&r->world, room->node);
}

static void step_clock(struct run *r) {
    int node = any_node(r);
    int64_t step = (int64_t)world_between(&r->world, 0, 40000) - 20000;
    r->world.nodes[node].os.wall_step_ms = step;
    world_note(&r->world, name_of(r, node), "has its clock at %+lld ms", (long long)step);
}

// --- one of them

static void lose(struct run *r) {
    uint64_t back = world_between(&r->world, 1000, 2000000);
    if (r->store_lost || !world_chance(&r->world, 300))
        return;
    r->store_lost = true;
    r->lost_us = r->world.now_us + 15000000; // until the rooms have told it of every device again
    r->lost_since_us = r->world.now_us;
    if (world_chance(&r->world, 300))
        stores_empty_logs(r->stores);
    else
        stores_lose_tail(r->stores, r->world.now_us - back);
}

static void fault(void *arg) {
    struct run *r = arg;
    struct world *w = &r->world;
    int node = any_node(r);
    if (w->now_us >= r->fire_ends_us && r->faults >= 20)
        return;
    uint64_t kind = rng_below(&w->rng, 100);
    r->faults++;
    if (kind < 35 && is_running(r, node))
        kill_node(r, node);
    else if (kind < 55 && is_running(r, node))
        freeze(r, node);
    else if (kind < 75)
        cut(r);
    else if (kind < 83 && is_running(r, node))
        net_reset_all(w, node);
    else if (kind < 87)
        storm(r);
    else if (kind < 92)
        step_clock(r);
    else if (kind < 98)
        stores_stall(r->stores, w->now_us + world_between(w, 100000, 6000000));
    else
        lose(r);
    r->last_fault_us = w->now_us;
    world_at(w, world_between(w, 10000, 2 * FAULT_APART_US), fault, r);
}

void faults_start(struct run *r) {
    fault(r);
}
