// The Redis store: its connection, its calls, and its view of which runs are alive.
#include <errno.h>

#include "crypto.h"
#include "message.h"
#include "redis_internal.h"

// --- arguments and replies

void register_arg_bytes(struct redis_args *a, const void *bytes, size_t len) {
    if (a->count == ARGS_MAX)
        abort(); // the lists are written in the source
    a->v[a->count] = bytes;
    a->len[a->count++] = len;
}

void register_arg_text(struct redis_args *a, const char *text) {
    register_arg_bytes(a, text, strlen(text));
}

void register_arg_u64(struct redis_args *a, uint64_t n) {
    char *text = a->numbers[a->count];
    snprintf(text, sizeof(a->numbers[0]), "%llu", (unsigned long long)n);
    register_arg_text(a, text);
}

void register_args_user(struct redis_args *a, uint32_t product, const char *user) {
    *a = (struct redis_args){.keys = 1};
    snprintf(a->key, sizeof(a->key), "hw:{%u:%u}:r:%.100s", product,
             bucket_of_user(user, strlen(user)), user);
    register_arg_text(a, a->key);
}

void register_args_takeovers(struct redis_args *a, uint32_t product, const char *user) {
    a->keys = 2;
    snprintf(a->second_key, sizeof(a->second_key), "hw:{%u:%u}:t:%.100s", product,
             bucket_of_user(user, strlen(user)), user);
    register_arg_text(a, a->second_key);
}

void register_args_directory(struct redis_args *a) {
    *a = (struct redis_args){.keys = 1};
    register_arg_text(a, "hw:{dir}");
}

void register_script_send(struct redis_store *s, enum register_script script,
                          const struct redis_args *a, redis_done_fn *done, void *arg) {
    redis_script_call(s->conn, &s->scripts[script], a->keys, a->count, a->v, a->len, done, arg);
}

const redisReply *register_reply_at(const redisReply *r, size_t i) {
    return r && r->type == REDIS_REPLY_ARRAY && i < r->elements ? r->element[i] : NULL;
}

uint64_t register_reply_u64(const redisReply *r, size_t i) {
    const redisReply *e = register_reply_at(r, i);
    if (e && e->type == REDIS_REPLY_INTEGER)
        return (uint64_t)e->integer;
    return e && e->type == REDIS_REPLY_STRING ? strtoull(e->str, NULL, 10) : 0;
}

// --- the view

bool register_view_has(const struct buf *view, uint64_t incarnation) {
    char text[32];
    snprintf(text, sizeof(text), " %llu ", (unsigned long long)incarnation);
    return view->len > 0 && memmem(view->data, view->len, text, strlen(text)) != NULL;
}

bool register_view_is_over(const struct redis_store *s, uint64_t incarnation) {
    char gone[32];
    snprintf(gone, sizeof(gone), " -%llu ", (unsigned long long)incarnation);
    bool is_any = s->undead.len > 0 && memmem(s->undead.data, s->undead.len, " * ", 3) != NULL;
    return s->view_known && !register_view_has(&s->undead, incarnation) &&
           (!is_any || memmem(s->undead.data, s->undead.len, gone, strlen(gone)) != NULL);
}

static void take_view(struct buf *b, const redisReply *list) {
    buf_reset(b);
    buf_append_str(b, " ");
    for (size_t i = 0; i < list->elements; i++)
        buf_printf(b, "%s ", list->element[i]->str);
}

static void ask_view(struct timer *t);

static void on_view(void *arg, int error, const redisReply *reply) {
    struct redis_store *s = arg;
    s->view_asked = false;
    if (error == 0) {
        take_view(&s->live, register_reply_at(reply, 0));
        take_view(&s->undead, register_reply_at(reply, 1));
        s->view_ms = register_reply_u64(reply, 2);
        s->view_known = true;
    }
}

static void ask_view(struct timer *t) {
    struct redis_store *s = container_of(t, struct redis_store, view_timer);
    struct redis_args a;
    loop_arm(s->loop, &s->view_timer, VIEW_MS, ask_view);
    if (s->view_asked || !redis_conn_is_up(s->conn))
        return;
    s->view_asked = true;
    register_args_directory(&a);
    register_arg_u64(&a, GONE_FOR_GOOD_MS);
    register_script_send(s, SCRIPT_VIEW, &a, on_view, s);
}

static void on_state(void *arg, bool up) {
    struct redis_store *s = arg;
    if (!up)
        s->view_known = false; // it may come back as another
    else
        loop_arm(s->loop, &s->view_timer, 0, ask_view);
}

