// The directory and the catalog in Redis: the steps' arguments and answers.
#include "crypto.h"
#include "redis_internal.h"

enum { VERSION_DIGITS_MAX = 16 }; // below 2^53

static void add_epochs(struct redis_args *a, struct redis_store *s) {
    for (int i = 0; i < 3; i++)
        register_arg_u64(a, rng_epoch(loop_rng(s->loop)));
    register_arg_text(a, redis_conn_run_id(s->conn));
}

// --- announcing

static void on_announce(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    if (error != 0) {
        register_step_complete(p, error, NULL);
        return;
    }
    Hawser__Internal__AnnounceReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__announce_reply__init(reply);
    reply->index_epoch = register_reply_u64(r, 0);
    reply->store_ms = register_reply_u64(r, 1);
    register_step_complete(p, 0, &reply->base);
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

void register_redis_announce(struct step *p) {
    const Hawser__Internal__AnnounceRequest *q =
        (const Hawser__Internal__AnnounceRequest *)p->request;
    const Hawser__Internal__Member *m = q->member;
    struct redis_args a;
    struct buf place = BUF_EMPTY;
    char signature[41];
    size_t len = hawser__internal__member__get_packed_size(m);
    uint8_t *bytes = hw_malloc(len + 1);
    hawser__internal__member__pack(m, bytes);
    sign(m, signature);
    buf_printf(&place, "%s|%s|%s", m->role, m->id, m->rpc);
    register_args_directory(&a);
    add_epochs(&a, p->store);
    register_arg_u64(&a, m->incarnation);
    register_arg_bytes(&a, bytes, len);
    register_arg_text(&a, signature);
    register_arg_u64(&a, q->lease_ms);
    register_arg_bytes(&a, place.data, place.len);
    register_arg_u64(&a, m->started_ms);
    register_arg_u64(&a, LOAD_TOLD_MS);
    register_script_send(p->store, SCRIPT_ANNOUNCE, &a, on_announce, p);
    buf_free(&place);
    free(bytes);
}

static void on_withdraw(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    Hawser__Internal__WithdrawReply *reply = hw_malloc(sizeof(*reply));
    (void)r;
    hawser__internal__withdraw_reply__init(reply);
    register_step_complete(p, error, &reply->base);
}

void register_redis_withdraw(struct step *p) {
    const Hawser__Internal__WithdrawRequest *q =
        (const Hawser__Internal__WithdrawRequest *)p->request;
    struct redis_args a;
    register_args_directory(&a);
    register_arg_u64(&a, q->incarnation);
    register_script_send(p->store, SCRIPT_WITHDRAW, &a, on_withdraw, p);
}

// --- what is newer

// "version deleted value"; NULL for bytes that are no record, as for no entry.
static Hawser__Internal__CatalogEntry *entry_parse(const char *key, const redisReply *v) {
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
        g->incarnation = register_reply_u64(list, i);
        g->clean = register_reply_u64(list, i + 1) == 1;
        reply->gone[reply->n_gone++] = g;
    }
}

static void take_entries(Hawser__Internal__WatchReply *reply, const redisReply *list) {
    size_t count = list->elements;
    reply->entry = hw_calloc(count / 2 + 1, sizeof(reply->entry[0]));
    for (size_t i = 0; i + 1 < count; i += 2) {
        Hawser__Internal__CatalogEntry *e =
            entry_parse(list->element[i]->str, list->element[i + 1]);
        if (e)
            reply->entry[reply->n_entry++] = e;
    }
}

static void on_watch(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    if (error != 0) {
        register_step_complete(p, error, NULL);
        return;
    }
    Hawser__Internal__WatchReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__watch_reply__init(reply);
    reply->directory_epoch = register_reply_u64(r, 0);
    reply->directory_version = register_reply_u64(r, 1);
    reply->catalog_epoch = register_reply_u64(r, 2);
    reply->catalog_version = register_reply_u64(r, 3);
    reply->index_epoch = register_reply_u64(r, 4);
    reply->directory_whole = register_reply_u64(r, 5) == 1;
    reply->catalog_whole = register_reply_u64(r, 6) == 1;
    reply->more = register_reply_u64(r, 7) == 1;
    take_members(reply, register_reply_at(r, 8));
    take_gone(reply, register_reply_at(r, 9));
    take_entries(reply, register_reply_at(r, 10));
    register_step_complete(p, 0, &reply->base);
}

