// What a room reads of a product's broadcast log: its heads, asked once a second and whenever a
// login needs one that was asked after it began; holes at the end of the arena, once for all
// sessions; and blocks of what lies before it.
#include "room_internal.h"

enum {
    HOLE_MS = 50,
    HOLE_MESSAGES = 256,
    HOLE_BYTES = 1024 * 1024,
    BLOCK_BYTES = 4 * 1024 * 1024,
    BLOCK_KEPT_MS = 5000
};

struct product_call {
    struct room *room;
    uint32_t product;
    uint64_t after; // of a block
};

static struct product_call *call_new(struct room_product *p, uint64_t after) {
    struct product_call *call = hw_malloc(sizeof(*call));
    *call = (struct product_call){p->room, p->number, after};
    return call;
}

// The product of an answer, unless it is gone or the room is ending; frees the call. A call that is
// cancelled for another reason (its saver left the directory) is an answer like any other.
static struct room_product *call_over(struct product_call *call) {
    struct room_product *p =
        call->room->is_stopping ? NULL : product_find_here(call->room, call->product);
    free(call);
    return p;
}

static struct rpc_link *product_saver(const struct room_product *p) {
    return cluster_pick(p->room->cluster, "saver", (uint64_t)p->number << 10);
}

static void call_load(struct room_product *p, uint64_t after, uint32_t messages, uint32_t bytes,
                      rpc_done_fn *done) {
    Hawser__Internal__LoadRequest request = HAWSER__INTERNAL__LOAD_REQUEST__INIT;
    request.product = p->number;
    request.stream = HAWSER__V1__STREAM__NEWS;
    request.epoch = p->epoch;
    request.after = after;
    request.max_messages = messages;
    request.max_bytes = bytes;
    p->room->count.loads++;
    cluster_call(p->room->cluster, product_saver(p), HAWSER__INTERNAL__SAVER_METHOD__SAVER_LOAD,
                 &request.base, CALL_MS, done, call_new(p, after));
}

// --- holes

static void hole_due(struct timer *t);

static void hole_wait(struct room_product *p) {
    if (!p->hole_loading && !timer_is_armed(&p->hole))
        loop_arm(p->room->loop, &p->hole, HOLE_MS, hole_due);
}

static void on_hole(void *arg, int error, const uint8_t *body, size_t len) {
    struct room_product *p = call_over(arg);
    if (!p)
        return;
    Hawser__Internal__LoadReply *reply =
        error == 0 ? hawser__internal__load_reply__unpack(NULL, len, body) : NULL;
    uint64_t before = p->head;
    p->hole_loading = false;
    if (!reply) {
        p->room->count.load_failures++;
        hole_wait(p);
        return;
    }
    if (reply->epoch != p->epoch || reply->reset) {
        news_epoch_set(p, reply->epoch, reply->head);
        news_walk(p);
    } else {
        for (size_t i = 0; i < reply->n_entry; i++)
            news_append(p, reply->entry[i]);
        if (p->heard > reply->head && reply->head <= p->head)
            p->heard = p->head; // heard of more than was kept
        if (reply->head > p->heard)
            p->heard = reply->head;
    }
    hawser__internal__load_reply__free_unpacked(reply, NULL);
    if (p->head != before)
        news_walk(p);
    if (p->head < p->heard)
        hole_wait(p);
}

static void hole_due(struct timer *t) {
    struct room_product *p = container_of(t, struct room_product, hole);
    if (p->head >= p->heard)
        return; // closed by itself
    p->hole_loading = true;
    call_load(p, p->head, HOLE_MESSAGES, HOLE_BYTES, on_hole);
}

void news_heard(struct room_product *p, uint64_t epoch, uint64_t seq,
                const Hawser__Internal__StoredMessage *m) {
    Hawser__Internal__LoadEntry entry = HAWSER__INTERNAL__LOAD_ENTRY__INIT;
    if (epoch != p->epoch) {
        news_heads_ask(p);
        return;
    }
    if (seq <= p->head)
        return;
    if (seq == p->head + 1 && m) {
        entry.seq = seq;
        entry.message = (Hawser__Internal__StoredMessage *)(uintptr_t)m;
        news_append(p, &entry);
        news_walk(p);
        return;
    }
    if (seq > p->heard)
        p->heard = seq;
    hole_wait(p);
}

