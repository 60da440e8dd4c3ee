// A Redis connection in a loop of its own, and the fate of what it was asked; also over a server
// that answers what the test wants.
#ifndef HW_REDIS_CONN_BED_H
#define HW_REDIS_CONN_BED_H

#include <string.h>

#include "fake_redis.h"
#include "redis_conn.h"

static struct os *os;
static struct loop *loop;

struct outcome {
    int completions, error;
    long long integer;
    char text[64];
};

static inline void on_done(void *arg, int error, const redisReply *reply) {
    struct outcome *o = arg;
    o->completions++;
    o->error = error;
    if (reply) {
        o->integer = reply->integer;
        snprintf(o->text, sizeof(o->text), "%.60s", reply->str ? reply->str : "");
    }
}

static inline void until_up(struct redis_conn *c) {
    while (!redis_conn_is_up(c))
        loop_step(loop, -1);
}

static const char *shape;
static inline void command(struct redis_conn *c, const char *name, const char *a, const char *b,
                           struct outcome *o) {
    struct redis_args args = {0};
    redis_arg_text(&args, name);
    if (a)
        redis_arg_text(&args, a);
    if (b)
        redis_arg_text(&args, b);
    *o = (struct outcome){0};
    redis_ask(c, &(struct redis_command){.shape = shape, .args = &args}, on_done, o);
    ck_assert_int_eq(o->completions, 0);
}

static inline void wait_for(struct outcome *o) {
    while (o->completions == 0)
        loop_step(loop, -1);
    ck_assert_int_eq(o->completions, 1);
}

static inline void until_down(struct redis_conn *c, const char *reason) {
    while (redis_conn_is_up(c) || !strstr(redis_conn_down_reason(c), reason))
        loop_step(loop, -1);
}

static inline struct redis_conn *fake_setup(struct fake_redis *f, uint32_t timeout_ms) {
    fake_start(f);
    os = os_new();
    loop = loop_new(os);
    return redis_conn_new(
        &(struct redis_options){.url = f->url, .timeout_ms = timeout_ms, .loop = loop});
}

static inline void fake_teardown(struct fake_redis *f, struct redis_conn *c) {
    redis_conn_free(c);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
    fake_stop(f);
}

#endif
