// A bump allocator for what lives as long as one message or one loop iteration; also in the shape
// that protobuf-c asks for. arena_reset frees all at once and keeps the first block. Not for
// objects that need a destructor.
//
// What a peer sends may decode to many times its bytes: with bytes_max set the allocator gives no
// more than that, and protobuf-c refuses the message.
#ifndef HW_ARENA_H
#define HW_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

struct arena_block;
struct arena {
    struct arena_block *blocks;   // owned, newest first
    size_t used_bytes;            // handed out since the last reset
    size_t bytes_max;             // of that by the allocator; 0: no bound
    bool is_over;                 // the allocator refused since the last reset
    ProtobufCAllocator allocator; // allocates here, frees nothing; pass &a->allocator to protobuf-c
};

void arena_init(struct arena *a);
void arena_deinit(struct arena *a);
void arena_reset(struct arena *a);
void *arena_alloc(struct arena *a, size_t size); // aligned to 16, never NULL, contents undefined
void *arena_calloc(struct arena *a, size_t count, size_t size);
char *arena_strndup(struct arena *a, const char *text, size_t len);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
