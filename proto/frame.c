#include "frame.h"

#include <assert.h>

#include "bytes.h"
#include "wire.h"

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

// --- strings, on the wire: protobuf-c does not look at UTF-8, and ends a text at its first NUL

static bool strings_are_text(const ProtobufCMessageDescriptor *d, struct wire_reader w, int depth);

static bool field_is_text(const ProtobufCMessageDescriptor *d, unsigned number, const uint8_t *data,
                          size_t len, int depth) {
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(d, number);
    if (field && field->type == PROTOBUF_C_TYPE_STRING)
        return (len == 0 || !memchr(data, 0, len)) && utf8_is_valid(data, len, NULL);
    if (field && field->type == PROTOBUF_C_TYPE_MESSAGE)
        return strings_are_text(field->descriptor, (struct wire_reader){data, data + len, false},
                                depth + 1);
    return true;
}

static bool strings_are_text(const ProtobufCMessageDescriptor *d, struct wire_reader w, int depth) {
    while (w.at < w.end && !w.bad) {
        uint64_t tag = wire_varint(&w);
        const uint8_t *data;
        size_t len = wire_field(&w, tag, &data);
        if (data && !w.bad &&
            (depth > DEPTH_MAX || !field_is_text(d, (unsigned)(tag >> 3), data, len, depth)))
            return false;
    }
    return !w.bad;
}

ProtobufCMessage *frame_decode(const struct frame *f, ProtobufCAllocator *allocator) {
    const ProtobufCMessageDescriptor *descriptor = frame_message(f->type);
    if (!descriptor)
        return NULL;
    ProtobufCMessage *message =
        protobuf_c_message_unpack(descriptor, allocator, f->body_len, f->body);
    struct wire_reader whole = {f->body, f->body + f->body_len, false};
    if (message && !strings_are_text(descriptor, whole, 0)) {
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
