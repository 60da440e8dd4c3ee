// The parts of a store's URL (redis_url.h, maria_url.h). Without I/O.
#ifndef HW_URL_PART_H
#define HW_URL_PART_H

#include <stdbool.h>
#include <stddef.h>

// False: it does not fit, or is no text.
bool url_part_copy(const char *from, size_t len, char *out, size_t out_bytes);
// %XX is a byte, any other % itself: a password that was written plainly stays what it was.
bool url_part_decode(const char *from, size_t len, char *out, size_t out_bytes);

#endif
