// What the memory stores share: each step is done when it begins, and its caller hears of it when
// the iteration of the loop ends.
#ifndef HW_MEMORY_STORE_H
#define HW_MEMORY_STORE_H

#include "store_step.h"

struct memory_store {   // a store's own begins with it
    struct store store; // first
    uint64_t clock_offset_ms;
    uint8_t hash_key[16]; // users choose their names
};
void memory_store_init(struct memory_store *m, const struct store_kind *kind, struct loop *l);
uint64_t memory_store_now_ms(const struct memory_store *m); // its clock, Unix ms

// A kind's table comes from proto/methods.h: SERVER_memory_NAME is a function of the SERVER's store
// and the method's request, and returns its reply, on the heap.
#define MEMORY_STEP_DECLARATION(server, name, number, Message, message, ...)                       \
    Hawser__Internal__##Message##Reply *server##_memory_##name(                                    \
        struct server##_memory *m, const Hawser__Internal__##Message##Request *request);
#define MEMORY_STEP_UNTYPED(server, name, number, Message, message, ...)                           \
    static void begin_##name(struct store_step *p, const ProtobufCMessage *request) {              \
        store_step_complete(                                                                       \
            p, 0,                                                                                  \
            &server##_memory_##name((struct server##_memory *)p->store,                            \
                                    (const Hawser__Internal__##Message##Request *)request)         \
                 ->base);                                                                          \
    }

#endif
