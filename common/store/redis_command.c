// What is asked on a connection. Commands complete in the order they were sent, so their deadlines
// stand in a queue too and one timer watches the oldest.
//
// A server gets no more at once than it answers in a fraction of a second; the rest is held here.
// What has waited for longer than a command may take is not sent any more: whoever asked has given
// it up, and the work would be done in vain.
#include "redis_conn_internal.h"

enum {
    SENT_BYTES_MAX = 1024 * 1024,      // of commands without an answer
    HELD_BYTES_MAX = 64 * 1024 * 1024, // behind those
    COMMAND_BYTES = 512,               // of each, besides its words: with what its step keeps
    BEHIND_LOG_MS = 1000,
};

struct held_command {
    struct held_command *next;
    struct command *k;
    int count;
    size_t len[]; // of its words, and behind those the words themselves
};

// --- leaving

void redis_conn_set_reason(struct redis_conn *c, const char *why) {
    snprintf(c->reason, sizeof(c->reason), "%s", why);
    for (char *at = c->reason; *at; at++) // it may be the peer's text
        if (*at < ' ' || *at > '~')
            *at = '?';
}

void redis_conn_leave(struct redis_conn *c, const char *why) {
    if (c->is_leaving)
        return;
    redis_conn_set_reason(c, why);
    c->is_leaving = true;
    c->asking = false;
    redisAsyncDisconnect(c->context);
}

// --- completing

