// Rows on their way out, of sessions that ended and of logins that nobody waits for any more.
#ifndef HW_ORPHANS_H
#define HW_ORPHANS_H

#include <stddef.h>
#include <stdint.h>

#include "admission.h"

struct orphan;
struct room;
struct room_binding;

struct orphans {
    struct orphan *list; // owned
    size_t count;
    uint64_t given_up; // a counter
    struct admission asks;
};

void orphan_drop(const struct room_binding *b); // its row, until the register answers
// Its login step may be done later than its answer counts, or a confirmation after its drop.
void orphan_expect(const struct room_binding *b);
void orphans_deinit(struct room *r); // after the part is gone

#endif
