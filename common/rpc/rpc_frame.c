#include "rpc_frame.h"

#include "bytes.h"
#include "wire.h"

enum { TAG_ITEM = 0x0a, TAG_CALL = 0x08, TAG_ERROR = 0x10, TAG_BODY = 0x1a };

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

static void put_varint(struct buf *b, uint64_t v) {
    uint8_t bytes[WIRE_VARINT_BYTES_MAX];
    buf_append(b, bytes, wire_varint_put(bytes, v));
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

bool rpc_items_fit(const uint8_t *body, size_t len, size_t items_max) {
    struct wire_reader w = {body, body + len, false};
    const uint8_t *data;
    for (; w.at < w.end && !w.bad; items_max--) {
        if (items_max == 0)
            return false;
        (void)wire_field(&w, wire_varint(&w), &data);
    }
    return !w.bad;
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
    size_t item_len = 1 + wire_varint_bytes(call) + (error ? 1 + wire_varint_bytes(error) : 0) +
                      (body_len > 0 ? 1 + wire_varint_bytes(body_len) + body_len : 0);
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
