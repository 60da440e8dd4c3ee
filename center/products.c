// Products: their limits, and what the API shows of them.
#include "fields.h"
#include "handlers.h"
#include "keys.h"
#include "texts.h"

// --- limits

static const struct {
    const char *name;
    size_t offset;
    struct range range;
    bool is_unserved; // nothing heeds it in this version
} limit_table[] = {
#define LIMIT(name, low, high)                                                                     \
    { #name, offsetof(Hawser__Internal__ProductLimits, name), {low, high }, false }
#define UNSERVED(name, low, high)                                                                  \
    { #name, offsetof(Hawser__Internal__ProductLimits, name), {low, high }, true }
    LIMIT(payload_bytes, 1, 61440),
    LIMIT(inbox_messages, 10, 100000),
    LIMIT(inbox_bytes, 65536, UINT64_C(1) << 30),
    LIMIT(retention_s, 60, 2419200),
    LIMIT(push_per_s, 0, 10000000),
    UNSERVED(bulk_rate_per_s, 1, 100000000),
    LIMIT(idempotency_s, 60, 86400),
    LIMIT(idempotency_keys, 1, 1000000000),
    LIMIT(outcome_s, 60, 31536000),
    LIMIT(devices_per_user, 1, 16),
    LIMIT(token_ttl_s, 60, 31536000),
#undef UNSERVED
#undef LIMIT
};
enum { LIMITS = sizeof(limit_table) / sizeof(limit_table[0]) };

static void limit_set(struct change *d, const char *name) {
    for (size_t i = 0; i < d->limits.n_given; i++)
        if (strcmp(d->limits.given[i], name) == 0)
            return;
    char **given = arena_alloc(&d->arena, (d->limits.n_given + 1) * sizeof(given[0]));
    if (d->limits.n_given)
        memcpy(given, d->limits.given, d->limits.n_given * sizeof(given[0]));
    given[d->limits.n_given++] = arena_strndup(&d->arena, name, strlen(name));
    d->limits.given = given;
}

static void limit_clear(struct change *d, const char *name) { // back to the default
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

static bool take_limit(struct change *d, const struct fields *in, int i) {
    const json_t *given = json_object_get(in->object, limit_table[i].name);
    uint64_t value = 0;
    if (json_is_null(given)) {
        limit_clear(d, limit_table[i].name);
        return true;
    }
    if (!field_number(in, limit_table[i].name, limit_table[i].range, &value))
        return false;
    if (given && !is_served(i, value)) {
        char field[64];
        snprintf(field, sizeof(field), "limits.%s", limit_table[i].name);
        return problem_set(in->problem, PROBLEM_invalid_value, field,
                           "%s is not served by this version", field);
    }
    if (given) {
        memcpy((uint8_t *)&d->limits + limit_table[i].offset, &value, sizeof(value));
        limit_set(d, limit_table[i].name);
    }
    return true;
}

static bool take_reject_new(struct change *d, const struct fields *in) {
    const json_t *given = json_object_get(in->object, "reject_new");
    bool reject = false;
    if (!given)
        return true;
    if (json_is_null(given)) {
        limit_clear(d, "reject_new");
        return true;
    }
    if (!field_bool(in, "reject_new", &reject))
        return false;
    d->limits.reject_new = reject;
    limit_set(d, "reject_new");
    return true;
}

static bool read_limits(struct change *d, const json_t *limits, struct problem *p) {
    const struct fields in = {limits, "limits", p};
    const char *names[LIMITS + 2] = {"reject_new"};
    for (int i = 0; i < LIMITS; i++)
        names[i + 1] = limit_table[i].name;
    if (!limits)
        return true;
    if (!fields_known(&in, names))
        return false;
    for (int i = 0; i < LIMITS; i++)
        if (!take_limit(d, &in, i))
            return false;
    return take_reject_new(d, &in);
}

// --- callbacks

// Nothing calls them in this version: who asks for them must not think that somebody will.
static bool take_callbacks(struct change *d, const json_t *callbacks, struct problem *p) {
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

// --- handlers of products

static bool read_product(struct request *q, struct change *change) {
    static const char *const names[] = {"limits", "callbacks", NULL};
    struct problem p = {0};
    const json_t *body = q->reader.root;
    const struct fields in = {body, "", &p};
    if (fields_known(&in, names) && read_limits(change, json_object_get(body, "limits"), &p) &&
        take_callbacks(change, json_object_get(body, "callbacks"), &p))
        return true;
    reply_problem(q, &p);
    return false;
}

// One key of each kind, shown this once.
static void add_first_keys(struct change *change) {
    change->show = json_array();
    for (int kind = HAWSER__INTERNAL__KEY_KIND__KEY_TOKEN;
         kind <= (int)HAWSER__INTERNAL__KEY_KIND__KEY_WEBHOOK; kind++)
        json_array_append_new(change->show, change_add_key(change, (Hawser__Internal__KeyKind)kind,
                                                           NULL, change->record.created_ms));
}

void handle_product_put(struct request *q) {
    const struct product *product = request_product(q);
    if (!change_is_wanted(q, product))
        return;
    struct change *change = change_new(q, product ? 200 : 201);
    change->show_product = product_json;
    if (product)
        change_from(change, product, false);
    if (!read_product(q, change))
        return;
    if (!product) {
        change->record.created_ms = loop_wall_ms(q->center->loop);
        add_first_keys(change);
    }
    change_put(q, product ? product->version : 0);
}

void handle_product_patch(struct request *q) {
    const struct product *product = request_product(q);
    if (!change_is_wanted(q, product))
        return;
    struct change *change = change_new(q, 200);
    change->show_product = product_json;
    change_from(change, product, true);
    if (read_product(q, change))
        change_put(q, product->version);
}

void handle_product_get(struct request *q) {
    const struct product *product = request_product(q);
    reply_with_etag(q, 200, product_json(product), product->version);
}

void handle_product_delete(struct request *q) {
    const struct product *product = request_product(q);
    if (!change_is_wanted(q, product))
        return;
    struct change *change = change_new(q, 204);
    change->deletes = true;
    change_from(change, product, true);
    change_put(q, product->version);
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
    if (!request_limit(q, &limit, &p)) {
        reply_problem(q, &p);
        return;
    }
    while ((product = cluster_product_next(q->center->cluster, product)) != NULL) {
        all = hw_realloc(all, (count + 1) * sizeof(all[0]));
        all[count++] = product;
    }
    if (count)
        qsort(all, count, sizeof(all[0]), by_name);
    json_t *items = json_array();
    const char *next = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(all[i]->name, after) <= 0)
            continue;
        if (shown++ == limit) {
            next = all[i - 1]->name;
            break;
        }
        json_array_append_new(items, product_json(all[i]));
    }
    free(all);
    reply_list(q, items, next);
}
