// What the steps in Redis have in common: their keys, and a view of which runs are alive.
#include "redis_internal.h"

#include <inttypes.h>

#include "crypto.h"

const char register_directory_key[] = "hw:{dir}";

void register_keys_of(struct register_keys *k, uint32_t product, const char *user) {
    unsigned bucket = bucket_of_user(user, strlen(user));
    snprintf(k->rows, REDIS_KEY_BYTES, "hw:{%" PRIu32 ":%u}:r", product, bucket);
    snprintf(k->takeovers, REDIS_KEY_BYTES, "hw:{%" PRIu32 ":%u}:t:%.100s", product, bucket, user);
}

// --- the view

bool register_view_has(const struct buf *view, uint64_t incarnation) {
    char text[32];
    snprintf(text, sizeof(text), " %llu ", (unsigned long long)incarnation);
    return view->len > 0 && memmem(view->data, view->len, text, strlen(text)) != NULL;
}

bool register_view_is_over(const struct register_redis *s, uint64_t incarnation) {
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

static void on_view(void *arg, int error, const redisReply *reply) {
    struct register_redis *s = arg;
    s->view_asked = false;
    if (error == 0) {
        take_view(&s->live, redis_reply_at(reply, REGISTER_VIEW_AT_LIVE));
        take_view(&s->undead, redis_reply_at(reply, REGISTER_VIEW_AT_UNDEAD));
        s->view_ms = redis_reply_u64(reply, REGISTER_VIEW_AT_STORE_MS);
        s->view_known = true;
    }
}

static void ask_view(struct timer *t) {
    struct register_redis *s = container_of(t, struct register_redis, view_timer);
    loop_arm(s->base.store.loop, &s->view_timer, VIEW_MS, ask_view);
    if (s->view_asked || !redis_conn_is_up(s->base.conn))
        return;
    s->view_asked = true;
    register_view_run(&s->base, &(struct register_view_args){register_directory_key}, on_view, s);
}

void register_view_start(struct register_redis *s) {
    loop_arm(s->base.store.loop, &s->view_timer, 0, ask_view);
}

void register_view_stop(struct register_redis *s) {
    loop_disarm(s->base.store.loop, &s->view_timer);
    buf_free(&s->live);
    buf_free(&s->undead);
}

void register_view_on_state(struct redis_store *store, bool up) {
    struct register_redis *s = register_redis_of(store);
    if (!up)
        s->view_known = false; // it may come back as another
    else
        register_view_start(s);
}

const char *register_view_unready(struct redis_store *s) {
    return register_redis_of(s)->view_known ? NULL : "the directory was not read yet";
}

static void on_view_missing(void *arg, int error, const redisReply *reply) {
    (void)reply;
    store_step_complete(arg, error ? error : -HW_ESTORE, NULL);
}

bool register_view_is_missing(struct store_step *p) {
    if (register_redis_of(redis_store_of(p))->view_known)
        return false;
    redis_store_ask(redis_store_of(p),
                    &(struct redis_words){NULL, "+", (const char *const[]){"PING", NULL}},
                    on_view_missing, p);
    return true;
}
