// What every register store keeps of rows that are dropped, confirmed and void.
#ifndef HW_CONTRACT_ROWS_H
#define HW_CONTRACT_ROWS_H

#include "register_bed.h"

// Rows change only by the incarnation and generation they hold.
static inline void check_drop(struct bed *b) {
    rooms_live(b);
    uint64_t g = ROW(b, .incarnation = 11, .slot = 7)->generation;
    ck_assert(!drop(b, 22, g));
    ck_assert(!drop(b, 11, g - 1));
    ck_assert_uint_eq(online(b), 1);
    ck_assert(drop(b, 11, g));
    ck_assert(!drop(b, 11, g));
    ck_assert_uint_eq(online(b), 0);
    const Hawser__Internal__FindReply *f = find(b);
    ck_assert_uint_eq(f->n_row, 1);
    ck_assert(!f->row[0]->online);
    ck_assert_uint_gt(f->row[0]->last_seen_ms, 0);
    ck_assert_uint_gt(ROW(b, .incarnation = 22)->generation, g);
}

static inline void check_confirm(struct bed *b) {
    rooms_live(b);
    uint64_t g = ROW(b, .incarnation = 11, .slot = 7)->generation;
    ck_assert_int_eq(confirm(b, 11, 7, g)->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_HELD);
    // A newer session elsewhere.
    uint64_t newer = ROW(b, .incarnation = 22, .slot = 8)->generation;
    const Hawser__Internal__ConfirmReply *c = confirm(b, 11, 7, g);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_SUPERSEDED);
    ck_assert_uint_eq(c->generation, newer);
    // It is dropped: the older one takes its place, above it.
    ck_assert(drop(b, 22, newer));
    c = confirm(b, 11, 7, g);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
    uint64_t own = c->generation;
    ck_assert_uint_gt(own, newer);
    ck_assert_uint_eq(find(b)->row[0]->incarnation, 11);
    // The answer was lost: the same question again is answered the same.
    c = confirm(b, 11, 7, g);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
    ck_assert_uint_eq(c->generation, own);
    // What its room dropped is not brought back by a question that was held up.
    ck_assert(drop(b, 11, own));
    ck_assert_int_eq(confirm(b, 11, 7, own)->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_HELD);
    ck_assert_uint_eq(online(b), 0);
}

// Two sessions below the row of a third that is over. The older one asks first and is given the
// row; the newer one is given it back, and it is said who had it.
static inline void check_confirm_two_below(struct bed *b) {
    rooms_live(b);
    uint64_t older = ROW(b, .incarnation = 11, .slot = 7)->generation;
    uint64_t newer = ROW(b, .incarnation = 22, .slot = 8)->generation;
    uint64_t late = ROW(b, .incarnation = 11, .slot = 9)->generation;
    ck_assert(drop(b, 11, late));
    const Hawser__Internal__ConfirmReply *c = confirm(b, 11, 7, older);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
    ck_assert_ptr_null(c->replaced);
    uint64_t given = c->generation;
    ck_assert_uint_gt(given, late);
    c = confirm(b, 22, 8, newer);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
    ck_assert_uint_gt(c->generation, given);
    ck_assert_uint_eq(c->replaced->incarnation, 11);
    ck_assert_uint_eq(c->replaced->slot, 7);
    ck_assert_uint_eq(c->replaced->generation, given);
    uint64_t again = c->generation;
    ck_assert_uint_eq(online(b), 1);
    // By what its login gave it the older one stays below, however high the row has made it.
    c = confirm_login(b, 11, 7, given, older);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_SUPERSEDED);
    ck_assert_ptr_null(c->replaced);
    ck_assert(drop(b, 22, again));
    ck_assert_int_eq(confirm_login(b, 11, 7, given, older)->outcome,
                     HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
}

// A store that went back has a row below the session that asks: it takes that, and it is said who
// had it.
static inline void check_confirm_above(struct bed *b) {
    rooms_live(b);
    uint64_t held = ROW(b, .incarnation = 22, .slot = 8)->generation;
    const Hawser__Internal__ConfirmReply *c = confirm(b, 11, 7, held + 100);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
    ck_assert_uint_eq(c->generation, held + 100);
    ck_assert_uint_eq(c->replaced->incarnation, 22);
    ck_assert_uint_eq(c->replaced->slot, 8);
    ck_assert_uint_eq(c->replaced->generation, held);
    // What is one's own is nobody else's.
    ck_assert_ptr_null(confirm(b, 11, 7, held + 200)->replaced);
    ck_assert_uint_eq(online(b), 1);
}

// What a broken peer may ask for is a row like any other.
static inline void check_confirm_zeros(struct bed *b) {
    rooms_live(b);
    (void)confirm(b, 0, 0, 0);
    ck_assert_uint_le(find(b)->n_row, 1);
}

// A missing row is written again.
static inline void check_confirm_missing(struct bed *b) {
    rooms_live(b);
    const Hawser__Internal__ConfirmReply *c = confirm(b, 11, 3, 500);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
    ck_assert_uint_eq(c->generation, 500);
    ck_assert_uint_eq(find(b)->row[0]->generation, 500);
    ck_assert_uint_eq(online(b), 1);
}

// Rows of a run whose lease ended are void at once, but it may come back; after a good-bye not.
static inline void check_void_rows(struct bed *b) {
    rooms_live(b);
    uint64_t g = ROW(b, .incarnation = 11, .slot = 7)->generation;
    uint64_t newer = ROW(b, .incarnation = 22, .slot = 8)->generation;
    announce(b, "b", 22, 0, 1);
    let_it_be_seen(b);
    loop_step(b->loop, 20);
    watch(b, 0, 0, 0, 0);
    let_it_be_seen(b);
    ck_assert(!find(b)->row[0]->online);
    ck_assert_uint_eq(online(b), 0);
    ck_assert_int_eq(confirm(b, 11, 7, g)->outcome,
                     HAWSER__INTERNAL__CONFIRMED__CONFIRMED_UNDECIDED);
    announce(b, "b", 22, 0, 60000);
    let_it_be_seen(b);
    ck_assert(find(b)->row[0]->online);
    Hawser__Internal__WithdrawRequest w = HAWSER__INTERNAL__WITHDRAW_REQUEST__INIT;
    w.incarnation = 22;
    ask(b, &w.base);
    let_it_be_seen(b);
    const Hawser__Internal__ConfirmReply *c = confirm(b, 11, 7, g);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
    ck_assert_uint_gt(c->generation, newer);
}

#endif
