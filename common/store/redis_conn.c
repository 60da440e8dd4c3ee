// Who the server is, and whether it may be asked.
//
//   DOWN --resolve, connect--> ASKING (AUTH, SELECT, GET, INFO, EVAL) --fit--> UP (asked for INFO)
//     ^                          | unfit                            | unfit, or says READONLY
//     |                          v                                  v
//     +---- backoff ---- LEAVING (what is in flight is still answered, nothing is asked)
//     ^----------------- any end, late or bad answer
//
// While it is up it is asked every 10 s whether it is fit, and every 0.2 s whether it is the same.
#include "redis_conn_internal.h"

#include <errno.h>
#include <signal.h>

#include "addr.h"
#include "bytes.h"

enum {
    CHECK_MS = 10000,
    // A server that is made a replica, and the primary again, loses what it had and keeps its
    // connections, and the key of its history comes back with the data. It is asked so often that
    // its time as a replica is not missed; and before anything else where this process stood still.
    REDIS_LOOK_MS = 200,
};

static void redis_went_down(struct redis_conn *c, int error, const char *why);
static void try_redis(struct timer *t);
static void ask_again(struct timer *t);

int redis_url_check(const char *url, struct buf *ret_error) {
    struct redis_url parsed;
    return redis_url_parse(url, &parsed, ret_error);
}

// --- hiredis in our loop

static void on_fd(void *arg, int fd, uint32_t events) {
    struct redis_conn *c = arg;
    (void)fd;
    if (events & (OS_READABLE | OS_HANGUP))
        redisAsyncHandleRead(c->context);
    if (c->watch && redis_guard_is_over(c->context->c.reader)) {
        c->guard.refused = "an answer that is too large";
        redisAsyncFree(c->context);
    }
    if (c->watch && (events & OS_WRITABLE) && (c->watched & OS_WRITABLE))
        redisAsyncHandleWrite(c->context);
}

static void set_watched(struct redis_conn *c, uint32_t events) {
    c->watched = events;
    if (c->watch)
        watch_set(c->watch, events);
}

static void add_read(void *arg) {
    struct redis_conn *c = arg;
    set_watched(c, c->watched | OS_READABLE);
}

static void del_read(void *arg) {
    struct redis_conn *c = arg;
    set_watched(c, c->watched & ~(uint32_t)OS_READABLE);
}

static void add_write(void *arg) {
    struct redis_conn *c = arg;
    set_watched(c, c->watched | OS_WRITABLE);
}

static void del_write(void *arg) {
    struct redis_conn *c = arg;
    set_watched(c, c->watched & ~(uint32_t)OS_WRITABLE);
}

// hiredis is about to close the descriptor.
static void on_context_closing(void *arg) {
    struct redis_conn *c = arg;
    if (c->watch)
        watch_end(c->watch);
    c->watch = NULL;
}

// --- late

// Of the oldest that was sent, or of connecting.
static void on_redis_late(struct deadline *d) {
    struct redis_conn *c = container_of(d, struct redis_conn, deadline);
    snprintf(c->reason, sizeof(c->reason), "no answer within %u ms", c->timeout_ms);
    bool connected = (c->context->c.flags & REDIS_CONNECTED) != 0;
    bool was_loading = redis_conn_is_loading(c);
    redisAsyncFree(c->context); // completes all that was sent; tells on_disconnect if connected
    if (!connected) {
        c->context = NULL;
        redis_went_down(c, -HW_EDEADLINE, NULL);
    }
    if (was_loading) // a server that loads answers now and then only
        c->down_error = -HW_ELOADING;
}

// --- whether it is still the same server, as the primary

static void look_again(struct timer *t) {
    struct redis_conn *c = container_of(t, struct redis_conn, look);
    loop_arm(c->loop, &c->look, REDIS_LOOK_MS, look_again);
    if (!redis_conn_is_looked_at(c))
        redis_conn_look(c);
}

// --- connecting

static void redis_went_down(struct redis_conn *c, int error, const char *why) {
    bool was_up = c->up;
    if (c->guard.refused)
        redis_conn_set_reason(c, c->guard.refused);
    else if (why && !c->is_leaving) // else it was said why
        redis_conn_set_reason(c, why);
    if (!c->is_leaving) // it does not answer at all: what it said of itself is over
        c->down_error = -HW_ESTORE;
    c->guard.refused = NULL;
    c->up = c->asking = c->is_leaving = c->is_unsure = false;
    c->looks = 0;
    redis_conn_send_held(c);
    c->loaded_count = 0;
    c->run_id[0] = '\0';
    c->history = (struct redis_history){.said_len = 0};
    loop_disarm(c->loop, &c->check);
    loop_disarm(c->loop, &c->look);
    if (was_up || error != c->logged_error)
        log_event(c->log, LOG_WARN, "redis down", "reason=%s", log_quote_str(c->reason));
    c->logged_error = error;
    loop_arm(c->loop, &c->retry,
             backoff_wait_ms(&c->backoff, loop_now_ms(c->loop), loop_rng(c->loop)), try_redis);
    if (was_up && c->on_state)
        c->on_state(c->arg, false);
}

