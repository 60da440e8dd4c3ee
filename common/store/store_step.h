// What a store is made of, below its callers: kinds of stores, and the life of a step, which is the
// same in all of them. A backend says only how it does a method.
//
//   store_call --> begin --> (the backend is at work) --> store_step_complete --> done, freed
//                    |                                          ^
//                    +-- complete within begin: at the end of the loop's iteration
//
// A step completes once: a second time ends the process. What is open when the store is freed
// completes with -HW_ECANCELLED, in the order in which it began.
#ifndef HW_STORE_STEP_H
#define HW_STORE_STEP_H

#include <sys/queue.h>

#include "loop.h"
#include "store.h"

// A step that is on its way; a backend's own begins with it. Completed, it is gone.
struct store_step {
    TAILQ_ENTRY(store_step) link;
    struct store *store;
    const char *name; // of the method; static
    store_done_fn *done;
    void *arg;
    ProtobufCMessage *request; // owned; NULL unless it was kept
    ProtobufCMessage *reply;   // owned; while it is put together
    int open, error;           // of a step in several parts: under way, and the first error
    bool is_beginning, is_answered;
};
TAILQ_HEAD(store_steps, store_step);

struct store_method { // a row of a kind's table
    const char *name;
    const ProtobufCMessageDescriptor *request;
    // The request is valid until it returns.
    void (*begin)(struct store_step *p, const ProtobufCMessage *request);
};

struct store_kind { // a function that is not needed is NULL
    const struct store_method *methods;
    size_t method_count;
    void (*other)(struct store_step *p, const ProtobufCMessage *request); // without a row
    size_t step_bytes;                                                    // 0: of struct store_step
    bool is_in_memory;
    void (*before_step)(struct store *s);
    const char *(*down_reason)(struct store *s); // NULL = it answers
    bool (*is_coming)(struct store *s);
    uint64_t (*ups)(struct store *s);            // how often it has come up
    struct store *(*down_part)(struct store *s); // of several: which is asked what has no function
    // Asks nobody any more. Here a backend completes what it has in flight; what it leaves open is
    // completed behind it.
    void (*stop)(struct store *s);
    void (*deinit)(struct store *s); // of what is the kind's own, when all has completed
};

struct store { // a backend's own begins with it, in one piece of the heap
    const struct store_kind *kind;
    struct loop *loop;
    struct store_steps begun, answered; // owned
    struct hook tell;
    struct store_counts *counts; // borrowed, or NULL
    bool is_in_memory, is_ending;
    char *opened_by; // owned, or NULL
};
void store_init(struct store *s, const struct store_kind *kind, struct loop *l);

// The request of a call is its caller's: a step that needs it later keeps a copy.
void store_step_keep(struct store_step *p, const ProtobufCMessage *request);
// The reply is on the heap, and taken; with an error it is not told.
void store_step_complete(struct store_step *p, int error, ProtobufCMessage *reply);
// Another store does the step.
void store_step_pass(struct store_step *p, struct store *to, const ProtobufCMessage *request);

// A kind's table comes from proto/methods.h, and each row has a function begin_NAME.
#define STORE_STEP_ROW(server, name, number, Message, message, ...)                                \
    {#name, &hawser__internal__##message##_request__descriptor, begin_##name},

#endif