void register_redis_watch(struct step *p) {
    const Hawser__Internal__WatchRequest *q = (const Hawser__Internal__WatchRequest *)p->request;
    struct redis_args a;
    register_args_directory(&a);
    add_epochs(&a, p->store);
    register_arg_u64(&a, q->directory_epoch);
    register_arg_u64(&a, q->directory_version);
    register_arg_u64(&a, q->catalog_epoch);
    register_arg_u64(&a, q->catalog_version);
    register_arg_u64(&a, WATCH_BYTES_MAX);
    register_script_send(p->store, SCRIPT_WATCH, &a, on_watch, p);
}

// --- the catalog

static void on_put(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    const Hawser__Internal__CatalogPutRequest *q =
        (const Hawser__Internal__CatalogPutRequest *)p->request;
    if (error != 0) {
        register_step_complete(p, error, NULL);
        return;
    }
    Hawser__Internal__CatalogPutReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__catalog_put_reply__init(reply);
    reply->conflict = register_reply_u64(r, 0) == 1;
    reply->entry = entry_parse(q->key, register_reply_at(r, 1));
    register_step_complete(p, 0, &reply->base);
}

static void put(struct step *p) {
    const Hawser__Internal__CatalogPutRequest *q =
        (const Hawser__Internal__CatalogPutRequest *)p->request;
    struct redis_args a;
    register_args_directory(&a);
    register_arg_text(&a, q->key);
    register_arg_bytes(&a, q->value.data, q->value.len);
    register_arg_u64(&a, q->expect);
    register_arg_u64(&a, q->deleted ? 1 : 0);
    register_script_send(p->store, SCRIPT_PUT, &a, on_put, p);
}

// A number that is taken and not used after all is lost: numbers are never used twice.
static void on_number(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    Hawser__Internal__CatalogPutRequest *q = (Hawser__Internal__CatalogPutRequest *)p->request;
    if (error != 0) {
        register_step_complete(p, error, NULL);
        return;
    }
    Hawser__Internal__Product *product =
        hawser__internal__product__unpack(NULL, q->value.len, q->value.data);
    if (!product) {
        register_step_complete(p, -HW_EMALFORMED, NULL);
        return;
    }
    product->number = (uint32_t)r->integer;
    free(q->value.data);
    q->value.len = hawser__internal__product__get_packed_size(product);
    q->value.data = hw_malloc(q->value.len + 1);
    hawser__internal__product__pack(product, q->value.data);
    hawser__internal__product__free_unpacked(product, NULL);
    put(p);
}

void register_redis_put(struct step *p) {
    const Hawser__Internal__CatalogPutRequest *q =
        (const Hawser__Internal__CatalogPutRequest *)p->request;
    Hawser__Internal__Product *product =
        strncmp(q->key, "product/", 8) == 0
            ? hawser__internal__product__unpack(NULL, q->value.len, q->value.data)
            : NULL;
    bool needs_number = product && product->number == 0;
    if (product)
        hawser__internal__product__free_unpacked(product, NULL);
    if (!needs_number) {
        put(p);
        return;
    }
    struct redis_args a;
    register_args_directory(&a);
    register_arg_u64(&a, PRODUCT_EPOCH_S);
    register_script_send(p->store, SCRIPT_NUMBER, &a, on_number, p);
}

static void on_get(void *arg, int error, const redisReply *r) {
    struct step *p = arg;
    const Hawser__Internal__CatalogGetRequest *q =
        (const Hawser__Internal__CatalogGetRequest *)p->request;
    if (error != 0) {
        register_step_complete(p, error, NULL);
        return;
    }
    Hawser__Internal__CatalogGetReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__catalog_get_reply__init(reply);
    reply->entry = entry_parse(q->key, r);
    reply->found = reply->entry != NULL;
    register_step_complete(p, 0, &reply->base);
}

void register_redis_get(struct step *p) {
    const Hawser__Internal__CatalogGetRequest *q =
        (const Hawser__Internal__CatalogGetRequest *)p->request;
    struct redis_args a;
    register_args_directory(&a);
    register_arg_text(&a, q->key);
    register_script_send(p->store, SCRIPT_GET, &a, on_get, p);
}
