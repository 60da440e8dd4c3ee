#include "token.h"

#include <jansson.h>
#include <stdint.h>

#include "buf.h"

static int base64url_digit(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

// text[0..len), without padding, appended to out; false when it is none.
static bool base64url_decode(const char *text, size_t len, struct buf *out) {
    uint32_t bits = 0;
    int have = 0;
    for (size_t i = 0; i < len; i++) {
        int digit = base64url_digit(text[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        *buf_reserve(out, 1) = (uint8_t)(bits >> have & 0xff);
        out->len++;
    }
    return len % 4 != 1;
}

static char *text_of(const json_t *value) {
    if (json_is_array(value) && json_array_size(value) == 1)
        value = json_array_get(value, 0);
    const char *text = json_is_string(value) ? json_string_value(value) : NULL;
    return text && text[0] ? hw_strdup(text) : NULL;
}

void token_claims_read(const char *token, struct token_claims *ret_claims) {
    *ret_claims = (struct token_claims){0};
    const char *first = strchr(token, '.');
    const char *second = first ? strchr(first + 1, '.') : NULL;
    if (!second)
        return;
    struct buf body = BUF_EMPTY;
    if (base64url_decode(first + 1, (size_t)(second - first - 1), &body) && body.len > 0) {
        json_t *claims = json_loadb((const char *)body.data, body.len, 0, NULL);
        ret_claims->product = text_of(json_object_get(claims, "aud"));
        ret_claims->user = text_of(json_object_get(claims, "sub"));
        json_decref(claims);
    }
    buf_free(&body);
    // One without the other is of no use as a key.
    if (!ret_claims->product || !ret_claims->user)
        token_claims_free(ret_claims);
}

void token_claims_free(struct token_claims *c) {
    free(c->product);
    free(c->user);
    *c = (struct token_claims){0};
}
