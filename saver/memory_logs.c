// Inboxes and products' logs: how they are found, what leaves them, and the counters of the sum.
#include "client.pb-c.h"
#include "memory_internal.h"

enum { LOG_KEY_BYTES = 128 };

static uint64_t next_expiry(const struct log_stream *l) {
    uint64_t due = UINT64_MAX;
    for (const struct log_entry *e = l->first; e; e = e->next)
        due = e->expires_ms < due ? e->expires_ms : due;
    return due;
}

// Armed for the earliest end; when that entry has left by then, it looks for the next.
static void arm_at(struct saver_memory *m, struct timer *t, uint64_t due_ms, timer_fn *fn) {
    uint64_t now = memory_store_now_ms(&m->base), after = due_ms > now ? due_ms - now : 0;
    if (due_ms == UINT64_MAX ||
        (timer_is_armed(t) && t->due_ms <= loop_now_ms(m->base.store.loop) + after))
        return;
    loop_arm(m->base.store.loop, t, after, fn);
}

// --- products

static void broadcast_expire(struct timer *t) {
    struct broadcast *b = container_of(t, struct broadcast, expiry);
    uint64_t now = memory_store_now_ms(&b->product->store->base);
    for (struct log_entry *e = b->log.first, *next; e; e = next) {
        next = e->next;
        if (e->expires_ms <= now)
            log_remove(&b->log, e, HAWSER__V1__GAP_REASON__GAP_EXPIRED);
    }
    broadcast_expires(b, next_expiry(&b->log));
}

void broadcast_expires(struct broadcast *b, uint64_t at_ms) {
    arm_at(b->product->store, &b->expiry, at_ms, broadcast_expire);
}

struct product_logs *product_logs_get(struct saver_memory *m, uint32_t number) {
    struct product_logs *p = NULL;
    HASH_FIND(hh, m->products, &number, sizeof(number), p);
    for (int i = STREAM_NEWS; p && i < STREAMS; i++)
        log_goes_on_in(&p->stream[i].log, m->history, memory_store_now_ms(&m->base));
    if (p)
        return p;
    p = hw_calloc(1, sizeof(*p));
    p->store = m;
    p->number = number;
    for (int i = STREAM_NEWS; i < STREAMS; i++) {
        log_stream_init(&p->stream[i].log, rng_epoch(loop_rng(m->base.store.loop)), m->history);
        p->stream[i].product = p;
    }
    HASH_ADD(hh, m->products, number, sizeof(p->number), p);
    return p;
}

// --- inboxes

static unsigned inbox_key(const struct saver_memory *m, uint32_t product, const char *user,
                          char key[LOG_KEY_BYTES], size_t *ret_len) {
    size_t len = strnlen(user, LOG_KEY_BYTES - sizeof(product));
    memcpy(key, &product, sizeof(product));
    memcpy(key + sizeof(product), user, len);
    *ret_len = sizeof(product) + len;
    return (unsigned)siphash(m->base.hash_key, key, *ret_len);
}

struct inbox *inbox_find(struct saver_memory *m, uint32_t product, const char *user) {
    char key[LOG_KEY_BYTES];
    size_t len;
    struct inbox *b = NULL;
    unsigned hash = inbox_key(m, product, user, key, &len);
    HASH_FIND_BYHASHVALUE(hh, m->inboxes, key, len, hash, b);
    if (b)
        log_goes_on_in(&b->log, m->history, memory_store_now_ms(&m->base));
    return b;
}

struct inbox *inbox_get(struct saver_memory *m, uint32_t product, const char *user) {
    char key[LOG_KEY_BYTES];
    size_t len;
    struct inbox *b = inbox_find(m, product, user);
    if (b)
        return b;
    unsigned hash = inbox_key(m, product, user, key, &len);
    b = hw_calloc(1, sizeof(*b) + len);
    b->store = m;
    b->product = product_logs_get(m, product);
    b->key_len = len;
    memcpy(b->key, key, len);
    log_stream_init(&b->log, rng_epoch(loop_rng(m->base.store.loop)), m->history);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, m->inboxes, b->key, b->key_len, hash, b);
    return b;
}

// --- what leaves an inbox

void inbox_drop(struct inbox *b, struct log_entry *e, uint32_t reason, uint64_t *counter) {
    if (!e->handled) { // it ends here; what some device handled has ended already
        b->product->pending--;
        ++*counter;
    }
    log_remove(&b->log, e, (int)reason);
}

