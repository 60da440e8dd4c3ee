// The words of a command, or the last arguments of a script. Texts and bytes are borrowed until it
// was sent.
#ifndef HW_REDIS_ARGS_H
#define HW_REDIS_ARGS_H

#include <stddef.h>
#include <stdint.h>

enum { REDIS_ARGS_MAX = 80 };

struct redis_bytes {
    const void *data;
    size_t len;
};

struct redis_args {
    int count; // 0 at the beginning; the rest needs none
    const char *v[REDIS_ARGS_MAX];
    size_t len[REDIS_ARGS_MAX];
    char numbers[REDIS_ARGS_MAX][24];
};
// More than there is a place for ends the process: each number is written in the source, or
// bounded there. bytes NULL: a word of no bytes.
void redis_arg_bytes(struct redis_args *a, const void *bytes, size_t len);
void redis_arg_text(struct redis_args *a, const char *text);
void redis_arg_u64(struct redis_args *a, uint64_t n);

#endif
