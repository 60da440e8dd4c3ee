// The frame around RPC messages (proto/rpc.proto has the picture), without I/O.
#ifndef HW_RPC_FRAME_H
#define HW_RPC_FRAME_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum { RPC_LENGTH_BYTES = 4, RPC_HEADER_BYTES = 12 }; // the header includes the length

enum rpc_kind { RPC_HELLO = 1, RPC_PROOF, RPC_REQUEST, RPC_REPLY, RPC_PING, RPC_PONG };

struct rpc_frame {
    uint16_t method;
    uint8_t kind;
    uint8_t flags;
    uint32_t call;
    const uint8_t *body; // borrowed from the input
    size_t body_len;
};

enum rpc_parsed { RPC_PARSED_OK, RPC_PARSED_MORE, RPC_PARSED_BAD };

// One frame from data[0..len). OK: *ret_frame and *ret_used are set. MORE: not all here yet. BAD:
// its length is below a header's rest or above frame_max (bytes after the length field).
enum rpc_parsed rpc_frame_parse(const uint8_t *data, size_t len, size_t frame_max,
                                struct rpc_frame *ret_frame, size_t *ret_used);

// Appends the header of f, for a body of f->body_len bytes that the caller appends next.
void rpc_frame_put_header(struct buf *b, const struct rpc_frame *f);
// Header and body.
void rpc_frame_put(struct buf *b, enum rpc_kind kind, const ProtobufCMessage *body);

// Whether a batch's body has at most items_max fields, which are its items. protobuf-c takes memory
// for each of them, many times its bytes on the wire.
bool rpc_items_fit(const uint8_t *body, size_t len, size_t items_max);

// Appends a message as an item of RpcRequests, or of RpcReplies (body NULL: none).
void rpc_put_request_item(struct buf *b, const ProtobufCMessage *request);
void rpc_put_reply_item(struct buf *b, uint32_t call, uint32_t error, const ProtobufCMessage *body);

#endif
