// What a stored message's fields mean, the same for all who have one.
#ifndef HW_STORED_H
#define HW_STORED_H

#include <stdbool.h>

#include "saver.pb-c.h"

// It is in no log, and has no seq: that is its class. NULL, of a hint that has none: it is not.
static inline bool message_is_live(const Hawser__Internal__StoredMessage *m) {
    return m && m->class_ == HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_LIVE;
}

#endif
