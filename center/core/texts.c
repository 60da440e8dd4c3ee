#include "texts.h"

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>
#include <string.h>
#include <time.h>

#include "bytes.h"
#include "crypto.h"

// Each push is answered with a time, so that strftime and its format would be seen.
static void put_digits(char *out, int count, int n) {
    for (; count > 0; n /= 10)
        out[--count] = (char)('0' + n % 10);
}

void format_time(uint64_t unix_ms, char out[TIME_CHARS + 1]) {
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    memcpy(out, "yyyy-mm-ddThh:mm:ss.mmmZ", TIME_CHARS + 1);
    put_digits(out, 4, tm.tm_year + 1900);
    put_digits(out + 5, 2, tm.tm_mon + 1);
    put_digits(out + 8, 2, tm.tm_mday);
    put_digits(out + 11, 2, tm.tm_hour);
    put_digits(out + 14, 2, tm.tm_min);
    put_digits(out + 17, 2, tm.tm_sec);
    put_digits(out + 20, 3, (int)(unix_ms % 1000));
}

json_t *time_json(uint64_t unix_ms) {
    char text[TIME_CHARS + 1];
    if (unix_ms == 0)
        return json_null();
    format_time(unix_ms, text);
    return json_string(text);
}

json_t *text_json(const char *text) {
    char *copy = hw_strdup(text);
    utf8_mend(copy);
    json_t *value = json_string(copy);
    free(copy);
    return value;
}

enum { WORDS_MAX = 8, CHARS_AT_ONCE = 5, CHARS_AT_ONCE_BASE = 62 * 62 * 62 * 62 * 62 };

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

void base62(const uint8_t *data, size_t len, char *out, size_t chars) {
    uint8_t padded[4 * WORDS_MAX] = {0};
    uint32_t rest[WORDS_MAX];
    size_t words = (len + 3) / 4;
    assert(words <= WORDS_MAX);
    memcpy(padded + 4 * words - len, data, len);
    for (size_t i = 0; i < words; i++)
        rest[i] = be32_get(padded + 4 * i);
    for (size_t left = chars; left > 0;) {
        uint64_t carry = 0;
        for (size_t i = 0; i < words; i++) {
            uint64_t value = carry << 32 | rest[i];
            rest[i] = (uint32_t)(value / CHARS_AT_ONCE_BASE);
            carry = value % CHARS_AT_ONCE_BASE;
        }
        for (int i = 0; i < CHARS_AT_ONCE && left > 0; i++, carry /= 62)
            out[--left] = digits[carry % 62];
    }
    out[chars] = '\0';
}

bool is_base62(const char *text) {
    return strspn(text, digits) == strlen(text);
}

bool base62_read(const char *text, uint8_t *out, size_t len) {
    memset(out, 0, len);
    for (; *text; text++) {
        const char *digit = strchr(digits, *text);
        if (!digit)
            return false;
        uint32_t carry = (uint32_t)(digit - digits);
        for (size_t i = len; i-- > 0; carry >>= 8) {
            carry += 62U * out[i];
            out[i] = (uint8_t)carry;
        }
        if (carry != 0)
            return false;
    }
    return true;
}

void random_base62(char *out, size_t chars) {
    uint8_t data[32];
    crypto_random(data, sizeof(data)); // more bits than the characters hold
    base62(data, sizeof(data), out, chars);
}

void base64_encode(const uint8_t *data, size_t len, struct buf *out) {
    uint8_t *at = buf_reserve(out, (len + 2) / 3 * 4 + 1); // with a NUL
    out->len += (size_t)EVP_EncodeBlock(at, data, (int)len);
}

// OpenSSL also takes blanks around it, and bits and padding that nothing stands for: what it made
// of the text must give that text again.
bool base64_decode(const char *text, size_t len, struct buf *out) {
    size_t start = out->len;
    if (len % 4 != 0 || len > INT_MAX)
        return false;
    if (len == 0)
        return true;
    int count = EVP_DecodeBlock(buf_reserve(out, len / 4 * 3), (const uint8_t *)text, (int)len);
    if (count < 0)
        return false;
    out->len += (size_t)count - (text[len - 1] == '=') - (text[len - 2] == '=');
    struct buf again = BUF_EMPTY;
    base64_encode(out->data + start, out->len - start, &again);
    bool is_same = again.len == len && memcmp(again.data, text, len) == 0;
    buf_free(&again);
    return is_same;
}
