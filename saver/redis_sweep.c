// What is there to sweep and to sum up, and the sweep: once a second one of the savers (it holds
// hw:sweep) asks a number of buckets to let go of what is due.
#include "redis_internal.h"

#include <inttypes.h>

#include "table.h"

enum { SWEEP_MS = 1000, LEASE_MS = 900, BUCKETS_A_TURN = 512, DUE_A_BUCKET = 200, BUCKETS = 1024 };

struct known_buckets { // of one product: bucket + 1, and 0 for the product's own
    UT_hash_handle hh;
    uint32_t product;
    bool has[BUCKETS + 1];
};

static void command(struct redis_store *s, const char *shape, redis_done_fn *done, int argc,
                    const char *const *argv) {
    size_t lens[8];
    for (int i = 0; i < argc; i++)
        lens[i] = strlen(argv[i]);
    redis_command(s->conn, shape, argc, argv, lens, done, s);
}

// --- the sets

void saver_buckets_forget(struct redis_store *s) {
    struct known_buckets *k, *next;
    HASH_ITER(hh, s->known, k, next) {
        HASH_DEL(s->known, k);
        free(k);
    }
}

static void on_announced(void *arg, int error, const redisReply *r) {
    (void)r;
    if (error != 0)
        saver_buckets_forget(arg); // the next append says it again
}

static struct known_buckets *known_get(struct redis_store *s, uint32_t product) {
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

void saver_bucket_announce(struct redis_store *s, uint32_t product, int bucket, bool is_new) {
    struct known_buckets *k = known_get(s, product);
    char key[BASE_MAX], member[12], number[12];
    if (k->has[bucket + 1] && !is_new)
        return;
    k->has[bucket + 1] = true;
    set_key(key, product);
    snprintf(member, sizeof(member), "%d", bucket);
    snprintf(number, sizeof(number), "%" PRIu32, product);
    command(s, "i", on_announced, 3, (const char *const[]){"SADD", "hw:products", number});
    command(s, "i", on_announced, 3, (const char *const[]){"SADD", key, member});
}

// --- the sweep

static void end_turn(struct redis_store *s) {
    s->sweep.busy = false;
}

static void on_swept(void *arg, int error, const redisReply *r) {
    struct redis_store *s = arg;
    if (error != 0)
        saver_redis_refused(s, "sweep", r);
    if (--s->sweep.open == 0)
        end_turn(s);
}

static void sweep_some(struct redis_store *s) {
    struct sweep *w = &s->sweep;
    const char *run_id = redis_conn_run_id(s->conn);
    for (int i = 0; i < BUCKETS_A_TURN && w->count > 0; i++) {
        struct redis_args args = {0};
        saver_arg_text(&args, w->bases[--w->count]);
        saver_arg_bytes(&args, run_id, strnlen(run_id, RUN_ID_CHARS));
        saver_arg_u64(&args, DUE_A_BUCKET);
        w->open++;
        saver_script_send(s, SCRIPT_SWEEP, &args, on_swept, s);
    }
    if (w->open == 0)
        end_turn(s);
}

struct product_buckets { // of one product, being read
    struct redis_store *store;
    uint32_t product;
};

static void on_members(void *arg, int error, const redisReply *r) {
    struct product_buckets *of = arg;
    struct redis_store *s = of->store;
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
    struct redis_store *s = arg;
    if (error != 0 || r->elements == 0) {
        end_turn(s);
        return;
    }
    for (size_t i = 0; i < r->elements; i++) {
        struct product_buckets *of = hw_malloc(sizeof(*of));
        char key[BASE_MAX];
        *of = (struct product_buckets){s, (uint32_t)strtoul(r->element[i]->str, NULL, 10)};
        set_key(key, of->product);
        s->sweep.open++;
        redis_command(s->conn, "[*s]", 2, (const char *const[]){"SMEMBERS", key},
                      (const size_t[]){8, strlen(key)}, on_members, of);
    }
}

static void on_lease(void *arg, int error, const redisReply *r) {
    struct redis_store *s = arg;
    if (error != 0 || r->type != REDIS_REPLY_STATUS) // another saver has this second
        end_turn(s);
    else if (s->sweep.count > 0)
        sweep_some(s);
    else
        command(s, "[*s]", on_products, 2, (const char *const[]){"SMEMBERS", "hw:products"});
}

static void on_tick(struct timer *t) {
    struct redis_store *s = container_of(t, struct redis_store, sweep.timer);
    char lease[12];
    snprintf(lease, sizeof(lease), "%d", LEASE_MS);
    loop_arm(s->loop, &s->sweep.timer, SWEEP_MS, on_tick);
    if (s->sweep.busy || !redis_conn_is_up(s->conn))
        return;
    s->sweep.busy = true;
    command(s, "?+", on_lease, 6, (const char *const[]){"SET", "hw:sweep", "1", "NX", "PX", lease});
}

void saver_sweep_start(struct redis_store *s) {
    loop_arm(s->loop, &s->sweep.timer, SWEEP_MS, on_tick);
}

void saver_sweep_stop(struct redis_store *s) {
    loop_disarm(s->loop, &s->sweep.timer);
}
