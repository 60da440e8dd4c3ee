#include "rpc_frame.h"

#include "bytes.h"

enum { TAG_ITEM = 0x0a, TAG_CALL = 0x08, TAG_ERROR = 0x10, TAG_BODY = 0x1a };
enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };

enum rpc_parsed rpc_frame_parse(const uint8_t *data, size_t len, size_t frame_max,
                                struct rpc_frame *ret_frame, size_t *ret_used) {
    if (len < RPC_LENGTH_BYTES)
        return RPC_PARSED_MORE;
    size_t rest = be32_get(data);
    if (rest < RPC_HEADER_BYTES - RPC_LENGTH_BYTES || rest > frame_max)
        return RPC_PARSED_BAD;
    if (len - RPC_LENGTH_BYTES < rest)
        return RPC_PARSED_MORE;
    *ret_frame = (struct rpc_frame){.method = be16_get(data + 4),
                                    .kind = data[6],
                                    .flags = data[7],
                                    .call = be32_get(data + 8),
                                    .body = data + RPC_HEADER_BYTES,
                                    .body_len = rest + RPC_LENGTH_BYTES - RPC_HEADER_BYTES};
    *ret_used = rest + RPC_LENGTH_BYTES;
    return RPC_PARSED_OK;
}

void rpc_frame_put_header(struct buf *b, const struct rpc_frame *f) {
    uint8_t *at = buf_reserve(b, RPC_HEADER_BYTES);
    be32_put(at, (uint32_t)(f->body_len + RPC_HEADER_BYTES - RPC_LENGTH_BYTES));
    be16_put(at + 4, f->method);
    at[6] = f->kind;
    at[7] = f->flags;
    be32_put(at + 8, f->call);
    b->len += RPC_HEADER_BYTES;
}

static size_t varint_bytes(uint64_t v) {
    size_t len = 1;
    for (; v >= 0x80; v >>= 7)
        len++;
    return len;
}

static void put_varint(struct buf *b, uint64_t v) {
    for (; v >= 0x80; v >>= 7)
        buf_append(b, &(uint8_t){(uint8_t)(v | 0x80)}, 1);
    buf_append(b, &(uint8_t){(uint8_t)v}, 1);
}

static void rpc_frame_put_message(struct buf *b, const ProtobufCMessage *message, size_t len) {
    protobuf_c_message_pack(message, buf_reserve(b, len));
    b->len += len;
}

void rpc_frame_put(struct buf *b, enum rpc_kind kind, const ProtobufCMessage *body) {
    size_t len = body ? protobuf_c_message_get_packed_size(body) : 0;
    rpc_frame_put_header(b, &(struct rpc_frame){.kind = (uint8_t)kind, .body_len = len});
    if (body)
        rpc_frame_put_message(b, body, len);
}

static bool take_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret_value) {
    uint64_t value = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool skip_field(const uint8_t **at, const uint8_t *end) {
    uint64_t tag = 0, len = 0;
    if (!take_varint(at, end, &tag))
        return false;
    switch (tag & 7) {
    case WIRE_VARINT:
        return take_varint(at, end, &len);
    case WIRE_64:
        len = 8;
        break;
    case WIRE_LEN:
        if (!take_varint(at, end, &len))
            return false;
        break;
    case WIRE_32:
        len = 4;
        break;
    default:
        return false;
    }
    if (len > (size_t)(end - *at))
        return false;
    *at += len;
    return true;
}

bool rpc_items_fit(const uint8_t *body, size_t len, size_t items_max) {
    const uint8_t *end = body + len;
    while (body < end) {
        if (items_max == 0 || !skip_field(&body, end))
            return false;
        items_max--;
    }
    return true;
}

void rpc_put_request_item(struct buf *b, const ProtobufCMessage *request) {
    size_t len = protobuf_c_message_get_packed_size(request);
    put_varint(b, TAG_ITEM);
    put_varint(b, len);
    rpc_frame_put_message(b, request, len);
}

void rpc_put_reply_item(struct buf *b, uint32_t call, uint32_t error,
                        const ProtobufCMessage *body) {
    size_t body_len = body ? protobuf_c_message_get_packed_size(body) : 0;
    size_t item_len = 1 + varint_bytes(call) + (error ? 1 + varint_bytes(error) : 0) +
                      (body_len > 0 ? 1 + varint_bytes(body_len) + body_len : 0);
    put_varint(b, TAG_ITEM);
    put_varint(b, item_len);
    put_varint(b, TAG_CALL);
    put_varint(b, call);
    if (error) {
        put_varint(b, TAG_ERROR);
        put_varint(b, error);
    }
    if (body_len > 0) {
        put_varint(b, TAG_BODY);
        put_varint(b, body_len);
        rpc_frame_put_message(b, body, body_len);
    }
}
