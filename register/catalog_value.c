#include "catalog_value.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"

bool catalog_key_is_product(const char *key) {
    return strncmp(key, CATALOG_PRODUCT_PREFIX, strlen(CATALOG_PRODUCT_PREFIX)) == 0;
}

Hawser__Internal__Product *catalog_product_of(const char *key, const ProtobufCBinaryData *value) {
    return catalog_key_is_product(key)
               ? hawser__internal__product__unpack(NULL, value->len, value->data)
               : NULL;
}

bool catalog_lacks_number(const Hawser__Internal__CatalogPutRequest *q) {
    Hawser__Internal__Product *product = q->deleted ? NULL : catalog_product_of(q->key, &q->value);
    bool lacks = product && product->number == 0;
    if (product)
        hawser__internal__product__free_unpacked(product, NULL);
    return lacks;
}

bool catalog_take_number(Hawser__Internal__CatalogPutRequest *q, uint32_t number) {
    Hawser__Internal__Product *product = catalog_product_of(q->key, &q->value);
    if (!product)
        return false;
    product->number = number;
    free(q->value.data);
    q->value.len = hawser__internal__product__get_packed_size(product);
    q->value.data = hw_malloc(q->value.len + 1);
    hawser__internal__product__pack(product, q->value.data);
    hawser__internal__product__free_unpacked(product, NULL);
    return true;
}
