// Products by name and by number, from catalog entries. Absence is never deletion: only an entry
// that says so ends a product.
#include "cluster_internal.h"

static struct product_entry *entry_find(const struct cluster *c, const char *name, size_t len) {
    struct product_entry *e = NULL;
    HASH_FIND(hh, c->products, name, len, e);
    return e;
}

static void api_kids_drop(struct cluster *c, struct product_entry *e) {
    while (e->api_kids) {
        struct api_kid *k = e->api_kids;
        e->api_kids = k->next;
        HASH_DEL(c->api_kids, k);
        free(k);
    }
}

static void api_kids_take(struct cluster *c, struct product_entry *e) {
    const struct product *p = e->product;
    api_kids_drop(c, e);
    for (size_t i = 0; i < p->key_count; i++) {
        if (p->keys[i].kind != HAWSER__INTERNAL__KEY_KIND__KEY_API)
            continue;
        struct api_kid *k = hw_calloc(1, sizeof(*k));
        memcpy(k->kid, p->keys[i].kid, sizeof(k->kid));
        k->product = p;
        k->next = e->api_kids;
        e->api_kids = k;
        HASH_ADD_STR(c->api_kids, kid, k);
    }
}

static void catalog_entry_free(struct cluster *c, struct product_entry *e) {
    api_kids_drop(c, e);
    HASH_DELETE(hh, c->products, e);
    HASH_DELETE(by_number, c->numbers, e);
    product_free(e->product);
    free(e);
}

static void product_deleted(struct cluster *c, struct product_entry *e) {
    if (c->options.on_product)
        c->options.on_product(c->options.arg, e->product, true);
    catalog_entry_free(c, e);
}

static void product_learn(struct cluster *c, struct product *p) {
    struct product_entry *e = entry_find(c, p->name, strlen(p->name));
    if (e && e->number != p->number) { // deleted and made again: another product
        product_deleted(c, e);
        e = NULL;
    }
    if (!e) {
        e = hw_calloc(1, sizeof(*e));
        memcpy(e->name, p->name, sizeof(e->name));
        e->number = p->number;
        HASH_ADD(hh, c->products, name, strlen(e->name), e);
        HASH_ADD(by_number, c->numbers, number, sizeof(e->number), e);
    }
    struct product *old = e->product;
    e->product = p;
    api_kids_take(c, e);
    if (c->options.on_product)
        c->options.on_product(c->options.arg, p, false);
    product_free(old);
}

void catalog_apply(struct cluster *c, const Hawser__Internal__CatalogEntry *e) {
    static const char prefix[] = "product/";
    size_t prefix_len = sizeof(prefix) - 1;
    if (strncmp(e->key, prefix, prefix_len) != 0)
        return; // settings, which no daemon reads, or a newer kind of entry
    struct product_entry *known = entry_find(c, e->key + prefix_len, strlen(e->key + prefix_len));
    if (known && known->product->version >= e->version)
        return; // a put's answer may overtake the stream, and the stream comes after it
    if (e->deleted) {
        if (known)
            product_deleted(c, known);
        return;
    }
    struct product *p = product_new(e->value.data, e->value.len, e->version);
    if (p)
        product_learn(c, p);
    else
        log_event(c->options.log, LOG_ERROR, "catalog entry does not decode, ignoring", "key=%s",
                  log_quote_str(e->key));
}

void catalog_whole(struct cluster *c) {
    for (struct product_entry *e = c->products; e; e = e->hh.next)
        e->product->version = 0;
}

void catalog_free(struct cluster *c) {
    struct product_entry *e, *next;
    HASH_ITER(hh, c->products, e, next)
        catalog_entry_free(c, e);
}

void cluster_learn(struct cluster *c, const Hawser__Internal__CatalogEntry *e) {
    catalog_apply(c, e);
}

const struct product *cluster_product_find(const struct cluster *c, const char *name, size_t len) {
    const struct product_entry *e = entry_find(c, name, len);
    return e ? e->product : NULL;
}

const struct product *cluster_product_by_number(const struct cluster *c, uint32_t number) {
    struct product_entry *e = NULL;
    HASH_FIND(by_number, c->numbers, &number, sizeof(number), e);
    return e ? e->product : NULL;
}

const struct product *cluster_product_by_api_kid(const struct cluster *c, const char *kid,
                                                 size_t len) {
    struct api_kid *k = NULL;
    HASH_FIND(hh, c->api_kids, kid, len, k);
    return k ? k->product : NULL;
}

const struct product *cluster_product_next(const struct cluster *c, const struct product *after) {
    const struct product_entry *e = after ? entry_find(c, after->name, strlen(after->name)) : NULL;
    e = after ? (e ? e->hh.next : NULL) : c->products;
    return e ? e->product : NULL;
}
