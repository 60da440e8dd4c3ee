// Sessions that try again in a while: what they asked a saver was not answered.
#ifndef HW_WAITS_H
#define HW_WAITS_H

#include "handles.h"
#include "timer.h"

struct room;
struct room_binding;

struct waits {
    struct handles list; // whose RETRY is waited for
    struct timer timer;
};

void room_binding_retry_later(struct room_binding *b);
void waits_deinit(struct room *r);

#endif