void redis_conn_tell_failed(struct hook *h) {
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

// In a later turn.
static void redis_command_fail(struct command *k, int error) {
    struct redis_conn *c = k->conn;
    k->error = error;
    k->next = NULL;
    *c->failed_end = k;
    c->failed_end = &k->next;
    hook_schedule(c->loop, &c->fail_hook, redis_conn_tell_failed);
}

static void watch_oldest(struct redis_conn *c) {
    if (c->sent)
        deadline_set(&c->deadline, c->loop, c->sent->due_ms, c->late);
    else
        deadline_clear(&c->deadline);
}

// Not what was asked for: whatever comes behind it can't be believed either.
static void give_up(struct redis_conn *c, const char *why) {
    redis_conn_set_reason(c, why);
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
        redis_conn_leave(c, reply->str);
    if (is_error || redis_reply_fits(reply, k->shape)) {
        k->done(k->arg, is_error ? -HW_ESTORE : 0, reply);
        free(k);
        return;
    }
    give_up(c, "an answer that is not what the question asks for");
    redis_command_fail(k, -HW_EOUTCOME);
}

static void on_command_reply(redisAsyncContext *context, void *raw, void *arg) {
    struct command *k = arg;
    struct redis_conn *c = k->conn;
    (void)context;
    // Replies and losses alike come in the order of sending.
    c->sent = k->next;
    if (!c->sent)
        c->sent_end = &c->sent;
    c->sent_bytes -= k->bytes;
    watch_oldest(c);
    if (!raw) {
        redis_command_fail(k, -HW_EOUTCOME);
        return;
    }
    take_reply(k, raw);
    if (!c->is_unsure)
        redis_conn_send_held(c);
}

struct command *redis_command_new(struct redis_conn *c, const char *shape, redis_done_fn *done,
                                  void *arg) {
    struct command *k = hw_calloc(1, sizeof(*k));
    k->conn = c;
    k->shape = shape;
    k->done = done;
    k->arg = arg;
    k->due_ms = deadline_in(c->loop, c->timeout_ms);
    return k;
}

static size_t words_bytes(const struct words *words) {
    size_t bytes = COMMAND_BYTES;
    for (int i = 0; i < words->count; i++)
        bytes += words->len[i];
    return bytes;
}

// Whatever waits.
static void redis_command_send_now(struct command *k, const struct words *words) {
    struct redis_conn *c = k->conn;
    if (!c->context || c->is_leaving || (!c->up && !c->asking)) {
        redis_command_fail(k, c->down_error);
        return;
    }
    *c->sent_end = k;
    c->sent_end = &k->next;
    c->sent_bytes += k->bytes = words_bytes(words);
    if (c->sent == k)
        watch_oldest(c);
    // hiredis takes a non-const argv but only reads it.
    if (redisAsyncCommandArgv(c->context, on_command_reply, k, words->count,
                              (const char **)(uintptr_t)words->v, words->len) != REDIS_OK)
        abort(); // only for a context that is being freed: then it is NULL, or being left
}

// --- commands that wait

static void refuse_behind(struct command *k) {
    struct redis_conn *c = k->conn;
    uint64_t now = loop_now_ms(c->loop);
    redis_command_fail(k, -HW_ESTORE);
    if (now < c->behind_log_ms)
        return;
    c->behind_log_ms = now + BEHIND_LOG_MS;
    log_event(c->log, LOG_WARN, "redis behind", "waiting_bytes=%zu", c->held_bytes);
}

static void hold_command(struct command *k, const struct words *words) {
    struct redis_conn *c = k->conn;
    size_t head = sizeof(struct held_command) + (size_t)words->count * sizeof(size_t);
    size_t bytes = head + words_bytes(words);
    if (c->held_bytes + bytes > HELD_BYTES_MAX) {
        refuse_behind(k);
        return;
    }
    struct held_command *h = hw_malloc(bytes);
    char *at = (char *)h + head;
    *h = (struct held_command){.k = k, .count = words->count};
    for (int i = 0; i < words->count; i++) {
        memcpy(at, words->v[i], h->len[i] = words->len[i]);
        at += words->len[i];
    }
    c->held_bytes += k->bytes = bytes;
    *c->held_end = h;
    c->held_end = &h->next;
}

static void send_held(struct held_command *h) {
    const char *v[REDIS_ARGS_MAX + 3];
    struct command *k = h->k;
    struct redis_conn *c = k->conn;
    const char *at = (const char *)(h->len + h->count);
    for (int i = 0; i < h->count; at += h->len[i++])
        v[i] = at;
    if (deadline_in(c->loop, 0) >= k->due_ms) {
        refuse_behind(k);
        return;
    }
    k->due_ms = deadline_in(c->loop, c->timeout_ms); // the server's
    redis_command_send_now(k, &(struct words){h->count, v, h->len});
}

void redis_conn_send_held(struct redis_conn *c) {
    bool is_asked = c->up && !c->is_leaving;
    while (c->held && (!is_asked || c->sent_bytes < SENT_BYTES_MAX)) {
        struct held_command *h = c->held;
        c->held = h->next;
        if (!c->held)
            c->held_end = &c->held;
        c->held_bytes -= h->k->bytes;
        send_held(h);
        free(h);
    }
}

void redis_command_send(struct command *k, const struct words *words) {
    const struct redis_conn *c = k->conn;
    if (c->is_unsure || c->held || c->sent_bytes >= SENT_BYTES_MAX)
        hold_command(k, words);
    else
        redis_command_send_now(k, words);
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
    redis_command_send(redis_command_new(c, "s", ignore_reply, NULL), &(struct words){3, v, lens});
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
    redis_command_send(k, &(struct words){q->args->count + 3, words, lens});
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
        redis_conn_leave(c, error != 0 ? reply->str : "it is not the primary that it was");
    if (c->looks > 0)
        return; // asked before this process stood still
    c->is_unsure = false;
    redis_conn_send_held(c);
}

void redis_conn_look(struct redis_conn *c) {
    static const char *const words[] = {"INFO", "replication"};
    static const size_t lens[] = {4, 11};
    c->looks++;
    c->is_unsure = c->is_unsure || stood_ms(c) != c->stood_ms;
    c->stood_ms = stood_ms(c);
    redis_command_send_now(redis_command_new(c, "s", on_looked, c),
                           &(struct words){2, words, lens});
}

// Asked, and not answered; not so by a question from before this process stood still.
bool redis_conn_is_looked_at(const struct redis_conn *c) {
    return c->looks > 0 && stood_ms(c) == c->stood_ms;
}

void redis_conn_is_sure(struct redis_conn *c) {
    c->stood_ms = stood_ms(c);
}

// --- what others ask

void redis_ask(struct redis_conn *c, const struct redis_command *q, redis_done_fn *done,
               void *arg) {
    if (c->up && !c->is_leaving && stood_ms(c) != c->stood_ms)
        redis_conn_look(c);
    struct command *k = redis_command_new(c, q->script ? q->script->shape : q->shape, done, arg);
    if (!c->up)
        redis_command_fail(k, c->down_error);
    else if (q->script)
        call_script(c, q, k);
    else
        redis_command_send(k, &(struct words){q->args->count, q->args->v, q->args->len});
}
