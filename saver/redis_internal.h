// What the files of the Redis store share; nobody else includes it. docs/REDIS.md has the keys.
// Each file calls those below it only:
//
//   store_redis.c    the table of all steps; life
//   redis_append.c   appends
//   redis_devices.c  positions of devices
//   redis_parked.c   attempts and dead letters
//   redis_jobs.c     jobs
//   redis_recall.c   recalls
//   redis_restore.c  what a Redis that went back has lost
//   redis_read.c     what reads logs
//   redis_keys.c     the bound on Idempotency-Keys
//   redis_sums.c     sums, and the clock
//   redis_batch.c    steps of one bucket that share a script
//   redis_sweep.c    what there is to sweep and to sum up
//   redis_bucket.c   what a script is told of its bucket
#ifndef HW_SAVER_REDIS_INTERNAL_H
#define HW_SAVER_REDIS_INTERNAL_H

#include "buf.h"
#include "methods.h"
#include "saver_script_values.h"
#include "saver_scripts.h"
#include "saver_store.h"

enum { BASE_MAX = 40, NUMBER_BYTES = 8 };
enum { APPEND_ANSWERS = 7, ACK_ANSWERS = 3, END_ANSWERS = 3 }; // of each append, ack, end

struct known_buckets;
struct key_count;
struct sweep { // one store's part in finding what is due
    struct timer timer;
    bool busy;
    char (*bases)[BASE_MAX]; // owned; still to be swept
    size_t count;
    int open;      // commands in flight
    bool has_back; // somebody asks whether what was lost is put back; is_held: until it is, since
    bool is_held;  // logs go on behind that
};

struct script_batch;
struct batches { // appends and acks that go out at the end of the loop's iteration
    struct script_batch *by_bucket, *first, **end;
    struct hook hook;
    bool is_sending;
};

struct saver_redis {
    struct redis_store base;      // first
    struct known_buckets *known;  // by product: those that were written to the sets
    struct key_count *key_counts; // by product: its Idempotency-Keys in all buckets
    struct sweep sweep;
    struct batches batches;
};
static inline struct saver_redis *saver_redis_of(struct redis_store *s) {
    return (struct saver_redis *)s;
}

struct saver_step {
    struct store_step step;      // first
    struct saver_step *next;     // of those that wait for a place for their Idempotency-Key
    struct key_count *key_count; // of an append that may take one: whom it is settled with
    uint64_t key_asks;
    struct step_heads {
        uint64_t epoch, head, change;
    } heads[STREAMS]; // of news and bulk
    uint32_t product;
    int bucket;        // -1: the product's own
    uint32_t lease_ms; // of a part of a job
};
static inline struct saver_step *saver_step_of(struct store_step *p) {
    return (struct saver_step *)p;
}
void saver_step_is_of(struct store_step *p, uint32_t product, const char *user);

uint64_t saver_history(const struct redis_store *s); // of the data, as replies tell it
// The front of the keys of a bucket, which each script of the logs is called with.
int saver_base(char out[BASE_MAX], uint32_t product, int bucket); // bucket -1: the product's own
void saver_base_of(char out[BASE_MAX], uint32_t product, const char *user); // NULL or "": likewise
uint64_t saver_epoch(const struct redis_store *s); // for a log that is made now
// The devices that a message is for, each between zeros; nothing where it is for all.
void saver_put_names(struct buf *out, const Hawser__Internal__StoredMessage *m);
// Its length in a byte, and the key.
void saver_put_collapse_key(struct buf *out, const Hawser__Internal__StoredMessage *m);
// Without the end that is the store's to reckon: it keeps the times that it gave beside the
// message.
void saver_put_message(struct buf *out, const Hawser__Internal__StoredMessage *message,
                       bool has_ttl);

// --- steps of one bucket that share a script

enum batch_kind { BATCH_APPEND, BATCH_ACK, BATCH_HEADS, BATCH_KINDS };
// What an item of a batch is answered with: item i of the script's answer; error as redis_done_fn.
typedef void batch_done_fn(struct store_step *p, int error, const redisReply *reply, size_t i);
struct batch_words {
    const struct redis_bytes *v; // the script's words of one item; copied
    batch_done_fn *done;
};
// p says which bucket. Until the batch goes out, and in the order of coming, more are added.
void saver_batch_add(struct store_step *p, enum batch_kind kind, const struct batch_words *w);
void saver_batches_send(struct redis_store *s); // at once; before each other command
void saver_batches_init(struct saver_redis *s);
void saver_batches_cancel(struct saver_redis *s); // what was not sent completes
// Of the ends behind the answers those of item i: the two numbers of each.
typedef void batch_end_fn(void *arg, uint64_t first, uint64_t second);
void saver_batch_take_ends(const redisReply *r, size_t i, batch_end_fn *take, void *arg);
// One more of a reply's ends, to be filled in.
Hawser__Internal__InboxEnd *saver_end_add(size_t *count, Hawser__Internal__InboxEnd ***list);
// Numbers as the scripts unpack them: eight bytes, the lowest first.
void saver_put_number(struct buf *out, uint64_t n);

// A product's news and bulk heads: who asks in one iteration of the loop asks once. done takes
// them.
void saver_redis_ask_heads(struct store_step *p, uint32_t product, batch_done_fn *done);
void saver_redis_take_heads(struct store_step *p, const redisReply *r);
// Sends an append, now or after others of its product, as its Idempotency-Key can have a place or
// not: keys_full, then a new one is refused.
typedef void key_send_fn(struct store_step *p, const Hawser__Internal__AppendRequest *a,
                         bool keys_full);
void saver_key_admit(struct store_step *p, const Hawser__Internal__AppendRequest *a,
                     key_send_fn *send);
void saver_key_settle(struct store_step *p, int error, bool is_stored); // before it completes
void saver_key_counts_free(struct saver_redis *s); // after all calls have completed

SAVER_METHODS(REDIS_STEP_DECLARATION)
void saver_redis_restored(struct store_step *p, const Hawser__Internal__RestoredRequest *q);
void saver_redis_restore(struct store_step *p, const Hawser__Internal__RestoreRequest *q);

// A message as a script answers it: at `at` its bytes, at `times` the times that the store gave, 0
// for what the sender said. NULL: the bytes do not decode.
Hawser__Internal__StoredMessage *saver_redis_message(const redisReply *r, size_t at, size_t times);

// The sets of what there is to sweep and to sum up. is_new: the bucket had nothing, so what was
// written of it before may be gone.
void saver_bucket_announce(struct redis_store *s, const struct saver_step *of, bool is_new);
void saver_buckets_forget(struct saver_redis *s);
void saver_sweep_start(struct saver_redis *s);
void saver_sweep_stop(struct saver_redis *s);

#endif
