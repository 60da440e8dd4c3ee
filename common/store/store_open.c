#include "store_open.h"

#include <string.h>

static bool is_memory(const char *url) {
    return strcmp(url, "memory:") == 0;
}

int store_open(const struct store_backends *b, const struct redis_options *o, struct buf *ret_error,
               struct store **ret_store) {
    struct buf why = BUF_EMPTY;
    if (is_memory(o->url)) {
        log_event(o->log, LOG_WARN, "store in memory",
                  "warning=\"redis.url is memory: nothing survives the end of this daemon, and it "
                  "must be the only one of its role\"");
        *ret_store = b->memory(o->loop);
        return 0;
    }
    int rc = redis_url_check(o->url, &why);
    if (rc == 0)
        *ret_store = b->redis(o);
    else
        buf_printf(ret_error, "redis.url: %s", buf_cstr(&why));
    buf_free(&why);
    return rc == 0 ? 0 : -HW_ECONFIG;
}

int store_open_configured(const struct store_backends *b, const struct store_env *env,
                          struct buf *ret_error, struct store **ret_store) {
    struct redis_options o = {.url = config_text(env->config, "redis.url"),
                              .timeout_ms = (uint32_t)config_ms(env->config, "redis.timeout"),
                              .allow_volatile = config_bool(env->config, "redis.allow_volatile"),
                              .loop = env->loop,
                              .log = env->log};
    return store_open(b, &o, ret_error, ret_store);
}

bool store_is_in_memory(const struct config *config) {
    return is_memory(config_text(config, "redis.url"));
}
