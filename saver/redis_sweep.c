// What is there to sweep and to sum up, and the sweep: once a second one of the savers (it holds
// hw:sweep) asks a number of buckets to let go of what is due.
#include "redis_internal.h"

#include <inttypes.h>

#include "table.h"

enum {
    SWEEP_MS = 1000,
    SWEEP_LEASE_MS = 900,
    BUCKETS_AT_ONCE = 512,
    DUE_A_BUCKET = 200,
    BUCKETS = 1024
};

static const char LOGS_KEY[] = "hw:logs", SWEEP_KEY[] = "hw:sweep";

struct known_buckets { // of one product: bucket + 1, and 0 for the product's own
    UT_hash_handle hh;
    uint32_t product;
    bool has[BUCKETS + 1];
};

// --- the sets

void saver_buckets_forget(struct saver_redis *s) {
    struct known_buckets *k, *next;
    HASH_ITER(hh, s->known, k, next) {
        HASH_DEL(s->known, k);
        free(k);
    }
}

static void on_bucket_announced(void *arg, int error, const redisReply *r) {
    (void)r;
    if (error != 0)
        saver_buckets_forget(saver_redis_of(arg)); // the next append says it again
}

static struct known_buckets *known_get(struct saver_redis *s, uint32_t product) {
    struct known_buckets *k = NULL;
    HASH_FIND(hh, s->known, &product, sizeof(product), k);
    if (k)
        return k;
    k = hw_calloc(1, sizeof(*k));
    k->product = product;
    HASH_ADD(hh, s->known, product, sizeof(k->product), k);
    return k;
}

static void set_key(char key[BASE_MAX], uint32_t product) {
    snprintf(key, BASE_MAX, "hw:{%" PRIu32 "}:b", product);
}

void saver_bucket_announce(struct redis_store *s, const struct saver_step *of, bool is_new) {
    struct known_buckets *k = known_get(saver_redis_of(s), of->product);
    char key[BASE_MAX], member[12], number[12];
    if (k->has[of->bucket + 1] && !is_new)
        return;
    k->has[of->bucket + 1] = true;
    set_key(key, of->product);
    snprintf(member, sizeof(member), "%d", of->bucket);
    snprintf(number, sizeof(number), "%" PRIu32, of->product);
    const char *const product[] = {"SADD", LOGS_KEY, number, NULL};
    const char *const bucket[] = {"SADD", key, member, NULL};
    redis_store_ask(s, &(struct redis_words){LOGS_KEY, "i", product}, on_bucket_announced, s);
    redis_store_ask(s, &(struct redis_words){key, "i", bucket}, on_bucket_announced, s);
}

// --- the sweep

static void sweep_over(struct saver_redis *s) {
    s->sweep.busy = false;
}

static void on_swept(void *arg, int error, const redisReply *r) {
    struct saver_redis *s = arg;
    if (error != 0 && r)
        redis_store_refused(&s->base, "sweep", r->str);
    if (--s->sweep.open == 0)
        sweep_over(s);
}

static void sweep_some(struct saver_redis *s) {
    struct sweep *w = &s->sweep;
    for (int i = 0; i < BUCKETS_AT_ONCE && w->count > 0; i++) {
        struct saver_sweep_args args = {w->bases[--w->count], DUE_A_BUCKET};
        w->open++;
        saver_sweep_run(&s->base, &args, on_swept, s);
    }
    if (w->open == 0)
        sweep_over(s);
}

struct product_buckets { // of one product, being read
    struct saver_redis *store;
    uint32_t product;
};

static void on_members(void *arg, int error, const redisReply *r) {
    struct product_buckets *of = arg;
    struct saver_redis *s = of->store;
    struct sweep *w = &s->sweep;
    if (error == 0) {
        w->bases = hw_realloc(w->bases, (w->count + r->elements + 1) * sizeof(w->bases[0]));
        for (size_t i = 0; i < r->elements; i++)
            saver_base(w->bases[w->count++], of->product,
                       (int)strtol(r->element[i]->str, NULL, 10));
    }
    free(of);
    if (--w->open == 0)
        sweep_some(s);
}

static void on_products(void *arg, int error, const redisReply *r) {
    struct saver_redis *s = arg;
    if (error != 0 || r->elements == 0) {
        sweep_over(s);
        return;
    }
    for (size_t i = 0; i < r->elements; i++) {
        struct product_buckets *of = hw_malloc(sizeof(*of));
        char key[BASE_MAX];
        *of = (struct product_buckets){s, (uint32_t)strtoul(r->element[i]->str, NULL, 10)};
        set_key(key, of->product);
        s->sweep.open++;
        const char *const word[] = {"SMEMBERS", key, NULL};
        redis_store_ask(&s->base, &(struct redis_words){key, "[*s]", word}, on_members, of);
    }
}

static void on_sweep_lease(void *arg, int error, const redisReply *r) {
    struct saver_redis *s = arg;
    const char *const word[] = {"SMEMBERS", LOGS_KEY, NULL};
    if (error != 0 || r->type != REDIS_REPLY_STATUS) // another saver has this second
        sweep_over(s);
    else if (s->sweep.count > 0)
        sweep_some(s);
    else
        redis_store_ask(&s->base, &(struct redis_words){LOGS_KEY, "[*s]", word}, on_products, s);
}

static void on_tick(struct timer *t) {
    struct saver_redis *s = container_of(t, struct saver_redis, sweep.timer);
    char lease[12];
    snprintf(lease, sizeof(lease), "%d", SWEEP_LEASE_MS);
    loop_arm(s->base.store.loop, &s->sweep.timer, SWEEP_MS, on_tick);
    if (s->sweep.busy || s->sweep.is_held || !redis_conn_is_up(s->base.conn))
        return;
    s->sweep.busy = true;
    const char *const word[] = {"SET", SWEEP_KEY, "1", "NX", "PX", lease, NULL};
    redis_store_ask(&s->base, &(struct redis_words){SWEEP_KEY, "?+", word}, on_sweep_lease, s);
}

void saver_sweep_start(struct saver_redis *s) {
    loop_arm(s->base.store.loop, &s->sweep.timer, SWEEP_MS, on_tick);
}

void saver_sweep_stop(struct saver_redis *s) {
    loop_disarm(s->base.store.loop, &s->sweep.timer);
}
