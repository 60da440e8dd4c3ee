// What the end of a call means: tried again while there is time, and then "certainly failed",
// "unknown" or "done"; and the pace of a product's pushes.
#include "../suite.h"

#include "retry.h"

// Only what was certainly not sent, or was refused by who would have done it, has certainly failed.
START_TEST(test_errors) {
    static const struct {
        int error;
        bool was_up;
        enum outcome outcome;
    } rows[] = {{0, true, OUTCOME_UNKNOWN},
                {-HW_EBUSY, true, OUTCOME_FAILED},
                {-HW_EUNIMPLEMENTED, true, OUTCOME_FAILED},
                {-HW_ESTORE, true, OUTCOME_FAILED},
                {-HW_EUNSAFE, true, OUTCOME_FAILED},
                {-HW_ELOADING, true, OUTCOME_FAILED},
                {-HW_EDRAINING, true, OUTCOME_FAILED},
                {-HW_ELINK, false, OUTCOME_FAILED},
                {-HW_ELINK, true, OUTCOME_UNKNOWN},
                {-HW_EDEADLINE, true, OUTCOME_UNKNOWN},
                {-HW_EDEADLINE, false, OUTCOME_UNKNOWN},
                {-HW_EOUTCOME, true, OUTCOME_UNKNOWN},
                {-HW_EMALFORMED, true, OUTCOME_UNKNOWN},
                {-HW_ECANCELLED, true, OUTCOME_UNKNOWN},
                {-99999, true, OUTCOME_UNKNOWN}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_int_eq(outcome_of_error(rows[i].error, rows[i].was_up), rows[i].outcome);
    ck_assert(is_lasting_error(-HW_EUNSAFE, 1));
    ck_assert(!is_lasting_error(-HW_ELOADING, 9) && !is_lasting_error(-HW_ESTORE, 9));
    ck_assert(!is_lasting_error(-HW_ECLASS, 5) && is_lasting_error(-HW_ECLASS, 6));
    ck_assert(!is_lasting_error(-HW_EBACKLOG, 5) && is_lasting_error(-HW_EBACKLOG, 6));
}
END_TEST

// Tries come at growing distances, and none begins at the end or later; that one may have been done
// is not forgotten when a later one certainly was not.
START_TEST(test_tries) {
    struct retry r = {.give_up_ms = 8000};
    uint64_t now = 0, wait = 0, last = 0;
    for (r.tries = 1; retry_missed(&r, r.tries == 2 ? OUTCOME_UNKNOWN : OUTCOME_FAILED, now, &wait);
         r.tries++) {
        ck_assert_int_eq(r.may_be_done, r.tries >= 2);
        ck_assert_uint_ge(wait, last);
        ck_assert_uint_gt(wait, 0);
        ck_assert_uint_le(wait, 2000);
        now += last = wait;
        ck_assert_uint_lt(now, 8000);
    }
    ck_assert_uint_gt(r.tries, 6);
    ck_assert_uint_ge(last, 1000);
    ck_assert(r.may_be_done);
    wait = 77;
    ck_assert(!retry_missed(&r, OUTCOME_FAILED, 8000, &wait));
    ck_assert_uint_eq(wait, 77);
    r.tries = 0; // the next one is 20 ms away
    ck_assert(!retry_missed(&r, OUTCOME_FAILED, 7980, &wait));
    ck_assert_uint_eq(wait, 77);
    ck_assert(retry_missed(&r, OUTCOME_FAILED, 7979, &wait));
    ck_assert_uint_eq(wait, 20);
}
END_TEST

// What a full inbox refused may be stored after all, where an earlier try is on its way. What a
// newer store answers is not taken for success.
START_TEST(test_answers) {
    static const struct {
        int answer;
        enum outcome outcome, after_another; // when an earlier try may be on its way
        enum problem_code problem;
    } rows[] = {
        {HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED, OUTCOME_DONE, OUTCOME_DONE, PROBLEM_NONE},
        {HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED, OUTCOME_DONE, OUTCOME_DONE,
         PROBLEM_NONE},
        {HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_MISMATCH, OUTCOME_FAILED, OUTCOME_FAILED,
         PROBLEM_idempotency_mismatch},
        {HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_TOO_LATE, OUTCOME_FAILED, OUTCOME_FAILED,
         PROBLEM_store_unavailable},
        {HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_FULL, OUTCOME_FAILED, OUTCOME_UNKNOWN,
         PROBLEM_inbox_full},
        {HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_IDS_FULL, OUTCOME_FAILED, OUTCOME_UNKNOWN,
         PROBLEM_idempotency_full},
        {HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_UNSERVED, OUTCOME_FAILED, OUTCOME_FAILED,
         PROBLEM_invalid_value},
        {99, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, PROBLEM_store_unavailable}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (int after = 0; after < 2; after++) {
            struct verdict v =
                verdict_of_append((Hawser__Internal__AppendOutcome)rows[i].answer, after);
            enum outcome wanted = after ? rows[i].after_another : rows[i].outcome;
            ck_assert_int_eq(v.outcome, wanted);
            ck_assert_int_eq(v.problem, wanted == OUTCOME_UNKNOWN ? PROBLEM_store_unavailable
                                                                  : rows[i].problem);
            ck_assert_int_eq(v.why == NULL, wanted == OUTCOME_DONE);
        }
    ck_assert_int_eq(verdict_of_silence(-HW_ESTORE, false).outcome, OUTCOME_FAILED);
    ck_assert_int_eq(verdict_of_silence(-HW_ESTORE, true).outcome, OUTCOME_UNKNOWN);
    ck_assert_int_eq(verdict_of_silence(-HW_ESTORE, false).problem, PROBLEM_store_unavailable);
    ck_assert_int_eq(outcome_of_error(-HW_ECLASS, true), OUTCOME_FAILED);
    ck_assert_int_eq(outcome_of_error(-HW_EBACKLOG, true), OUTCOME_FAILED);
    ck_assert_int_eq(verdict_of_silence(-HW_EBACKLOG, false).problem, PROBLEM_store_unavailable);
    ck_assert_int_eq(verdict_of_silence(-HW_ECLASS, false).problem, PROBLEM_class_unavailable);
    ck_assert_int_eq(verdict_of_silence(-HW_ECLASS, true).problem, PROBLEM_store_unavailable);
}
END_TEST

// What an earlier try of the same call may have stored is new to its client, and to its user.
START_TEST(test_replays) {
    for (int may_be_done = 0; may_be_done < 2; may_be_done++) {
        struct retry r = {.tries = 2, .may_be_done = may_be_done};
        ck_assert_int_eq(retry_is_replay(&r, HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED),
                         !may_be_done);
        ck_assert(!retry_is_replay(&r, HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED));
    }
}
END_TEST

// A refusal of the whole has stored nothing: where one log has the message, or may have it, the
// push's outcome is unknown.
START_TEST(test_of_many) {
    static const struct {
        enum problem_code first;
        bool is_unknown, some_have_it;
        enum problem_code code; // of the whole
        bool says_unknown;
    } rows[] = {{PROBLEM_NONE, false, true, PROBLEM_NONE, false},
                {PROBLEM_NONE, false, false, PROBLEM_NONE, false},
                {PROBLEM_inbox_full, false, false, PROBLEM_inbox_full, false},
                {PROBLEM_inbox_full, false, true, PROBLEM_store_unavailable, true},
                {PROBLEM_idempotency_mismatch, true, false, PROBLEM_store_unavailable, true},
                {PROBLEM_store_unavailable, false, false, PROBLEM_store_unavailable, false},
                {PROBLEM_store_unavailable, true, false, PROBLEM_store_unavailable, true}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct problem p = {.code = rows[i].first, .outcome_unknown = rows[i].is_unknown};
        problem_of_push(&p, rows[i].some_have_it);
        ck_assert_int_eq(p.code, rows[i].code);
        ck_assert_int_eq(p.outcome_unknown, rows[i].says_unknown);
    }
}
END_TEST

RUN_TESTS("retry", test_errors, test_tries, test_answers, test_replays, test_of_many)
