// Bindings that a newer login has ended while their connection lives on. A Bind that was to renew
// one may have been on its way just then: it would be taken for a login that is newer still, and
// end the other installation, and the client would not want it any more. Such a Bind names no
// positions, and is refused as its binding was.
#ifndef HW_REPLACED_H
#define HW_REPLACED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct replaced_binding;
struct room;
struct room_binding;

struct replaced {
    struct replaced_binding *first, **end; // owned; the oldest first
    size_t count;
};

void replaced_note(const struct room_binding *b); // its connection may go, too
bool replaced_before_renewal(const struct room_binding *b, uint32_t product); // it is a Bind
void replaced_deinit(struct room *r);

#endif
