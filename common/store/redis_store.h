// What the Redis stores share: the connection, the scripts, and what a step sends: commands and
// scripts, each of which names its hash slot.
#ifndef HW_REDIS_STORE_H
#define HW_REDIS_STORE_H

#include "redis_conn.h"
#include "redis_script.h"
#include "store_open.h"
#include "store_step.h"

struct redis_store;

// Whether there is an error: then the step has completed with it. What the server refused is in the
// log, at most once a second: a full one refuses every append.
bool redis_step_failed(struct store_step *p, int error, const redisReply *reply);

struct redis_store_kind {
    const struct store_method *methods;
    size_t method_count;
    const struct redis_script_source *scripts;
    int script_count;
    size_t step_bytes;
    void (*on_state)(struct redis_store *s, bool up);
    const char *(*unready)(struct redis_store *s); // connected, why not yet; may be NULL
    void (*before_send)(struct redis_store *s);    // what is collected goes out first; may be NULL
    // Of what is the kind's own: what was not sent completes; all that was sent has.
    void (*stop)(struct redis_store *s);
};

struct redis_store {    // a store's own begins with it
    struct store store; // first
    const struct redis_store_kind *kind;
    struct store_kind as_store;
    struct log *log;
    struct redis_conn *conn;      // owned
    struct redis_script *scripts; // owned
    uint64_t next_log_ms;
    uint64_t ups; // how often the connection has come up
    char reason[200];
};
static inline struct redis_store *redis_store_of(const struct store_step *p) {
    return (struct redis_store *)p->store;
}
// on_state and arg of the options are its own.
void redis_store_init(struct redis_store *s, const struct redis_store_kind *kind,
                      const struct redis_options *o);

// From redis.url, redis.timeout and redis.allow_volatile.
struct redis_options redis_options_of(const struct store_env *env);

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
    void server##_redis_##name(struct store_step *p,                                               \
                               const Hawser__Internal__##Message##Request *request);
#define REDIS_STEP_UNTYPED(server, name, number, Message, message, ...)                            \
    static void begin_##name(struct store_step *p, const ProtobufCMessage *request) {              \
        server##_redis_##name(p, (const Hawser__Internal__##Message##Request *)request);           \
    }

#endif
