// What the memory stores share: each step is done at once, and its caller hears of it when the
// iteration of the loop ends.
#ifndef HW_MEMORY_STORE_H
#define HW_MEMORY_STORE_H

#include "loop.h"
#include "store.h"

struct memory_store;
struct memory_method {
    const ProtobufCMessageDescriptor *request;
    // Makes the reply, on the heap.
    ProtobufCMessage *(*step)(struct memory_store *m, const ProtobufCMessage *request);
};
struct memory_store_kind {
    const struct memory_method *methods;
    size_t method_count;
    void (*before_step)(struct memory_store *m); // NULL = nothing
    void (*deinit)(struct memory_store *m);      // of what is the kind's own
};

struct memory_completion;
struct memory_store {   // a store's own begins with it
    struct store store; // first
    const struct memory_store_kind *kind;
    struct loop *loop;
    struct hook complete;
    struct memory_completion *completions, **completions_end; // owned
    uint64_t clock_offset_ms;
    uint8_t hash_key[16]; // users choose their names
};
void memory_store_init(struct memory_store *m, const struct memory_store_kind *kind,
                       struct loop *l);
uint64_t memory_store_now_ms(const struct memory_store *m); // its clock, Unix ms

// A kind's table comes from proto/methods.h: SERVER_memory_NAME is a function of the SERVER's store
// and the method's request, and returns its reply.
#define MEMORY_STEP_DECLARATION(server, name, number, Message, message, ...)                       \
    Hawser__Internal__##Message##Reply *server##_memory_##name(                                    \
        struct server##_memory *m, const Hawser__Internal__##Message##Request *request);
#define MEMORY_STEP_UNTYPED(server, name, number, Message, message, ...)                           \
    static ProtobufCMessage *step_##name(struct memory_store *m,                                   \
                                         const ProtobufCMessage *request) {                        \
        return &server##_memory_##name((struct server##_memory *)m,                                \
                                       (const Hawser__Internal__##Message##Request *)request)      \
                    ->base;                                                                        \
    }
#define MEMORY_STEP_ROW(server, name, number, Message, message, ...)                               \
    {&hawser__internal__##message##_request__descriptor, step_##name},

#endif
