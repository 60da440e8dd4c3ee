#include "url_part.h"

#include <string.h>

#include "bytes.h"

bool url_part_copy(const char *from, size_t len, char *out, size_t out_bytes) {
    if (len >= out_bytes)
        return false;
    memcpy(out, from, len);
    out[len] = '\0';
    return true;
}

bool url_part_decode(const char *from, size_t len, char *out, size_t out_bytes) {
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        bool is_code = from[i] == '%' && len - i > 2 && hex_digit(from[i + 1]) >= 0 &&
                       hex_digit(from[i + 2]) >= 0;
        char c = is_code ? (char)(hex_digit(from[i + 1]) * 16 + hex_digit(from[i + 2])) : from[i];
        i += is_code ? 2 : 0;
        if (c == '\0' || used + 1 >= out_bytes)
            return false;
        out[used++] = c;
    }
    out[used] = '\0';
    return true;
}
