#include "opening.h"

#include <string.h>

#include "frame.h"

static const struct opening_row openings[] = {
    {OPENING_HAWSER, FRAME_PREFACE, FRAME_PREFACE_BYTES, .consumed = FRAME_PREFACE_BYTES},
    {.len = 0},
};

enum opening opening_parse_by(const struct opening_row *rows, const uint8_t *data, size_t len,
                              size_t *ret_used) {
    enum opening result = OPENING_UNKNOWN;
    *ret_used = 0;
    for (const struct opening_row *row = rows; row->len > 0; row++) {
        size_t n = len < row->len ? len : row->len;
        if (memcmp(data, row->bytes, n) != 0)
            continue;
        if (n < row->len) {
            result = OPENING_MORE;
            continue;
        }
        *ret_used = row->consumed;
        return row->opening;
    }
    return result;
}

enum opening opening_parse(const uint8_t *data, size_t len, size_t *ret_used) {
    return opening_parse_by(openings, data, len, ret_used);
}
