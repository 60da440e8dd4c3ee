// What a client opens its connection with: the one place that tells protocols apart by their first
// bytes, for rooms and dispatchers.
#ifndef HW_OPENING_H
#define HW_OPENING_H

#include <stddef.h>
#include <stdint.h>

enum opening {
    OPENING_MORE, // all bytes so far fit a protocol, but do not decide yet
    OPENING_HAWSER,
    OPENING_UNKNOWN,
};
enum { OPENING_MAX = 4 }; // bytes that decide in any case

struct opening_row {
    enum opening opening;
    const char *bytes;
    size_t len;      // of bytes; 0: the end of the rows
    size_t consumed; // of these; the rest is also the beginning of the protocol's first message
};

// *ret_used: how many bytes are done with; 0 unless it is decided, and of an unknown one.
enum opening opening_parse(const uint8_t *data, size_t len, size_t *ret_used);
// By other rows than those of the protocols that there are.
enum opening opening_parse_by(const struct opening_row *rows, const uint8_t *data, size_t len,
                              size_t *ret_used);

#endif
