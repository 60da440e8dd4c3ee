#include "frame.h"

#include <assert.h>

#include "bytes.h"

struct type_info {
    const char *name;
    const ProtobufCMessageDescriptor *message;
    int from;
};

enum { TYPES_MAX = 128, DEPTH_MAX = 8, FROM_BITS = 15 };

static const struct type_info types[TYPES_MAX] = {
#define FRAME_TYPE_INFO(name, number, from, message)                                               \
    [number] = {#name, &hawser__v1__##message##__descriptor, (from)&FROM_BITS},
    FRAME_TYPES(FRAME_TYPE_INFO)
#undef FRAME_TYPE_INFO
};

enum frame_parsed frame_parse(const uint8_t *data, size_t len, size_t body_max,
                              struct frame *ret_frame, size_t *ret_used) {
    if (len < FRAME_HEADER_BYTES)
        return FRAME_MORE;
    size_t body_len = be24_get(data + 1);
    if (body_len > body_max) {
        ret_frame->type = data[0];
        return FRAME_TOO_LARGE;
    }
    if (len - FRAME_HEADER_BYTES < body_len)
        return FRAME_MORE;
    *ret_frame =
        (struct frame){.type = data[0], .body = data + FRAME_HEADER_BYTES, .body_len = body_len};
    *ret_used = FRAME_HEADER_BYTES + body_len;
    return FRAME_OK;
}

const char *frame_type_name(uint8_t type) {
    return type < TYPES_MAX ? types[type].name : NULL;
}

const ProtobufCMessageDescriptor *frame_message(uint8_t type) {
    return type < TYPES_MAX ? types[type].message : NULL;
}

bool frame_type_is_from(uint8_t type, enum frame_from from) {
    return type < TYPES_MAX && (types[type].from & (int)from) != 0;
}

static bool strings_are_utf8(const ProtobufCMessage *message, int depth);

static bool member_is_utf8(const ProtobufCFieldDescriptor *field, const void *member, int depth) {
    const void *pointer;
    memcpy(&pointer, member, sizeof(pointer)); // both kinds are one pointer
    if (!pointer)
        return true;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return strings_are_utf8(pointer, depth + 1);
    return utf8_is_valid(pointer, strlen(pointer), NULL);
}

static bool field_is_utf8(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                          int depth) {
    const uint8_t *base = (const uint8_t *)message;
    if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
        return true;
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return member_is_utf8(field, base + field->offset, depth);
    size_t count;
    const uint8_t *list;
    memcpy(&count, base + field->quantifier_offset, sizeof(count));
    memcpy(&list, base + field->offset, sizeof(list));
    for (size_t i = 0; i < count; i++)
        if (!member_is_utf8(field, list + i * sizeof(void *), depth))
            return false;
    return true;
}

static bool strings_are_utf8(const ProtobufCMessage *message, int depth) {
    if (depth > DEPTH_MAX)
        return false;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++)
        if (!field_is_utf8(message, &message->descriptor->fields[i], depth))
            return false;
    return true;
}

ProtobufCMessage *frame_decode(const struct frame *f, ProtobufCAllocator *allocator) {
    const ProtobufCMessageDescriptor *descriptor = frame_message(f->type);
    if (!descriptor)
        return NULL;
    ProtobufCMessage *message =
        protobuf_c_message_unpack(descriptor, allocator, f->body_len, f->body);
    if (message && !strings_are_utf8(message, 0)) {
        protobuf_c_message_free_unpacked(message, allocator);
        return NULL;
    }
    return message;
}

void frame_put_header(uint8_t out[FRAME_HEADER_BYTES], enum frame_type type, size_t body_len) {
    assert(body_len < 1u << 24);
    out[0] = (uint8_t)type;
    be24_put(out + 1, (uint32_t)body_len);
}

void frame_put(struct buf *b, enum frame_type type, const ProtobufCMessage *message) {
    size_t len = message ? protobuf_c_message_get_packed_size(message) : 0;
    uint8_t *at = buf_reserve(b, FRAME_HEADER_BYTES + len);
    frame_put_header(at, type, len);
    if (message)
        protobuf_c_message_pack(message, at + FRAME_HEADER_BYTES);
    b->len += FRAME_HEADER_BYTES + len;
}
