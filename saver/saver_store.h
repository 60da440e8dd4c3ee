// What a saver keeps: a store (common/store/store.h) whose calls are the methods of saver.proto. An
// append whose outcome is unknown is repeated with the same id.
#ifndef HW_SAVER_STORE_H
#define HW_SAVER_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "saver.pb-c.h"
#include "shared_limits.h"
#include "store.h"
#include "streams.h"

enum {
    DROPPED_RANGES_MAX = 64,
    BROADCAST_MESSAGES_MAX = 10000,
    BROADCAST_BYTES_MAX = 16 * 1024 * 1024,
    ID_KEPT_MIN_MS = 30000,
    COLLAPSE_KEYS_MAX = 4,   // of an inbox: of more, the one whose message is the oldest goes
    COLLAPSE_SKEW_MS = 1000, // centers reckon when a message was sent: as far apart as that
    LOAD_BYTES_MAX = 4 * 1024 * 1024,
    KNOWN_MAX = 16,      // devices of a user that an attach may name
    ACKS_MAX = 16,       // positions of an ack, sums of a report
    SUM_IDS_MAX = 10000, // of sums that were counted: the oldest are forgotten first
    // A message is parked for a device after so many attempts in so many sessions and so long.
    PARK_ATTEMPTS = 5,
    PARK_SESSIONS = 3,
    PARK_LEAST_MS = 10 * 60 * 1000,
    ATTEMPTS_COUNTED_MAX = 200,         // of one message
    DEAD_LETTERS_MAX = 100,             // of a user
    UNPARK_MAX = 16,                    // seqs of one call
    OUTCOMES_MAX = 1000,                // of an answer
    JOBS_OPEN_MAX = 100,                // of a product, under way
    JOBS_BYTES_MAX = 64 * 1024 * 1024,  // of these, with their targets
    JOBS_KEPT_MAX = 1000,               // of a product: the oldest that is done goes first
    JOBS_LISTED_MAX = 1000,             // of one answer
    RECALL_ENTRIES_MAX = 500,           // looked at by one step of a recall
    RECALL_BYTES_MAX = 2 * 1024 * 1024, // likewise; the last entry may pass it
    RESTART_SEQS_PER_S =
        1 << 20, // another history of the data: the next seq is at least Unix seconds x this
};
#define BROADCAST_RETENTION_MS (UINT64_C(7) * 24 * 3600 * 1000)
#define DEAD_LETTER_KEPT_MS (UINT64_C(7) * 24 * 3600 * 1000)

// Of the log that a message goes to. UINT64_MAX: none.
struct append_limits {
    uint64_t messages, bytes, kept_ms;
    bool is_reject_new;
};
static inline struct append_limits append_limits_of(const Hawser__Internal__AppendRequest *a) {
    const Hawser__Internal__InboxLimits *l = a->limits;
    if (a->stream != STREAM_INBOX)
        return (struct append_limits){BROADCAST_MESSAGES_MAX, BROADCAST_BYTES_MAX,
                                      BROADCAST_RETENTION_MS, false};
    return (struct append_limits){l ? l->messages : UINT64_MAX, l ? l->bytes : UINT64_MAX,
                                  l && l->retention_ms ? l->retention_ms : BROADCAST_RETENTION_MS,
                                  l && l->reject_new};
}

// What a store goes by: those of the request, or else what DELIVERY says. Of
// sessions 1..PARK_SESSIONS.
struct park_limits {
    uint64_t attempts, sessions, least_ms, letters, kept_ms;
};
static inline struct park_limits park_limits_of(const Hawser__Internal__AttemptRequest *q) {
    const Hawser__Internal__ParkLimits *l = q->limits;
    if (!l || l->sessions < 1 || l->sessions > PARK_SESSIONS)
        return (struct park_limits){PARK_ATTEMPTS, PARK_SESSIONS, PARK_LEAST_MS, DEAD_LETTERS_MAX,
                                    DEAD_LETTER_KEPT_MS};
    return (struct park_limits){l->attempts, l->sessions, l->least_ms, l->letters, l->kept_ms};
}

static inline uint32_t jobs_listed(uint32_t limit) { // of one answer
    return limit > 0 && limit < JOBS_LISTED_MAX ? limit : JOBS_LISTED_MAX;
}

static inline uint32_t job_lease_ms(uint32_t asked_ms) {
    return asked_ms > 0 && asked_ms < JOB_LEASE_MS ? asked_ms : JOB_LEASE_MS;
}

struct loop;
struct store *saver_store_memory(struct loop *l);
// For the simulation and the tests: from now on the data is of that history (a new store's: 1), as
// after a fail-over.
void saver_store_memory_is_of(struct store *s, uint64_t history);
struct redis_options;
// Sweeps what is due by itself. on_state, arg and old_key of the options are its own.
struct store *saver_store_redis(const struct redis_options *o);

#endif
