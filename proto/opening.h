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

// *ret_used: how many bytes are done with; 0 unless it is decided, and of an unknown one.
enum opening opening_parse(const uint8_t *data, size_t len, size_t *ret_used);

#endif
