// The Redis store: each step is a script there, so this side only packs and unpacks.
#include "redis_internal.h"
#include "redis_scripts.h"

#include <inttypes.h>

#include "crypto.h"

static const struct {
    const char *name, *shape; // of the answer
    const char *parts[5];
} sources[SCRIPTS] = {
    [SCRIPT_APPEND] = {"append", "[*n]", {saver_lua_append}},
    [SCRIPT_LOAD] = {"load", "[nnnin[*[ns*i]]]", {saver_lua_places, saver_lua_load}},
    [SCRIPT_HEADS] = {"heads", "[*n]", {saver_lua_heads}},
    [SCRIPT_ATTACH] = {"attach", "[*n]", {saver_lua_places, saver_lua_devices, saver_lua_attach}},
    [SCRIPT_ACK] = {"ack", "i", {saver_lua_places, saver_lua_devices, saver_lua_ack}},
    [SCRIPT_USER] = {"user", "[nnn*ss]", {saver_lua_user}},
    [SCRIPT_SUMS] = {"sums", "i", {saver_lua_sums}},
    [SCRIPT_SWEEP] = {"sweep", "i", {saver_lua_sweep}},
};

static const struct {
    int method;
    void (*step)(struct step *p, const ProtobufCMessage *request);
} steps[] = {
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_APPEND, saver_redis_append},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_LOAD, saver_redis_load},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_HEAD, saver_redis_head},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_PRODUCT_HEADS, saver_redis_product_heads},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_ATTACH, saver_redis_attach},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_ACK, saver_redis_ack},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_SUMS, saver_redis_sums},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_STATS, saver_redis_stats},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_USER, saver_redis_user},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_CLOCK, saver_redis_clock},
};

// --- steps

struct step *saver_step_new(struct redis_store *s, saver_done_fn *done, void *arg) {
    struct step *p = hw_calloc(1, sizeof(*p));
    p->store = s;
    p->done = done;
    p->arg = arg;
    return p;
}

void saver_step_complete(struct step *p, int error, ProtobufCMessage *reply) {
    p->done(p->arg, error, error ? NULL : reply);
    if (reply)
        protobuf_c_message_free_unpacked(reply, NULL);
    if (p->request)
        protobuf_c_message_free_unpacked(p->request, NULL);
    free(p);
}

// --- arguments

int saver_base(char out[BASE_MAX], uint32_t product, int bucket) {
    return bucket < 0 ? snprintf(out, BASE_MAX, "hw:{%" PRIu32 "}:", product)
                      : snprintf(out, BASE_MAX, "hw:{%" PRIu32 ":%d}:", product, bucket);
}

void saver_arg_bytes(struct redis_args *a, const void *bytes, size_t len) {
    if (a->count == ARGS_MAX)
        abort(); // each call's number is written in the source, or bounded there
    a->v[a->count] = bytes;
    a->len[a->count++] = len;
}

void saver_arg_text(struct redis_args *a, const char *text) {
    saver_arg_bytes(a, text, strlen(text));
}

void saver_arg_u64(struct redis_args *a, uint64_t n) {
    char *at = a->numbers[a->count];
    int len = snprintf(at, sizeof(a->numbers[0]), "%" PRIu64, n);
    saver_arg_bytes(a, at, (size_t)len);
}

void saver_arg_epoch(struct redis_args *a, const struct redis_store *s) {
    saver_arg_u64(a, rng_epoch(loop_rng(s->loop)));
}

void saver_args_init(struct redis_args *a, const struct redis_store *s, uint32_t product,
                     const char *user) {
    bool is_own = !user || !*user;
    const char *run_id = redis_conn_run_id(s->conn);
    a->count = 0;
    saver_base(a->base, product, is_own ? -1 : (int)bucket_of_user(user, strlen(user)));
    saver_arg_text(a, a->base);
    saver_arg_bytes(a, run_id, strnlen(run_id, RUN_ID_CHARS));
}

