// What the Redis stores share: the connection, the methods' steps, the scripts, replies that are
// put together. A step sends commands and scripts, each of which names its hash slot, and completes
// once, whatever the server does.
#ifndef HW_REDIS_STORE_H
#define HW_REDIS_STORE_H

#include "redis_conn.h"
#include "redis_script.h"
#include "store.h"

struct redis_store;

// A step that is on its way; a store's own begins with it. Completed, it is gone.
struct redis_step {
    struct redis_store *store;
    const char *name; // of the method
    store_done_fn *done;
    void *arg;
    ProtobufCMessage *request; // owned; NULL unless it was kept
    ProtobufCMessage *reply;   // owned; while it is put together
    int open, error;           // of several commands: in flight, and the first error
};
// One of the store's own; it is given to a method's begin.
struct redis_step *redis_step_new(struct redis_store *s, const char *name, store_done_fn *done,
                                  void *arg);
// The request of a call is its caller's: a step that needs it later keeps a copy.
void redis_step_keep(struct redis_step *p, const ProtobufCMessage *request);
// The reply is on the heap and is freed; with an error it is not told.
void redis_step_complete(struct redis_step *p, int error, ProtobufCMessage *reply);
// Whether there is an error: then the step has completed with it. What the server refused is in the
// log, at most once a second: a full one refuses every append.
bool redis_step_failed(struct redis_step *p, int error, const redisReply *reply);

struct redis_method {
    const char *name;
    const ProtobufCMessageDescriptor *request;
    void (*begin)(struct redis_step *p, const ProtobufCMessage *request);
};
struct redis_store_kind {
    const struct redis_method *methods;
    size_t method_count;
    const struct redis_script_source *scripts;
    int script_count;
    size_t step_bytes;
    void (*on_state)(struct redis_store *s, bool up);
    const char *(*unready)(struct redis_store *s); // connected, why not yet; may be NULL
    void (*before_send)(struct redis_store *s);    // what is collected goes out first; may be NULL
    void (*deinit)(struct redis_store *s); // of what is the kind's own, when all has completed
};

struct redis_store {    // a store's own begins with it
    struct store store; // first
    const struct redis_store_kind *kind;
    struct loop *loop;
    struct log *log;
    struct redis_conn *conn;      // owned
    struct redis_script *scripts; // owned
    uint64_t next_log_ms;
    char reason[200];
};
// on_state and arg of the options are its own.
void redis_store_init(struct redis_store *s, const struct redis_store_kind *kind,
                      const struct redis_options *o);

// The one place where a connection is picked. key: of the hash slot; NULL where it touches none.
struct redis_conn *redis_store_conn(struct redis_store *s, const char *key);
struct redis_words {
    const char *key;         // one that it touches, or NULL
    const char *shape;       // of the answer
    const char *const *word; // ends with NULL; the first is the command
};
void redis_store_ask(struct redis_store *s, const struct redis_words *q, redis_done_fn *done,
                     void *arg);
struct redis_run {
    int script;       // in the kind's table
    const void *args; // the struct that the script's head made
};
void redis_store_run(struct redis_store *s, const struct redis_run *r, redis_done_fn *done,
                     void *arg);
void redis_store_refused(struct redis_store *s, const char *what, const char *why);

// Element i of an array; NULL, or as a number 0, when there is none.
const redisReply *redis_reply_at(const redisReply *r, size_t i);
uint64_t redis_reply_u64(const redisReply *r, size_t i);

// A kind's table comes from proto/methods.h: SERVER_redis_NAME is a function of the step and the
// method's request, which is valid until it returns.
#define REDIS_STEP_DECLARATION(server, name, number, Message, message, ...)                        \
    void server##_redis_##name(struct redis_step *p,                                               \
                               const Hawser__Internal__##Message##Request *request);
#define REDIS_STEP_UNTYPED(server, name, number, Message, message, ...)                            \
    static void begin_##name(struct redis_step *p, const ProtobufCMessage *request) {              \
        server##_redis_##name(p, (const Hawser__Internal__##Message##Request *)request);           \
    }
#define REDIS_STEP_ROW(server, name, number, Message, message, ...)                                \
    {#name, &hawser__internal__##message##_request__descriptor, begin_##name},

#endif
