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
    ck_assert(!f->row[0]->online && f->row[0]->ended);
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

static inline const Hawser__Internal__ConfirmReply *
confirm_until(struct bed *b, uint64_t not_after_ms, uint64_t generation) {
    Hawser__Internal__ConfirmRequest q = HAWSER__INTERNAL__CONFIRM_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)"u";
    q.device = (char *)"d";
    q.room = (char *)"room-a";
    q.incarnation = 11;
    q.slot = 7;
    q.generation = generation;
    q.not_after_ms = not_after_ms;
    return ask(b, &q.base);
}

// Whether a confirmation after its last moment is not decided, and leaves the row as it is: of that
// run, whether live or not, or no row at all (0).
static inline void check_writes_nothing(struct bed *b, uint64_t generation, uint64_t run,
                                        bool is_online) {
    const Hawser__Internal__ConfirmReply *c = confirm_until(b, 1, generation);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_UNDECIDED);
    ck_assert_ptr_null(c->replaced);
    ck_assert_uint_eq(online(b), is_online);
    const Hawser__Internal__FindReply *f = find(b);
    ck_assert_uint_eq(f->n_row, run != 0);
    if (run != 0)
        ck_assert(f->row[0]->incarnation == run && f->row[0]->online == is_online);
}

// What is done after its last moment may be of a session that has ended since: it writes no row.
static inline void check_confirm_late(struct bed *b) {
    rooms_live(b);
    uint64_t now = announce(b, "a", 11, 0, 60000)->store_ms, in_time = now + 60000;
    check_writes_nothing(b, now, 0, false);
    uint64_t g = ROW(b, .incarnation = 11, .slot = 7)->generation;
    uint64_t newer = ROW(b, .incarnation = 22, .slot = 8)->generation;
    ck_assert_int_eq(confirm_until(b, 1, g)->outcome,
                     HAWSER__INTERNAL__CONFIRMED__CONFIRMED_SUPERSEDED);
    check_writes_nothing(b, newer + 100, 22, true); // of a store that went back
    ck_assert(drop(b, 22, newer));
    check_writes_nothing(b, g, 22, false);
    // In time it is written; what is asked late of a row that is the session's is answered as ever.
    uint64_t own = confirm_until(b, in_time, g)->generation;
    ck_assert_uint_gt(own, newer);
    const Hawser__Internal__ConfirmReply *c = confirm_until(b, 1, g);
    ck_assert_int_eq(c->outcome, HAWSER__INTERNAL__CONFIRMED__CONFIRMED_REWRITTEN);
    ck_assert_uint_eq(c->generation, own);
    ck_assert_int_eq(confirm_until(b, 1, own)->outcome,
                     HAWSER__INTERNAL__CONFIRMED__CONFIRMED_HELD);
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
