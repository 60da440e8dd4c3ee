// The directory and the catalog in Redis: the steps' arguments and answers.
#include "catalog_value.h"
#include "crypto.h"
#include "redis_internal.h"

// --- announcing

static void on_announce(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    if (redis_step_failed(p, error, r))
        return;
    Hawser__Internal__AnnounceReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__announce_reply__init(reply);
    reply->index_epoch = redis_reply_u64(r, REGISTER_ANNOUNCE_AT_INDEX_EPOCH);
    reply->store_ms = redis_reply_u64(r, REGISTER_ANNOUNCE_AT_STORE_MS);
    store_step_complete(p, 0, &reply->base);
}

// What others are told of at once: everything but small changes of load.
static void sign(const Hawser__Internal__Member *m, char out[41]) {
    Hawser__Internal__Member told = *m;
    uint64_t step = 100;
    while (step * 20 < told.sessions)
        step *= 2;
    told.sessions -= told.sessions % step;
    told.load -= told.load % 100;
    size_t len = hawser__internal__member__get_packed_size(&told);
    uint8_t *bytes = hw_malloc(len + 1);
    hawser__internal__member__pack(&told, bytes);
    crypto_sha1_hex(bytes, len, out);
    free(bytes);
}

void register_redis_announce(struct store_step *p, const Hawser__Internal__AnnounceRequest *q) {
    const Hawser__Internal__Member *m = q->member;
    struct rng *rng = loop_rng(p->store->loop);
    struct buf home = BUF_EMPTY;
    char signature[41];
    size_t len = hawser__internal__member__get_packed_size(m);
    uint8_t *bytes = hw_malloc(len + 1);
    hawser__internal__member__pack(m, bytes);
    sign(m, signature);
    buf_printf(&home, "%s|%s|%s", m->role, m->id, m->rpc);
    struct register_announce_args args = {
        .dir = register_directory_key,
        .directory_epoch = rng_epoch(rng),
        .catalog_epoch = rng_epoch(rng),
        .index_epoch = rng_epoch(rng),
        .inc = m->incarnation,
        .member = {bytes, len},
        .signature = signature,
        .lease = q->lease_ms,
        .home = {home.data, home.len},
        .started = m->started_ms,
    };
    register_announce_run(redis_store_of(p), &args, on_announce, p);
    buf_free(&home);
    free(bytes);
}

static void on_withdraw(void *arg, int error, const redisReply *r) {
    if (redis_step_failed(arg, error, r))
        return;
    Hawser__Internal__WithdrawReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__withdraw_reply__init(reply);
    store_step_complete(arg, 0, &reply->base);
}

void register_redis_withdraw(struct store_step *p, const Hawser__Internal__WithdrawRequest *q) {
    struct register_withdraw_args args = {register_directory_key, q->incarnation};
    register_withdraw_run(redis_store_of(p), &args, on_withdraw, p);
}

// --- what is newer

static void take_members(Hawser__Internal__WatchReply *reply, const redisReply *list) {
    size_t count = list->elements;
    reply->member = hw_calloc(count + 1, sizeof(reply->member[0]));
    for (size_t i = 0; i < count; i++) {
        Hawser__Internal__Member *m = hawser__internal__member__unpack(
            NULL, (size_t)list->element[i]->len, (const uint8_t *)list->element[i]->str);
        if (m)
            reply->member[reply->n_member++] = m;
    }
}

static void take_gone(Hawser__Internal__WatchReply *reply, const redisReply *list) {
    size_t count = list->elements;
    reply->gone = hw_calloc(count / 2 + 1, sizeof(reply->gone[0]));
    for (size_t i = 0; i + 1 < count; i += 2) {
        Hawser__Internal__GoneMember *g = hw_malloc(sizeof(*g));
        hawser__internal__gone_member__init(g);
        g->incarnation = redis_reply_u64(list, i);
        g->clean = redis_reply_u64(list, i + 1) == 1;
        reply->gone[reply->n_gone++] = g;
    }
}

static void take_entries(Hawser__Internal__WatchReply *reply, const redisReply *list) {
    size_t count = list->elements;
    reply->entry = hw_calloc(count / 2 + 1, sizeof(reply->entry[0]));
    for (size_t i = 0; i + 1 < count; i += 2) {
        Hawser__Internal__CatalogEntry *e =
            register_entry_parse(list->element[i]->str, list->element[i + 1]);
        if (e)
            reply->entry[reply->n_entry++] = e;
    }
}

