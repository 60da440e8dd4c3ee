// The frames of the client protocol (client.proto): u8 type, u24 body length, body. Sans-I/O and
// without state; used by rooms, dispatchers, the SDK and tests alike. One table names every type,
// its direction and its message.
#ifndef HW_FRAME_H
#define HW_FRAME_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "client.pb-c.h"

#define FRAME_PREFACE "HWS1" // what a client sends first, before any frame

enum {
    FRAME_PREFACE_BYTES = 4,
    FRAME_HEADER_BYTES = 4,
    FRAME_BODY_BEFORE_WELCOME_MAX = 4 * 1024,
    FRAME_BODY_MAX = 64 * 1024,
};

enum frame_from {
    FROM_CLIENT = 1,
    FROM_ROOM = 2,
    FROM_EITHER = 3,
    FROM_DISPATCHER = 4,
    TO_DISPATCHER = 8
};

// name, number, who sends it, message's C name; Bye has an empty body and decodes as Unbind without
// fields
#define FRAME_TYPES(X)                                                                             \
    X(HELLO, 1, FROM_CLIENT, hello)                                                                \
    X(PING, 2, FROM_EITHER, ping)                                                                  \
    X(ACK, 3, FROM_CLIENT, ack)                                                                    \
    X(BIND, 4, FROM_CLIENT, bind)                                                                  \
    X(UNBIND, 5, FROM_CLIENT, unbind)                                                              \
    X(UPSTREAM, 6, FROM_CLIENT, upstream)                                                          \
    X(BYE, 7, FROM_CLIENT, unbind)                                                                 \
    X(LOCATE, 16, TO_DISPATCHER, locate)                                                           \
    X(WELCOME, 65, FROM_ROOM, welcome)                                                             \
    X(PONG, 66, FROM_EITHER, pong)                                                                 \
    X(PUSH, 67, FROM_ROOM, push)                                                                   \
    X(BOUND, 68, FROM_ROOM, bound)                                                                 \
    X(UPSTREAM_REPLY, 69, FROM_ROOM, upstream_reply)                                               \
    X(GAP, 70, FROM_ROOM, gap)                                                                     \
    X(RESET, 71, FROM_ROOM, reset)                                                                 \
    X(SYNCED, 72, FROM_ROOM, synced)                                                               \
    X(GO_AWAY, 73, FROM_ROOM, go_away)                                                             \
    X(CLOSE, 74, FROM_ROOM | FROM_DISPATCHER, close)                                               \
    X(LOCATED, 80, FROM_DISPATCHER, located)

enum frame_type {
#define FRAME_TYPE_ENUM(name, number, from, message) FRAME_##name = number,
    FRAME_TYPES(FRAME_TYPE_ENUM)
#undef FRAME_TYPE_ENUM
};

struct frame {
    uint8_t type;        // as received; may be unknown
    const uint8_t *body; // borrowed from the input
    size_t body_len;
};

enum frame_parsed { FRAME_OK, FRAME_MORE, FRAME_TOO_LARGE };

// One frame from data[0..len) with a body of at most body_max bytes. FRAME_OK sets *ret_frame and
// *ret_used. FRAME_TOO_LARGE is known from the header alone; then ret_frame->type is set.
enum frame_parsed frame_parse(const uint8_t *data, size_t len, size_t body_max,
                              struct frame *ret_frame, size_t *ret_used);

const char *frame_type_name(uint8_t type);                     // "PUSH"; NULL for an unknown type
const ProtobufCMessageDescriptor *frame_message(uint8_t type); // NULL for an unknown type
bool frame_type_is_from(uint8_t type, enum frame_from from);

// Decodes the body as its type's message, with strings checked to be UTF-8 (protobuf-c does not).
// NULL: unknown type, or malformed. Free with protobuf_c_message_free_unpacked and the same
// allocator (an arena needs none; NULL = the heap).
ProtobufCMessage *frame_decode(const struct frame *f, ProtobufCAllocator *allocator);

// Appends a whole frame. message NULL: an empty body. The message is at most 2^24-1 bytes packed.
void frame_put(struct buf *b, enum frame_type type, const ProtobufCMessage *message);
// Just the header, for a body the caller writes itself.
void frame_put_header(uint8_t out[FRAME_HEADER_BYTES], enum frame_type type, size_t body_len);

#endif
