// Products and their keys: one catalog record each, changed by compare-and-swap at a register.
#include "center_internal.h"

enum { KID_CHARS = 12, SECRET_CHARS = 43, KEYS_MAX = 64 };

// --- limits

static const struct {
    const char *name;
    size_t offset;
    uint64_t low, high;
    bool is_unserved; // nothing heeds it in this version
} limit_table[] = {
#define LIMIT(name, low, high)                                                                     \
    { #name, offsetof(Hawser__Internal__ProductLimits, name), low, high, false }
#define UNSERVED(name, low, high)                                                                  \
    { #name, offsetof(Hawser__Internal__ProductLimits, name), low, high, true }
    LIMIT(payload_bytes, 1, 61440),
    LIMIT(inbox_messages, 10, 100000),
    LIMIT(inbox_bytes, 65536, UINT64_C(1) << 30),
    LIMIT(retention_s, 60, 2419200),
    LIMIT(push_per_s, 0, 10000000),
    UNSERVED(bulk_rate_per_s, 1, 100000000),
    LIMIT(idempotency_s, 60, 86400),
    LIMIT(idempotency_keys, 1, 1000000000),
    UNSERVED(outcome_s, 60, 31536000),
    LIMIT(devices_per_user, 1, 16),
    LIMIT(token_ttl_s, 60, 31536000),
#undef UNSERVED
#undef LIMIT
};
enum { LIMITS = sizeof(limit_table) / sizeof(limit_table[0]) };

// A product's record while it is changed; everything in it lives in the arena.
struct draft {
    struct arena arena;
    Hawser__Internal__Product record;
    Hawser__Internal__ProductLimits limits;
};

static void limit_set(struct draft *d, const char *name) {
    for (size_t i = 0; i < d->limits.n_given; i++)
        if (strcmp(d->limits.given[i], name) == 0)
            return;
    char **given = arena_alloc(&d->arena, (d->limits.n_given + 1) * sizeof(given[0]));
    if (d->limits.n_given)
        memcpy(given, d->limits.given, d->limits.n_given * sizeof(given[0]));
    given[d->limits.n_given++] = arena_strndup(&d->arena, name, strlen(name));
    d->limits.given = given;
}

static void limit_clear(struct draft *d, const char *name) { // back to the default
    for (size_t i = 0; i < d->limits.n_given; i++)
        if (strcmp(d->limits.given[i], name) == 0)
            d->limits.given[i--] = d->limits.given[--d->limits.n_given];
}

// What is shown may be put back: only another value asks for what nobody does.
static bool is_served(int i, uint64_t value) {
    Hawser__Internal__ProductLimits defaults;
    uint64_t unchanged;
    product_limits_fill(NULL, &defaults);
    memcpy(&unchanged, (const uint8_t *)&defaults + limit_table[i].offset, sizeof(unchanged));
    return !limit_table[i].is_unserved || value == unchanged;
}

static bool take_limit(struct draft *d, const json_t *limits, int i, struct problem *p) {
    uint64_t value = 0;
    bool given;
    if (json_is_null(json_object_get(limits, limit_table[i].name))) {
        limit_clear(d, limit_table[i].name);
        return true;
    }
    if (!field_number(limits, "limits", limit_table[i].name, limit_table[i].low,
                      limit_table[i].high, &given, &value, p))
        return false;
    if (given && !is_served(i, value)) {
        char field[64];
        snprintf(field, sizeof(field), "limits.%s", limit_table[i].name);
        return problem_set(p, PROBLEM_invalid_value, field, "%s is not served by this version",
                           field);
    }
    if (given) {
        memcpy((uint8_t *)&d->limits + limit_table[i].offset, &value, sizeof(value));
        limit_set(d, limit_table[i].name);
    }
    return true;
}

static bool take_limits(struct draft *d, const json_t *limits, struct problem *p) {
    const char *names[LIMITS + 2] = {"reject_new"};
    bool reject = d->limits.reject_new != 0;
    for (int i = 0; i < LIMITS; i++)
        names[i + 1] = limit_table[i].name;
    if (!limits)
        return true;
    if (!fields_known(limits, "limits", names, p))
        return false;
    for (int i = 0; i < LIMITS; i++)
        if (!take_limit(d, limits, i, p))
            return false;
    if (!field_bool(limits, "limits", "reject_new", &reject, p))
        return false;
    if (json_object_get(limits, "reject_new")) {
        d->limits.reject_new = reject;
        limit_set(d, "reject_new");
    }
    return true;
}

// --- callbacks

// Nothing calls them in this version: who asks for them must not think that somebody will.
static bool take_callbacks(struct draft *d, const json_t *callbacks, struct problem *p) {
    if (callbacks && !json_is_null(callbacks))
        return problem_set(p, PROBLEM_invalid_value, "callbacks",
                           "callbacks are not served by this version");
    if (callbacks)
        d->record.callbacks = NULL;
    return true;
}

// --- what the API shows of a product

static json_t *limits_json(const struct product *product) {
    json_t *limits = json_object();
    for (int i = 0; i < LIMITS; i++) {
        uint64_t value;
        memcpy(&value, (const uint8_t *)&product->limits + limit_table[i].offset, sizeof(value));
        json_object_set_new(limits, limit_table[i].name, json_integer((json_int_t)value));
    }
    json_object_set_new(limits, "reject_new", json_boolean(product->limits.reject_new));
    return limits;
}

static json_t *callbacks_json(const Hawser__Internal__ProductCallbacks *callbacks) {
    if (!callbacks || !*callbacks->url)
        return json_null();
    json_t *events = json_array();
    for (size_t i = 0; i < callbacks->n_event; i++)
        json_array_append_new(events, json_string(callbacks->event[i]));
    return json_pack("{s:s, s:o}", "url", callbacks->url, "events", events);
}

static json_t *product_json(const struct product *product) {
    return json_pack("{s:s, s:o, s:o, s:o}", "name", product->name, "limits", limits_json(product),
                     "callbacks", callbacks_json(product->record->callbacks), "created_at",
                     time_json(product->record->created_ms));
}

static const char *kind_name(Hawser__Internal__KeyKind kind) {
    return kind == HAWSER__INTERNAL__KEY_KIND__KEY_TOKEN ? "token"
           : kind == HAWSER__INTERNAL__KEY_KIND__KEY_API ? "api"
                                                         : "webhook";
}

static json_t *key_json(const char *kid, Hawser__Internal__KeyKind kind, uint64_t created_ms,
                        const char *secret) {
    json_t *key = json_pack("{s:s, s:s}", "kid", kid, "kind", kind_name(kind));
    if (secret)
        json_object_set_new(key, "secret", json_string(secret));
    json_object_set_new(key, "created_at", time_json(created_ms));
    return key;
}

// --- changing a record

struct change {
    struct draft draft;
    json_t *show;       // owned: what the answer shows besides the product; NULL = nothing
    int status;         // of the answer
    bool shows_product; // else `show` is the answer, or there is none
    bool deletes;
};

static void change_free(void *state) {
    struct change *change = state;
    arena_deinit(&change->draft.arena);
    json_decref(change->show);
    free(change);
}

static struct change *change_new(struct request *q, int status) {
    struct change *change = hw_calloc(1, sizeof(*change));
    arena_init(&change->draft.arena);
    hawser__internal__product__init(&change->draft.record);
    hawser__internal__product_limits__init(&change->draft.limits);
    change->status = status;
    q->state = change;
    q->free_state = change_free;
    return change;
}

// A deep enough copy of what the product is now.
static void draft_from(struct draft *d, const struct product *product, bool limits_too) {
    size_t len = hawser__internal__product__get_packed_size(product->record);
    uint8_t *bytes = arena_alloc(&d->arena, len);
    hawser__internal__product__pack(product->record, bytes);
    Hawser__Internal__Product *copy =
        hawser__internal__product__unpack(&d->arena.allocator, len, bytes);
    d->record = *copy;
    if (limits_too && copy->limits)
        d->limits = *copy->limits;
    if (!limits_too)
        d->record.callbacks = NULL;
}

static void answer_change(struct request *q, const Hawser__Internal__CatalogEntry *entry) {
    struct change *change = q->state;
    json_t *body = change->show;
    change->show = NULL;
    if (change->deletes) {
        reply_empty(q);
        return;
    }
    if (!change->shows_product) {
        if (body)
            reply_json(q, change->status, body);
        else
            reply_empty(q);
        return;
    }
    const struct product *product = request_product(q);
    json_t *shown = product ? product_json(product) : json_object();
    if (body)
        json_object_set_new(shown, "keys", body);
    reply_with_etag(q, change->status, shown, entry->version);
}

static void on_put(void *arg, int error, const Hawser__Internal__CatalogPutReply *reply) {
    struct request *q = arg;
    if (!reply || !reply->entry) {
        reply_unanswered(q, "register", error);
    } else {
        cluster_learn(q->center->cluster, reply->entry);
        if (reply->conflict)
            reply_fault(q, PROBLEM_state_conflict, NULL,
                        "it was changed by someone else meanwhile");
        else
            answer_change(q, reply->entry);
    }
}

static void put(struct request *q, uint64_t expect) {
    struct change *change = q->state;
    struct draft *d = &change->draft;
    Hawser__Internal__CatalogPutRequest request = HAWSER__INTERNAL__CATALOG_PUT_REQUEST__INIT;
    d->record.name = q->product_name;
    d->record.limits = &d->limits;
    size_t size = hawser__internal__product__get_packed_size(&d->record);
    uint8_t *bytes = arena_alloc(&d->arena, size);
    hawser__internal__product__pack(&d->record, bytes);
    request.key = arena_printf(&d->arena, "product/%s", q->product_name);
    request.value = (ProtobufCBinaryData){size, bytes};
    request.expect = expect;
    request.deleted = change->deletes;
    struct peer peer = register_of(q->center->cluster);
    q->was_up = peer_is_up(peer);
    register_catalog_put(peer, &request, on_put, q);
}

static bool etag_holds(struct request *q, const struct product *product) {
    char etag[32];
    const char *wanted = q->http->if_match;
    snprintf(etag, sizeof(etag), "\"%llu\"", (unsigned long long)(product ? product->version : 0));
    if (product && strcmp(q->http->if_none_match, "*") == 0) {
        reply_fault(q, PROBLEM_state_conflict, NULL, "If-None-Match: the product exists");
        return false;
    }
    if (!*wanted || (product && (strcmp(wanted, "*") == 0 || strcmp(wanted, etag) == 0)))
        return true;
    reply_fault(q, PROBLEM_state_conflict, NULL, "If-Match: the product is another version now");
    return false;
}

// --- keys

// Makes a key in the draft; its secret as it is shown once goes to *ret_shown (a new reference).
static bool add_key(struct draft *d, Hawser__Internal__KeyKind kind, const char *given,
                    uint64_t now_ms, json_t **ret_shown) {
    char kid[KID_CHARS + 1], secret[SECRET_CHARS + 1], shown[128];
    Hawser__Internal__ProductKey *key = arena_alloc(&d->arena, sizeof(*key));
    size_t n = d->record.n_key;
    if (n >= KEYS_MAX)
        return false;
    random_base62(kid, KID_CHARS);
    random_base62(secret, SECRET_CHARS);
    hawser__internal__product_key__init(key);
    key->kid = arena_strndup(&d->arena, kid, KID_CHARS);
    key->kind = kind;
    key->created_ms = now_ms;
    key->algorithm =
        (char *)(uintptr_t)(kind == HAWSER__INTERNAL__KEY_KIND__KEY_TOKEN ? "HS256" : "");
    if (kind == HAWSER__INTERNAL__KEY_KIND__KEY_API) {
        snprintf(shown, sizeof(shown), "hwk_%s_%s", kid, secret);
        key->secret.data = arena_alloc(&d->arena, 32);
        key->secret.len = 32;
        crypto_sha256(shown, strlen(shown), key->secret.data);
    } else {
        const char *text = given ? given : secret;
        snprintf(shown, sizeof(shown), "%s", text);
        // protobuf: bytes, used as they stand
        key->secret.data = (uint8_t *)arena_strndup(&d->arena, text, strlen(text));
        key->secret.len = strlen(text);
    }
    Hawser__Internal__ProductKey **keys = arena_alloc(&d->arena, (n + 1) * sizeof(keys[0]));
    if (n)
        memcpy(keys, d->record.key, n * sizeof(keys[0]));
    keys[n] = key;
    d->record.key = keys;
    d->record.n_key = n + 1;
    *ret_shown = key_json(kid, kind, now_ms, given ? given : shown);
    return true;
}

// --- handlers of products

void handle_product_put(struct request *q) {
    static const char *const names[] = {"limits", "callbacks", NULL};
    const struct product *product = request_product(q);
    struct problem p = {0};
    const json_t *body = q->reader.root;
    if (!etag_holds(q, product))
        return;
    struct change *change = change_new(q, product ? 200 : 201);
    struct draft *d = &change->draft;
    change->shows_product = true;
    if (product)
        draft_from(d, product, false);
    if (!fields_known(body, "", names, &p) ||
        !take_limits(d, json_object_get(body, "limits"), &p) ||
        !take_callbacks(d, json_object_get(body, "callbacks"), &p)) {
        reply_problem(q, &p);
        return;
    }
    if (!product) {
        d->record.created_ms = loop_wall_ms(q->center->loop);
        change->show = json_array();
        for (int kind = HAWSER__INTERNAL__KEY_KIND__KEY_TOKEN;
             kind <= (int)HAWSER__INTERNAL__KEY_KIND__KEY_WEBHOOK; kind++) {
            json_t *shown = NULL;
            if (add_key(d, (Hawser__Internal__KeyKind)kind, NULL, d->record.created_ms, &shown))
                json_array_append_new(change->show, shown);
        }
    }
    put(q, product ? product->version : 0);
}

void handle_product_patch(struct request *q) {
    static const char *const names[] = {"limits", "callbacks", NULL};
    const struct product *product = request_product(q);
    struct problem p = {0};
    const json_t *body = q->reader.root;
    if (!etag_holds(q, product))
        return;
    struct change *change = change_new(q, 200);
    change->shows_product = true;
    draft_from(&change->draft, product, true);
    if (!fields_known(body, "", names, &p) ||
        !take_limits(&change->draft, json_object_get(body, "limits"), &p) ||
        !take_callbacks(&change->draft, json_object_get(body, "callbacks"), &p))
        reply_problem(q, &p);
    else
        put(q, product->version);
}

void handle_product_get(struct request *q) {
    const struct product *product = request_product(q);
    reply_with_etag(q, 200, product_json(product), product->version);
}

void handle_product_delete(struct request *q) {
    const struct product *product = request_product(q);
    if (!etag_holds(q, product))
        return;
    struct change *change = change_new(q, 204);
    change->deletes = true;
    draft_from(&change->draft, product, true);
    put(q, product->version);
}

static int by_name(const void *a, const void *b) {
    const struct product *const *pa = a, *const *pb = b;
    return strcmp((*pa)->name, (*pb)->name);
}

void handle_products_list(struct request *q) {
    const struct product *product = NULL;
    const struct product **all = NULL;
    size_t count = 0, shown = 0;
    uint64_t limit;
    char after[64] = "";
    bool bad = false;
    struct problem p = {0};
    http_query_get(q->http->query, "after", after, sizeof(after), &bad);
    if (!query_limit(q, &limit, &p)) {
        reply_problem(q, &p);
        return;
    }
    while ((product = cluster_product_next(q->center->cluster, product)) != NULL) {
        all = hw_realloc(all, (count + 1) * sizeof(all[0]));
        all[count++] = product;
    }
    if (count)
        qsort(all, count, sizeof(all[0]), by_name);
    json_t *items = json_array(), *next = json_null();
    for (size_t i = 0; i < count; i++) {
        if (strcmp(all[i]->name, after) <= 0)
            continue;
        if (shown++ == limit) {
            next = json_string(all[i - 1]->name);
            break;
        }
        json_array_append_new(items, product_json(all[i]));
    }
    free(all);
    reply_json(q, 200, json_pack("{s:o, s:o}", "items", items, "next", next));
}

// --- handlers of keys

static bool take_kind(const json_t *body, Hawser__Internal__KeyKind *ret_kind, struct problem *p) {
    const char *kind = NULL;
    if (!field_text(body, "", "kind", 16, true, &kind, p))
        return false;
    for (int k = HAWSER__INTERNAL__KEY_KIND__KEY_TOKEN;
         k <= (int)HAWSER__INTERNAL__KEY_KIND__KEY_WEBHOOK; k++)
        if (strcmp(kind, kind_name((Hawser__Internal__KeyKind)k)) == 0) {
            *ret_kind = (Hawser__Internal__KeyKind)k;
            return true;
        }
    return problem_set(p, PROBLEM_invalid_value, "kind", "kind is token, api or webhook");
}

static bool take_secret(const json_t *body, Hawser__Internal__KeyKind kind, const char **ret_secret,
                        struct problem *p) {
    const json_t *value = json_object_get(body, "secret");
    const char *text = json_string_value(value);
    size_t len = value ? json_string_length(value) : 0;
    if (!value)
        return true;
    if (kind == HAWSER__INTERNAL__KEY_KIND__KEY_API)
        return problem_set(p, PROBLEM_conflicting_fields, "secret",
                           "an API key is always made here");
    bool good = text && len >= 32 && len <= 128;
    for (size_t i = 0; i < len && good; i++)
        good = text[i] >= 0x20 && text[i] <= 0x7e;
    if (!good)
        return problem_set(p, PROBLEM_invalid_value, "secret",
                           "32..128 printable ASCII characters");
    *ret_secret = text;
    return true;
}

void handle_key_new(struct request *q) {
    static const char *const names[] = {"kind", "secret", NULL};
    const struct product *product = request_product(q);
    Hawser__Internal__KeyKind kind = HAWSER__INTERNAL__KEY_KIND__KEY_NONE;
    const char *secret = NULL;
    struct problem p = {0};
    const json_t *body = q->reader.root;
    if (!fields_known(body, "", names, &p) || !take_kind(body, &kind, &p) ||
        !take_secret(body, kind, &secret, &p)) {
        reply_problem(q, &p);
        return;
    }
    struct change *change = change_new(q, 201);
    draft_from(&change->draft, product, true);
    if (add_key(&change->draft, kind, secret, loop_wall_ms(q->center->loop), &change->show))
        put(q, product->version);
    else
        reply_fault(q, PROBLEM_state_conflict, NULL, "a product has at most %d keys", KEYS_MAX);
}

void handle_keys_list(struct request *q) {
    const struct product *product = request_product(q);
    json_t *items = json_array();
    for (size_t i = 0; i < product->key_count; i++)
        json_array_append_new(items, key_json(product->keys[i].kid, product->keys[i].kind,
                                              product->keys[i].created_ms, NULL));
    reply_json(q, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

void handle_key_delete(struct request *q) {
    const struct product *product = request_product(q);
    struct change *change = change_new(q, 204);
    Hawser__Internal__Product *record = &change->draft.record;
    size_t kept = 0;
    draft_from(&change->draft, product, true);
    for (size_t i = 0; i < record->n_key; i++)
        if (strcmp(record->key[i]->kid, q->segments[4]) != 0)
            record->key[kept++] = record->key[i];
    if (kept == record->n_key) {
        reply_fault(q, PROBLEM_not_found, NULL, "no key '%.40s'", q->segments[4]);
        return;
    }
    record->n_key = kept;
    put(q, product->version);
}
