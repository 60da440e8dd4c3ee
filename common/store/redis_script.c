#include "redis_script.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "crypto.h"

void redis_script_init(struct redis_script *s, const struct redis_script_source *from) {
    struct buf text = BUF_EMPTY;
    for (const struct redis_script_constant *c = from->constants; c->name; c++)
        buf_printf(&text, "local %s = %lld\n", c->name, (long long)c->value);
    for (const char *const *piece = from->pieces; *piece; piece++)
        buf_append_str(&text, *piece);
    s->name = from->name;
    s->shape = from->shape;
    s->text = hw_strdup(buf_cstr(&text));
    crypto_sha1_hex(s->text, strlen(s->text), s->sha1);
    buf_free(&text);
}

void redis_script_deinit(struct redis_script *s) {
    free(s->text);
    s->text = NULL;
}

void redis_put_number(struct buf *out, uint64_t n, size_t bytes) {
    uint8_t *at = buf_reserve(out, bytes);
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(n >> (8 * i));
    out->len += bytes;
}

struct redis_bytes redis_key_tag(const char *key) {
    const char *open = strchr(key, '{'), *close = open ? strchr(open + 1, '}') : NULL;
    if (!close || close == open + 1)
        return (struct redis_bytes){key, strlen(key)};
    return (struct redis_bytes){open + 1, (size_t)(close - open - 1)};
}

static bool is_same_hash_tag(const char *a, const char *b) {
    struct redis_bytes x = redis_key_tag(a), y = redis_key_tag(b);
    return x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
}

static void pack_rest(struct redis_args *out, const struct redis_args *rest) {
    for (int i = 0; rest && i < rest->count; i++)
        redis_arg_bytes(out, rest->v[i], rest->len[i]);
}

static void pack_arg(struct redis_args *out, enum redis_arg_type type, const void *field) {
    const struct redis_bytes *bytes = field;
    switch (type) {
    case REDIS_ARG_KEY:
    case REDIS_ARG_TEXT:
        assert(*(const char *const *)field);
        redis_arg_text(out, *(const char *const *)field);
        break;
    case REDIS_ARG_BYTES:
        redis_arg_bytes(out, bytes->data, bytes->len);
        break;
    case REDIS_ARG_NUMBER:
    case REDIS_ARG_DIGITS:
        redis_arg_u64(out, *(const uint64_t *)field);
        break;
    case REDIS_ARG_FLAG:
        redis_arg_text(out, *(const bool *)field ? "1" : "0");
        break;
    case REDIS_ARG_REST:
        pack_rest(out, *(const struct redis_args *const *)field);
        break;
    }
}

void redis_script_pack(const struct redis_script_source *s, const void *args,
                       struct redis_bytes history, struct redis_args *out) {
    out->count = 0;
    for (int i = 0; i < s->arg_count; i++) {
        if (i == s->key_count)
            redis_arg_bytes(out, history.data, history.len);
        pack_arg(out, s->args[i].type, (const char *)args + s->args[i].at);
    }
    if (s->arg_count == s->key_count)
        redis_arg_bytes(out, history.data, history.len);
    for (int i = 1; i < s->key_count; i++)
        assert(is_same_hash_tag(out->v[0], out->v[i]));
}
