// What a script is told of the bucket that it works on.
#include "redis_internal.h"

#include <inttypes.h>

#include "bytes.h"
#include "crypto.h"

enum { COLLAPSE_KEY_CUT_BYTES = 255 };

static int bucket_or_own(const char *user) {
    return user && *user ? (int)bucket_of_user(user, strlen(user)) : -1;
}

void saver_step_is_of(struct store_step *p, uint32_t product, const char *user) {
    saver_step_of(p)->product = product;
    saver_step_of(p)->bucket = bucket_or_own(user);
}

int saver_base(char out[BASE_MAX], uint32_t product, int bucket) {
    return bucket < 0 ? snprintf(out, BASE_MAX, "hw:{%" PRIu32 "}:", product)
                      : snprintf(out, BASE_MAX, "hw:{%" PRIu32 ":%d}:", product, bucket);
}

uint64_t saver_history(const struct redis_store *s) {
    struct redis_bytes history = redis_conn_history(s->conn);
    return le_get(history.data, history.len);
}

void saver_base_of(char out[BASE_MAX], uint32_t product, const char *user) {
    saver_base(out, product, bucket_or_own(user));
}

void saver_put_names(struct buf *out, const Hawser__Internal__StoredMessage *m) {
    for (size_t i = 0; i < m->n_device; i++) {
        buf_append(out, "\0", 1);
        buf_append_str(out, m->device[i]);
    }
    buf_append(out, "\0", m->n_device > 0 ? 1 : 0);
}

void saver_put_collapse_key(struct buf *out, const Hawser__Internal__StoredMessage *m) {
    uint8_t len = (uint8_t)strnlen(m->collapse_key, COLLAPSE_KEY_CUT_BYTES);
    buf_append(out, &len, 1);
    buf_append(out, m->collapse_key, len);
}

void saver_put_message(struct buf *out, const Hawser__Internal__StoredMessage *message,
                       bool has_ttl) {
    Hawser__Internal__StoredMessage m = *message;
    if (has_ttl)
        m.expires_ms = 0;
    size_t size = hawser__internal__stored_message__get_packed_size(&m);
    hawser__internal__stored_message__pack(&m, buf_reserve(out, size));
    out->len += size;
}

uint64_t saver_epoch(const struct redis_store *s) {
    return rng_epoch(loop_rng(s->store.loop));
}
