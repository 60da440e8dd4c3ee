// One pipelined Redis connection on hiredis 0.14 async (only the part that 1.x shares) in our loop.
// hiredis has no time-outs of its own, so every command has a deadline here; a server that misses
// one is disconnected and all its commands complete with -HW_EOUTCOME (sent) or -HW_ESTORE (not
// sent). Reconnects by itself (backoff.h); names are resolved off the loop. After each connect and
// every 10 s it asks INFO for run_id, master_replid, role, AOF and maxmemory_policy, and after each
// connect for a key that its owner can't live with. A server that does not fit, or says that it is
// no primary any more, is left, and the primary is looked for again.
//
// The server has 1 MiB of commands without an answer at most. Others wait here: up to 64 MiB, and
// no longer than a command may take, then they fail with -HW_ESTORE and there is a line in the log.
//
// It is up when it knows the history of the data (redis_history.h). A connection that slept through
// a change of it is refused by the next script (HISTORY), and the server is left.
#ifndef HW_REDIS_CONN_H
#define HW_REDIS_CONN_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

#include "buf.h"
#include "log.h"
#include "loop.h"
#include "redis_script.h"

struct redis_conn;
struct redis_options {
    const char *url;     // redis://[user:password@]host[:port][/db] or unix:///path[?db=n]; copied
    uint32_t timeout_ms; // per command
    bool allow_volatile; // accept a server without AOF or with another maxmemory_policy than
                         // noeviction
    const char *old_key; // static, or NULL: where it is there, the server is left
    const char *old_why; // static: why, and what is to be done
    struct loop *loop;
    struct log *log;
    void (*on_state)(void *arg, bool up);
    void *arg;
};
// 0 or -EINVAL with the reason: rediss, sentinel and cluster URLs are refused clearly.
int redis_url_check(const char *url, struct buf *ret_error) HW_MUST_CHECK;
struct redis_conn *redis_conn_new(const struct redis_options *o);
void redis_conn_free(
    struct redis_conn *c); // not from a completion; completes what is in flight with -HW_ECANCELLED
bool redis_conn_is_up(const struct redis_conn *c);
bool redis_conn_is_loading(
    const struct redis_conn *c); // down, but met: it has yet to read its data
const char *redis_conn_down_reason(const struct redis_conn *c);
// Of the data, as scripts get it; it lives as long as the connection. Zeros: down.
struct redis_bytes redis_conn_history(const struct redis_conn *c);

// reply is valid during the call and has the shape that was asked for; an error reply of Redis
// arrives as error -HW_ESTORE with reply set to it.
typedef void redis_done_fn(void *arg, int error, const redisReply *reply);
struct redis_command {
    const char *shape;           // what the answer must be (redis_reply.h); a script has its own
    struct redis_script *script; // NULL: the first of args is the command
    int key_count;               // of a script: the first of args are keys
    const struct redis_args *args;
};
// Never completes before it returns; args are copied out by hiredis. An answer of another shape
// ends the connection, and the outcome is unknown. A script is called by its digest, and sent in
// front of its first call on each connection; it outlives the connection. A call after someone
// flushed the server's scripts fails with -HW_ESTORE (NOSCRIPT, nothing done); the next one loads
// it again.
void redis_ask(struct redis_conn *c, const struct redis_command *q, redis_done_fn *done, void *arg);

#endif
