// A push as it is asked for: read from JSON, checked whole, and given its id.
#include "center_internal.h"

static const char *const push_fields[] = {
    "to",           "payload",    "payload_base64", "content_type", "class", "ttl_s",
    "collapse_key", "rate_per_s", "send_at",        "receipt",      NULL};
static const char *const batch_fields[] = {"to",      "payload", "payload_base64",  "content_type",
                                           "class",   "ttl_s",   "collapse_key",    "rate_per_s",
                                           "send_at", "receipt", "idempotency_key", NULL};

// --- to

static bool check_user(const json_t *value, const char *field, struct problem *p) {
    if (json_is_string(value) &&
        id_is_valid(json_string_value(value), json_string_length(value), 64))
        return true;
    return problem_set(p, PROBLEM_invalid_value, field,
                       "%s is 1..64 bytes of UTF-8 without control characters", field);
}

static int by_user(const void *a, const void *b) {
    const struct target *ta = a, *tb = b;
    return strcmp(ta->user, tb->user);
}

// Sorted, so that duplicates lie together and the same list in another order is the same target.
static void drop_duplicates(struct push *push) {
    size_t kept = 0;
    if (push->target_count == 0)
        return;
    qsort(push->targets, push->target_count, sizeof(push->targets[0]), by_user);
    for (size_t i = 1; i < push->target_count; i++)
        if (strcmp(push->targets[kept].user, push->targets[i].user) != 0)
            push->targets[++kept] = push->targets[i];
    push->target_count = kept + 1;
}

static bool take_users(const json_t *list, struct push *push, struct problem *p) {
    size_t i;
    json_t *user;
    char field[64];
    push->kind = TO_USERS;
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > USERS_MAX)
        return problem_set(p, PROBLEM_invalid_value, "to.users",
                           "to.users is a list of 1..%d users", USERS_MAX);
    push->targets = hw_calloc(json_array_size(list), sizeof(push->targets[0]));
    json_array_foreach((json_t *)(uintptr_t)list, i, user) {
        snprintf(field, sizeof(field), "to.users[%zu]", i);
        if (!check_user(user, field, p))
            return false;
        push->targets[push->target_count++].user = json_string_value(user);
    }
    drop_duplicates(push);
    return true;
}

static int by_user_and_device(const void *a, const void *b) {
    const struct target *ta = a, *tb = b;
    int order = strcmp(ta->user, tb->user);
    return order ? order : strcmp(ta->devices[0], tb->devices[0]);
}

// From one target for each device to one for each user, its devices sorted and without duplicates.
static bool gather_devices(struct push *push, struct problem *p) {
    size_t kept = 0;
    qsort(push->targets, push->target_count, sizeof(push->targets[0]), by_user_and_device);
    for (size_t i = 1; i < push->target_count; i++) {
        struct target *to = &push->targets[kept];
        const struct target *from = &push->targets[i];
        if (strcmp(to->user, from->user) != 0) {
            push->targets[++kept] = *from;
            continue;
        }
        if (strcmp(to->devices[to->device_count - 1], from->devices[0]) == 0)
            continue;
        if (to->device_count == TARGET_DEVICES_MAX)
            return problem_set(p, PROBLEM_invalid_value, "to.devices",
                               "at most %d devices of one user", TARGET_DEVICES_MAX);
        to->devices[to->device_count++] = from->devices[0];
    }
    push->target_count = kept + 1;
    return true;
}

static bool take_devices(const json_t *list, struct push *push, struct problem *p) {
    static const char *const names[] = {"user", "device", NULL};
    size_t i;
    json_t *one;
    char field[64];
    push->kind = TO_DEVICES;
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > DEVICES_MAX)
        return problem_set(p, PROBLEM_invalid_value, "to.devices",
                           "to.devices is a list of 1..%d devices", DEVICES_MAX);
    push->targets = hw_calloc(json_array_size(list), sizeof(push->targets[0]));
    json_array_foreach((json_t *)(uintptr_t)list, i, one) {
        struct target *t = &push->targets[push->target_count++];
        t->device_count = 1;
        snprintf(field, sizeof(field), "to.devices[%zu]", i);
        if (!fields_known(one, field, names, p) ||
            !field_text(one, field, "user", 64, true, &t->user, p) ||
            !field_text(one, field, "device", 64, true, &t->devices[0], p))
            return false;
    }
    return gather_devices(push, p);
}

