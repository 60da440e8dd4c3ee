// A daemon's store, whatever lies behind it: what saver and register ask, and the simulation's and
// the tests' stores are. saver and register each have two backends that are held to one contract
// test suite: memory (memory_store.h, for trials and the simulation) and Redis (redis_store.h).
// store_step.h is what a backend is made of, store_pair.h a store over two others, store_open.h how
// the configuration names one.
//
// A call is a request of one of the daemon's methods (proto/methods.h): its type says which, and
// the reply is of the type that belongs to it. Each is one atomic step.
#ifndef HW_STORE_H
#define HW_STORE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

// error 0: reply is valid during the call. -HW_ESTORE: not done; -HW_EOUTCOME: may be done;
// -HW_ECLASS: not done, since the back of a pair is away; -HW_EBACKLOG: since it is behind.
typedef void store_done_fn(void *arg, int error, const ProtobufCMessage *reply);

struct store;
// done is called once, never before this returns. The request is the caller's.
void store_call(struct store *s, const ProtobufCMessage *request, store_done_fn *done, void *arg);

const char *store_down_reason(struct store *s); // NULL = it answers
bool store_is_coming(struct store *s);          // down, but met: worth waiting for
// The key of the configuration that opened the store that is down, and its URL as it may be shown;
// NULL: it was opened otherwise.
const char *store_opened_by(struct store *s);
// How often it has come up: whenever that changes it may be another server's, or have other data.
// 0: it has not yet, or is never otherwise than it was.
uint64_t store_ups(struct store *s);
bool store_is_in_memory(const struct store *s); // so that no other daemon knows what is in it

void store_free(struct store *s); // what is open completes with -HW_ECANCELLED

struct store_counts {
    uint64_t errors, outcome_unknown;
};
// From now on it counts there, until it is freed.
void store_count_into(struct store *s, struct store_counts *counts);
#define STORE_METRICS(type, field)                                                                 \
    DAEMON_COUNTER(type, field.errors, "store_errors_total",                                       \
                   "steps that the store did not answer"),                                         \
        DAEMON_COUNTER(type, field.outcome_unknown, "outcome_unknown_total",                       \
                       "of these, steps that may have been done")

#endif
