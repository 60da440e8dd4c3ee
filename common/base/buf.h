// A growable byte buffer. Owner: whoever holds the struct. All-zero is a valid empty buffer. Memory
// exhaustion aborts the process (Linux overcommits; sizes that a peer chooses are checked against
// their limit before they come here).
#ifndef HW_BUF_H
#define HW_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct buf {
    uint8_t *data; // owned; NULL while capacity is 0
    size_t len;
    size_t capacity;
};

#define BUF_EMPTY ((struct buf){0})

void buf_free(struct buf *b);  // frees and leaves it empty
void buf_reset(struct buf *b); // len = 0, memory stays
uint8_t *buf_reserve(struct buf *b,
                     size_t more); // `more` bytes fit after len; returns where they go
void buf_append(struct buf *b, const void *data, size_t len); // data must not lie inside b
void buf_append_str(struct buf *b, const char *text);
void buf_append_u64(struct buf *b, uint64_t n); // in decimal digits
void buf_printf(struct buf *b, const char *format, ...) HW_PRINTF(2, 3);
void buf_vprintf(struct buf *b, const char *format, va_list args) HW_PRINTF(2, 0);
void buf_consume(struct buf *b, size_t len); // drops the first len bytes
const char *buf_cstr(struct buf *b); // data with a NUL after it that does not count in len; valid
                                     // until the next change

// Memory that cannot fail: abort on exhaustion.
void *hw_malloc(size_t size);
void *hw_calloc(size_t count, size_t size);
void *hw_realloc(void *old, size_t size);
char *hw_strdup(const char *text);
char *hw_strndup(const char *text, size_t len);
void *hw_memdup(const void *data, size_t len); // len 0 gives a 1-byte block

#endif
