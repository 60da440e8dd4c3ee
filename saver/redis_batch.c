// Appends, acks and questions for heads of one bucket, which come in one iteration of the loop,
// share a script and its round trip. Whatever else is sent goes behind them, so that steps reach
// the server in the order in which they came.
#include "redis_internal.h"

#include "table.h"

enum { ITEMS_MAX = 16, ITEM_WORDS_MAX = 4, SCRIPT_BYTES_MAX = 256 * 1024 };

// The words of an item, by its kind; heads are of the product's two logs, whoever asks.
static const int words_of[BATCH_KINDS] = {[BATCH_APPEND] = 4, [BATCH_ACK] = 3, [BATCH_HEADS] = 0};

struct script_item {
    struct store_step *step;
    batch_done_fn *done;
    size_t at[ITEM_WORDS_MAX], len[ITEM_WORDS_MAX]; // in the batch's bytes
};

struct bucket_key {
    uint32_t product;
    int bucket;
};

struct script_batch {
    UT_hash_handle hh;
    struct bucket_key key;
    struct script_batch *next; // in the order of their first item
    struct redis_store *store;
    enum batch_kind kind;
    struct buf bytes;
    size_t count, items_max;
    struct script_item *items; // owned
};

void saver_put_number(struct buf *out, uint64_t n) {
    redis_put_number(out, n, NUMBER_BYTES);
}

// --- sending

static void saver_batch_free(struct script_batch *b) {
    buf_free(&b->bytes);
    free(b->items);
    free(b);
}

static void complete_items(struct script_batch *b, int error, const redisReply *reply) {
    for (size_t i = 0; i < b->count; i++)
        b->items[i].done(b->items[i].step, error, reply, i);
    saver_batch_free(b);
}

// Behind the answers stand ends, and how many they are.
static size_t batch_ends(const redisReply *r) {
    uint64_t count = r->elements > 0 ? redis_reply_u64(r, r->elements - 1) : 0;
    return count < r->elements ? (size_t)count : r->elements;
}

void saver_batch_take_ends(const redisReply *r, size_t i, batch_end_fn *take, void *arg) {
    size_t count = batch_ends(r), at = r->elements - 1 - END_ANSWERS * count;
    for (; count > 0; count--, at += END_ANSWERS)
        if (redis_reply_u64(r, at) == i)
            take(arg, redis_reply_u64(r, at + 1), redis_reply_u64(r, at + 2));
}

Hawser__Internal__InboxEnd *saver_end_add(size_t *count, Hawser__Internal__InboxEnd ***list) {
    Hawser__Internal__InboxEnd *end = hw_malloc(sizeof(*end));
    hawser__internal__inbox_end__init(end);
    *list = hw_realloc(*list, (*count + 1) * sizeof(**list));
    (*list)[(*count)++] = end;
    return end;
}

// Fewer answers than steps: nobody can say what was done of the others.
static void on_batch(void *arg, int error, const redisReply *reply) {
    struct script_batch *b = arg;
    static const size_t before[BATCH_KINDS] = {[BATCH_APPEND] = SAVER_APPEND_AT_OUTCOME},
                        each[BATCH_KINDS] = {
                            [BATCH_APPEND] = APPEND_ANSWERS, [BATCH_ACK] = ACK_ANSWERS};
    size_t want = b->kind == BATCH_HEADS ? 6 : before[b->kind] + (size_t)each[b->kind] * b->count;
    if (error == 0 && b->kind != BATCH_HEADS)
        want += 1 + END_ANSWERS * batch_ends(reply);
    if (error == 0 && reply->elements != want)
        complete_items(b, -HW_EOUTCOME, NULL);
    else
        complete_items(b, error, reply);
}

static void put_words(const struct script_batch *b, struct redis_args *out) {
    out->count = 0;
    for (size_t i = 0; i < b->count; i++)
        for (int w = 0; w < words_of[b->kind]; w++)
            redis_arg_bytes(out, b->bytes.data + b->items[i].at[w], b->items[i].len[w]);
}

static void put_streams(struct redis_store *s, struct redis_args *out) {
    out->count = 0;
    for (uint64_t stream = STREAM_NEWS; stream < STREAMS; stream++) {
        redis_arg_u64(out, stream);
        redis_arg_u64(out, saver_epoch(s));
    }
}

