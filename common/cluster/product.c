#include "product.h"

#include "buf.h"
#include "bytes.h"

enum { KID_MAX = 32 };

static const struct {
    const char *name;
    size_t offset;
    uint64_t fallback;
} limit_table[] = {
#define LIMIT(name, fallback)                                                                      \
    { #name, offsetof(Hawser__Internal__ProductLimits, name), fallback }
    LIMIT(payload_bytes, 4096),  LIMIT(inbox_messages, 1000),
    LIMIT(inbox_bytes, 4194304), LIMIT(retention_s, 604800),
    LIMIT(push_per_s, 0),        LIMIT(bulk_rate_per_s, 10000),
    LIMIT(idempotency_s, 3600),  LIMIT(idempotency_keys, 1000000),
    LIMIT(outcome_s, 604800),    LIMIT(devices_per_user, 16),
    LIMIT(token_ttl_s, 86400),
#undef LIMIT
};

static bool product_is_given(const Hawser__Internal__ProductLimits *given, const char *name) {
    for (size_t i = 0; given && i < given->n_given; i++)
        if (strcmp(given->given[i], name) == 0)
            return true;
    return false;
}

void product_limits_fill(const Hawser__Internal__ProductLimits *given,
                         Hawser__Internal__ProductLimits *ret_limits) {
    Hawser__Internal__ProductLimits limits = HAWSER__INTERNAL__PRODUCT_LIMITS__INIT;
    for (size_t i = 0; i < sizeof(limit_table) / sizeof(limit_table[0]); i++) {
        uint64_t value = limit_table[i].fallback;
        if (product_is_given(given, limit_table[i].name))
            memcpy(&value, (const uint8_t *)given + limit_table[i].offset, sizeof(value));
        memcpy((uint8_t *)&limits + limit_table[i].offset, &value, sizeof(value));
    }
    limits.reject_new = product_is_given(given, "reject_new") && given->reject_new;
    *ret_limits = limits;
}

static bool take_keys(struct product *p) {
    p->keys = hw_calloc(p->record->n_key, sizeof(p->keys[0]));
    for (size_t i = 0; i < p->record->n_key; i++) {
        const Hawser__Internal__ProductKey *from = p->record->key[i];
        struct product_key *key = &p->keys[p->key_count++];
        if (strlen(from->kid) == 0 || strlen(from->kid) > KID_MAX)
            return false;
        memcpy(key->kid, from->kid, strlen(from->kid) + 1);
        key->kind = from->kind;
        key->algorithm = from->algorithm;
        key->secret = from->secret.data;
        key->secret_len = from->secret.len;
        key->created_ms = from->created_ms;
    }
    return true;
}

struct product *product_new(const uint8_t *value, size_t len, uint64_t version) {
    Hawser__Internal__Product *record = hawser__internal__product__unpack(NULL, len, value);
    if (!record)
        return NULL;
    struct product *p = hw_calloc(1, sizeof(*p));
    p->record = record;
    p->version = version;
    p->number = record->number;
    if (!product_name_is_valid(record->name, strlen(record->name)) || !take_keys(p)) {
        product_free(p);
        return NULL;
    }
    memcpy(p->name, record->name, strlen(record->name) + 1);
    product_limits_fill(record->limits, &p->limits);
    return p;
}

void product_free(struct product *p) {
    if (!p)
        return;
    hawser__internal__product__free_unpacked((Hawser__Internal__Product *)(uintptr_t)p->record,
                                             NULL);
    free(p->keys);
    free(p);
}

const struct product_key *product_key_find(const struct product *p, Hawser__Internal__KeyKind kind,
                                           const char *kid, size_t len) {
    for (size_t i = 0; i < p->key_count; i++)
        if (p->keys[i].kind == kind && strlen(p->keys[i].kid) == len &&
            memcmp(p->keys[i].kid, kid, len) == 0)
            return &p->keys[i];
    return NULL;
}
