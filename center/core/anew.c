#include "anew.h"

#include <string.h>

#include "aim.h"

void push_of_dead_letter(const Hawser__Internal__DeadLetter *letter, const struct inbox_place *from,
                         struct push *ret) {
    const Hawser__Internal__StoredMessage *m = letter->message;
    struct target *target = hw_calloc(1, sizeof(*target));
    target->user = from->user;
    while (target->device_count < m->n_device && target->device_count < TARGET_DEVICES_MAX) {
        target->devices[target->device_count] = m->device[target->device_count];
        target->device_count++;
    }
    *ret = (struct push){.to = {.kind = TO_USER, .list = target, .count = 1},
                         .content_type = *m->content_type ? m->content_type : NULL,
                         .class = class_of_stored(m->class_),
                         .anew = {from->epoch, letter->seq}};
    buf_append(&ret->payload, m->payload.data, m->payload.len);
}
