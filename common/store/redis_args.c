#include "redis_args.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void redis_arg_bytes(struct redis_args *a, const void *bytes, size_t len) {
    if (a->count == REDIS_ARGS_MAX)
        abort();
    a->v[a->count] = bytes ? bytes : ""; // of no bytes: words are copied, here and by hiredis
    a->len[a->count++] = len;
}

void redis_arg_text(struct redis_args *a, const char *text) {
    redis_arg_bytes(a, text, strlen(text));
}

void redis_arg_u64(struct redis_args *a, uint64_t n) {
    if (a->count == REDIS_ARGS_MAX)
        abort();
    char *at = a->numbers[a->count];
    int len = snprintf(at, sizeof(a->numbers[0]), "%" PRIu64, n);
    redis_arg_bytes(a, at, (size_t)len);
}
