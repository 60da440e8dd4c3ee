#include "texts.h"

#include <assert.h>
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

void base62(const uint8_t *data, size_t len, char *out, size_t chars) {
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
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

void random_base62(char *out, size_t chars) {
    uint8_t data[32];
    crypto_random(data, sizeof(data)); // more bits than the characters hold
    base62(data, sizeof(data), out, chars);
}

static int base64_value(char c) {
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

bool base64_decode(const char *text, size_t len, struct buf *out) {
    if (len % 4 != 0)
        return false;
    for (size_t i = 0; i < len; i += 4) {
        bool is_last = i + 4 == len;
        int pad = is_last && text[i + 3] == '=' ? (text[i + 2] == '=' ? 2 : 1) : 0;
        uint32_t bits = 0;
        for (int j = 0; j < 4; j++) {
            int value = j >= 4 - pad ? 0 : base64_value(text[i + (size_t)j]);
            if (value < 0)
                return false;
            bits = bits << 6 | (uint32_t)value;
        }
        uint8_t bytes[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
        if ((pad == 1 && bytes[2] != 0) || (pad == 2 && (bytes[1] != 0 || bytes[2] != 0)))
            return false; // bits that nothing stands for
        buf_append(out, bytes, (size_t)(3 - pad));
    }
    return true;
}

void base64_encode(const uint8_t *data, size_t len, struct buf *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t bits = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                        (left > 2 ? data[i + 2] : 0);
        const char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
                              left > 1 ? digits[bits >> 6 & 63] : '=',
                              left > 2 ? digits[bits & 63] : '='};
        buf_append(out, four, sizeof(four));
    }
}