static void send_script(struct script_batch *b) {
    struct redis_store *s = b->store;
    struct redis_args words;
    char base[BASE_MAX];
    saver_base(base, b->key.product, b->key.bucket);
    switch (b->kind) {
    case BATCH_APPEND:
        put_words(b, &words);
        saver_append_run(s, &(struct saver_append_args){base, saver_epoch(s), &words}, on_batch, b);
        break;
    case BATCH_ACK:
        put_words(b, &words);
        saver_ack_run(s, &(struct saver_ack_args){base, &words}, on_batch, b);
        break;
    case BATCH_HEADS:
        put_streams(s, &words);
        saver_heads_run(s, &(struct saver_heads_args){base, &words}, on_batch, b);
        break;
    case BATCH_KINDS:
        abort();
    }
}

static struct script_batch *first_batch(struct batches *all) {
    struct script_batch *b = all->first, *open = NULL;
    all->first = b->next;
    if (!all->first)
        all->end = &all->first;
    HASH_FIND(hh, all->by_bucket, &b->key, sizeof(b->key), open);
    if (open == b) // else it was closed before
        HASH_DEL(all->by_bucket, b);
    return b;
}

void saver_batches_send(struct redis_store *s) {
    struct batches *all = &saver_redis_of(s)->batches;
    if (all->is_sending)
        return;
    all->is_sending = true;
    while (all->first)
        send_script(first_batch(all));
    all->is_sending = false;
}

static void on_iteration_end(struct hook *h) {
    struct saver_redis *s = container_of(h, struct saver_redis, batches.hook);
    saver_batches_send(&s->base);
}

void saver_batches_init(struct saver_redis *s) {
    s->batches.end = &s->batches.first;
}

void saver_batches_cancel(struct saver_redis *s) {
    hook_stop(&s->batches.hook);
    while (s->batches.first)
        complete_items(first_batch(&s->batches), -HW_ECANCELLED, NULL);
}

// --- collecting

static struct script_batch *saver_batch_new(struct store_step *p, enum batch_kind kind) {
    struct batches *all = &saver_redis_of(redis_store_of(p))->batches;
    struct script_batch *b = hw_calloc(1, sizeof(*b));
    b->key = (struct bucket_key){saver_step_of(p)->product, saver_step_of(p)->bucket};
    b->store = redis_store_of(p);
    b->kind = kind;
    HASH_ADD(hh, all->by_bucket, key, sizeof(b->key), b);
    *all->end = b;
    all->end = &b->next;
    hook_schedule(p->store->loop, &all->hook, on_iteration_end);
    return b;
}

static bool takes_one_more(const struct script_batch *b, enum batch_kind kind) {
    bool is_full = b->kind != BATCH_HEADS &&
                   (b->count == ITEMS_MAX || b->bytes.len > (size_t)SCRIPT_BYTES_MAX);
    return b->kind == kind && !is_full;
}

// The bucket's open one; what is full, or of another kind, is closed and goes out in its order.
static struct script_batch *batch_get(struct store_step *p, enum batch_kind kind) {
    struct batches *all = &saver_redis_of(redis_store_of(p))->batches;
    struct bucket_key key = {saver_step_of(p)->product, saver_step_of(p)->bucket};
    struct script_batch *b = NULL;
    HASH_FIND(hh, all->by_bucket, &key, sizeof(key), b);
    if (b && takes_one_more(b, kind))
        return b;
    if (b)
        HASH_DEL(all->by_bucket, b);
    return saver_batch_new(p, kind);
}

void saver_batch_add(struct store_step *p, enum batch_kind kind, const struct batch_words *w) {
    struct script_batch *b = batch_get(p, kind);
    if (b->count == b->items_max) {
        b->items_max = b->items_max ? 4 * b->items_max : 1;
        b->items = hw_realloc(b->items, b->items_max * sizeof(b->items[0]));
    }
    struct script_item *i = &b->items[b->count++];
    *i = (struct script_item){.step = p, .done = w->done};
    for (int n = 0; n < words_of[kind]; n++) {
        i->at[n] = b->bytes.len;
        i->len[n] = w->v[n].len;
        buf_append(&b->bytes, w->v[n].data, w->v[n].len);
    }
}
