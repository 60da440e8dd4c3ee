// What a connection opens with: its first bytes tell what it is, by a table. The tables are those
// of a door (door.h): of kinds of transport, and of what the door's owner speaks.
#ifndef HW_OPENING_H
#define HW_OPENING_H

#include <stddef.h>
#include <stdint.h>

enum { OPENING_MAX = 8 }; // no row has more bytes

struct opening {
    const char *bytes;    // NULL: the end of the table
    size_t len;           // of bytes; 0: any bytes that fit no other row
    size_t consumed;      // of these; the rest is also the beginning of the first message
    const void *leads_to; // for whoever made the table
};

enum opening_parsed {
    OPENING_KNOWN,
    OPENING_MORE, // all bytes so far fit a row, but do not decide yet
    OPENING_UNKNOWN,
};

// *ret_opening: the row, where it is known.
enum opening_parsed opening_parse(const struct opening *rows, const uint8_t *data, size_t len,
                                  const struct opening **ret_opening);

#endif