static void on_watch(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    if (redis_step_failed(p, error, r))
        return;
    Hawser__Internal__WatchReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__watch_reply__init(reply);
    reply->directory_epoch = redis_reply_u64(r, REGISTER_WATCH_AT_DIRECTORY_EPOCH);
    reply->directory_version = redis_reply_u64(r, REGISTER_WATCH_AT_DIRECTORY_VERSION);
    reply->catalog_epoch = redis_reply_u64(r, REGISTER_WATCH_AT_CATALOG_EPOCH);
    reply->catalog_version = redis_reply_u64(r, REGISTER_WATCH_AT_CATALOG_VERSION);
    reply->index_epoch = redis_reply_u64(r, REGISTER_WATCH_AT_INDEX_EPOCH);
    reply->directory_whole = redis_reply_u64(r, REGISTER_WATCH_AT_DIRECTORY_WHOLE) == 1;
    reply->catalog_whole = redis_reply_u64(r, REGISTER_WATCH_AT_CATALOG_WHOLE) == 1;
    reply->more = redis_reply_u64(r, REGISTER_WATCH_AT_MORE) == 1;
    take_members(reply, redis_reply_at(r, REGISTER_WATCH_AT_MEMBERS));
    take_gone(reply, redis_reply_at(r, REGISTER_WATCH_AT_GONE));
    take_entries(reply, redis_reply_at(r, REGISTER_WATCH_AT_ENTRIES));
    store_step_complete(p, 0, &reply->base);
}

void register_redis_watch(struct store_step *p, const Hawser__Internal__WatchRequest *q) {
    struct rng *rng = loop_rng(p->store->loop);
    struct register_watch_args args = {
        .dir = register_directory_key,
        .directory_epoch = rng_epoch(rng),
        .catalog_epoch = rng_epoch(rng),
        .index_epoch = rng_epoch(rng),
        .seen_directory = q->directory_epoch,
        .seen_version = q->directory_version,
        .seen_catalog = q->catalog_epoch,
        .seen_entries = q->catalog_version,
    };
    register_watch_run(redis_store_of(p), &args, on_watch, p);
}

// --- the catalog

static void on_entry_put(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    const Hawser__Internal__CatalogPutRequest *q =
        (const Hawser__Internal__CatalogPutRequest *)p->request;
    if (redis_step_failed(p, error, r))
        return;
    Hawser__Internal__CatalogPutReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__catalog_put_reply__init(reply);
    reply->conflict = redis_reply_u64(r, REGISTER_PUT_AT_CONFLICT) == 1;
    reply->entry = register_entry_parse(q->key, redis_reply_at(r, REGISTER_PUT_AT_ENTRY));
    store_step_complete(p, 0, &reply->base);
}

static void put_entry(struct store_step *p) {
    const Hawser__Internal__CatalogPutRequest *q =
        (const Hawser__Internal__CatalogPutRequest *)p->request;
    struct register_put_args args = {
        .dir = register_directory_key,
        .key = q->key,
        .value = {q->value.data, q->value.len},
        .expect = q->expect,
        .deletes = q->deleted ? 1 : 0,
    };
    register_put_run(redis_store_of(p), &args, on_entry_put, p);
}

// A number that is taken and not used after all is lost: numbers are never used twice.
static void on_number(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    Hawser__Internal__CatalogPutRequest *q = (Hawser__Internal__CatalogPutRequest *)p->request;
    if (redis_step_failed(p, error, r))
        return;
    if (!catalog_take_number(q, (uint32_t)r->integer)) {
        store_step_complete(p, -HW_EMALFORMED, NULL);
        return;
    }
    put_entry(p);
}

void register_redis_catalog_put(struct store_step *p,
                                const Hawser__Internal__CatalogPutRequest *q) {
    store_step_keep(p, &q->base);
    if (catalog_lacks_number(q))
        register_number_run(redis_store_of(p),
                            &(struct register_number_args){register_directory_key}, on_number, p);
    else
        put_entry(p);
}

static void on_get(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    const Hawser__Internal__CatalogGetRequest *q =
        (const Hawser__Internal__CatalogGetRequest *)p->request;
    if (redis_step_failed(p, error, r))
        return;
    Hawser__Internal__CatalogGetReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__catalog_get_reply__init(reply);
    reply->entry = register_entry_parse(q->key, redis_reply_at(r, REGISTER_GET_AT_ENTRY));
    reply->found = reply->entry != NULL;
    reply->settled = redis_reply_u64(r, REGISTER_GET_AT_SETTLED) != 0;
    store_step_complete(p, 0, &reply->base);
}

void register_redis_catalog_get(struct store_step *p,
                                const Hawser__Internal__CatalogGetRequest *q) {
    store_step_keep(p, &q->base);
    register_get_run(redis_store_of(p), &(struct register_get_args){register_directory_key, q->key},
                     on_get, p);
}
