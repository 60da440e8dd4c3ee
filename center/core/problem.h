// What is wrong with a request, or was with a call for it: a value that becomes the
// application/problem+json of an answer, or of one result of a batch.
#ifndef HW_PROBLEM_H
#define HW_PROBLEM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"

// code, HTTP status, title
#define PROBLEMS(X)                                                                                \
    X(malformed, 400, "The request is malformed")                                                  \
    X(unauthorized, 401, "A valid key is needed")                                                  \
    X(forbidden, 403, "This key may not do that")                                                  \
    X(not_found, 404, "Not found")                                                                 \
    X(method_not_allowed, 405, "This path does not have that method")                              \
    X(idempotency_mismatch, 409, "The Idempotency-Key was used with another body")                 \
    X(state_conflict, 409, "The state does not allow it")                                          \
    X(unknown_field, 422, "An unknown field")                                                      \
    X(missing_field, 422, "A field is missing")                                                    \
    X(invalid_value, 422, "A value is not allowed")                                                \
    X(conflicting_fields, 422, "Fields that exclude each other")                                   \
    X(payload_too_large, 422, "The payload is too large")                                          \
    X(rate_limited, 429, "Too many pushes")                                                        \
    X(quota_exceeded, 429, "More than a product may do at a time")                                 \
    X(idempotency_full, 429, "Too many Idempotency-Keys are remembered")                           \
    X(class_unavailable, 503, "This class cannot be stored now")                                   \
    X(store_unavailable, 503, "The store cannot be reached")                                       \
    X(overloaded, 503, "Too much work in progress")                                                \
    X(inbox_full, 507, "The user's inbox is full")
enum problem_code {
    PROBLEM_NONE,
#define PROBLEM_ENUM(code, status, title) PROBLEM_##code,
    PROBLEMS(PROBLEM_ENUM)
#undef PROBLEM_ENUM
};

struct problem {
    enum problem_code code; // PROBLEM_NONE: no fault
    char field[160];        // "" = none
    char detail[256];
    bool outcome_unknown; // of a 503: it may have been done
};
// Sets p (first one wins) and returns false, for `return problem_set(...)`.
bool problem_set(struct problem *p, enum problem_code code, const char *field, const char *format,
                 ...) HW_PRINTF(4, 5);
int problem_status(enum problem_code code);
const char *problem_name(enum problem_code code);
json_t *problem_json(const struct problem *p, const char *request_id); // a new reference

#endif
