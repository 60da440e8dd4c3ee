#include "redis_store.h"

#include "message.h"

bool redis_step_failed(struct store_step *p, int error, const redisReply *reply) {
    if (error == 0)
        return false;
    if (reply && reply->type == REDIS_REPLY_ERROR)
        redis_store_refused(redis_store_of(p), p->name, reply->str);
    store_step_complete(p, error, NULL);
    return true;
}

// --- commands

// The one place where a connection is picked. key: of the hash slot; NULL where it touches none.
static struct redis_conn *redis_store_conn(struct redis_store *s, const char *key) {
    (void)key; // a cluster has one for each part of the hash slots
    return s->conn;
}

static void before_send(struct redis_store *s) {
    if (s->kind->before_send)
        s->kind->before_send(s);
}

void redis_store_ask(struct redis_store *s, const struct redis_words *q, redis_done_fn *done,
                     void *arg) {
    struct redis_args args;
    before_send(s);
    args.count = 0;
    for (const char *const *word = q->word; *word; word++)
        redis_arg_text(&args, *word);
    redis_ask(redis_store_conn(s, q->key),
              &(struct redis_command){.shape = q->shape, .args = &args}, done, arg);
}

void redis_store_run(struct redis_store *s, const struct redis_run *r, redis_done_fn *done,
                     void *arg) {
    const struct redis_script_source *source = &s->kind->scripts[r->script];
    struct redis_args args;
    before_send(s);
    redis_script_pack(source, r->args, redis_conn_history(s->conn), &args);
    redis_ask(redis_store_conn(s, args.v[0]),
              &(struct redis_command){
                  .script = &s->scripts[r->script], .key_count = source->key_count, .args = &args},
              done, arg);
}

void redis_store_refused(struct redis_store *s, const char *what, const char *why) {
    uint64_t now = loop_now_ms(s->store.loop);
    if (now < s->next_log_ms)
        return;
    s->next_log_ms = now + 1000;
    log_event(s->log, LOG_WARN, "redis refused", "step=%s error=%s", what, log_quote_str(why));
}

// --- replies

const redisReply *redis_reply_at(const redisReply *r, size_t i) {
    return r && r->type == REDIS_REPLY_ARRAY && i < r->elements ? r->element[i] : NULL;
}

uint64_t redis_reply_u64(const redisReply *r, size_t i) {
    const redisReply *e = redis_reply_at(r, i);
    if (e && e->type == REDIS_REPLY_INTEGER)
        return e->integer < 0 ? 0 : (uint64_t)e->integer;
    return e && e->type == REDIS_REPLY_STRING ? strtoull(e->str, NULL, 10) : 0;
}

// --- the store

static const char *redis_down_reason(struct store *store) {
    struct redis_store *s = (struct redis_store *)store;
    if (redis_conn_is_up(s->conn))
        return s->kind->unready ? s->kind->unready(s) : NULL;
    snprintf(s->reason, sizeof(s->reason), "redis: %s", redis_conn_down_reason(s->conn));
    return s->reason;
}

static bool redis_is_coming(struct store *store) {
    struct redis_store *s = (struct redis_store *)store;
    return redis_conn_is_loading(s->conn) || redis_conn_is_up(s->conn);
}

static void redis_stop(struct store *store) {
    struct redis_store *s = (struct redis_store *)store;
    redis_conn_free(s->conn); // completes what is in flight
    s->conn = NULL;
    s->kind->stop(s);
}

static void redis_deinit(struct store *store) {
    struct redis_store *s = (struct redis_store *)store;
    for (int i = 0; i < s->kind->script_count; i++)
        redis_script_deinit(&s->scripts[i]);
    free(s->scripts);
}

struct redis_options redis_options_of(const struct store_env *env) {
    return (struct redis_options){.url = config_text(env->config, "redis.url"),
                                  .timeout_ms = (uint32_t)config_ms(env->config, "redis.timeout"),
                                  .allow_volatile =
                                      config_bool(env->config, "redis.allow_volatile"),
                                  .loop = env->loop,
                                  .log = env->log};
}

static uint64_t redis_ups(struct store *store) {
    return ((struct redis_store *)store)->ups;
}

static void redis_on_state(void *arg, bool up) {
    struct redis_store *s = arg;
    s->ups += up ? 1 : 0;
    s->kind->on_state(s, up);
}

void redis_store_init(struct redis_store *s, const struct redis_store_kind *kind,
                      const struct redis_options *options) {
    struct redis_options o = *options;
    s->kind = kind;
    s->as_store = (struct store_kind){.methods = kind->methods,
                                      .method_count = kind->method_count,
                                      .step_bytes = kind->step_bytes,
                                      .down_reason = redis_down_reason,
                                      .is_coming = redis_is_coming,
                                      .ups = redis_ups,
                                      .stop = redis_stop,
                                      .deinit = redis_deinit};
    store_init(&s->store, &s->as_store, o.loop);
    s->log = o.log;
    s->scripts = hw_calloc((size_t)kind->script_count, sizeof(s->scripts[0]));
    for (int i = 0; i < kind->script_count; i++)
        redis_script_init(&s->scripts[i], &kind->scripts[i]);
    o.on_state = redis_on_state;
    o.arg = s;
    s->conn = redis_conn_new(&o);
}
