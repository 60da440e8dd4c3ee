// What the two files of a connection share; nobody else includes it.
//
//   redis_conn.c     who the server is: connecting, fit or not, its history; life
//   redis_command.c  what is asked: sending, waiting, answers, whether it is still the same,
//   leaving
#ifndef HW_REDIS_CONN_INTERNAL_H
#define HW_REDIS_CONN_INTERNAL_H

#include <hiredis/async.h>

#include "backoff.h"
#include "buf.h"
#include "deadline.h"
#include "redis_conn.h"
#include "redis_history.h"
#include "redis_info.h"
#include "redis_reply.h"
#include "redis_url.h"

enum { SCRIPTS_MAX = 64 };

struct held_command;
struct command {
    struct command *next;
    struct redis_conn *conn;
    const char *shape; // of its answer; static
    redis_done_fn *done;
    void *arg;
    size_t bytes;    // while it is held or sent
    uint64_t due_ms; // as deadline_set takes it
    int error;       // in the failed list
};

struct redis_conn {
    struct loop *loop;
    struct log *log;
    struct redis_url url;
    uint32_t timeout_ms;
    bool allow_volatile;
    const char *old_key, *old_why; // static
    void (*on_state)(void *arg, bool up);
    void *arg;
    redisAsyncContext *context; // owned until hiredis says that it has gone
    struct watch *watch;
    uint32_t watched;
    struct os_resolve *resolving;
    struct timer retry, check, look;
    struct deadline deadline;
    void (*late)(struct deadline *d); // the oldest command that was sent, or connecting
    struct backoff backoff;
    bool up, asking, is_leaving; // leaving: up until it is gone, for what is in flight
    bool is_unsure;              // nothing goes out before it has said that it is the same
    unsigned looks;              // asked that, and not answered
    uint64_t stood_ms;           // of the loop, when it was last asked that
    struct held_command *held, **held_end; // in order, behind those that were sent
    size_t held_bytes, sent_bytes;
    uint64_t behind_log_ms; // not before: a line for those that were held and never sent
    struct redis_guard guard;
    int down_error; // of commands while it is not up: -HW_ESTORE, or what is better known
    char reason[160], run_id[RUN_ID_MAX + 1], replid[RUN_ID_MAX + 1];
    struct redis_history history;         // of the data
    struct command *sent, **sent_end;     // in order
    struct command *failed, **failed_end; // completed by the hook
    struct hook fail_hook;
    struct redis_script *loaded[SCRIPTS_MAX]; // by this connection
    int loaded_count;
    int logged_error;
};

struct words {
    int count;
    const char *const *v;
    const size_t *len;
};

// --- redis_command.c
struct command *redis_command_new(struct redis_conn *c, const char *shape, redis_done_fn *done,
                                  void *arg);
void redis_command_send(struct command *k, const struct words *words);
void redis_conn_tell_failed(struct hook *h);
// As many as the server may have at once. Where it is not up any more all of them fail.
void redis_conn_send_held(struct redis_conn *c);

void redis_conn_set_reason(struct redis_conn *c, const char *why);
// Nothing is asked here any more. What is in flight is answered, then the connection ends and the
// primary is looked for again.
void redis_conn_leave(struct redis_conn *c, const char *why);
void redis_conn_look(struct redis_conn *c); // asks whether the server is the same
bool redis_conn_is_looked_at(const struct redis_conn *c);
void redis_conn_is_sure(struct redis_conn *c); // it has just been met

#endif
