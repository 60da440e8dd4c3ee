#include "wire.h"

uint64_t wire_varint(struct wire_reader *w) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && w->at < w->end; shift += 7) {
        uint8_t byte = *w->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    w->bad = true;
    return 0;
}

static void skip(struct wire_reader *w, uint64_t len) {
    if (len > (uint64_t)(w->end - w->at))
        w->bad = true;
    else
        w->at += len;
}

size_t wire_field(struct wire_reader *w, uint64_t tag, const uint8_t **ret_data) {
    uint64_t len;
    *ret_data = NULL;
    switch (tag & 7) {
    case WIRE_VARINT:
        (void)wire_varint(w);
        return 0;
    case WIRE_64:
        skip(w, 8);
        return 0;
    case WIRE_LEN:
        len = wire_varint(w);
        *ret_data = w->at;
        skip(w, len);
        return w->bad ? 0 : (size_t)len;
    case WIRE_32:
        skip(w, 4);
        return 0;
    default: // groups: nobody writes them
        w->bad = true;
        return 0;
    }
}

size_t wire_varint_bytes(uint64_t v) {
    size_t len = 1;
    for (; v >= 0x80; v >>= 7)
        len++;
    return len;
}

size_t wire_varint_put(uint8_t out[WIRE_VARINT_BYTES_MAX], uint64_t v) {
    size_t len = 0;
    for (; v >= 0x80; v >>= 7)
        out[len++] = (uint8_t)(v | 0x80);
    out[len++] = (uint8_t)v;
    return len;
}
