#include "opening.h"

#include <string.h>

#include "frame.h"

static const struct {
    enum opening opening;
    const char *bytes;
    size_t len;
} openings[] = {
    {OPENING_HAWSER, FRAME_PREFACE, FRAME_PREFACE_BYTES},
};

enum opening opening_parse(const uint8_t *data, size_t len, size_t *ret_used) {
    enum opening result = OPENING_UNKNOWN;
    *ret_used = 0;
    for (size_t i = 0; i < sizeof(openings) / sizeof(openings[0]); i++) {
        size_t n = len < openings[i].len ? len : openings[i].len;
        if (memcmp(data, openings[i].bytes, n) != 0)
            continue;
        if (n < openings[i].len) {
            result = OPENING_MORE;
            continue;
        }
        *ret_used = n;
        return openings[i].opening;
    }
    return result;
}
