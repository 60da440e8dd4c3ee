// The keys of a product.
#ifndef HW_KEYS_H
#define HW_KEYS_H

#include "change.h"

// Makes a key in the draft: as it is shown once, with its secret, which is `given` unless that is
// NULL. NULL: the product has as many as it may have.
json_t *change_add_key(struct change *d, Hawser__Internal__KeyKind kind, const char *given,
                       uint64_t now_ms);

#endif
