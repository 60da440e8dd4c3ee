// Users' sessions as a center knows them: believed only as long as nobody can have come since.
#include "../suite.h"

#include "known_rows.h"

enum { ROWS_MAX = 20 };

static struct known_rows k;
static struct rows_of of;
static Hawser__Internal__SessionRow rows[ROWS_MAX];
static Hawser__Internal__FindReply reply;

// A user with a session and a device that has logged out.
static void setup(void) {
    static Hawser__Internal__SessionRow *list[ROWS_MAX];
    known_rows_init(&k, (const uint8_t[16]){1});
    of = (struct rows_of){1, "ann", {7, 3, 5}, 1000};
    hawser__internal__find_reply__init(&reply);
    for (int i = 0; i < ROWS_MAX; i++) {
        hawser__internal__session_row__init(list[i] = &rows[i]);
        rows[i].incarnation = 10;
        rows[i].slot = 20 + (uint64_t)i;
        rows[i].generation = 30;
        rows[i].device = (char *)(uintptr_t) "phone";
        rows[i].online = i != 1;
        rows[i].ended = i == 1;
    }
    reply.n_row = 2;
    reply.row = list;
}

static size_t known(void) {
    const struct known_user *u = known_rows_find(&k, &of);
    return u ? u->count : 0;
}

// What was found is known, until an append tells of another number of arrivals, of another log or
// another history of the store; then it is forgotten, also for who would come with the old number.
START_TEST(test_arrivals) {
    static const struct arrivals others[] = {{7, 3, 6}, {7, 3, 4}, {8, 3, 5}, {7, 4, 5}, {7, 3, 0}};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        setup();
        ck_assert_uint_eq(known(), 0);
        known_rows_keep(&k, &of, &reply);
        ck_assert_uint_eq(known(), 1);
        const struct known_row *row = known_rows_find(&k, &of)->row;
        ck_assert(row->incarnation == 10 && row->slot == 20 && row->generation == 30);
        ck_assert_str_eq(row->device, "phone");
        of.arrivals = others[i];
        ck_assert_uint_eq(known(), 0);
        of.arrivals = (struct arrivals){7, 3, 5};
        ck_assert_uint_eq(known(), others[i].count == 0); // which says nothing
        known_rows_deinit(&k);
        ck_assert_uint_eq(k.bytes, 0);
    }
}
END_TEST

// Each user of each product for himself; forgotten when a session was not where it should be.
START_TEST(test_users) {
    setup();
    known_rows_keep(&k, &of, &reply);
    of.product = 2;
    ck_assert_uint_eq(known(), 0);
    known_rows_keep(&k, &of, &reply);
    of.user = "bob";
    ck_assert_uint_eq(known(), 0);
    known_rows_forget(&k, 2, "bob");
    known_rows_forget(&k, 1, "ann");
    of.user = "ann";
    ck_assert_uint_eq(known(), 1);
    of.product = 1;
    ck_assert_uint_eq(known(), 0);
    known_rows_deinit(&k);
}
END_TEST

// A row that is neither online nor ended may come back to life without an arrival; nor is anything
// kept of who has no session, has too many, or of an append that told of no arrivals.
START_TEST(test_what_is_not_kept) {
    static const struct {
        bool ended;
        size_t rows;
        uint64_t count;
        size_t known;
    } cases[] = {{true, 2, 5, 1}, {false, 2, 5, 0},  {true, 0, 5, 0},
                 {true, 2, 0, 0}, {true, 17, 5, 16}, {true, 18, 5, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setup();
        known_rows_keep(&k, &of, &reply); // what was known before goes
        rows[1].ended = cases[i].ended;
        reply.n_row = cases[i].rows;
        of.arrivals.count = cases[i].count;
        known_rows_keep(&k, &of, &reply);
        of.arrivals.count = 5;
        ck_assert_uint_eq(known(), cases[i].known);
        known_rows_deinit(&k);
    }
}
END_TEST

// Believed for a minute; and the oldest go when they hold more bytes than they may.
START_TEST(test_bounds) {
    char user[16];
    setup();
    known_rows_keep(&k, &of, &reply);
    of.now_ms += KNOWN_ROWS_MS - 1;
    ck_assert_uint_eq(known(), 1);
    of.now_ms++;
    ck_assert_uint_eq(known(), 0);
    ck_assert_uint_eq(k.bytes, 0);
    of.user = user;
    for (int i = 0; k.displaced == 0; i++) {
        snprintf(user, sizeof(user), "%d", i);
        known_rows_keep(&k, &of, &reply);
        ck_assert_uint_le(k.bytes, KNOWN_ROWS_BYTES_MAX);
    }
    ck_assert_uint_eq(known(), 1); // the last one
    snprintf(user, sizeof(user), "0");
    ck_assert_uint_eq(known(), 0);
    of.now_ms += KNOWN_ROWS_MS; // all others are too old now
    known_rows_keep(&k, &of, &reply);
    ck_assert_uint_eq(HASH_COUNT(k.users), 1);
    ck_assert_uint_eq(k.displaced, 1);
    known_rows_deinit(&k);
}
END_TEST

RUN_TESTS("known_rows", test_arrivals, test_users, test_what_is_not_kept, test_bounds)
