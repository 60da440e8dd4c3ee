// After the append: who is there is found, and told. Of a stored message that is a hint, which may
// get lost; a live one is nothing else, and goes to a device at most once.
#ifndef HW_DELIVER_H
#define HW_DELIVER_H

#include "center_internal.h"
#include "known_rows.h"
#include "saver.pb-c.h"

struct letter { // what is delivered; live: epoch, seq and change are 0
    uint32_t product;
    const char *user; // whose inbox; not used for broadcasts
    const Hawser__Internal__StoredMessage *message;
    uint64_t epoch, seq, change;
    struct arrivals arrivals; // as the append told them
};

struct delivered {
    uint64_t handed_over; // to so many sessions
    bool failed;          // nobody could be asked where the user is
};
// Called once when all is over, perhaps before the call returns.
typedef void delivered_fn(void *arg, const struct delivered *d);

// The letter and its message are borrowed until the call returns. done NULL: nobody waits.
void deliver_to_user(struct center *c, const struct letter *letter, delivered_fn *done, void *arg);
void deliver_to_rooms(struct center *c, const struct letter *letter, delivered_fn *done, void *arg);

#endif
