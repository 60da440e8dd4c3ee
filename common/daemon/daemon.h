// The frame that every daemon runs in: arguments, configuration, ports file, signals, its place in
// the cluster, ready, drain and a clean end. A role is one table over a value, so that `hawser`
// hosts six of them in one loop and the simulation hosts many. What is the same for all roles is
// done here and in part.c; a function that a role does not need is NULL.
//
//   start --> joined --> announced .. ready --SIGTERM--> drain .. is_drained --> said good-bye
//     --drained, or drain_within over--> stop --> (calls cancelled, the cluster left) --> free
#ifndef HW_DAEMON_H
#define HW_DAEMON_H

#include <stddef.h>

#include "cluster.h"
#include "config.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"

enum { DAEMON_PORTS_MAX = 4, DAEMON_ADDRESS_MAX = 272 };
struct part;

// What a role is given. Lives from before start until after free.
struct daemon_env {
    const char *role;            // "room"; a literal
    struct loop *loop;           // borrowed
    struct log *log;             // borrowed
    const struct config *config; // borrowed; another one after each reload
    struct metrics *metrics;     // borrowed
    uint64_t incarnation;        // random number of this run, 1..2^53-1
    uint64_t started_ms;         // Unix ms
    const char *host;            // this machine's name; NULL: none
    struct part *part;           // borrowed; NULL during start, and again in free
    struct cluster *cluster;     // the part's
    // Where other daemons call it if the configuration does not say; for start to fill in.
    char rpc_listen[DAEMON_ADDRESS_MAX];
    void *hosted_by; // of daemon_options
};

// What /metrics shows of the role's value.
struct daemon_metric {
    const char *name, *help; // as in metrics.h
    size_t at;               // of a uint64_t in the value
    bool is_gauge;
    uint64_t (*read)(void *self); // works it out instead
};
// type: of the value, without "struct".
#define DAEMON_METRIC_AT(type, field)                                                              \
    _Generic(((struct type *)0)->field, uint64_t : offsetof(struct type, field))
#define DAEMON_COUNTER(type, field, name, help)                                                    \
    { name, help, DAEMON_METRIC_AT(type, field), false, NULL }
#define DAEMON_GAUGE(type, field, name, help)                                                      \
    { name, help, DAEMON_METRIC_AT(type, field), true, NULL }

struct daemon_store {
    const char *down_reason; // why it does not answer; NULL = it does
    const char *opened_by;   // what the configuration says of it, as it may be shown
    bool is_coming;          // down: it is there, and not ready
};

struct daemon_role {
    const char *name;  // also of its section in the configuration
    const char *usage; // lines of --help about options that its main takes; NULL: none
    // Opens what it serves clients with. 0 and *ret_self; or a negative error with one line in
    // ret_error that says where and what, and nothing is left behind.
    int (*start)(struct daemon_env *env, struct buf *ret_error, void **ret_self);
    void (*joined)(void *self);     // env->cluster is there; announced after that
    void (*drain)(void *self);      // begins to
    bool (*is_drained)(void *self); // NULL: at once
    bool stays_listed; // until it is drained; else the directory hears of the end when it begins
    void (*store)(void *self, struct daemon_store *ret); // how its store is
    const char *(*unready)(void *self); // what else is missing, valid until the next call
    const char *(*lacks)(void *self);   // what it is ready without, likewise; /readyz says it
    void (*stop)(void *self);           // begins nothing any more; its calls are cancelled next
    void (*free)(void *self);           // the last call
    // its place in the cluster
    const struct rpc_method *methods;          // what other daemons may call; NULL: nothing
    const char *rpc_listen_key, *rpc_told_key; // "section.key" of the configuration
    bool is_register;                          // its own seed, whatever cluster.registers says
    struct cluster_options events;             // only the on_ functions of it
    // What it announces besides role, id, incarnation, rpc, idc and started_ms; called before each
    // announcement. Pointers stay valid until the next call.
    void (*fill)(void *self, Hawser__Internal__Member *m);
    // what it shows
    const struct daemon_metric *metrics; // ends with name NULL
    // As the ports file has them; the first is the daemon's own. of NULL: the port for daemons.
    struct {
        const char *name;
        uint16_t (*of)(const void *self);
    } ports[DAEMON_PORTS_MAX];
};

// main() of hawser-<role>: returns the exit code.
int daemon_main(const struct daemon_role *role, int argc, char **argv);

// The same, for who hosts daemons in a loop of its own.
struct daemon;
struct daemon_options {
    const struct daemon_role *role; // borrowed, static
    struct loop *loop;              // borrowed
    const struct config *config;    // borrowed
    log_sink_fn *log_sink;          // NULL: stderr
    void *log_sink_arg;
    void *hosted_by; // for functions that the host put into the table
};
int daemon_new(const struct daemon_options *o, struct buf *ret_error,
               struct daemon **ret_daemon) HW_MUST_CHECK;
void daemon_free(struct daemon *d); // NULL is harmless
void daemon_drain(struct daemon *d);
bool daemon_is_drained(struct daemon *d);
void daemon_reload(struct daemon *d, const struct config *config);
const char *daemon_unready(struct daemon *d); // NULL = ready
// Why waiting for the first time of being ready is hopeless, so that a wrong configuration ends
// the start; afterwards everything heals by itself. NULL = it is not.
const char *daemon_hopeless(struct daemon *d);
struct daemon_port {
    const char *name; // a literal
    uint16_t port;    // 0: closed
};
int daemon_ports(const struct daemon *d, struct daemon_port out[DAEMON_PORTS_MAX]); // how many
uint16_t daemon_port(const struct daemon *d, const char *name); // 0: none of that name
uint16_t daemon_ops_port(const struct daemon *d);
const struct daemon_env *daemon_env(const struct daemon *d);
void *daemon_self(struct daemon *d); // the role's value

#endif
