// A daemon's part in a cluster: its identity, the RPC server that other daemons call, its cluster
// (directory, catalog, links) and its announcement, renewed every second. Every daemon has
// exactly one, made and ended by the frame (daemon.c); a role announces again when something
// changed.
#ifndef HW_PART_H
#define HW_PART_H

#include "daemon.h"

// For env->role, as the role's table says. 0, and env's part and cluster are set; or a negative
// error with one line in ret_error. Nothing is announced before part_announce.
int part_new(struct daemon_env *env, const struct daemon_role *role, void *self,
             struct buf *ret_error) HW_MUST_CHECK;
void part_free(struct daemon_env *env); // none is harmless
// Announces from now on, every second, and at once: call again when something changed.
void part_announce(struct part *p);
// A good-bye to the directory; done within 1 s, whatever happens.
void part_withdraw(struct part *p);
bool part_is_withdrawn(const struct part *p);
const char *part_id(const struct part *p);    // as announced: role, machine and port
uint16_t part_rpc_port(const struct part *p); // 0 without a server
// Takes the secrets of env->config again.
void part_reload(struct part *p);
// Where others are told to go: "host", "host:port" or "" of an advertise key, and what is not given
// there from where we are bound (this machine's 127.0.0.1 when that is all addresses).
struct host_port part_told(const char *advertise, const struct host_port *bound);
// Says in ret_error where it was tried and which key sets that, and returns error.
int part_cannot_listen(const struct host_port *at, const char *key, int error,
                       struct buf *ret_error);
// Adds to that where the port of an empty key comes from.
void part_say_made(const char *key, const char *role, struct buf *ret_error);

#endif
