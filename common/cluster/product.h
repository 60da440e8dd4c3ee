// A product as a daemon holds it: its catalog record taken apart, defaults filled in, keys at hand.
// Owned by the cluster; read by everybody.
#ifndef HW_PRODUCT_H
#define HW_PRODUCT_H

#include <stddef.h>
#include <stdint.h>

#include "cluster.pb-c.h"

struct product_key {
    char kid[33];
    Hawser__Internal__KeyKind kind;
    const char *algorithm; // of the tokens that it signs. Borrowed from the record, as the secret
    const uint8_t *secret;
    size_t secret_len;
    uint64_t created_ms;
};

struct product {
    char name[33];
    uint32_t number;
    uint64_t version;                        // of its catalog entry
    const Hawser__Internal__Product *record; // owned
    Hawser__Internal__ProductLimits limits;  // defaults filled in; `given` is empty
    struct product_key *keys;                // owned
    size_t key_count;
};

// From the bytes of a catalog entry. NULL when they do not decode, or the name or a kid is not one
// that the contract allows.
struct product *product_new(const uint8_t *value, size_t len, uint64_t version);
void product_free(struct product *p); // NULL is harmless

const struct product_key *product_key_find(const struct product *p, Hawser__Internal__KeyKind kind,
                                           const char *kid, size_t len);
// The limits that `given` names, the rest by the defaults of the HTTP API's table. given may be
// NULL: all defaults.
void product_limits_fill(const Hawser__Internal__ProductLimits *given,
                         Hawser__Internal__ProductLimits *ret_limits);

#endif
