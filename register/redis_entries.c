// An entry of the catalog as Redis has it, and what a pair asks (catalog_pair.h).
#include "redis_internal.h"

enum { VERSION_DIGITS_MAX = 16 }; // below 2^53

Hawser__Internal__CatalogEntry *register_entry_parse(const char *key, const redisReply *v) {
    size_t len = (size_t)v->len, digits = strspn(v->str, "0123456789"), front = digits + 3;
    if (digits == 0 || digits > VERSION_DIGITS_MAX || len < front || v->str[digits] != ' ' ||
        (v->str[digits + 1] != '0' && v->str[digits + 1] != '1') || v->str[digits + 2] != ' ')
        return NULL;
    Hawser__Internal__CatalogEntry *e = hw_malloc(sizeof(*e));
    hawser__internal__catalog_entry__init(e);
    e->key = hw_strdup(key);
    e->version = strtoull(v->str, NULL, 10);
    e->deleted = v->str[digits + 1] == '1';
    len -= front;
    e->value = (ProtobufCBinaryData){len, len ? hw_memdup(v->str + front, len) : NULL};
    return e;
}

// --- filled from another store

static void on_fill(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    const Hawser__Internal__CatalogFillRequest *q =
        (const Hawser__Internal__CatalogFillRequest *)p->request;
    if (redis_step_failed(p, error, r))
        return;
    Hawser__Internal__CatalogFillReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__catalog_fill_reply__init(reply);
    reply->taken = redis_reply_u64(r, REGISTER_FILL_AT_TAKEN) == 1;
    reply->entry = register_entry_parse(q->entry->key, redis_reply_at(r, REGISTER_FILL_AT_ENTRY));
    store_step_complete(p, 0, &reply->base);
}

void register_redis_fill(struct store_step *p, const Hawser__Internal__CatalogFillRequest *q) {
    const Hawser__Internal__CatalogEntry *e = q->entry;
    const struct register_fill_args args = {.dir = register_directory_key,
                                            .key = e->key,
                                            .value = {e->value.data, e->value.len},
                                            .version = e->version,
                                            .deleted = e->deleted ? 1 : 0};
    store_step_keep(p, &q->base);
    register_fill_run(redis_store_of(p), &args, on_fill, p);
}

static void on_filled(void *arg, int error, const redisReply *r) {
    if (redis_step_failed(arg, error, r))
        return;
    Hawser__Internal__CatalogFilledReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__catalog_filled_reply__init(reply);
    reply->filled = r->integer == 1;
    store_step_complete(arg, 0, &reply->base);
}

void register_redis_filled(struct store_step *p, const Hawser__Internal__CatalogFilledRequest *q) {
    struct rng *rng = loop_rng(p->store->loop);
    const struct register_filled_args args = {.dir = register_directory_key,
                                              .directory_epoch = rng_epoch(rng),
                                              .catalog_epoch = rng_epoch(rng),
                                              .index_epoch = rng_epoch(rng),
                                              .is = q->is,
                                              .number = q->number};
    register_filled_run(redis_store_of(p), &args, on_filled, p);
}

static void on_number_alone(void *arg, int error, const redisReply *r) {
    if (redis_step_failed(arg, error, r))
        return;
    Hawser__Internal__CatalogNumberReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__catalog_number_reply__init(reply);
    reply->number = (uint32_t)r->integer;
    store_step_complete(arg, 0, &reply->base);
}

void register_redis_number(struct store_step *p) {
    register_number_run(redis_store_of(p), &(struct register_number_args){register_directory_key},
                        on_number_alone, p);
}