static bool take_tag_list(const json_t *tags, const char *name, const char ***ret_list,
                          size_t *ret_count, struct problem *p) {
    const json_t *list = json_object_get(tags, name);
    char field[32];
    snprintf(field, sizeof(field), "to.tags.%s", name);
    if (!list)
        return true;
    if (!check_tags(list, field, 20, p))
        return false;
    *ret_count = json_array_size(list);
    *ret_list = hw_calloc(*ret_count + 1, sizeof(char *));
    for (size_t i = 0; i < *ret_count; i++)
        (*ret_list)[i] = json_string_value(json_array_get(list, i));
    return true;
}

static bool take_tags(const json_t *tags, struct push *push, struct problem *p) {
    static const char *const names[] = {"any", "all", "none", NULL};
    push->kind = TO_TAGS;
    if (!fields_known(tags, "to.tags", names, p) ||
        !take_tag_list(tags, "any", &push->any, &push->any_count, p) ||
        !take_tag_list(tags, "all", &push->all, &push->all_count, p) ||
        !take_tag_list(tags, "none", &push->none, &push->none_count, p))
        return false;
    size_t total = push->any_count + push->all_count + push->none_count;
    if (total == 0 || total > 20)
        return problem_set(p, PROBLEM_invalid_value, "to.tags", "1..20 tags together");
    return true;
}

static bool take_to(const json_t *body, struct push *push, struct problem *p) {
    static const char *const names[] = {"user", "users", "devices", "tags", "all", NULL};
    const json_t *to = json_object_get(body, "to"), *value = NULL;
    int given = 0, which = 0;
    if (!to)
        return problem_set(p, PROBLEM_missing_field, "to", "to is needed");
    if (!fields_known(to, "to", names, p))
        return false;
    for (int i = 0; names[i]; i++)
        if (json_object_get(to, names[i])) {
            given++;
            which = i;
            value = json_object_get(to, names[i]);
        }
    if (given != 1)
        return problem_set(p, given ? PROBLEM_conflicting_fields : PROBLEM_missing_field, "to",
                           "exactly one of to.user, to.users, to.devices, to.tags and to.all");
    if (which == 1)
        return take_users(value, push, p);
    if (which == 2)
        return take_devices(value, push, p);
    if (which == 3)
        return take_tags(value, push, p);
    push->kind = which == 0 ? TO_USER : TO_ALL;
    if (which == 4)
        return json_is_true(value) ||
               problem_set(p, PROBLEM_invalid_value, "to.all", "to.all is true");
    if (!check_user(value, "to.user", p))
        return false;
    push->targets = hw_calloc(1, sizeof(push->targets[0]));
    push->targets[push->target_count++].user = json_string_value(value);
    return true;
}

// --- what

static bool take_payload(const json_t *body, const struct product *product, struct push *push,
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
    if (push->payload.len > product->limits.payload_bytes)
        return problem_set(p, PROBLEM_payload_too_large, field, "at most %llu bytes here",
                           (unsigned long long)product->limits.payload_bytes);
    return true;
}

static bool take_class(const json_t *body, const struct product *product, struct push *push,
                       struct problem *p) {
    const char *class = "stored";
    uint64_t ttl_s = 0;
    bool ttl_given, class_given = json_object_get(body, "class") != NULL;
    if (!field_text(body, "", "class", 16, false, &class, p) ||
        !field_number(body, "", "ttl_s", 0, product->limits.retention_s, &ttl_given, &ttl_s, p))
        return false;
    if (strcmp(class, "stored") != 0 && strcmp(class, "live") != 0 && strcmp(class, "durable") != 0)
        return problem_set(p, PROBLEM_invalid_value, "class", "class is live, stored or durable");
    push->is_live = strcmp(class, "live") == 0 || (!class_given && ttl_given && ttl_s == 0);
    if (strcmp(class, "live") == 0 && ttl_given && ttl_s != 0)
        return problem_set(p, PROBLEM_conflicting_fields, "ttl_s", "a live message has no ttl_s");
    if (class_given && !push->is_live && ttl_given && ttl_s == 0)
        return problem_set(p, PROBLEM_conflicting_fields, "ttl_s", "ttl_s 0 makes it live");
    if (strcmp(class, "durable") == 0) // to come again later would not help
        return problem_set(p, PROBLEM_invalid_value, "class",
                           "durable needs a MariaDB, which this version does not serve");
    push->ttl_ms = ttl_s * 1000;
    return true;
}

