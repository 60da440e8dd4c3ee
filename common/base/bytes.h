// Integers from and to bytes, and a reading cursor with a sticky error. No I/O, no allocation.
#ifndef HW_BYTES_H
#define HW_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint16_t be16_get(const uint8_t *p);
uint32_t be24_get(const uint8_t *p);
uint32_t be32_get(const uint8_t *p);
static inline uint64_t rotate_left(uint64_t v, int bits) { // bits 1..63
    return v << bits | v >> (64 - bits);
}

uint64_t be64_get(const uint8_t *p);
uint64_t le_get(const uint8_t *p, size_t len); // 0..8 bytes, the lowest first
void be16_put(uint8_t *p, uint16_t v);
void be24_put(uint8_t *p, uint32_t v); // the low 24 bits
void be32_put(uint8_t *p, uint32_t v);
void be64_put(uint8_t *p, uint64_t v);

// True when data[0..len) is well-formed UTF-8 (no surrogates, no overlong forms); *ret_control
// tells whether it holds a control character (U+0000..1F, U+7F..9F). ret_control may be NULL.
bool utf8_is_valid(const uint8_t *data, size_t len, bool *ret_control);

// Makes text well-formed UTF-8 in place: each byte that stands in no character becomes '?', and a
// character that was cut at the end goes. For texts that hold what came from outside, or were cut.
void utf8_mend(char *text);

// An id as the contract has it: 1..max bytes of UTF-8 without control characters (users, devices,
// tags: max 64).
bool id_is_valid(const char *id, size_t len, size_t max);

// [a-z0-9][a-z0-9_-]{0,31}
bool product_name_is_valid(const char *name, size_t len);

// Lower-case hex. out holds 2*len+1 bytes.
int hex_digit(char c); // its value, of either case; -1: it is none
void hex_encode(const uint8_t *data, size_t len, char *out);
// Exactly 2*len hex digits into out[len]; false otherwise.
bool hex_decode(const char *hex, size_t hex_len, uint8_t *out, size_t len);

#endif
