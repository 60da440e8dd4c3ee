#include "bytes.h"

#include <endian.h>
#include <string.h>

uint16_t be16_get(const uint8_t *p) {
    return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t be24_get(const uint8_t *p) {
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

uint32_t be32_get(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | be24_get(p + 1);
}

uint64_t be64_get(const uint8_t *p) {
    return (uint64_t)be32_get(p) << 32 | be32_get(p + 4);
}

uint64_t le_get(const uint8_t *p, size_t len) {
    uint64_t v = 0;
    memcpy(&v, p, len);
    return le64toh(v);
}

void be16_put(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

void be24_put(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 16);
    be16_put(p + 1, (uint16_t)v);
}

void be32_put(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 24);
    be24_put(p + 1, v);
}

void be64_put(uint8_t *p, uint64_t v) {
    be32_put(p, (uint32_t)(v >> 32));
    be32_put(p + 4, (uint32_t)v);
}

// Bytes of the character at p, of at most `left`, or 0 when it is not well formed; *ret_point is
// its code point.
static size_t utf8_char(const uint8_t *p, size_t left, uint32_t *ret_point) {
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80   ? 1
                 : p[0] < 0xC2 ? 0
                 : p[0] < 0xE0 ? 2
                 : p[0] < 0xF0 ? 3
                 : p[0] < 0xF5 ? 4
                               : 0;
    if (len == 0 || len > left)
        return 0;
    uint32_t point = len == 1 ? p[0] : p[0] & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        point = point << 6 | (p[i] & 0x3Fu);
    }
    if (point < lowest[len] || (point >= 0xD800 && point <= 0xDFFF) || point > 0x10FFFF)
        return 0;
    *ret_point = point;
    return len;
}

// Whether the next 8 bytes are ASCII, and add to *ret_control where they hold a control character.
static bool are_ascii(const uint8_t *p, uint64_t *ret_control) {
    static const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t v, dels;
    memcpy(&v, p, sizeof(v));
    if (v & tops)
        return false;
    dels = v ^ (ones * 0x7F); // 0 where there is a DEL
    *ret_control |= ((v - ones * 0x20) | (dels - ones)) & tops;
    return true;
}

bool utf8_is_valid(const uint8_t *data, size_t len, bool *ret_control) {
    bool control = false;
    for (size_t at = 0; at < len;) {
        uint64_t ascii_control = 0;
        while (len - at >= 8 && are_ascii(data + at, &ascii_control))
            at += 8;
        control = control || ascii_control != 0;
        if (at == len)
            break;
        uint32_t point = 0;
        size_t used = utf8_char(data + at, len - at, &point);
        if (used == 0)
            return false;
        control = control || point < 0x20 || (point >= 0x7F && point <= 0x9F);
        at += used;
    }
    if (ret_control)
        *ret_control = control;
    return true;
}

// Whether p[0..len), the end of a text, begins a character whose own end is missing.
static bool utf8_is_cut(const uint8_t *p, size_t len) {
    size_t whole = p[0] < 0xC2 || p[0] > 0xF4 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    bool is_cut = len < whole;
    for (size_t i = 1; i < len && is_cut; i++)
        is_cut = (p[i] & 0xC0) == 0x80;
    return is_cut;
}

void utf8_mend(char *text) {
    uint8_t *p = (uint8_t *)text;
    for (size_t len = strlen(text); len > 0;) {
        uint32_t point;
        size_t used = utf8_char(p, len, &point);
        if (used == 0 && utf8_is_cut(p, len)) {
            *p = '\0';
            return;
        }
        if (used == 0) {
            *p = '?';
            used = 1;
        }
        p += used;
        len -= used;
    }
}

bool id_is_valid(const char *id, size_t len, size_t max) {
    bool control = false;
    return len >= 1 && len <= max && utf8_is_valid((const uint8_t *)id, len, &control) && !control;
}

bool product_name_is_valid(const char *name, size_t len) {
    if (len < 1 || len > 32)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool alnum = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9');
        if (!alnum && (i == 0 || (name[i] != '_' && name[i] != '-')))
            return false;
    }
    return true;
}

void hex_encode(const uint8_t *data, size_t len, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * len] = '\0';
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool hex_decode(const char *hex, size_t hex_len, uint8_t *out, size_t len) {
    if (hex_len / 2 != len || hex_len % 2 != 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