static void on_disconnect(const redisAsyncContext *context, int status) {
    struct redis_conn *c = context->data;
    c->context = NULL; // freed by hiredis when this returns
    redis_went_down(c, -HW_ELINK, status == REDIS_OK ? NULL : context->errstr);
}

static void on_asked(void *arg, int error, const redisReply *reply) {
    if (error != 0 && reply)
        redis_conn_leave(arg, reply->str);
}

static void came_up(struct redis_conn *c) {
    c->asking = false;
    c->up = true;
    backoff_came_up(&c->backoff, loop_now_ms(c->loop));
    c->logged_error = 0;
    c->down_error = -HW_ESTORE;
    c->reason[0] = '\0';
    char history[2 * REDIS_HISTORY_BYTES + 1];
    hex_encode(c->history.is, REDIS_HISTORY_BYTES, history);
    log_event(c->log, LOG_INFO, "redis up", "run_id=%s history=%s", c->run_id, history);
    redis_conn_is_sure(c);
    loop_arm(c->loop, &c->check, CHECK_MS, ask_again);
    loop_arm(c->loop, &c->look, REDIS_LOOK_MS, look_again);
    if (c->on_state)
        c->on_state(c->arg, true);
}

// --- the history of the data

// An error is no answer to this: INFO tells what is wrong with the server.
static void on_history_said(void *arg, int error, const redisReply *reply) {
    struct redis_conn *c = arg;
    redis_history_said(&c->history, error == 0 ? reply : NULL);
}

static void on_history_claimed(void *arg, int error, const redisReply *reply) {
    struct redis_conn *c = arg;
    if (error != 0)
        c->down_error = -HW_ESTORE;
    if (c->is_leaving || error != 0)
        on_asked(arg, error, reply);
    else if (!redis_history_claimed(&c->history, reply))
        redis_conn_leave(c, "it says another history than it was told");
    else
        came_up(c);
}

static void take_info(struct redis_conn *c, const char *info) {
    struct redis_args claim;
    c->replid[0] = '\0';
    (void)redis_info_value(info, "run_id", c->run_id, sizeof(c->run_id));
    (void)redis_info_value(info, "master_replid", c->replid, sizeof(c->replid));
    redis_history_is(&c->history, info, rng_u64(loop_rng(c->loop)));
    if (redis_history_has_key(&c->history)) {
        came_up(c);
        return;
    }
    redis_history_claim(&c->history, &claim);
    redis_command_send(redis_command_new(c, "s", on_history_claimed, c),
                       &(struct words){claim.count, claim.v, claim.len});
}

static void on_info(void *arg, int error, const redisReply *reply) {
    struct redis_conn *c = arg;
    if (c->is_leaving || !reply)
        return; // refused already, or gone
    const char *why = error != 0 ? reply->str : redis_info_unfit(reply->str, c->allow_volatile);
    bool is_loading =
        why && (error != 0 ? strncmp(why, "LOADING", 7) == 0 : redis_info_is_loading(reply->str));
    bool is_unsafe = why && error == 0 && !redis_info_unfit(reply->str, true);
    if (why) // else it is what it was, until it is up
        c->down_error = is_loading ? -HW_ELOADING : is_unsafe ? -HW_EUNSAFE : -HW_ESTORE;
    if (!why && c->up && !redis_history_is_still(&c->history, reply->str))
        why = "its data is of another history than it was";
    if (why)
        redis_conn_leave(c, why);
    else if (!c->up)
        take_info(c, reply->str);
}

// words: at most three, ends with NULL.
static void ask_words(struct redis_conn *c, const char *shape, redis_done_fn *done,
                      const char *const *words) {
    size_t lens[3];
    int count = 0;
    for (; words[count]; count++)
        lens[count] = strlen(words[count]);
    redis_command_send(redis_command_new(c, shape, done, c), &(struct words){count, words, lens});
}

static void ask_info(struct redis_conn *c) {
    ask_words(c, "s", on_info, (const char *const[]){"INFO", NULL});
}

// What made the server fit may be changed while it runs.
static void ask_again(struct timer *t) {
    struct redis_conn *c = container_of(t, struct redis_conn, check);
    loop_arm(c->loop, &c->check, CHECK_MS, ask_again);
    ask_info(c);
}

// Its error is no answer to this: INFO tells what is wrong with the server.
static void on_old_key(void *arg, int error, const redisReply *reply) {
    struct redis_conn *c = arg;
    if (error == 0 && reply->integer != 0)
        redis_conn_leave(c, c->old_why);
}

static void on_connect(const redisAsyncContext *context, int status) {
    struct redis_conn *c = context->data;
    deadline_clear(&c->deadline);
    if (status != REDIS_OK) {
        c->context = NULL; // freed by hiredis
        redis_went_down(c, -HW_ELINK, context->errstr);
        return;
    }
    c->asking = true;
    char db[12];
    snprintf(db, sizeof(db), "%u", c->url.db);
    if (c->url.password[0] && c->url.user[0])
        ask_words(c, "+", on_asked,
                  (const char *const[]){"AUTH", c->url.user, c->url.password, NULL});
    else if (c->url.password[0])
        ask_words(c, "+", on_asked, (const char *const[]){"AUTH", c->url.password, NULL});
    if (c->url.db != 0)
        ask_words(c, "+", on_asked, (const char *const[]){"SELECT", db, NULL});
    ask_words(c, "?s", on_history_said, (const char *const[]){"GET", REDIS_HISTORY_KEY, NULL});
    if (c->old_key)
        ask_words(c, "i", on_old_key, (const char *const[]){"EXISTS", c->old_key, NULL});
    ask_info(c);
}

