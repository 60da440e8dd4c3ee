#include "buf.h"

enum { BUF_FIRST = 64 };

static void *checked(void *p) {
    if (!p)
        abort();
    return p;
}

void *hw_malloc(size_t size) {
    return checked(malloc(size > 0 ? size : 1));
}

void *hw_calloc(size_t count, size_t size) {
    return checked(count > 0 && size > 0 ? calloc(count, size) : calloc(1, 1));
}

void *hw_realloc(void *old, size_t size) {
    return checked(realloc(old, size > 0 ? size : 1));
}

char *hw_strdup(const char *text) {
    return checked(strdup(text));
}

char *hw_strndup(const char *text, size_t len) {
    return checked(strndup(text, len));
}

void *hw_memdup(const void *data, size_t len) {
    void *copy = hw_malloc(len);
    if (len > 0)
        memcpy(copy, data, len);
    return copy;
}

void buf_free(struct buf *b) {
    free(b->data);
    *b = BUF_EMPTY;
}

void buf_reset(struct buf *b) {
    b->len = 0;
}

uint8_t *buf_reserve(struct buf *b, size_t more) {
    if (more > b->capacity - b->len || !b->data) {
        if (more > SIZE_MAX / 4 || b->len > SIZE_MAX / 4)
            abort();
        size_t capacity = b->capacity * 2 > b->len + more ? b->capacity * 2 : b->len + more;
        b->capacity = capacity > BUF_FIRST ? capacity : BUF_FIRST;
        b->data = hw_realloc(b->data, b->capacity);
    }
    return b->data + b->len;
}

void buf_append(struct buf *b, const void *data, size_t len) {
    if (len == 0)
        return;
    memcpy(buf_reserve(b, len), data, len);
    b->len += len;
}

void buf_append_str(struct buf *b, const char *text) {
    buf_append(b, text, strlen(text));
}

void buf_append_u64(struct buf *b, uint64_t n) {
    char digits[20], *at = digits + sizeof(digits);
    do {
        *--at = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    buf_append(b, at, (size_t)(digits + sizeof(digits) - at));
}

void buf_vprintf(struct buf *b, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    if (len < 0)
        abort();
    buf_reserve(b, (size_t)len + 1);
    vsnprintf((char *)b->data + b->len, (size_t)len + 1, format, again);
    va_end(again);
    b->len += (size_t)len;
}

void buf_printf(struct buf *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_consume(struct buf *b, size_t len) {
    if (len > b->len)
        abort();
    b->len -= len;
    if (b->len > 0)
        memmove(b->data, b->data + len, b->len);
}

const char *buf_cstr(struct buf *b) {
    *buf_reserve(b, 1) = '\0';
    return (const char *)b->data;
}
