// A deep copy of a protobuf message.
#ifndef HW_MESSAGE_H
#define HW_MESSAGE_H

#include <protobuf-c/protobuf-c.h>

// On the heap; free with protobuf_c_message_free_unpacked(copy, NULL) or its typed form. NULL gives
// NULL.
ProtobufCMessage *message_copy(const ProtobufCMessage *m);

#endif
