// Logins with a token, in the room of second_voice.h: the product that it knows, and tokens for it.
#ifndef LOGINS_H
#define LOGINS_H

#include "second_voice.h"
#include "tokens.h"

// Product p, whose key k1 the tokens are signed with.
static inline void product_known(void) {
    Hawser__Internal__Product p = HAWSER__INTERNAL__PRODUCT__INIT;
    Hawser__Internal__ProductKey key = HAWSER__INTERNAL__PRODUCT_KEY__INIT, *keys[1] = {&key};
    Hawser__Internal__CatalogEntry entry = HAWSER__INTERNAL__CATALOG_ENTRY__INIT;
    uint8_t packed[256];
    char name[] = "p", kid[] = "k1", algorithm[] = "HS256", at[] = "product/p";
    key.kid = kid;
    key.algorithm = algorithm;
    key.kind = HAWSER__INTERNAL__KEY_KIND__KEY_TOKEN;
    key.secret = (ProtobufCBinaryData){sizeof(secret) - 1, (uint8_t *)(uintptr_t)secret};
    p.name = name;
    p.number = PRODUCT;
    p.n_key = 1;
    p.key = keys;
    entry.key = at;
    entry.version = 1;
    entry.value.data = packed;
    entry.value.len = hawser__internal__product__pack(&p, packed);
    cluster_learn(&cluster, &entry);
}

static inline char *token_for(const char *user) {
    struct buf claims = BUF_EMPTY;
    buf_printf(&claims, "{\"aud\":\"p\",\"sub\":\"%s\",\"exp\":%llu}", user,
               (unsigned long long)(loop_wall_ms(bed.room.loop) / 1000 + 3600));
    char *token = token_of(HEADER, buf_cstr(&claims));
    buf_free(&claims);
    return token;
}

#endif
