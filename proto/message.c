#include "message.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"

ProtobufCMessage *message_copy(const ProtobufCMessage *m) {
    if (!m)
        return NULL;
    size_t len = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = hw_malloc(len + 1);
    protobuf_c_message_pack(m, bytes);
    ProtobufCMessage *copy = protobuf_c_message_unpack(m->descriptor, NULL, len, bytes);
    free(bytes);
    if (!copy)
        abort(); // what we packed ourselves
    return copy;
}

bool message_equal(const ProtobufCMessage *a, const ProtobufCMessage *b) {
    size_t len = protobuf_c_message_get_packed_size(a);
    if (len != protobuf_c_message_get_packed_size(b))
        return false;
    uint8_t *bytes = hw_malloc(2 * len + 1);
    protobuf_c_message_pack(a, bytes);
    protobuf_c_message_pack(b, bytes + len);
    bool equal = memcmp(bytes, bytes + len, len) == 0;
    free(bytes);
    return equal;
}