// --- calls

static const struct {
    int method;
    bool needs_view;
    void (*step)(struct step *p);
} steps[] = {
    {HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_ANNOUNCE, false, register_redis_announce},
    {HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_WITHDRAW, false, register_redis_withdraw},
    {HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_WATCH, false, register_redis_watch},
    {HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_CATALOG_PUT, false, register_redis_put},
    {HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_CATALOG_GET, false, register_redis_get},
    {HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_LOGIN, true, register_redis_login},
    {HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_TAKEOVER, false, register_redis_takeover},
    {HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_DROP, false, register_redis_drop},
    {HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_CONFIRM, true, register_redis_confirm},
    {HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_FIND, true, register_redis_find},
    {HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_ONLINE, true, register_redis_online},
};

void register_step_complete(struct step *p, int error, ProtobufCMessage *reply) {
    p->done(p->arg, error, error ? NULL : reply);
    if (reply)
        protobuf_c_message_free_unpacked(reply, NULL);
    protobuf_c_message_free_unpacked(p->request, NULL);
    free(p);
}

static void on_refused(void *arg, int error, const redisReply *reply) {
    (void)reply;
    register_step_complete(arg, error ? error : -HW_ESTORE, NULL);
}

static void call(struct register_store *store, int method, const ProtobufCMessage *request,
                 register_done_fn *done, void *arg) {
    struct redis_store *s = (struct redis_store *)store;
    struct step *p = hw_calloc(1, sizeof(*p));
    static const char *const ping[] = {"PING"};
    static const size_t ping_len[] = {4};
    *p = (struct step){.store = s, .done = done, .arg = arg, .request = message_copy(request)};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i].method != method)
            continue;
        if (steps[i].needs_view && !s->view_known)
            redis_command(s->conn, "+", 1, ping, ping_len, on_refused, p); // later, and not done
        else
            steps[i].step(p);
        return;
    }
    abort(); // the service's table and this one are written in the source
}

static const char *down_reason(struct register_store *store) {
    struct redis_store *s = (struct redis_store *)store;
    if (!redis_conn_is_up(s->conn))
        return redis_conn_down_reason(s->conn);
    return s->view_known ? NULL : "the directory was not read yet";
}

static bool is_coming(struct register_store *store) {
    const struct redis_store *s = (struct redis_store *)store;
    return redis_conn_is_loading(s->conn) || redis_conn_is_up(s->conn);
}

static void redis_free(struct register_store *store) {
    struct redis_store *s = (struct redis_store *)store;
    redis_conn_free(s->conn);
    loop_disarm(s->loop, &s->view_timer);
    buf_free(&s->live);
    buf_free(&s->undead);
    free(s);
}

static const struct register_store_ops ops = {
    .call = call, .down_reason = down_reason, .is_coming = is_coming, .free = redis_free};

struct register_store *register_store_redis(const struct redis_options *options) {
    struct redis_store *s = hw_calloc(1, sizeof(*s));
    struct redis_options o = *options;
    static const struct {
        const char *source, *shape; // of its answer
    } scripts[SCRIPTS] = {
        [SCRIPT_LOGIN] = {register_script_login, "[nn*i]|[iisssssssss[*s][*s]]"},
        [SCRIPT_TAKEOVER] = {register_script_takeover, "i"},
        [SCRIPT_DROP] = {register_script_drop, "i"},
        [SCRIPT_CONFIRM] = {register_script_confirm, "[is]|[isissssssss*[*s]]"},
        [SCRIPT_ANNOUNCE] = {register_script_announce, "[nn]"},
        [SCRIPT_WITHDRAW] = {register_script_withdraw, "i"},
        [SCRIPT_WATCH] = {register_script_watch, "[nnnnniii[*s][*nn][*ss]]"},
        [SCRIPT_PUT] = {register_script_put, "[is]"},
        [SCRIPT_GET] = {register_script_get, "s"},
        [SCRIPT_VIEW] = {register_script_view, "[[*s][*s]n]"},
        [SCRIPT_NUMBER] = {register_script_number, "i"},
    };
    for (int i = 0; i < SCRIPTS; i++)
        s->scripts[i] =
            (struct redis_script){.source = scripts[i].source, .shape = scripts[i].shape};
    s->store.ops = &ops;
    s->loop = o.loop;
    o.on_state = on_state;
    o.arg = s;
    s->conn = redis_conn_new(&o);
    loop_arm(s->loop, &s->view_timer, 0, ask_view);
    return &s->store;
}