// --- heads

void news_wait_for_heads(struct session *s) {
    struct room_product *p = s->product;
    if (p->heads_done < s->news_round)
        handles_add(&p->waiters, &p->waiter_count, &p->waiter_capacity, s);
}

static void tell_waiters(struct room_product *p) {
    struct handle *list = p->waiters;
    size_t count = p->waiter_count;
    p->waiters = NULL;
    p->waiter_count = p->waiter_capacity = 0;
    for (size_t i = 0; i < count; i++) {
        struct session *s = slab_find(&p->room->sessions, list[i].slot, list[i].generation);
        if (!s || s->state != SESSION_LIVE)
            continue;
        news_wait_for_heads(s); // still, when its round is a later one
        session_try(s);
    }
    free(list);
}

static void take_heads(struct room_product *p, const Hawser__Internal__ProductHeadsReply *reply) {
    if (!reply->news)
        return;
    if (reply->news->epoch != p->epoch) {
        bool had_one = p->epoch != 0;
        news_epoch_set(p, reply->news->epoch, reply->news->head);
        if (had_one) { // the store lost its logs: the inboxes too
            news_walk(p);
            upkeep_heads_all(p->room);
        }
    } else if (reply->news->head > p->heard) {
        p->heard = reply->news->head;
        hole_wait(p);
    }
}

static void on_heads(void *arg, int error, const uint8_t *body, size_t len) {
    struct room_product *p = call_over(arg);
    if (!p)
        return;
    Hawser__Internal__ProductHeadsReply *reply =
        error == 0 ? hawser__internal__product_heads_reply__unpack(NULL, len, body) : NULL;
    p->heads_asked = false;
    if (reply) {
        p->heads_done = p->heads_round;
        take_heads(p, reply);
        hawser__internal__product_heads_reply__free_unpacked(reply, NULL);
        tell_waiters(p);
    } // else the next second's
    if (p->heads_wanted)
        news_heads_ask(p);
}

void news_heads_ask(struct room_product *p) {
    Hawser__Internal__ProductHeadsRequest request = HAWSER__INTERNAL__PRODUCT_HEADS_REQUEST__INIT;
    p->heads_wanted = p->heads_asked;
    if (p->heads_asked)
        return;
    p->heads_asked = true;
    p->heads_round++;
    request.product = p->number;
    cluster_call(p->room->cluster, product_saver(p),
                 HAWSER__INTERNAL__SAVER_METHOD__SAVER_PRODUCT_HEADS, &request.base, CALL_MS,
                 on_heads, call_new(p, 0));
}

// --- blocks before the arena

static void block_free(struct news_block *b) {
    for (size_t i = 0; i < b->count; i++)
        if (b->entries[i].audience)
            hawser__internal__audience__free_unpacked(b->entries[i].audience, NULL);
    free(b->entries);
    free(b->waiters);
    buf_free(&b->frames);
    free(b);
}

static struct news_block *block_find(const struct room_product *p, uint64_t after) {
    struct news_block *b = p->blocks;
    while (b && b->after != after)
        b = b->next;
    return b;
}

static void block_remove(struct room_product *p, struct news_block *b) {
    struct news_block **at = &p->blocks;
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    p->block_count--;
}

static void block_fill(struct room_product *p, struct news_block *b,
                       const Hawser__Internal__LoadReply *reply) {
    b->entries = hw_calloc(reply->n_entry, sizeof(b->entries[0]));
    for (size_t i = 0; i < reply->n_entry; i++)
        news_encode(p, reply->entry[i], &b->frames, &b->entries[b->count++]);
    b->is_loaded = true;
    b->used_ms = loop_now_ms(p->room->loop);
}

static void block_tell(struct room_product *p, struct news_block *b, bool loaded) {
    for (size_t i = 0; i < b->waiter_count; i++) {
        struct session *s =
            slab_find(&p->room->sessions, b->waiters[i].slot, b->waiters[i].generation);
        if (!s)
            continue;
        s->waits_for_block = false;
        if (loaded)
            session_try(s);
        else
            session_retry_later(s);
    }
    b->waiter_count = 0;
}

