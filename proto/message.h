// What protobuf-c lacks: a deep copy of a message, and whether two are the same.
#ifndef HW_MESSAGE_H
#define HW_MESSAGE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

// On the heap; free with protobuf_c_message_free_unpacked(copy, NULL) or its typed form. NULL gives
// NULL.
ProtobufCMessage *message_copy(const ProtobufCMessage *m);

// a and b: of one type.
bool message_equal(const ProtobufCMessage *a, const ProtobufCMessage *b);

#endif
