// One request of each method of a daemon, made from its rows in proto/methods.h: a method more is
// asked by the tests that ask them all, without a line in them.
//
//   SAVER_METHODS(REQUEST_DECLARATION)
//   static ProtobufCMessage *const requests[] = {SAVER_METHODS(REQUEST_ROW)};
//   ... SAVER_METHODS(REQUEST_INIT) ...
#ifndef HW_EVERY_REQUEST_H
#define HW_EVERY_REQUEST_H

#include <protobuf-c/protobuf-c.h>

#define REQUEST_DECLARATION(server, name, number, Message, message, ...)                           \
    static Hawser__Internal__##Message##Request name##_request;
#define REQUEST_ROW(server, name, number, Message, message, ...) &name##_request.base,
#define REQUEST_INIT(server, name, number, Message, message, ...)                                  \
    hawser__internal__##message##_request__init(&name##_request);                                  \
    request_name_user(&name##_request.base);

// Where the request has a text of that name. text: borrowed.
static inline void request_set_text(ProtobufCMessage *request, const char *name, const char *text) {
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(request->descriptor, name);
    if (f && f->type == PROTOBUF_C_TYPE_STRING)
        *(const char **)((char *)request + f->offset) = text;
}

static inline void request_set_number(ProtobufCMessage *request, const char *name, uint32_t n) {
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(request->descriptor, name);
    if (f && f->type == PROTOBUF_C_TYPE_UINT32)
        *(uint32_t *)((char *)request + f->offset) = n;
    else if (f)
        *(uint64_t *)((char *)request + f->offset) = n;
}

// Who has a user has this one.
static inline void request_name_user(ProtobufCMessage *request) {
    request_set_text(request, "user", "u");
}

#endif
