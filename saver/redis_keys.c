// The bound on a product's Idempotency-Keys (key_bound.h): who has to wait for its sum, or for an
// append that may take the last place.
#include "key_bound.h"
#include "redis_internal.h"

#include "table.h"

struct key_count { // of one product
    UT_hash_handle hh;
    struct saver_redis *store;
    uint32_t product;
    struct key_bound bound;
    key_send_fn *send;
    bool is_asking;
    struct saver_step *waiting, **waiting_end;
};

static struct key_count *count_get(struct saver_redis *s, uint32_t product, key_send_fn *send) {
    struct key_count *k = NULL;
    HASH_FIND(hh, s->key_counts, &product, sizeof(product), k);
    if (k)
        return k;
    k = hw_calloc(1, sizeof(*k));
    k->store = s;
    k->product = product;
    k->send = send;
    k->waiting_end = &k->waiting;
    HASH_ADD(hh, s->key_counts, product, sizeof(k->product), k);
    return k;
}

static struct saver_step *first_waiting(struct key_count *k) {
    struct saver_step *p = k->waiting;
    k->waiting = p->next;
    if (!k->waiting)
        k->waiting_end = &k->waiting;
    return p;
}

static void send_keyed(struct key_count *k, struct store_step *p,
                       const Hawser__Internal__AppendRequest *a, enum key_verdict verdict) {
    saver_step_of(p)->key_count = k;
    saver_step_of(p)->key_asks = key_bound_sent(&k->bound);
    k->send(p, a, verdict == KEY_FULL);
}

static void ask_key_sum(struct key_count *k);

// Those that wait, in order: for the sum that has been heard, or for one under way.
static void keys_go_on(struct key_count *k) {
    while (k->waiting && !k->is_asking) {
        const Hawser__Internal__AppendRequest *a =
            (const Hawser__Internal__AppendRequest *)k->waiting->step.request;
        enum key_verdict verdict = key_bound_judge(&k->bound, a->limits->ids_max);
        if (!k->bound.is_known)
            ask_key_sum(k);
        else if (verdict == KEY_WAIT)
            return;
        else
            send_keyed(k, &first_waiting(k)->step, a, verdict);
    }
}

static void complete_waiting(struct key_count *k, int error) {
    while (k->waiting)
        store_step_complete(&first_waiting(k)->step, error, NULL);
}

static void on_key_sum(void *arg, int error, const ProtobufCMessage *reply) {
    struct key_count *k = arg;
    k->is_asking = false;
    if (error == 0) {
        key_bound_heard(&k->bound, ((const Hawser__Internal__StatsReply *)reply)->keyed,
                        loop_now_ms(k->store->base.store.loop));
        keys_go_on(k);
        return;
    }
    key_bound_forget(&k->bound);
    complete_waiting(k, error == -HW_EOUTCOME ? -HW_ESTORE : error);
}

static void ask_key_sum(struct key_count *k) {
    Hawser__Internal__StatsRequest request = HAWSER__INTERNAL__STATS_REQUEST__INIT;
    request.product = k->product;
    k->is_asking = true;
    key_bound_asked(&k->bound, loop_now_ms(k->store->base.store.loop));
    store_call(&k->store->base.store, &request.base, on_key_sum, k);
}

void saver_key_settle(struct store_step *p, int error, bool is_stored) {
    struct key_count *k = saver_step_of(p)->key_count;
    if (!k)
        return;
    if (error == -HW_EOUTCOME)
        key_bound_forget(&k->bound);
    key_bound_settled(&k->bound, saver_step_of(p)->key_asks, is_stored);
    saver_step_of(p)->key_count = NULL;
    if (error != -HW_ECANCELLED)
        keys_go_on(k);
}

void saver_key_admit(struct store_step *p, const Hawser__Internal__AppendRequest *a,
                     key_send_fn *send) {
    bool is_bounded = a->body_hash.len > 0 && a->limits && a->limits->ids_max > 0;
    if (!is_bounded) {
        send(p, a, false);
        return;
    }
    struct key_count *k = count_get(saver_redis_of(redis_store_of(p)), a->product, send);
    uint64_t max = a->limits->ids_max;
    bool must_wait = k->is_asking || k->waiting;
    bool must_ask = !must_wait && key_bound_is_stale(&k->bound, max, loop_now_ms(p->store->loop));
    enum key_verdict verdict = must_wait || must_ask ? KEY_WAIT : key_bound_judge(&k->bound, max);
    if (verdict != KEY_WAIT) {
        send_keyed(k, p, a, verdict);
        return;
    }
    store_step_keep(p, &a->base);
    *k->waiting_end = saver_step_of(p);
    k->waiting_end = &saver_step_of(p)->next;
    if (must_ask)
        ask_key_sum(k);
}

void saver_key_counts_free(struct saver_redis *s) {
    struct key_count *k, *next;
    HASH_ITER(hh, s->key_counts, k, next) {
        complete_waiting(k, -HW_ECANCELLED);
        HASH_DEL(s->key_counts, k);
        free(k);
    }
}
