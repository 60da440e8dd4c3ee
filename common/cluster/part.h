// A daemon's part in a cluster, ready made: its identity, the RPC server that other daemons call,
// its cluster (directory, catalog, links) and its announcement, renewed with fresh figures. Every
// daemon has exactly one.
#ifndef HW_PART_H
#define HW_PART_H

#include "cluster.h"
#include "daemon.h"

struct part;
struct part_options {
    struct daemon_env *env;
    const struct rpc_method *methods; // NULL: no RPC server; static
    const char *listen;               // "host:port" or "host:first-last" of the RPC server
    const char *advertise; // host or host:port that daemons are told; "" = the bound address
    bool is_register;      // its own seed, whatever cluster.registers says
    struct cluster_options events; // only the on_ functions of it
    void *self;                    // given to methods, events and fill
    // Fills in what this daemon announces besides role, id, incarnation, rpc, idc, started_ms and
    // unhealthy; called before each announcement. Pointers stay valid until the next call. May be
    // NULL.
    void (*fill)(void *self, Hawser__Internal__Member *m);
};

// 0, or a negative error with one line in ret_error. Nothing is announced before part_announce.
int part_new(const struct part_options *o, struct buf *ret_error,
             struct part **ret_part) HW_MUST_CHECK;
void part_free(struct part *p); // NULL is harmless
// Announces from now on, every 3 s, and at once: call again when something changed.
void part_announce(struct part *p);
// A good-bye to the directory; done within 1 s, whatever happens.
void part_withdraw(struct part *p);
bool part_is_withdrawn(const struct part *p);
struct cluster *part_cluster(struct part *p);
uint16_t part_rpc_port(const struct part *p); // 0 without a server
// Takes the secrets of env->config again.
void part_reload(struct part *p);
// Reads "host", "host:port" or "" of an advertise key: what is not given is the bound host (this
// machine's 127.0.0.1 when bound to all addresses) and port.
void part_advertised(const char *advertise, const char *bound_host, uint16_t bound_port, char *out,
                     size_t out_len);

#endif
