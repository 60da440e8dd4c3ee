#include "push.h"

#include <stdlib.h>
#include <string.h>

#include "crypto.h"
#include "texts.h"

enum { IDEMPOTENCY_KEY_MAX = 255 };

static bool read_payload(const json_t *body, const struct push_rules *rules, struct push *push,
                         struct problem *p) {
    const json_t *text = json_object_get(body, "payload");
    const json_t *base64 = json_object_get(body, "payload_base64");
    const char *field = text ? "payload" : "payload_base64";
    if (!text && !base64)
        return problem_set(p, PROBLEM_missing_field, "payload",
                           "one of payload and payload_base64 is needed");
    if (text && base64)
        return problem_set(p, PROBLEM_conflicting_fields, "payload",
                           "only one of payload and payload_base64");
    if (!json_is_string(text ? text : base64))
        return problem_set(p, PROBLEM_invalid_value, field, "%s is a string", field);
    if (text)
        buf_append(&push->payload, json_string_value(text), json_string_length(text));
    else if (!base64_decode(json_string_value(base64), json_string_length(base64), &push->payload))
        return problem_set(p, PROBLEM_invalid_value, field, "%s is not padded base64", field);
    if (push->payload.len > rules->payload_bytes)
        return problem_set(p, PROBLEM_payload_too_large, field, "at most %llu bytes here",
                           (unsigned long long)rules->payload_bytes);
    return true;
}

static const char *const class_names[] = {
    [PUSH_STORED] = "stored", [PUSH_LIVE] = "live", [PUSH_DURABLE] = "durable"};

const char *push_class_name(enum push_class class) {
    return class_names[class];
}

static bool read_class(const json_t *body, const struct push_rules *rules, struct push *push,
                       struct problem *p) {
    const struct fields in = {body, "", p};
    const char *class = class_names[PUSH_STORED];
    uint64_t ttl_s = 0;
    bool ttl_given = json_object_get(body, "ttl_s"), class_given = json_object_get(body, "class");
    if (!field_text(&in, "class", 16, &class) ||
        !field_number(&in, "ttl_s", (struct range){0, rules->retention_s}, &ttl_s))
        return false;
    bool is_live = strcmp(class, class_names[PUSH_LIVE]) == 0;
    bool is_durable = strcmp(class, class_names[PUSH_DURABLE]) == 0;
    if (!is_live && !is_durable && strcmp(class, class_names[PUSH_STORED]) != 0)
        return problem_set(p, PROBLEM_invalid_value, "class", "class is live, stored or durable");
    if (is_live && ttl_given && ttl_s != 0)
        return problem_set(p, PROBLEM_conflicting_fields, "ttl_s", "a live message has no ttl_s");
    if (class_given && !is_live && ttl_given && ttl_s == 0)
        return problem_set(p, PROBLEM_conflicting_fields, "ttl_s", "ttl_s 0 makes it live");
    push->class = is_live || (ttl_given && ttl_s == 0) ? PUSH_LIVE
                  : is_durable                         ? PUSH_DURABLE
                                                       : PUSH_STORED;
    push->ttl_ms = ttl_s * 1000;
    return true;
}

// Of what comes later in this version's life, a push that asks for it must not go out as if it had
// not.
static bool refuse_unserved(const json_t *body, struct problem *p) {
    static const char *const names[] = {"rate_per_s", "send_at", "receipt", NULL};
    for (int i = 0; names[i]; i++) {
        const json_t *value = json_object_get(body, names[i]);
        if (value && !json_is_false(value) && !json_is_null(value))
            return problem_set(p, PROBLEM_invalid_value, names[i],
                               "%s is not served by this version", names[i]);
    }
    return true;
}

// What it replaces is a message that waits in an inbox: a broadcast has none, and a live message
// does not wait.
static bool read_collapse_key(const json_t *body, struct push *push, struct problem *p) {
    const struct fields in = {body, "", p};
    const json_t *given = json_object_get(body, "collapse_key");
    if (!given || json_is_null(given))
        return true;
    if (!field_text(&in, "collapse_key", ID_MAX, &push->collapse_key))
        return false;
    if (push->to.kind == TO_ALL || push->to.kind == TO_TAGS)
        return problem_set(p, PROBLEM_conflicting_fields, "collapse_key",
                           "a broadcast has no collapse_key");
    if (push->class == PUSH_LIVE)
        return problem_set(p, PROBLEM_conflicting_fields, "collapse_key",
                           "a live message has no collapse_key");
    return true;
}

static bool check_key(const char *key, size_t len, const char *field, struct problem *p) {
    bool good = key && len >= 1 && len <= IDEMPOTENCY_KEY_MAX;
    for (size_t i = 0; i < len && good; i++)
        good = key[i] >= 0x20 && key[i] <= 0x7e;
    return good || problem_set(p, PROBLEM_invalid_value, field, "1..%d printable ASCII characters",
                               IDEMPOTENCY_KEY_MAX);
}

bool push_take_key(struct push *push, const char *key, struct problem *p) {
    if (!check_key(key, strlen(key), "Idempotency-Key", p))
        return false;
    push->idempotency_key = key;
    return true;
}

static bool read_key(const json_t *body, struct push *push, struct problem *p) {
    const json_t *given = json_object_get(body, "idempotency_key");
    const char *key = json_string_value(given);
    if (given && !check_key(key, json_string_length(given), "idempotency_key", p))
        return false;
    push->idempotency_key = key;
    return true;
}

void push_hash(struct push *push, const json_t *body) {
    json_t *copy = json_copy((json_t *)(uintptr_t)body);
    uint8_t digest[32];
    json_object_del(copy, "idempotency_key");
    char *text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
    crypto_sha256(text, strlen(text), digest);
    memcpy(push->body_hash, digest, sizeof(push->body_hash));
    free(text);
    json_decref(copy);
}

// The first one is a batch's alone.
static const char *const push_fields[] = {
    "idempotency_key", "to",         "payload", "payload_base64", "content_type", "class", "ttl_s",
    "collapse_key",    "rate_per_s", "send_at", "receipt",        "dry_run",      NULL};

bool push_read(const json_t *body, const struct push_rules *rules, struct push *ret,
               struct problem *p) {
    const struct fields in = {body, "", p};
    struct push push = {0};
    if (fields_known(&in, push_fields + !rules->in_batch) && targets_read(body, &push.to, p) &&
        read_payload(body, rules, &push, p) &&
        field_text(&in, "content_type", 128, &push.content_type) &&
        read_class(body, rules, &push, p) && read_collapse_key(body, &push, p) &&
        field_bool(&in, "dry_run", &push.is_dry) && refuse_unserved(body, p) &&
        read_key(body, &push, p)) {
        *ret = push;
        return true;
    }
    push_deinit(&push);
    *ret = push;
    return false;
}

void push_deinit(struct push *push) {
    targets_deinit(&push->to);
    buf_free(&push->payload);
    *push = (struct push){0};
}