void saver_script_send(struct redis_store *s, enum saver_script script, const struct redis_args *a,
                       redis_done_fn *done, void *arg) {
    redis_script_call(s->conn, &s->scripts[script], 1, a->count, a->v, a->len, done, arg);
}

// --- replies

const redisReply *saver_reply_at(const redisReply *r, size_t i) {
    return r && r->type == REDIS_REPLY_ARRAY && i < r->elements ? r->element[i] : NULL;
}

uint64_t saver_reply_u64(const redisReply *r, size_t i) {
    const redisReply *e = saver_reply_at(r, i);
    if (e && e->type == REDIS_REPLY_INTEGER)
        return e->integer < 0 ? 0 : (uint64_t)e->integer;
    return e && e->type == REDIS_REPLY_STRING ? strtoull(e->str, NULL, 10) : 0;
}

// Once a second: a full Redis refuses every append.
void saver_redis_refused(struct redis_store *s, const char *what, const redisReply *reply) {
    uint64_t now = loop_now_ms(s->loop);
    if (!reply || reply->type != REDIS_REPLY_ERROR || now < s->next_log_ms)
        return;
    s->next_log_ms = now + 1000;
    log_event(s->log, LOG_WARN, "redis refused", "step=%s error=%s", what,
              log_quote_str(reply->str));
}

// --- the store

static void call(struct saver_store *store, int method, const ProtobufCMessage *request,
                 saver_done_fn *done, void *arg) {
    struct redis_store *s = (struct redis_store *)store;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i].method == method) {
            steps[i].step(saver_step_new(s, done, arg), request);
            return;
        }
    }
    abort(); // the service's table and this one are written in the source
}

static const char *down_reason(struct saver_store *store) {
    struct redis_store *s = (struct redis_store *)store;
    if (redis_conn_is_up(s->conn))
        return NULL;
    snprintf(s->reason, sizeof(s->reason), "redis: %s", redis_conn_down_reason(s->conn));
    return s->reason;
}

static bool is_coming(struct saver_store *store) {
    return redis_conn_is_loading(((struct redis_store *)store)->conn);
}

static void redis_free(struct saver_store *store) {
    struct redis_store *s = (struct redis_store *)store;
    saver_sweep_stop(s);
    redis_conn_free(s->conn); // completes what is open
    saver_buckets_forget(s);
    saver_key_counts_free(s);
    free(s->sweep.bases);
    for (int i = 0; i < SCRIPTS; i++)
        free((char *)(uintptr_t)s->scripts[i].source);
    free(s);
}

static const struct saver_store_ops ops = {
    .call = call, .down_reason = down_reason, .is_coming = is_coming, .free = redis_free};

static void on_state(void *arg, bool up) {
    struct redis_store *s = arg;
    if (!up)
        saver_buckets_forget(s); // the next server may not have them
}

static void make_scripts(struct redis_store *s) {
    for (int i = 0; i < SCRIPTS; i++) {
        struct buf source = BUF_EMPTY;
        buf_append_str(&source, saver_lua_log);
        buf_append_str(&source, saver_lua_entries);
        for (int part = 0; sources[i].parts[part]; part++)
            buf_append_str(&source, sources[i].parts[part]);
        s->scripts[i].name = sources[i].name;
        s->scripts[i].shape = sources[i].shape;
        s->scripts[i].source = hw_strdup(buf_cstr(&source));
        buf_free(&source);
    }
}

struct saver_store *saver_store_redis(const struct redis_options *options) {
    struct redis_store *s = hw_calloc(1, sizeof(*s));
    struct redis_options o = *options;
    s->store.ops = &ops;
    s->loop = o.loop;
    s->log = o.log;
    make_scripts(s);
    o.on_state = on_state;
    o.arg = s;
    s->conn = redis_conn_new(&o);
    saver_sweep_start(s);
    return &s->store;
}
