#include "message.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"

static size_t type_size(ProtobufCType type) {
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
        return 4;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    }
    abort(); // there are no others
}

// What a value points to is still the original's: gives it a copy. What is empty points to what
// protobuf_c_message_free_unpacked leaves alone.
static void own_value(const ProtobufCFieldDescriptor *f, void *value) {
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        char **text = value;
        const char *empty = f->label == PROTOBUF_C_LABEL_REPEATED ? NULL : f->default_value;
        if (!*text || *text == empty)
            *text = (char *)(uintptr_t)empty;
        else
            *text = hw_strdup(*text);
    } else if (f->type == PROTOBUF_C_TYPE_BYTES) {
        ProtobufCBinaryData *bytes = value;
        bytes->data = bytes->len > 0 ? hw_memdup(bytes->data, bytes->len) : NULL;
    } else if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        ProtobufCMessage **m = value;
        *m = message_copy(*m);
    }
}

static void own_list(const ProtobufCFieldDescriptor *f, size_t count, void **list) {
    size_t size = type_size(f->type);
    *list = count > 0 ? hw_memdup(*list, count * size) : NULL;
    for (size_t i = 0; i < count; i++)
        own_value(f, (uint8_t *)*list + i * size);
}

ProtobufCMessage *message_copy(const ProtobufCMessage *m) {
    if (!m)
        return NULL;
    const ProtobufCMessageDescriptor *d = m->descriptor;
    ProtobufCMessage *copy = hw_memdup(m, d->sizeof_message);
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        void *value = (uint8_t *)copy + f->offset;
        const void *quantifier = (const uint8_t *)m + f->quantifier_offset;
        if (f->label == PROTOBUF_C_LABEL_REPEATED)
            own_list(f, *(const size_t *)quantifier, value);
        else if (!(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) ||
                 *(const uint32_t *)quantifier == f->id)
            own_value(f, value);
    }
    copy->unknown_fields =
        m->n_unknown_fields > 0
            ? hw_memdup(m->unknown_fields, m->n_unknown_fields * sizeof(m->unknown_fields[0]))
            : NULL;
    for (unsigned i = 0; i < m->n_unknown_fields; i++)
        copy->unknown_fields[i].data =
            hw_memdup(m->unknown_fields[i].data, m->unknown_fields[i].len);
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
