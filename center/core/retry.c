#include "retry.h"

enum { RETRY_FIRST_MS = 20, DOUBLINGS_MAX = 6, CLASS_TRIES_MAX = 6 };

enum outcome outcome_of_error(int error, bool was_up) {
    switch (-error) {
    case HW_EBUSY: // not sent
    case HW_EUNIMPLEMENTED:
    case HW_ESTORE:
    case HW_EUNSAFE:
    case HW_ELOADING:
    case HW_ECLASS:
    case HW_EBACKLOG:
    case HW_EDRAINING:
        return OUTCOME_FAILED;
    case HW_ELINK: // by a link that was down already it was not sent
        return was_up ? OUTCOME_UNKNOWN : OUTCOME_FAILED;
    default:
        return OUTCOME_UNKNOWN;
    }
}

bool is_lasting_error(int error, unsigned tries) {
    bool is_of_mariadb = error == -HW_ECLASS || error == -HW_EBACKLOG;
    return error == -HW_EUNSAFE || (is_of_mariadb && tries >= CLASS_TRIES_MAX);
}

bool retry_missed(struct retry *r, enum outcome outcome, uint64_t now_ms, uint64_t *ret_wait_ms) {
    unsigned doublings = r->tries < DOUBLINGS_MAX ? r->tries : DOUBLINGS_MAX;
    uint64_t wait_ms = (uint64_t)RETRY_FIRST_MS << doublings;
    if (outcome == OUTCOME_UNKNOWN)
        r->may_be_done = true;
    if (now_ms + wait_ms >= r->give_up_ms)
        return false;
    *ret_wait_ms = wait_ms;
    return true;
}

bool retry_is_replay(const struct retry *r, Hawser__Internal__AppendOutcome answer) {
    return answer == HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED && !r->may_be_done;
}

struct verdict verdict_of_silence(int error, bool may_be_stored) {
    bool is_class = error == -HW_ECLASS && !may_be_stored;
    return (struct verdict){may_be_stored ? OUTCOME_UNKNOWN : OUTCOME_FAILED,
                            is_class ? PROBLEM_class_unavailable : PROBLEM_store_unavailable,
                            hw_strerror(error), NULL};
}

static struct verdict no_place(enum problem_code problem, const char *why, bool may_be_stored) {
    if (may_be_stored)
        return (struct verdict){OUTCOME_UNKNOWN, PROBLEM_store_unavailable, why, NULL};
    return (struct verdict){OUTCOME_FAILED, problem, why, NULL};
}

struct verdict verdict_of_append(Hawser__Internal__AppendOutcome answer, bool may_be_stored) {
    switch (answer) {
    case HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED:
    case HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED:
        return (struct verdict){OUTCOME_DONE, PROBLEM_NONE, NULL, NULL};
    case HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_MISMATCH:
        return (struct verdict){OUTCOME_FAILED, PROBLEM_idempotency_mismatch,
                                "this Idempotency-Key was used with another body", NULL};
    case HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_TOO_LATE: // the tries before it are as late
        return (struct verdict){OUTCOME_FAILED, PROBLEM_store_unavailable,
                                "the store was reached too late", NULL};
    case HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_FULL:
        return no_place(PROBLEM_inbox_full, "the inbox is full, and the product refuses more",
                        may_be_stored);
    case HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_IDS_FULL:
        return no_place(PROBLEM_idempotency_full, "too many Idempotency-Keys are remembered",
                        may_be_stored);
    case HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_UNSERVED: // by none: they have one configuration
        return (struct verdict){OUTCOME_FAILED, PROBLEM_invalid_value,
                                "durable needs a MariaDB, and the savers have none", "class"};
    case HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_JOBS_FULL:
        return no_place(PROBLEM_quota_exceeded,
                        "too many pushes to many targets, or too large ones, are under way",
                        may_be_stored);
    case _HAWSER__INTERNAL__APPEND_OUTCOME_IS_INT_SIZE:
        break;
    }
    // A newer saver's answer.
    return (struct verdict){OUTCOME_UNKNOWN, PROBLEM_store_unavailable,
                            "the store answered what this version does not know", NULL};
}

void problem_of_push(struct problem *p, bool some_have_it) {
    if (p->code == PROBLEM_NONE || (!some_have_it && !p->outcome_unknown))
        return;
    p->code = PROBLEM_store_unavailable;
    p->outcome_unknown = true;
}
