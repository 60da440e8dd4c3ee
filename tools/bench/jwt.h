// Client tokens, made as an app server makes them: JWT, HS256, with the product's token key.
#ifndef BENCH_JWT_H
#define BENCH_JWT_H

#include <stdint.h>

#include "buf.h"

struct jwt_key {
    const char *product, *kid, *secret; // borrowed
};
struct jwt_claims {
    const char *user, *tag; // borrowed; tag NULL: none
    uint64_t expires_s;     // Unix time
};
void jwt_append(struct buf *out, const struct jwt_key *key, const struct jwt_claims *claims);

#endif
