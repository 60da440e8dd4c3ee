// What a script is told of the bucket that it works on.
#include "redis_internal.h"

#include <inttypes.h>

#include "crypto.h"

static int bucket_or_own(const char *user) {
    return user && *user ? (int)bucket_of_user(user, strlen(user)) : -1;
}

void saver_step_is_of(struct redis_step *p, uint32_t product, const char *user) {
    saver_step_of(p)->product = product;
    saver_step_of(p)->bucket = bucket_or_own(user);
}

int saver_base(char out[BASE_MAX], uint32_t product, int bucket) {
    return bucket < 0 ? snprintf(out, BASE_MAX, "hw:{%" PRIu32 "}:", product)
                      : snprintf(out, BASE_MAX, "hw:{%" PRIu32 ":%d}:", product, bucket);
}

struct redis_bytes saver_run(struct redis_store *s) {
    return (struct redis_bytes){&saver_redis_of(s)->run, RUN_BYTES};
}

struct saver_bucket saver_bucket_of(struct redis_store *s, uint32_t product, const char *user) {
    struct saver_bucket bucket = {.run = saver_run(s)};
    saver_base(bucket.base, product, bucket_or_own(user));
    return bucket;
}

uint64_t saver_epoch(const struct redis_store *s) {
    return rng_epoch(loop_rng(s->loop));
}