static void on_block(void *arg, int error, const uint8_t *body, size_t len) {
    uint64_t after = ((struct product_call *)arg)->after;
    struct room_product *p = call_over(arg);
    struct news_block *b = p ? block_find(p, after) : NULL;
    if (!b)
        return;
    Hawser__Internal__LoadReply *reply =
        error == 0 ? hawser__internal__load_reply__unpack(NULL, len, body) : NULL;
    bool good = reply && !reply->reset && reply->epoch == p->epoch && reply->n_entry > 0;
    if (good) {
        block_fill(p, b, reply);
    } else {
        block_remove(p, b);
        p->room->count.load_failures++;
        news_heads_ask(p);
    }
    if (reply)
        hawser__internal__load_reply__free_unpacked(reply, NULL);
    block_tell(p, b, good);
    if (!good)
        block_free(b);
}

struct news_block *news_block_get(struct session *s) {
    struct room_product *p = s->product;
    uint64_t after = s->news.sent - s->news.sent % BLOCK_ENTRIES;
    struct news_block *b = block_find(p, after);
    if (b && b->is_loaded) {
        b->used_ms = loop_now_ms(p->room->loop);
        return b;
    }
    if (!b && p->block_count == BLOCKS_MAX) { // all in use now: later
        session_retry_later(s);
        return NULL;
    }
    if (!b) {
        b = hw_calloc(1, sizeof(*b));
        b->product = p;
        b->after = after;
        b->next = p->blocks;
        p->blocks = b;
        p->block_count++;
        call_load(p, after, BLOCK_ENTRIES, BLOCK_BYTES, on_block);
    }
    s->waits_for_block = true;
    handles_add(&b->waiters, &b->waiter_count, &b->waiter_capacity, s);
    return NULL;
}

static void blocks_drop(struct room_product *p, bool all) {
    uint64_t now = loop_now_ms(p->room->loop);
    struct news_block *b = p->blocks, *next;
    for (; b; b = next) {
        next = b->next;
        if (!all && (!b->is_loaded || b->used_ms + BLOCK_KEPT_MS > now))
            continue;
        block_remove(p, b);
        block_free(b);
    }
}

// --- every second

static void on_sums(void *arg, int error, const uint8_t *body, size_t len) {
    struct room_product *p = call_over(arg);
    (void)body;
    (void)len;
    if (!p)
        return;
    p->sums_in_flight = false;
    if (error == 0)
        p->sums_sent = p->sums_acked = 0;
}

// A repeat carries the same id, so that it counts once.
static void send_sums(struct room_product *p) {
    Hawser__Internal__SumsRequest request = HAWSER__INTERNAL__SUMS_REQUEST__INIT;
    Hawser__Internal__StreamSum sum = HAWSER__INTERNAL__STREAM_SUM__INIT, *list[1] = {&sum};
    if (p->sums_in_flight)
        return;
    if (p->sums_sent + p->sums_acked == 0) {
        if (p->sent_sum + p->acked_sum == 0)
            return;
        p->sums_sent = p->sent_sum;
        p->sums_acked = p->acked_sum;
        p->sent_sum = p->acked_sum = 0;
        for (size_t i = 0; i < sizeof(p->sums_id); i++)
            p->sums_id[i] = (uint8_t)rng_u64(loop_rng(p->room->loop));
    }
    sum.stream = HAWSER__V1__STREAM__NEWS;
    sum.sent = p->sums_sent;
    sum.acked = p->sums_acked;
    request.product = p->number;
    request.n_sum = 1;
    request.sum = list;
    request.id = (ProtobufCBinaryData){sizeof(p->sums_id), p->sums_id};
    p->sums_in_flight = true;
    cluster_call(p->room->cluster, product_saver(p), HAWSER__INTERNAL__SAVER_METHOD__SAVER_SUMS,
                 &request.base, CALL_MS, on_sums, call_new(p, 0));
}

void news_tick(struct room_product *p) {
    blocks_drop(p, false);
    send_sums(p);
    if (!p->sessions)
        p->waiter_count = 0; // those that waited have ended
    else if (!p->heads_asked)
        news_heads_ask(p);
}

void news_log_free(struct room_product *p) {
    loop_disarm(p->room->loop, &p->hole);
    blocks_drop(p, true);
    free(p->waiters);
}
