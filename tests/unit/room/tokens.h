// Client tokens made by hand, so that they may hold what no library would write.
#ifndef TOKENS_H
#define TOKENS_H

#include <string.h>

#include "buf.h"
#include "crypto.h"

static const uint8_t secret[] = "0123456789abcdef0123456789abcdef";
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}"

static inline void put_base64url(struct buf *out, const uint8_t *data, size_t len) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < len; i += 3) {
        uint32_t bits = (uint32_t)data[i] << 16 | (i + 1 < len ? (uint32_t)data[i + 1] << 8 : 0) |
                        (i + 2 < len ? data[i + 2] : 0u);
        for (size_t k = 0; k < 4 && k <= len - i; k++)
            buf_append(out, &digits[bits >> (18 - 6 * k) & 63], 1);
    }
}

static inline char *token_of(const char *header, const char *claims) {
    struct buf out = BUF_EMPTY;
    uint8_t mac[32];
    put_base64url(&out, (const uint8_t *)header, strlen(header));
    buf_append(&out, ".", 1);
    put_base64url(&out, (const uint8_t *)claims, strlen(claims));
    crypto_hmac_sha256(secret, sizeof(secret) - 1, out.data, out.len, mac);
    buf_append(&out, ".", 1);
    put_base64url(&out, mac, sizeof(mac));
    buf_append(&out, "", 1);
    return (char *)out.data;
}

#endif
