// The status of a message, as every call that answers with one shows it.
#ifndef HW_MESSAGE_STATUS_H
#define HW_MESSAGE_STATUS_H

#include <jansson.h>
#include <stdint.h>

struct message_status {
    const char *id, *state;
    uint64_t accepted_ms, expires_ms; // 0: not known, and not shown
};
json_t *message_status_json(const struct message_status *s);

#endif
