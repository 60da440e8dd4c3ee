#include "opening.h"

#include <string.h>

enum opening_parsed opening_parse(const struct opening *rows, const uint8_t *data, size_t len,
                                  const struct opening **ret_opening) {
    const struct opening *any = NULL;
    enum opening_parsed result = OPENING_UNKNOWN;
    for (const struct opening *row = rows; row->bytes; row++) {
        size_t n = len < row->len ? len : row->len;
        if (row->len == 0) {
            any = row;
        } else if (memcmp(data, row->bytes, n) == 0) {
            if (n == row->len) {
                *ret_opening = row;
                return OPENING_KNOWN;
            }
            result = OPENING_MORE;
        }
    }
    if (!any || result == OPENING_MORE)
        return result;
    *ret_opening = any;
    return OPENING_KNOWN;
}
