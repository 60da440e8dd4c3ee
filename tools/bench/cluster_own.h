// The cluster under load: one of its own, started as an operator would start it, each daemon on
// ports of the kernel's choice; or one that runs, known by its cluster.json.
#ifndef BENCH_CLUSTER_OWN_H
#define BENCH_CLUSTER_OWN_H

#include <stdint.h>

#include "buf.h"
#include "child.h"
#include "folder.h"
#include "options.h"
#include "share.h"

enum { DAEMONS_MAX = PORTS_MAX + 8 };

// A process that is watched: a daemon or Redis. pid 0: unknown, or ended.
struct watched {
    char role[16];
    struct child child;
    bool is_ours; // started by us
};

struct own_cluster {
    struct folder folder; // "" when it is not ours
    char bin[512];
    uint16_t rooms[PORTS_MAX];
    uint32_t room_count;
    uint16_t center, register_port;
    char admin_key[80];
    char redis_url[256]; // "" = none
    struct watched watched[DAEMONS_MAX];
    uint32_t watched_count;
    struct cores *cores; // borrowed
};

// 0, or -1 with the reason in error: then what was started is ended by own_cluster_end.
int own_cluster_start(struct own_cluster *c, const struct options *o, uint32_t rooms,
                      struct buf *error) HW_MUST_CHECK;
// From a cluster.json.
int own_cluster_read(struct own_cluster *c, const struct options *o,
                     struct buf *error) HW_MUST_CHECK;
// Kills all rooms, and starts as many again, on other ports.
int own_cluster_rooms_again(struct own_cluster *c, struct buf *error) HW_MUST_CHECK;
// Ends what was started, in the order of an orderly stop, and removes its folder.
void own_cluster_end(struct own_cluster *c);
// The name of a daemon that has ended by itself, with the end of its log in ret_log; else NULL.
const char *own_cluster_fallen(struct own_cluster *c, struct buf *ret_log);
// Another process of it, to be filled by child_start.
struct watched *own_cluster_add(struct own_cluster *c, const char *role);
// What stands at the end of a log of its folder.
void own_cluster_log_tail(const struct own_cluster *c, const char *name, struct buf *out);

#endif
