// Commands complete in the order they were sent, so their deadlines stand in a queue too and one
// timer watches the oldest.
//
//   DOWN --resolve, connect--> ASKING (AUTH, SELECT, GET, INFO, EVAL) --fit--> UP (INFO every 10 s,
//     ^                          |                                           |  replication: 0.2 s)
//     ^                          | unfit                            | unfit, or says READONLY
//     |                          v                                  v
//     +---- backoff ---- LEAVING (what is in flight is still answered, nothing is asked)
//     ^----------------- any end, late or bad answer
#include "redis_conn.h"

#include <errno.h>
#include <hiredis/async.h>
#include <signal.h>

#include "addr.h"
#include "bytes.h"
#include "deadline.h"
#include "redis_history.h"
#include "redis_info.h"
#include "redis_reply.h"
#include "redis_url.h"

enum {
    BACKOFF_BASE_MS = 50,
    BACKOFF_CAP_MS = 2000,
    SCRIPTS_MAX = 64,
    CHECK_MS = 10000,
    // A server that is made a replica, and the primary again, loses what it had and keeps its
    // connections, and the key of its history comes back with the data. It is asked so often that
    // its time as a replica is not missed; and before anything else where this process stood still.
    LOOK_MS = 200,
};

struct command {
    struct command *next;
    struct redis_conn *conn;
    const char *shape; // of its answer; static
    redis_done_fn *done;
    void *arg;
    uint64_t due_ms; // as deadline_set takes it
    int error;       // in the failed list
};

