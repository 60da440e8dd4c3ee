// Where a push goes and with what: its id, the logs that take it, whether its Idempotency-Key is
// claimed first, its times; and of a user's sessions those that are told of it.
#ifndef HW_AIM_H
#define HW_AIM_H

#include "cluster.pb-c.h"
#include "known_rows.h"
#include "message_id.h"
#include "push.h"
#include "saver.pb-c.h"

enum {
    AIM_RANDOM_BYTES = MESSAGE_ID_OWN_BYTES,
    APPEND_LAST_MOMENT_MS = 10000, // an append later than this is refused by the store
    ID_KEPT_MS = 30000,            // the ids of appends without a key
    CLAIM_KEPT_MORE_MS = 60000,    // than the ids of the appends behind it
    ANEW_KEPT_MS =
        8 * 24 * 3600 * 1000, // the ids of what is sent anew: a day more than the dead letter
};

struct aim {
    uint32_t product;
    char id[MESSAGE_ID_CHARS + 1];
    size_t logs;      // the inbox of each target, or the product's one log of broadcasts
    bool needs_claim; // of its key, in a record of its own, before anything is appended
    bool is_job;      // stored whole, once, and spread by all centers
    uint64_t sent_ms, expires_ms;
    uint64_t not_after_ms, id_kept_ms;
    Hawser__Internal__InboxLimits limits;
};

struct aim_from {
    uint32_t product;
    const Hawser__Internal__ProductLimits *limits;
    uint64_t store_ms; // the store's clock, by which messages live; 0 = not known
    uint64_t wall_ms;  // of this machine, when it is not
    uint8_t random[AIM_RANDOM_BYTES];
};
struct aim aim_push(const struct push *push, const struct aim_from *from);
size_t aim_logs(const struct push *push); // as aim_push has it, at once

// Of the log with that number: its user, NULL of the broadcasts.
const struct target *aim_target(const struct push *push, size_t log);
// In whose bucket the claim lies: where the one append would; NULL: in the product's own.
const char *aim_claim_user(const struct push *push);

// The message as the log with that number keeps it, or as it is handed over. Borrows from push and
// aim, and points into itself.
struct aimed {
    Hawser__Internal__StoredMessage message;
    Hawser__Internal__Audience audience;
};
// What is kept of a push's class, as the push had it; one that was live is not kept.
enum push_class class_of_stored(Hawser__Internal__MessageClass kept);
void aim_message(const struct push *push, const struct aim *aim, const struct target *target,
                 struct aimed *ret);

// A push goes on behind the claim of its key. The first claim of a key gives the times of all its
// repeats. The ids of the appends behind it are to be forgotten before the claim is
// (CLAIM_KEPT_MORE_MS), though no sooner than ID_KEPT_MS from now: an append that is remembered for
// longer than its claim could let another body under the same key be taken for one that is stored.
void aim_claimed(struct aim *aim, const Hawser__Internal__AppendReply *claim);

// A device that was told.
struct told {
    struct told *next;
    const char *device; // borrowed
    uint64_t generation, incarnation;
    bool was_not_here;
};
// Whether this session is not to be told: a device that may have the message is not given it again,
// neither by the session that had it nor by its next one; nor is a session asked twice that was not
// there.
bool told_rules_out(const struct told *told, const struct known_row *row);

#endif
