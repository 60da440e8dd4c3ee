// The texts in which the API shows times and numbers, and takes bytes.
#ifndef HW_TEXTS_H
#define HW_TEXTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum { TIME_CHARS = 24 };

void format_time(uint64_t unix_ms, char out[TIME_CHARS + 1]); // RFC 3339, UTC, ms
json_t *time_json(uint64_t unix_ms);                          // 0 = null
// What another daemon said, or a path: never NULL, whatever bytes it holds.
json_t *text_json(const char *text);
// The number that the len <= 32 bytes are, most significant first: its last digits, and a NUL.
void base62(const uint8_t *data, size_t len, char *out, size_t chars);
// The number of these digits, in so many bytes; false: it is none, or larger.
bool base62_read(const char *text, uint8_t *out, size_t len);
bool is_base62(const char *text);            // of its digits alone
void random_base62(char *out, size_t chars); // and a NUL
// RFC 4648 section 4, padded, without anything else; false when it is not that.
bool base64_decode(const char *text, size_t len, struct buf *out);
void base64_encode(const uint8_t *data, size_t len, struct buf *out);

#endif
