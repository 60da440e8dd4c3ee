// The bound on a product's Idempotency-Keys. They lie in the buckets of its users, which share no
// script, so the sum over all buckets is asked for, and may be as old as it would take many keys a
// second to fill what is left: far from the bound hardly ever, at the bound before each append, so
// that appends one after the other meet it exactly. Those under way side by side may pass it by as
// many.
#include "redis_internal.h"

#include "table.h"

enum { KEYS_PER_MS = 50 }; // what is thought to come at most, from all savers

struct key_count { // of one product
    UT_hash_handle hh;
    struct saver_redis *store;
    uint32_t product;
    bool is_known, is_asking;
    uint64_t sum, asked_ms, added; // added: appended here since the sum was asked for
    struct saver_step *waiting, **waiting_end;
};

static struct key_count *count_get(struct saver_redis *s, uint32_t product) {
    struct key_count *k = NULL;
    HASH_FIND(hh, s->key_counts, &product, sizeof(product), k);
    if (k)
        return k;
    k = hw_calloc(1, sizeof(*k));
    k->store = s;
    k->product = product;
    k->waiting_end = &k->waiting;
    HASH_ADD(hh, s->key_counts, product, sizeof(k->product), k);
    return k;
}

static bool is_fresh(const struct key_count *k, uint64_t max) {
    uint64_t used = k->sum + k->added, left = used < max ? max - used : 0;
    uint64_t age_ms = loop_now_ms(k->store->base.loop) - k->asked_ms;
    return k->is_known && age_ms < left / KEYS_PER_MS;
}

static void go_on(struct key_count *k, struct saver_step *p) {
    const Hawser__Internal__AppendRequest *a =
        (const Hawser__Internal__AppendRequest *)p->step.request;
    bool is_full = k->sum + k->added >= a->limits->ids_max; // added: repeats too, for a moment
    k->added += is_full ? 0 : 1;
    saver_redis_append_step(&p->step, a, is_full);
}

static void ask(struct key_count *k);

static void on_sum(void *arg, int error, const ProtobufCMessage *reply) {
    struct key_count *k = arg;
    struct saver_step *p = k->waiting, *next;
    k->waiting = NULL;
    k->waiting_end = &k->waiting;
    k->is_asking = false;
    k->is_known = error == 0;
    if (error == 0)
        k->sum = ((const Hawser__Internal__StatsReply *)reply)->keyed;
    for (; p; p = next) {
        next = p->next;
        if (error == 0)
            go_on(k, p);
        else
            redis_step_complete(&p->step, error == -HW_EOUTCOME ? -HW_ESTORE : error, NULL);
    }
}

static void ask(struct key_count *k) {
    Hawser__Internal__StatsRequest request = HAWSER__INTERNAL__STATS_REQUEST__INIT;
    request.product = k->product;
    k->is_asking = true;
    k->added = 0; // what was sent before is in the sum: commands of a connection keep their order
    k->asked_ms = loop_now_ms(k->store->base.loop);
    saver_redis_stats(redis_step_new(&k->store->base, "stats", on_sum, k), &request);
}

void saver_redis_append(struct redis_step *p, const Hawser__Internal__AppendRequest *a) {
    bool is_bounded = a->body_hash.len > 0 && a->limits && a->limits->ids_max > 0;
    struct key_count *k = is_bounded ? count_get(saver_redis_of(p->store), a->product) : NULL;
    if (!k) {
        saver_redis_append_step(p, a, false);
    } else if (!k->is_asking && is_fresh(k, a->limits->ids_max)) {
        k->added++;
        saver_redis_append_step(p, a, false);
    } else {
        redis_step_keep(p, &a->base);
        *k->waiting_end = saver_step_of(p);
        k->waiting_end = &saver_step_of(p)->next;
        if (!k->is_asking)
            ask(k);
    }
}

void saver_key_counts_free(struct saver_redis *s) {
    struct key_count *k, *next;
    HASH_ITER(hh, s->key_counts, k, next) {
        HASH_DEL(s->key_counts, k);
        free(k);
    }
}
