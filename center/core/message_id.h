// The id of a message: 26 of [0-9A-Za-z], a number whose highest bits say where the message lies,
// so that whoever is given an id alone knows where to look. Behind them 128 bits are its own.
//
//   kind (2 bits)  bucket of the user (10)  mark of the user (14)  its own (128)
#ifndef HW_MESSAGE_ID_H
#define HW_MESSAGE_ID_H

#include <stdbool.h>
#include <stdint.h>

enum { MESSAGE_ID_CHARS = 26, MESSAGE_ID_OWN_BYTES = 16 };

enum message_kind {
    MESSAGE_TO_USER, // in one inbox
    MESSAGE_TO_MANY, // in those of many users; bucket and mark are 0, as of the next
    MESSAGE_TO_ALL,  // in the product's log
};
struct message_home {
    enum message_kind kind;
    uint32_t bucket, mark; // bucket_of_user, mark_of_user
};
struct message_home message_home_of_user(const char *user);
void message_id_make(const struct message_home *place, const uint8_t own[MESSAGE_ID_OWN_BYTES],
                     char out[MESSAGE_ID_CHARS + 1]);
// False: no center has made such an id.
bool message_id_read(const char *id, struct message_home *ret_home);

#endif
