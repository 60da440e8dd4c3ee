// What the files of the Redis store share; nobody else includes it.
#ifndef HW_SAVER_REDIS_INTERNAL_H
#define HW_SAVER_REDIS_INTERNAL_H

#include "buf.h"
#include "redis_conn.h"
#include "store.h"

enum { RUN_ID_CHARS = 16, BASE_MAX = 40, ARGS_MAX = 64, ACKS_MAX = 16 };

enum saver_script {
    SCRIPT_APPEND,
    SCRIPT_LOAD,
    SCRIPT_HEADS,
    SCRIPT_ATTACH,
    SCRIPT_ACK,
    SCRIPT_USER,
    SCRIPT_SUMS,
    SCRIPT_SWEEP,
    SCRIPTS,
};

struct known_buckets;
struct key_count;
struct sweep { // one store's part in finding what is due
    struct timer timer;
    bool busy;
    char (*bases)[BASE_MAX]; // owned; still to be swept
    size_t count;
    int open; // commands in flight
};

struct redis_store {
    struct saver_store store; // first
    struct loop *loop;
    struct log *log;
    struct redis_conn *conn; // owned
    struct redis_script scripts[SCRIPTS];
    struct known_buckets *known;  // by product: those that were written to the sets
    struct key_count *key_counts; // by product: its Idempotency-Keys in all buckets
    struct sweep sweep;
    uint64_t next_log_ms;
    char reason[200];
};

// A step that is on its way. Completed, it is gone.
struct step {
    struct step *next; // of those that wait for a count of keys
    struct redis_store *store;
    saver_done_fn *done;
    void *arg;
    ProtobufCMessage *request; // owned; where a second command needs it
    ProtobufCMessage *reply;   // owned; while it is put together
    struct step_heads {
        uint64_t epoch, head, change;
    } heads[STREAMS]; // of news and bulk
    int open, error;  // figures: commands in flight, and the first error
    uint32_t product;
    int bucket; // -1: the product's own
};

struct step *saver_step_new(struct redis_store *s, saver_done_fn *done, void *arg);
// The reply is on the heap and is freed, or NULL with an error.
void saver_step_complete(struct step *p, int error, ProtobufCMessage *reply);

// The arguments of a call: texts are borrowed until it was sent.
struct redis_args {
    int count;
    const char *v[ARGS_MAX];
    size_t len[ARGS_MAX];
    char numbers[ARGS_MAX][24];
    char base[BASE_MAX];
};
// The front of the keys, the server's run id. user NULL or "": the product's own.
void saver_args_init(struct redis_args *a, const struct redis_store *s, uint32_t product,
                     const char *user);
void saver_arg_text(struct redis_args *a, const char *text);
void saver_arg_bytes(struct redis_args *a, const void *bytes, size_t len);
void saver_arg_u64(struct redis_args *a, uint64_t n);
void saver_arg_epoch(struct redis_args *a, const struct redis_store *s); // for a log that is new
void saver_script_send(struct redis_store *s, enum saver_script script, const struct redis_args *a,
                       redis_done_fn *done, void *arg);
int saver_base(char out[BASE_MAX], uint32_t product, int bucket); // bucket -1: the product's own

// Element i of an array as a number, 0 when there is none.
uint64_t saver_reply_u64(const redisReply *r, size_t i);
const redisReply *saver_reply_at(const redisReply *r, size_t i); // NULL when there is none
void saver_redis_refused(struct redis_store *s, const char *what, const redisReply *reply);

// A product's news and bulk heads: asked with p as the argument of done, which takes them.
void saver_redis_ask_heads(struct step *p, uint32_t product, redis_done_fn *done);
void saver_redis_take_heads(struct step *p, const redisReply *r);
void saver_redis_append(struct step *p, const ProtobufCMessage *request);
// The step itself; keys_full: a new Idempotency-Key is refused.
void saver_redis_append_step(struct step *p, const Hawser__Internal__AppendRequest *a,
                             bool keys_full);
void saver_key_counts_free(struct redis_store *s); // after all calls have completed
void saver_redis_load(struct step *p, const ProtobufCMessage *request);
void saver_redis_head(struct step *p, const ProtobufCMessage *request);
void saver_redis_product_heads(struct step *p, const ProtobufCMessage *request);
void saver_redis_attach(struct step *p, const ProtobufCMessage *request);
void saver_redis_ack(struct step *p, const ProtobufCMessage *request);
void saver_redis_user(struct step *p, const ProtobufCMessage *request);
void saver_redis_sums(struct step *p, const ProtobufCMessage *request);
void saver_redis_stats(struct step *p, const ProtobufCMessage *request);
void saver_redis_clock(struct step *p, const ProtobufCMessage *request);

// The sets of what there is to sweep and to sum up. is_new: the bucket had nothing, so what was
// written of it before may be gone.
void saver_bucket_announce(struct redis_store *s, uint32_t product, int bucket, bool is_new);
void saver_buckets_forget(struct redis_store *s);
void saver_sweep_start(struct redis_store *s);
void saver_sweep_stop(struct redis_store *s);

#endif
