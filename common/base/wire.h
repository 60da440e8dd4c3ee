// Numbers and fields as Protocol Buffers write them, below their messages: varints, and what may be
// passed over. For what must be known of a message before it is unpacked. No allocation.
#ifndef HW_WIRE_H
#define HW_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 }; // the low 3 bits of a tag
enum { WIRE_VARINT_BYTES_MAX = 10 };

struct wire_reader {
    const uint8_t *at, *end;
    bool bad; // sticky: it was cut, or is none; what is read then says nothing
};

uint64_t wire_varint(struct wire_reader *w);
// The same of bytes that this process has written itself. Moves *at behind it.
static inline uint64_t wire_varint_take(const uint8_t **at) {
    uint64_t v = *(*at)++;
    if (v < 0x80)
        return v;
    v &= 0x7f;
    for (int shift = 7;; shift += 7) {
        uint8_t byte = *(*at)++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return v;
    }
}
// What a tag read before belongs to. WIRE_LEN: *ret_data[0..result) of the input; else it is passed
// over, and *ret_data is NULL.
size_t wire_field(struct wire_reader *w, uint64_t tag, const uint8_t **ret_data);

size_t wire_varint_bytes(uint64_t v);
size_t wire_varint_put(uint8_t out[WIRE_VARINT_BYTES_MAX], uint64_t v); // how many were written

#endif
