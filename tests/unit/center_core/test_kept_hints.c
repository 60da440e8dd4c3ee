// What a center keeps for a room out of reach: the newest head of each session, up to a bound.
#include "../suite.h"

#include "kept_hints.h"

static struct kept_hints k;

static enum hint_fate put(uint64_t room, uint64_t slot, uint64_t epoch, uint64_t seq) {
    return kept_hints_put(&k, &(struct hint_session){room, 30, slot},
                          &(struct hinted){1, epoch, seq});
}

static struct hint_room *room_of(uint64_t incarnation) {
    struct hint_room *room = NULL;
    HASH_FIND(hh, k.rooms, &incarnation, sizeof(incarnation), room);
    return room;
}

static void check_taken(uint64_t room, uint64_t slot, uint64_t epoch, uint64_t seq) {
    struct hint_session session;
    struct hinted about;
    ck_assert(kept_hints_take(room_of(room), &session, &about));
    ck_assert(session.incarnation == room && session.generation == 30 && session.slot == slot);
    ck_assert_uint_eq(about.product, 1);
    ck_assert_uint_eq(about.epoch, epoch);
    ck_assert_uint_eq(about.seq, seq);
}

// An older head, which took longer to fail, does not take the place of a newer one; one of another
// epoch does.
START_TEST(test_newest) {
    static const struct {
        uint64_t epoch, seq, kept_epoch, kept_seq;
    } rows[] = {{7, 6, 7, 6}, {7, 5, 7, 5}, {7, 4, 7, 5}, {8, 4, 8, 4}, {6, 9, 6, 9}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_int_eq(put(10, 1, 7, 5), HINT_OF_NEW_SESSION);
        ck_assert_int_eq(put(10, 1, rows[i].epoch, rows[i].seq), HINT_OF_KNOWN_SESSION);
        check_taken(10, 1, rows[i].kept_epoch, rows[i].kept_seq);
        ck_assert_ptr_null(room_of(10)->hints);
    }
    kept_hints_deinit(&k);
    ck_assert_ptr_null(k.rooms);
}
END_TEST

// Each session of each room has its own, and the first that came goes first; what is forgotten with
// its room is gone.
START_TEST(test_rooms) {
    struct hint_session session;
    struct hinted about;
    put(10, 1, 7, 5);
    put(10, 2, 7, 6);
    put(11, 1, 7, 7);
    put(10, 1, 7, 8);
    check_taken(10, 1, 7, 8);
    check_taken(10, 2, 7, 6);
    ck_assert(!kept_hints_take(room_of(10), &session, &about));
    kept_hints_forget(&k, 11);
    ck_assert_ptr_null(room_of(11));
    kept_hints_forget(&k, 12); // not there
    kept_hints_deinit(&k);
}
END_TEST

// A room too many sessions of which wait has no place for another one; those that it has go on.
START_TEST(test_bound) {
    for (uint64_t i = 0; i < HINTS_PER_ROOM_MAX; i++)
        ck_assert_int_eq(put(10, i, 7, 5), HINT_OF_NEW_SESSION);
    ck_assert_int_eq(put(10, HINTS_PER_ROOM_MAX, 7, 5), HINT_HAS_NO_PLACE);
    ck_assert_int_eq(put(10, 0, 7, 6), HINT_OF_KNOWN_SESSION);
    ck_assert_int_eq(put(11, 0, 7, 5), HINT_OF_NEW_SESSION);
    check_taken(10, 0, 7, 6);
    ck_assert_int_eq(put(10, HINTS_PER_ROOM_MAX, 7, 5), HINT_OF_NEW_SESSION);
    kept_hints_deinit(&k);
}
END_TEST

RUN_TESTS("kept_hints", test_newest, test_rooms, test_bound)