static bool is_asked(void *arg) {
    const struct redis_conn *c = arg;
    return c->sent != NULL;
}

static void attach_context(struct redis_conn *c, redisAsyncContext *context) {
    if (!context || context->err) {
        redis_went_down(c, -HW_ELINK, context ? context->errstr : "out of memory");
        if (context)
            redisAsyncFree(context);
        return;
    }
    c->context = context;
    context->data = c;
    redis_guard_attach(&c->guard, context->c.reader);
    context->ev.data = c;
    context->ev.addRead = add_read;
    context->ev.delRead = del_read;
    context->ev.addWrite = add_write;
    context->ev.delWrite = del_write;
    context->ev.cleanup = on_context_closing;
    c->watched = 0;
    c->watch = loop_watch(c->loop, context->c.fd, 0, on_fd, c);
    deadline_set(&c->deadline, c->loop, deadline_in(c->loop, c->timeout_ms), on_redis_late);
    redisAsyncSetConnectCallback(context, on_connect);
    redisAsyncSetDisconnectCallback(context, on_disconnect);
}

static void on_redis_resolved(void *arg, int error, const struct sock_addr *addrs, int count) {
    struct redis_conn *c = arg;
    c->resolving = NULL;
    if (count == 0) {
        redis_went_down(c, error, hw_strerror(error));
        return;
    }
    char text[64];
    struct host_port numeric;
    sock_addr_format(&addrs[c->backoff.attempts % (uint32_t)count], text, sizeof(text));
    if (host_port_parse(text, false, &numeric) != 0)
        abort();
    attach_context(c, redisAsyncConnect(numeric.host, numeric.port));
}

static void try_redis(struct timer *t) {
    struct redis_conn *c = container_of(t, struct redis_conn, retry);
    struct sock_addr numeric;
    if (c->url.unix_socket)
        attach_context(c, redisAsyncConnectUnix(c->url.host));
    else if (sock_addr_parse(c->url.host, c->url.port, &numeric) == 0)
        attach_context(c, redisAsyncConnect(c->url.host, c->url.port));
    else
        c->resolving = os_resolve(loop_os(c->loop), c->url.host, c->url.port, on_redis_resolved, c);
}

struct redis_conn *redis_conn_new(const struct redis_options *o) {
    struct redis_conn *c = hw_calloc(1, sizeof(*c));
    *c = (struct redis_conn){.loop = o->loop,
                             .log = o->log,
                             .timeout_ms = o->timeout_ms,
                             .allow_volatile = o->allow_volatile,
                             .old_key = o->old_key,
                             .old_why = o->old_why,
                             .on_state = o->on_state,
                             .arg = o->arg,
                             .down_error = -HW_ESTORE,
                             .reason = "not connected yet"};
    struct buf error = BUF_EMPTY;
    if (redis_url_parse(o->url, &c->url, &error) != 0)
        abort(); // checked by the configuration
    c->sent_end = &c->sent;
    c->held_end = &c->held;
    c->late = on_redis_late;
    c->failed_end = &c->failed;
    c->guard.is_asked = is_asked;
    c->guard.arg = c;
    signal(SIGPIPE, SIG_IGN); // hiredis writes without MSG_NOSIGNAL
    loop_arm(c->loop, &c->retry, 0, try_redis);
    return c;
}

void redis_conn_free(struct redis_conn *c) {
    if (!c)
        return;
    c->on_state = NULL;
    c->up = c->asking = false;
    if (c->resolving)
        os_resolve_cancel(loop_os(c->loop), c->resolving);
    if (c->context) {
        c->context->onDisconnect = NULL;
        redisAsyncFree(c->context);
    }
    c->is_unsure = false;
    redis_conn_send_held(c); // nothing is up: they fail
    for (struct command *k = c->failed; k; k = k->next)
        k->error = -HW_ECANCELLED;
    redis_conn_tell_failed(&c->fail_hook);
    hook_stop(&c->fail_hook);
    loop_disarm(c->loop, &c->retry);
    deadline_clear(&c->deadline);
    loop_disarm(c->loop, &c->check);
    loop_disarm(c->loop, &c->look);
    free(c);
}

bool redis_conn_is_up(const struct redis_conn *c) {
    return c->up && !c->is_leaving;
}

bool redis_conn_is_loading(const struct redis_conn *c) {
    return c->down_error == -HW_ELOADING;
}

const char *redis_conn_down_reason(const struct redis_conn *c) {
    return c->reason;
}

struct redis_bytes redis_conn_history(const struct redis_conn *c) {
    return (struct redis_bytes){c->history.is, sizeof(c->history.is)};
}
