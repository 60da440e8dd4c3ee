// Hash tables (uthash), hashed with SipHash. The key of the hash is fixed here: good for keys that
// daemons choose. A table whose keys clients choose takes a random key of its own and the
// _BYHASHVALUE forms.
#ifndef HW_TABLE_H
#define HW_TABLE_H

#include "crypto.h"

static inline unsigned table_hash(const void *key, size_t len) {
    static const uint8_t zero[16];
    return (unsigned)siphash(zero, key, len);
}
#define HASH_FUNCTION(keyptr, keylen, hashv) (hashv) = table_hash((keyptr), (keylen))

#include <uthash.h>

#endif
