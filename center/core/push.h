// A push as it is asked for: read from its body and checked whole, before anything of it is done.
#ifndef HW_PUSH_H
#define HW_PUSH_H

#include "buf.h"
#include "targets.h"

// live: never stored, handed to who is there now; durable: committed in MariaDB first.
enum push_class { PUSH_STORED, PUSH_LIVE, PUSH_DURABLE };
const char *push_class_name(enum push_class class); // as the API calls it

struct push {           // borrows from the body
    struct targets to;  // owned
    struct buf payload; // owned
    const char *content_type;
    const char *collapse_key; // NULL = none
    enum push_class class;
    bool is_dry;                 // it is only checked
    uint64_t ttl_ms;             // 0 = the retention
    const char *idempotency_key; // NULL = none
    uint8_t body_hash[16];       // by push_hash, for a key: another body under it is refused
    struct {
        uint64_t epoch, seq;
    } anew; // where the dead letter was that it sends anew; seq 0: none
};

// What the product and the call allow.
struct push_rules {
    uint64_t payload_bytes, retention_s;
    bool in_batch; // the body has the Idempotency-Key
};

// False: p says why, and ret is as push_deinit leaves it.
bool push_read(const json_t *body, const struct push_rules *rules, struct push *ret,
               struct problem *p);
// Takes the Idempotency-Key of a head, borrowed.
bool push_take_key(struct push *push, const char *key, struct problem *p);
// Of a push with a key: what its body is known by. For the largest it takes as long as reading it.
void push_hash(struct push *push, const json_t *body);
void push_deinit(struct push *push);

#endif
