#include "keys.h"

#include "fields.h"
#include "handlers.h"
#include "texts.h"

enum {
    KID_CHARS = 12,
    SECRET_CHARS = 43,
    KEY_SECRET_MIN = 32,
    KEY_SECRET_MAX = 128,
    KEYS_MAX = 64
};

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

json_t *change_add_key(struct change *d, Hawser__Internal__KeyKind kind, const char *given,
                       uint64_t now_ms) {
    char kid[KID_CHARS + 1], secret[SECRET_CHARS + 1], shown[KEY_SECRET_MAX + 1];
    Hawser__Internal__ProductKey *key = arena_alloc(&d->arena, sizeof(*key));
    size_t n = d->record.n_key;
    if (n >= KEYS_MAX)
        return NULL;
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
        snprintf(shown, sizeof(shown), "%s", given ? given : secret);
        // protobuf: bytes, used as they stand
        key->secret.len = strlen(shown);
        key->secret.data = (uint8_t *)arena_strndup(&d->arena, shown, key->secret.len);
    }
    Hawser__Internal__ProductKey **keys = arena_alloc(&d->arena, (n + 1) * sizeof(keys[0]));
    if (n)
        memcpy(keys, d->record.key, n * sizeof(keys[0]));
    keys[n] = key;
    d->record.key = keys;
    d->record.n_key = n + 1;
    return key_json(kid, kind, now_ms, shown);
}

static bool read_kind(const struct fields *in, Hawser__Internal__KeyKind *ret_kind) {
    const char *kind = NULL;
    if (!field_text_needed(in, "kind", 16, &kind))
        return false;
    for (int k = HAWSER__INTERNAL__KEY_KIND__KEY_TOKEN;
         k <= (int)HAWSER__INTERNAL__KEY_KIND__KEY_WEBHOOK; k++)
        if (strcmp(kind, kind_name((Hawser__Internal__KeyKind)k)) == 0) {
            *ret_kind = (Hawser__Internal__KeyKind)k;
            return true;
        }
    return problem_set(in->problem, PROBLEM_invalid_value, "kind", "kind is token, api or webhook");
}

static bool read_secret(const struct fields *in, Hawser__Internal__KeyKind kind,
                        const char **ret_secret) {
    const json_t *value = json_object_get(in->object, "secret");
    const char *text = json_string_value(value);
    size_t len = value ? json_string_length(value) : 0;
    if (!value)
        return true;
    if (kind == HAWSER__INTERNAL__KEY_KIND__KEY_API)
        return problem_set(in->problem, PROBLEM_conflicting_fields, "secret",
                           "an API key is always made here");
    bool good = text && len >= KEY_SECRET_MIN && len <= KEY_SECRET_MAX;
    for (size_t i = 0; i < len && good; i++)
        good = text[i] >= 0x20 && text[i] <= 0x7e;
    if (!good)
        return problem_set(in->problem, PROBLEM_invalid_value, "secret",
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
    const struct fields in = {q->reader.root, "", &p};
    if (!fields_known(&in, names) || !read_kind(&in, &kind) || !read_secret(&in, kind, &secret)) {
        reply_problem(q, &p);
        return;
    }
    struct change *change = change_new(q, 201);
    change_from(change, product, true);
    change->show = change_add_key(change, kind, secret, loop_wall_ms(q->center->loop));
    if (change->show)
        change_put(q, product->version);
    else
        reply_fault(q, PROBLEM_state_conflict, NULL, "a product has at most %d keys", KEYS_MAX);
}

void handle_keys_list(struct request *q) {
    const struct product *product = request_product(q);
    json_t *items = json_array();
    for (size_t i = 0; i < product->key_count; i++)
        json_array_append_new(items, key_json(product->keys[i].kid, product->keys[i].kind,
                                              product->keys[i].created_ms, NULL));
    reply_list(q, items, NULL);
}

void handle_key_delete(struct request *q) {
    const struct product *product = request_product(q);
    struct change *change = change_new(q, 204);
    Hawser__Internal__Product *record = &change->record;
    size_t kept = 0;
    change_from(change, product, true);
    for (size_t i = 0; i < record->n_key; i++)
        if (strcmp(record->key[i]->kid, q->segments[4]) != 0)
            record->key[kept++] = record->key[i];
    if (kept == record->n_key) {
        reply_fault(q, PROBLEM_not_found, NULL, "no key '%.40s'", q->segments[4]);
        return;
    }
    record->n_key = kept;
    change_put(q, product->version);
}
