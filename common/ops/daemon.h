// The frame that every daemon runs in: arguments, configuration, ports file, signals, ready, drain
// and a clean end. A role is a table of functions over a value, so that `hawser` hosts six of them
// in one loop and the simulation hosts many.
//
//   starting --start--> running --SIGTERM--> draining --drained, or drain_within over--> stopped
#ifndef HW_DAEMON_H
#define HW_DAEMON_H

#include "config.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"

// What a role is given. Lives from before start until after stop.
struct daemon_env {
    const char *role;            // "room"; a literal
    struct loop *loop;           // borrowed
    struct log *log;             // borrowed
    const struct config *config; // borrowed; another one after each reload
    struct metrics *metrics;     // borrowed
    uint64_t incarnation;        // random number of this run, 1..2^53-1
    uint64_t started_ms;         // Unix ms
    const char *host;            // this machine's name; NULL: none
};

enum { DAEMON_PORTS_MAX = 4 };
struct daemon_port {
    const char *name; // as the ports file has it; a literal
    uint16_t port;
};

struct daemon_role {
    const char *name;
    // 0 and *ret_self, or a negative error with one line in ret_error that says where and what.
    int (*start)(struct daemon_env *env, struct buf *ret_error, void **ret_self);
    void (*stop)(void *self);           // frees everything at once
    void (*drain)(void *self);          // NULL = nothing to do
    bool (*is_drained)(void *self);     // NULL = at once
    void (*reload)(void *self);         // env->config is the new one; NULL = nothing to do
    const char *(*unready)(void *self); // the reason, valid until the next call; NULL = ready
    // Why waiting for the first time of being ready is hopeless, so that a wrong configuration ends
    // the start; afterwards everything heals by itself. NULL = it is not.
    const char *(*hopeless)(void *self);
    int (*ports)(void *self, struct daemon_port out[DAEMON_PORTS_MAX]); // how many; the first is
                                                                        // the daemon's own
};

// main() of hawser-<role>: returns the exit code.
int daemon_main(const struct daemon_role *role, int argc, char **argv);

// The same, for who hosts daemons in a loop of its own. config and loop are borrowed.
struct daemon;
int daemon_new(const struct daemon_role *role, struct loop *l, const struct config *config,
               struct buf *ret_error, struct daemon **ret_daemon) HW_MUST_CHECK;
void daemon_free(struct daemon *d); // NULL is harmless
void daemon_drain(struct daemon *d);
bool daemon_is_drained(struct daemon *d);
void daemon_reload(struct daemon *d, const struct config *config);
const char *daemon_unready(struct daemon *d);  // NULL = ready
const char *daemon_hopeless(struct daemon *d); // NULL = not
int daemon_ports(struct daemon *d, struct daemon_port out[DAEMON_PORTS_MAX]);
uint16_t daemon_ops_port(const struct daemon *d);
struct log *daemon_log(struct daemon *d);

#endif