// A command that waits for the server to say that it is still the same.
struct held {
    struct held *next;
    struct command *k;
    struct buf bytes; // its words, one after the other
    int count;
    size_t len[REDIS_ARGS_MAX + 3];
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
    uint32_t attempts;
    bool up, asking, is_leaving; // leaving: up until it is gone, for what is in flight
    bool is_unsure;              // nothing goes out before it has said that it is the same
    unsigned looks;              // asked that, and not answered
    uint64_t stood_ms;           // of the loop, when it was last asked that
    struct held *held, **held_end;
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

// --- completing

static void tell_failed(struct hook *h) {
    struct redis_conn *c = container_of(h, struct redis_conn, fail_hook);
    while (c->failed) {
        struct command *k = c->failed;
        c->failed = k->next;
        if (!c->failed)
            c->failed_end = &c->failed;
        k->done(k->arg, k->error, NULL);
        free(k);
    }
}

static void fail_command(struct command *k, int error) {
    struct redis_conn *c = k->conn;
    k->error = error;
    k->next = NULL;
    *c->failed_end = k;
    c->failed_end = &k->next;
    hook_schedule(c->loop, &c->fail_hook, tell_failed);
}

static void redis_went_down(struct redis_conn *c, int error, const char *why);

// Of the oldest that was sent, or of connecting.
static void on_command_late(struct deadline *d) {
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

static void watch_oldest(struct redis_conn *c) {
    if (c->sent)
        deadline_set(&c->deadline, c->loop, c->sent->due_ms, on_command_late);
    else
        deadline_clear(&c->deadline);
}

static void set_reason(struct redis_conn *c, const char *why) {
    snprintf(c->reason, sizeof(c->reason), "%s", why);
    for (char *at = c->reason; *at; at++) // it may be the peer's text
        if (*at < ' ' || *at > '~')
            *at = '?';
}

// Nothing is asked here any more. What is in flight is answered, then the connection ends and the
// primary is looked for again.
static void leave_server(struct redis_conn *c, const char *why) {
    if (c->is_leaving)
        return;
    set_reason(c, why);
    c->is_leaving = true;
    c->asking = false;
    redisAsyncDisconnect(c->context);
}

// Not what was asked for: whatever comes behind it can't be believed either.
static void give_up(struct redis_conn *c, const char *why) {
    set_reason(c, why);
    c->is_leaving = true;
    c->asking = false;
    redisAsyncFree(c->context); // when this callback returns; completes all that was sent
}

static void take_reply(struct command *k, const redisReply *reply) {
    struct redis_conn *c = k->conn;
    bool is_error = reply->type == REDIS_REPLY_ERROR;
    if (is_error && strncmp(reply->str, "NOSCRIPT", 8) == 0)
        c->loaded_count = 0; // flushed by someone: the next call loads it
    if (is_error && c->up && redis_error_is_of_server(reply->str))
        leave_server(c, reply->str);
    if (is_error || redis_reply_fits(reply, k->shape)) {
        k->done(k->arg, is_error ? -HW_ESTORE : 0, reply);
        free(k);
        return;
    }
    give_up(c, "an answer that is not what the question asks for");
    fail_command(k, -HW_EOUTCOME);
}

static void on_command_reply(redisAsyncContext *context, void *raw, void *arg) {
    struct command *k = arg;
    struct redis_conn *c = k->conn;
    (void)context;
    // Replies and losses alike come in the order of sending.
    c->sent = k->next;
    if (!c->sent)
        c->sent_end = &c->sent;
    watch_oldest(c);
    if (raw)
        take_reply(k, raw);
    else
        fail_command(k, -HW_EOUTCOME);
}

static struct command *command_new(struct redis_conn *c, const char *shape, redis_done_fn *done,
                                   void *arg) {
    struct command *k = hw_calloc(1, sizeof(*k));
    k->conn = c;
    k->shape = shape;
    k->done = done;
    k->arg = arg;
    k->due_ms = deadline_in(c->loop, c->timeout_ms);
    return k;
}

struct words {
    int count;
    const char *const *v;
    const size_t *len;
};

static void send_now(struct command *k, const struct words *words) {
    struct redis_conn *c = k->conn;
    if (!c->context || c->is_leaving || (!c->up && !c->asking)) {
        fail_command(k, c->down_error);
        return;
    }
    *c->sent_end = k;
    c->sent_end = &k->next;
    if (c->sent == k)
        watch_oldest(c);
    // hiredis takes a non-const argv but only reads it.
    if (redisAsyncCommandArgv(c->context, on_command_reply, k, words->count,
                              (const char **)(uintptr_t)words->v, words->len) != REDIS_OK)
        abort(); // only for a context that is being freed: then it is NULL, or being left
}

// --- commands that wait

static void hold_command(struct command *k, const struct words *words) {
    struct held *h = hw_calloc(1, sizeof(*h));
    h->k = k;
    h->count = words->count;
    for (int i = 0; i < words->count; i++) {
        h->len[i] = words->len[i];
        buf_append(&h->bytes, words->v[i], words->len[i]);
    }
    *k->conn->held_end = h;
    k->conn->held_end = &h->next;
}

static void send_held(struct held *h) {
    const char *v[REDIS_ARGS_MAX + 3];
    size_t at = 0;
    for (int i = 0; i < h->count; at += h->len[i++])
        v[i] = (const char *)h->bytes.data + at;
    send_now(h->k, &(struct words){h->count, v, h->len});
}

// Where the connection is not up any more they fail.
static void send_all_held(struct redis_conn *c) {
    while (c->held) {
        struct held *h = c->held;
        c->held = h->next;
        send_held(h);
        buf_free(&h->bytes);
        free(h);
    }
    c->held_end = &c->held;
}

static void send_command(struct command *k, const struct words *words) {
    if (k->conn->is_unsure)
        hold_command(k, words);
    else
        send_now(k, words);
}

static void ignore_reply(void *arg, int error, const redisReply *reply) {
    (void)arg;
    (void)error;
    (void)reply;
}

static bool is_loaded(const struct redis_conn *c, const struct redis_script *s) {
    for (int i = 0; i < c->loaded_count; i++)
        if (c->loaded[i] == s)
            return true;
    return false;
}

// Sent in front of the first call on a connection: Redis works in order, so it is there when the
// call comes.
static void load_script(struct redis_conn *c, struct redis_script *s) {
    const char *const v[] = {"SCRIPT", "LOAD", s->text};
    const size_t lens[] = {6, 4, strlen(s->text)};
    send_command(command_new(c, "s", ignore_reply, NULL), &(struct words){3, v, lens});
    if (c->loaded_count < SCRIPTS_MAX)
        c->loaded[c->loaded_count++] = s;
}

static void call_script(struct redis_conn *c, const struct redis_command *q, struct command *k) {
    struct redis_script *s = q->script;
    const char *words[REDIS_ARGS_MAX + 3] = {"EVALSHA", s->sha1};
    size_t lens[REDIS_ARGS_MAX + 3] = {7, 40};
    char keys[12];
    if (!c->is_leaving && !is_loaded(c, s))
        load_script(c, s);
    lens[2] = (size_t)snprintf(keys, sizeof(keys), "%d", q->key_count);
    words[2] = keys;
    memcpy(words + 3, q->args->v, (size_t)q->args->count * sizeof(words[0]));
    memcpy(lens + 3, q->args->len, (size_t)q->args->count * sizeof(lens[0]));
    send_command(k, &(struct words){q->args->count + 3, words, lens});
}

// --- whether it is still the same server, as the primary

static uint64_t stood_ms(const struct redis_conn *c) {
    return loop_now_ms(c->loop) - loop_ran_ms(c->loop);
}

static void on_looked(void *arg, int error, const redisReply *reply) {
    struct redis_conn *c = arg;
    char is[RUN_ID_MAX + 1] = "";
    if (!reply)
        return; // gone
    c->looks--;
    if (error == 0)
        (void)redis_info_value(reply->str, "master_replid", is, sizeof(is));
    if (error != 0 || !redis_info_is_primary(reply->str) || strcmp(is, c->replid) != 0)
        leave_server(c, error != 0 ? reply->str : "it is not the primary that it was");
    if (c->looks > 0)
        return; // asked before this process stood still
    c->is_unsure = false;
    send_all_held(c);
}

static void look(struct redis_conn *c) {
    static const char *const words[] = {"INFO", "replication"};
    static const size_t lens[] = {4, 11};
    c->looks++;
    c->is_unsure = c->is_unsure || stood_ms(c) != c->stood_ms;
    c->stood_ms = stood_ms(c);
    send_now(command_new(c, "s", on_looked, c), &(struct words){2, words, lens});
}

static void look_again(struct timer *t) {
    struct redis_conn *c = container_of(t, struct redis_conn, look);
    loop_arm(c->loop, &c->look, LOOK_MS, look_again);
    if (c->looks == 0 || stood_ms(c) != c->stood_ms)
        look(c);
}

void redis_ask(struct redis_conn *c, const struct redis_command *q, redis_done_fn *done,
               void *arg) {
    if (c->up && !c->is_leaving && stood_ms(c) != c->stood_ms)
        look(c);
    struct command *k = command_new(c, q->script ? q->script->shape : q->shape, done, arg);
    if (!c->up)
        fail_command(k, c->down_error);
    else if (q->script)
        call_script(c, q, k);
    else
        send_command(k, &(struct words){q->args->count, q->args->v, q->args->len});
}

// --- connecting

static void redis_went_down(struct redis_conn *c, int error, const char *why) {
    bool was_up = c->up;
    if (c->guard.refused)
        set_reason(c, c->guard.refused);
    else if (why && !c->is_leaving) // else it was said why
        set_reason(c, why);
    if (!c->is_leaving) // it does not answer at all: what it said of itself is over
        c->down_error = -HW_ESTORE;
    c->guard.refused = NULL;
    c->up = c->asking = c->is_leaving = c->is_unsure = false;
    c->looks = 0;
    send_all_held(c);
    c->loaded_count = 0;
    c->run_id[0] = '\0';
    c->history = (struct redis_history){.said_len = 0};
    loop_disarm(c->loop, &c->check);
    loop_disarm(c->loop, &c->look);
    if (was_up || error != c->logged_error)
        log_event(c->log, LOG_WARN, "redis down", "reason=%s", log_quote_str(c->reason));
    c->logged_error = error;
    uint64_t cap = (uint64_t)BACKOFF_BASE_MS << (c->attempts < 6 ? c->attempts : 6);
    c->attempts++;
    loop_arm(c->loop, &c->retry,
             1 + rng_below(loop_rng(c->loop), cap < BACKOFF_CAP_MS ? cap : BACKOFF_CAP_MS),
             try_redis);
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
        leave_server(arg, reply->str);
}

static void came_up(struct redis_conn *c) {
    c->asking = false;
    c->up = true;
    c->attempts = 0;
    c->logged_error = 0;
    c->down_error = -HW_ESTORE;
    c->reason[0] = '\0';
    char history[2 * REDIS_HISTORY_BYTES + 1];
    hex_encode(c->history.is, REDIS_HISTORY_BYTES, history);
    log_event(c->log, LOG_INFO, "redis up", "run_id=%s history=%s", c->run_id, history);
    c->stood_ms = stood_ms(c);
    loop_arm(c->loop, &c->check, CHECK_MS, ask_again);
    loop_arm(c->loop, &c->look, LOOK_MS, look_again);
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
    else
        came_up(c);
}

static void take_info(struct redis_conn *c, const char *info) {
    struct redis_args claim;
    c->replid[0] = '\0';
    (void)redis_info_value(info, "run_id", c->run_id, sizeof(c->run_id));
    (void)redis_info_value(info, "master_replid", c->replid, sizeof(c->replid));
    redis_history_is(&c->history, info);
    if (redis_history_has_key(&c->history)) {
        came_up(c);
        return;
    }
    redis_history_claim(&c->history, &claim);
    send_command(command_new(c, "i", on_history_claimed, c),
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
        leave_server(c, why);
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
    send_command(command_new(c, shape, done, c), &(struct words){count, words, lens});
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
        leave_server(c, c->old_why);
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
    deadline_set(&c->deadline, c->loop, deadline_in(c->loop, c->timeout_ms), on_command_late);
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
    sock_addr_format(&addrs[c->attempts % (uint32_t)count], text, sizeof(text));
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
    send_all_held(c); // nothing is up: they fail
    for (struct command *k = c->failed; k; k = k->next)
        k->error = -HW_ECANCELLED;
    tell_failed(&c->fail_hook);
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