static void inbox_expire(struct timer *t) {
    struct inbox *b = container_of(t, struct inbox, expiry);
    uint64_t now = memory_store_now_ms(&b->store->base);
    for (struct log_entry *e = b->log.first, *next; e; e = next) {
        next = e->next;
        if (e->expires_ms <= now)
            inbox_drop(b, e, HAWSER__V1__GAP_REASON__GAP_EXPIRED, &b->product->expired);
    }
    inbox_expires(b, next_expiry(&b->log));
}

void inbox_expires(struct inbox *b, uint64_t at_ms) {
    arm_at(b->store, &b->expiry, at_ms, inbox_expire);
}

void inbox_overflow(struct inbox *b, uint64_t messages_max, uint64_t bytes_max) {
    while (b->log.count > 1 && (b->log.count > messages_max || b->log.bytes > bytes_max))
        inbox_drop(b, log_victim(&b->log), HAWSER__V1__GAP_REASON__GAP_OVERFLOWED,
                   &b->product->overflowed);
}

struct device *device_find(const struct inbox *b, const char *name) {
    struct device *d = b->devices;
    while (d && strcmp(d->name, name) != 0)
        d = d->next;
    return d;
}

uint64_t device_position(const struct inbox *b, const struct device *d) {
    const struct position *at = &d->at[STREAM_INBOX];
    return at->epoch == b->log.epoch && at->seq <= b->log.head ? at->seq : 0;
}

static bool has_handled(const struct inbox *b, const struct device *d, const struct log_entry *e) {
    return d->at[STREAM_INBOX].epoch == b->log.epoch && d->at[STREAM_INBOX].seq >= e->seq;
}

// All known devices, those it is not meant for too, which learn of that from the log; and at least
// one that it is meant for. A named device that was never here keeps it.
static bool is_handled_by_all(const struct inbox *b, const struct log_entry *e) {
    size_t named = 0;
    for (const struct device *d = b->devices; d; d = d->next) {
        if (!has_handled(b, d, e))
            return false;
        named += log_entry_is_for(e, d->name);
    }
    return e->handled && (e->message->n_device == 0 ? named > 0 : named == e->message->n_device);
}

void inbox_mark_handled(struct inbox *b, struct device *d, uint64_t from) {
    for (struct log_entry *e = b->log.first; e && has_handled(b, d, e); e = e->next) {
        if (e->parked && e->seq > from && log_entry_is_for(e, d->name))
            inbox_unpark_handled(b, d, e);
        if (e->handled || !log_entry_is_for(e, d->name))
            continue;
        log_handled(&b->log, e);
        b->product->pending--;
        b->product->acked++;
    }
    if (d->attempts && device_position(b, d) >= d->attempts->seq) { // it has come past it
        free(d->attempts);
        d->attempts = NULL;
    }
}

void inbox_prune(struct inbox *b) {
    for (struct log_entry *e = b->log.first, *next; e; e = next) {
        next = e->next;
        if (is_handled_by_all(b, e))
            log_remove(&b->log, e, -1);
    }
}

uint64_t inbox_first_unhandled(const struct inbox *b) {
    for (const struct log_entry *e = b->log.first; e; e = e->next)
        if (!e->handled || e->parked)
            return e->seq - 1;
    return b->log.head;
}

// --- the end

void device_free(struct device *d) {
    free(d->attempts);
    free(d->name);
    free(d);
}

static void inbox_free(struct inbox *b) {
    loop_disarm(b->store->base.store.loop, &b->expiry);
    log_stream_deinit(&b->log);
    inbox_dead_letters_free(b);
    while (b->devices) {
        struct device *d = b->devices;
        b->devices = d->next;
        device_free(d);
    }
    free(b);
}

void saver_memory_logs_free(struct saver_memory *m) {
    struct inbox *b, *next_inbox;
    struct product_logs *p, *next_product;
    HASH_ITER(hh, m->inboxes, b, next_inbox) {
        HASH_DEL(m->inboxes, b);
        inbox_free(b);
    }
    HASH_ITER(hh, m->products, p, next_product) {
        struct sum_id *id, *next_id;
        HASH_DEL(m->products, p);
        HASH_ITER(hh, p->sum_ids, id, next_id) {
            HASH_DEL(p->sum_ids, id);
            free(id);
        }
        for (int i = STREAM_NEWS; i < STREAMS; i++) {
            loop_disarm(m->base.store.loop, &p->stream[i].expiry);
            log_stream_deinit(&p->stream[i].log);
        }
        free(p);
    }
}
