#include "jwt.h"

#include <inttypes.h>
#include <openssl/evp.h>

#include "crypto.h"

static void base64url_append(struct buf *out, const void *data, size_t len) {
    uint8_t *at = buf_reserve(out, 4 * ((len + 2) / 3) + 1);
    int written = EVP_EncodeBlock(at, data, (int)len);
    while (written > 0 && at[written - 1] == '=')
        written--;
    for (int i = 0; i < written; i++)
        at[i] = at[i] == '+' ? '-' : at[i] == '/' ? '_' : at[i];
    out->len += (size_t)written;
}

void jwt_append(struct buf *out, const struct jwt_key *key, const struct jwt_claims *claims) {
    struct buf text = BUF_EMPTY;
    size_t start = out->len;
    buf_printf(&text, "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", key->kid);
    base64url_append(out, text.data, text.len);
    buf_append_str(out, ".");
    buf_reset(&text);
    buf_printf(&text, "{\"aud\":\"%s\",\"sub\":\"%s\",\"exp\":%" PRIu64, key->product, claims->user,
               claims->expires_s);
    if (claims->tag)
        buf_printf(&text, ",\"tags\":[\"%s\"]", claims->tag);
    buf_append_str(&text, "}");
    base64url_append(out, text.data, text.len);
    uint8_t signature[32];
    crypto_hmac_sha256(key->secret, strlen(key->secret), out->data + start, out->len - start,
                       signature);
    buf_append_str(out, ".");
    base64url_append(out, signature, sizeof(signature));
    buf_free(&text);
}