// Of what comes later in this version's life, a push that asks for it must not go out as if it had
// not.
static bool refuse_unserved(const json_t *body, struct problem *p) {
    static const char *const names[] = {"collapse_key", "rate_per_s", "send_at", "receipt", NULL};
    for (int i = 0; names[i]; i++) {
        const json_t *value = json_object_get(body, names[i]);
        if (value && !json_is_false(value) && !json_is_null(value))
            return problem_set(p, PROBLEM_invalid_value, names[i],
                               "%s is not served by this version", names[i]);
    }
    return true;
}

bool idempotency_key_check(const char *key, size_t len, const char *field, struct problem *p) {
    bool good = len >= 1 && len <= 255;
    for (size_t i = 0; i < len && good; i++)
        good = key[i] >= 0x20 && key[i] <= 0x7e;
    return good ||
           problem_set(p, PROBLEM_invalid_value, field, "1..255 printable ASCII characters");
}

void push_set_key(struct push *push, const char *key, const json_t *body) {
    json_t *copy = json_copy((json_t *)(uintptr_t)body);
    uint8_t digest[32];
    json_object_del(copy, "idempotency_key");
    char *text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
    crypto_sha256(text, strlen(text), digest);
    memcpy(push->body_hash, digest, sizeof(push->body_hash));
    push->idempotency_key = key;
    free(text);
    json_decref(copy);
}

size_t push_targets_named(const json_t *body) {
    const json_t *to = json_object_get(body, "to");
    size_t users = json_array_size(json_object_get(to, "users"));
    size_t devices = json_array_size(json_object_get(to, "devices"));
    return users + devices > 0 ? users + devices : 1;
}

bool push_parse(const json_t *body, bool in_batch, const struct product *product,
                struct push *ret_push, struct problem *p) {
    struct push push = {0};
    bool good = fields_known(body, "", in_batch ? batch_fields : push_fields, p) &&
                take_to(body, &push, p) && take_payload(body, product, &push, p) &&
                field_text(body, "", "content_type", 128, false, &push.content_type, p) &&
                take_class(body, product, &push, p) && refuse_unserved(body, p);
    const json_t *given = json_object_get(body, "idempotency_key");
    if (good && given) {
        const char *key = json_string_value(given);
        good = key ? idempotency_key_check(key, json_string_length(given), "idempotency_key", p)
                   : problem_set(p, PROBLEM_invalid_value, "idempotency_key", "a string");
        if (good)
            push_set_key(&push, key, body);
    }
    if (!good) {
        push_deinit(&push);
        return false;
    }
    *ret_push = push;
    return true;
}

void push_deinit(struct push *push) {
    free(push->targets);
    free(push->any);
    free(push->all);
    free(push->none);
    buf_free(&push->payload);
    *push = (struct push){0};
}

// --- the id

static void hash_list(struct buf *b, char mark, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        buf_append(b, &mark, 1);
        buf_append(b, list[i], strlen(list[i]) + 1);
    }
}

static void hash_target(struct buf *b, const struct push *push) {
    buf_printf(b, "%d", push->kind);
    for (size_t i = 0; i < push->target_count; i++) {
        hash_list(b, 'u', &push->targets[i].user, 1);
        hash_list(b, 'd', push->targets[i].devices, push->targets[i].device_count);
    }
    hash_list(b, '+', push->any, push->any_count);
    hash_list(b, '&', push->all, push->all_count);
    hash_list(b, '-', push->none, push->none_count);
}

// The bucket, and 128 bits behind it: from product, target and key, or at random.
void message_id_make(struct rng *random, const struct product *product, const struct push *push,
                     char out[ID_CHARS + 1]) {
    uint8_t bits[34];
    struct buf text = BUF_EMPTY;
    uint32_t bucket = push->kind == TO_USER
                          ? bucket_of_user(push->targets[0].user, strlen(push->targets[0].user))
                          : 0;
    be16_put(bits, (uint16_t)bucket);
    if (push->idempotency_key) {
        buf_printf(&text, "%u\n%s\n", product->number, push->idempotency_key);
        hash_target(&text, push);
        crypto_sha256(text.data, text.len, bits + 2);
    } else {
        be64_put(bits + 2, rng_u64(random));
        be64_put(bits + 10, rng_u64(random));
    }
    base62(bits, 18, out, ID_CHARS);
    buf_free(&text);
}
