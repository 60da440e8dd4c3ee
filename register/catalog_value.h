// What a register's stores read and change in the value of a catalog entry: a product's number.
#ifndef HW_CATALOG_VALUE_H
#define HW_CATALOG_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "cluster.pb-c.h"

#define CATALOG_PRODUCT_PREFIX "product/"

bool catalog_key_is_product(const char *key);
// NULL: the entry is none, or does not decode. Otherwise the caller's.
Hawser__Internal__Product *catalog_product_of(const char *key, const ProtobufCBinaryData *value);
// A put of a product that has no number yet.
bool catalog_lacks_number(const Hawser__Internal__CatalogPutRequest *q);
// False: it puts no product.
bool catalog_take_number(Hawser__Internal__CatalogPutRequest *q, uint32_t number);

#endif
