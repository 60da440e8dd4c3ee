#include "arena.h"

#include <stdarg.h>

#include "buf.h"

enum { BLOCK_BYTES = 16 * 1024, ALIGNMENT = 16 };

struct arena_block {
    struct arena_block *older;
    size_t size, used;
    _Alignas(ALIGNMENT) uint8_t bytes[];
};

static void *allocator_alloc(void *arg, size_t size) {
    struct arena *a = arg;
    if (a->bytes_max > 0 && (a->used_bytes > a->bytes_max || size > a->bytes_max - a->used_bytes)) {
        a->is_over = true;
        return NULL;
    }
    return arena_alloc(a, size);
}

static void allocator_free(void *arg, void *pointer) {
    (void)arg;
    (void)pointer;
}

void arena_init(struct arena *a) {
    *a = (struct arena){
        .allocator = {.alloc = allocator_alloc, .free = allocator_free, .allocator_data = a}};
}

void arena_deinit(struct arena *a) {
    while (a->blocks) {
        struct arena_block *older = a->blocks->older;
        free(a->blocks);
        a->blocks = older;
    }
}

void arena_reset(struct arena *a) {
    while (a->blocks && a->blocks->older) {
        struct arena_block *older = a->blocks->older;
        free(a->blocks);
        a->blocks = older;
    }
    if (a->blocks)
        a->blocks->used = 0;
    a->used_bytes = 0;
    a->is_over = false;
}

void *arena_alloc(struct arena *a, size_t size) {
    if (size > SIZE_MAX / 2)
        abort();
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (!a->blocks || size > a->blocks->size - a->blocks->used) {
        size_t block_size = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        struct arena_block *block = hw_malloc(sizeof(*block) + block_size);
        *block = (struct arena_block){.older = a->blocks, .size = block_size};
        a->blocks = block;
    }
    void *result = a->blocks->bytes + a->blocks->used;
    a->blocks->used += size;
    a->used_bytes += size;
    return result;
}

void *arena_calloc(struct arena *a, size_t count, size_t size) {
    if (size > 0 && count > SIZE_MAX / 2 / size)
        abort();
    return memset(arena_alloc(a, count * size), 0, count * size);
}

char *arena_strndup(struct arena *a, const char *text, size_t len) {
    char *copy = arena_alloc(a, len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *arena_printf(struct arena *a, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        abort();
    char *text = arena_alloc(a, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text;
}
