// What every store owes about attempts, parking and dead letters. Each case gets a fresh store.
#ifndef HW_CONTRACT_PARKED_H
#define HW_CONTRACT_PARKED_H

#include "contract_devices.h"

// Parked at the first attempt, so that a case is about something else.
static inline Hawser__Internal__ParkLimits *at_once(void) {
    static Hawser__Internal__ParkLimits limits;
    hawser__internal__park_limits__init(&limits);
    limits.attempts = limits.sessions = 1;
    limits.letters = 100;
    limits.kept_ms = 1000000;
    return &limits;
}

static inline const char *bed_ends(struct bed *b) { // acked/pending/expired/overflowed parked
    uint64_t parked = bed_sums(b).parked;
    bed_stats(b);
    bed_printf(b, " %" PRIu64, parked);
    return b->text;
}

#define PARK_AT_ONCE(b, name, seq)                                                                 \
    ck_assert_str_eq(ATTEMPT(b, .user = "u", .device = name, .generation = 1, .after = (seq)-1,    \
                             .upto = (seq), .limits = at_once()),                                  \
                     "parked")

// So many messages, and two devices that have handled none.
static inline void two_devices(struct bed *b, unsigned messages) {
    store_many(b, STREAM_INBOX, "u", 1, messages);
    ATTACH(b, .user = "u", .device = "a", .generation = 1);
    ATTACH(b, .user = "u", .device = "b", .generation = 1);
}

// Not before so many attempts, nor before so many sessions, nor before so long. What the device did
// not have, has handled, or was sent behind the first one does not count; nor what was of another
// log, or of a device that is not known.
static inline void case_attempts(struct bed *b) {
    Hawser__Internal__ParkLimits *limits = at_once();
    limits->attempts = 4;
    limits->sessions = 3;
    store_many(b, STREAM_INBOX, "u", 1, 3);
    ATTACH(b, .user = "u", .device = "a", .generation = 5);
    ACK(b, .user = "u", .device = "a", .generation = 5, .seq = 1);
    struct tried t = {.user = "u", .device = "a", .generation = 5, .after = 1, .limits = limits};
    t.upto = 1;
    ck_assert_str_eq(bed_attempt(b, &t), ""); // it had only what it has handled
    t.upto = 3;
    t.after = 2;
    ck_assert_str_eq(bed_attempt(b, &t), ""); // an ack of the first is on its way
    t.after = 1;
    ck_assert_str_eq(ATTEMPT(b, .user = "u", .device = "a", .of_another_log = true, .upto = 9), "");
    ck_assert_str_eq(ATTEMPT(b, .user = "u", .device = "b", .upto = 3), "");
    ck_assert_str_eq(ATTEMPT(b, .user = "nobody", .device = "a", .upto = 3), "");
    for (int i = 0; i < 4; i++)
        ck_assert_str_eq(bed_attempt(b, &t), "counted");
    t.generation = 6;
    ck_assert_str_eq(bed_attempt(b, &t), "counted");
    t.generation = 5; // told late
    ck_assert_str_eq(bed_attempt(b, &t), "counted");
    t.generation = 7;
    limits->least_ms = 600000;
    ck_assert_str_eq(bed_attempt(b, &t), "counted"); // in three sessions, but not for so long
    ck_assert_str_eq(bed_ends(b), "1/2/0/0 0");
    limits->least_ms = 0;
    ck_assert_str_eq(bed_attempt(b, &t), "parked");
    ck_assert_str_eq(bed_attempt(b, &t), "parked"); // and stays so
    ck_assert_str_eq(bed_ends(b), "1/1/0/0 1");
    ck_assert_str_eq(bed_letters(b, "u", 0, 9), "2(a)");
}

// Where the room says nothing else: five attempts in three sessions and ten minutes, a hundred dead
// letters for a week each.
static inline void case_park_limits(struct bed *b) {
    Hawser__Internal__AttemptRequest q = HAWSER__INTERNAL__ATTEMPT_REQUEST__INIT;
    struct park_limits limits = park_limits_of(&q);
    ck_assert(limits.attempts == 5 && limits.sessions == 3 && limits.least_ms == 600000);
    ck_assert(limits.letters == 100 && limits.kept_ms == UINT64_C(604800000));
    store_many(b, STREAM_INBOX, "u", 1, 1);
    ATTACH(b, .user = "u", .device = "a", .generation = 1);
    for (uint64_t i = 1; i < 9; i++)
        ck_assert_str_eq(ATTEMPT(b, .user = "u", .device = "a", .generation = i, .upto = 1),
                         "counted");
}

// Attempts are forgotten when the device has come past them, and begin anew where it went back.
static inline void case_attempts_forgotten(struct bed *b) {
    Hawser__Internal__ParkLimits *limits = at_once();
    limits->attempts = 2;
    store_many(b, STREAM_INBOX, "u", 1, 3);
    uint64_t epoch = bed_head(b, STREAM_INBOX, "u").epoch;
    ATTACH(b, .user = "u", .device = "a", .generation = 5);
    ATTACH(b, .user = "u", .device = "lags", .generation = 5);
    struct tried t = {.user = "u", .device = "a", .generation = 5, .upto = 3, .limits = limits};
    ck_assert_str_eq(bed_attempt(b, &t), "counted");
    ACK(b, .user = "u", .device = "a", .generation = 5, .seq = 1);
    ck_assert_str_eq(bed_attempt(b, &t), "counted"); // of the second
    ATTACH(b, .user = "u", .device = "a", .generation = 6, .have = true, .epoch = epoch, .seq = 2);
    ATTACH(b, .user = "u", .device = "a", .generation = 7, .have = true, .epoch = epoch, .seq = 1);
    ck_assert_str_eq(bed_attempt(b, &t), "counted"); // of the second, anew
    ck_assert_str_eq(bed_attempt(b, &t), "parked");
}

// A gap for the device, which is no ack of it; the message for others, who may still handle it:
// then it is no dead letter any more.
static inline void case_parked_for_one(struct bed *b) {
    two_devices(b, 4);
    ACK(b, .user = "u", .device = "a", .generation = 1, .seq = 1);
    PARK_AT_ONCE(b, "a", 2);
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "a", .after = 1), "gap 2-2 (4) 3 4");
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "b"), "1 2 3 4");
    ck_assert_str_eq(bed_user(b, "u"), "pending 2 parked 1: a=1/0/0 b=0/0/0");
    // A login that has not come past it is told again.
    ATTACH(b, .user = "u", .device = "a", .generation = 2);
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "a", .after = 1), "gap 2-2 (4) 3 4");
    ACK(b, .user = "u", .device = "a", .generation = 2, .seq = 3);
    ck_assert_str_eq(bed_ends(b), "2/1/0/0 1");
    ck_assert_str_eq(bed_letters(b, "u", 0, 9), "2(a)");
    PARK_AT_ONCE(b, "a", 4);
    ck_assert_str_eq(bed_letters(b, "u", 0, 9), "2(a) 4(a)");
    ACK(b, .user = "u", .device = "b", .generation = 1, .seq = 2);
    ck_assert_str_eq(bed_ends(b), "3/0/0/0 1");
    ck_assert_str_eq(bed_letters(b, "u", 0, 9), "4(a)");
    ACK(b, .user = "u", .device = "a", .generation = 2, .seq = 4); // it was not told of the gap
    ck_assert_str_eq(bed_ends(b), "4/0/0/0 0");
    ck_assert_str_eq(bed_letters(b, "u", 0, 9), "");
}

// What another device has handled is parked for this one, and is no dead letter. A device that
// comes new begins with what no device has handled, though it is parked.
static inline void case_parked_but_handled(struct bed *b) {
    two_devices(b, 2);
    ACK(b, .user = "u", .device = "b", .generation = 1, .seq = 1);
    PARK_AT_ONCE(b, "a", 1);
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "a"), "gap 1-1 (4) 2");
    ck_assert_str_eq(bed_letters(b, "u", 0, 9), "");
    ck_assert_str_eq(bed_ends(b), "1/1/0/0 0");
    ACK(b, .user = "u", .device = "a", .generation = 1, .seq = 1);
    ck_assert_str_eq(bed_ends(b), "1/1/0/0 0");
    PARK_AT_ONCE(b, "a", 2);
    ck_assert_str_eq(ATTACH(b, .user = "u", .device = "c", .generation = 1), "0:1 1:0 2:0");
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "c", .after = 1), "2");
    STORE(b, .user = "u", .id = "3", .bytes = 10);
    ck_assert_str_eq(ATTACH(b, .user = "u", .device = "d", .generation = 1), "0:1 1:0 2:0");
    ck_assert_str_eq(bed_ends(b), "1/1/0/0 1");
    ACK(b, .user = "u", .device = "c", .generation = 1, .seq = 2);
    ck_assert_str_eq(ATTACH(b, .user = "u", .device = "e", .generation = 1), "0:2 1:0 2:0");
    ck_assert_str_eq(bed_ends(b), "2/1/0/0 0");
}

// Of what is for some devices the others are asked nothing.
static inline void case_parked_named(struct bed *b) {
    ATTACH(b, .user = "u", .device = "a", .generation = 1);
    ATTACH(b, .user = "u", .device = "b", .generation = 1);
    STORE(b, .user = "u", .id = "1", .device = {"b"}, .bytes = 10);
    STORE(b, .user = "u", .id = "2", .device = {"a", "b"}, .bytes = 10);
    STORE(b, .user = "u", .id = "3", .bytes = 10);
    ck_assert_str_eq(ATTEMPT(b, .user = "u", .device = "a", .generation = 1, .upto = 1), "");
    PARK_AT_ONCE(b, "a", 2);
    ck_assert_str_eq(bed_ends(b), "0/2/0/0 1");
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "a"), "gap 1-1 (6) gap 2-2 (4) 3");
    ACK(b, .user = "u", .device = "a", .generation = 1, .seq = 3);
    ck_assert_str_eq(bed_ends(b), "1/1/0/0 1");
    ACK(b, .user = "u", .device = "b", .generation = 1, .seq = 3);
    ck_assert_str_eq(bed_ends(b), "3/0/0/0 0");
    ck_assert_str_eq(bed_letters(b, "u", 0, 9), "");
}

// At most so many of a user: the oldest goes, and is counted. Whoever takes a dead letter away
// takes its entry with it, and others are told of the gap. A letter outlives its entry.
static inline void case_dead_letters(struct bed *b) {
    two_devices(b, 5);
    for (uint64_t seq = 1; seq <= 4; seq++) {
        Hawser__Internal__ParkLimits *limits = at_once();
        limits->letters = 3;
        ck_assert_str_eq(ATTEMPT(b, .user = "u", .device = "a", .generation = 1, .after = seq - 1,
                                 .upto = 5, .limits = limits),
                         "parked");
        LOAD(b, .user = "u", .device = "a", .after = seq - 1);
        ACK(b, .user = "u", .device = "a", .generation = 1, .seq = seq);
    }
    ck_assert_str_eq(bed_letters(b, "u", 0, 2), "2(a) 3(a) more");
    ck_assert_str_eq(bed_letters(b, "u", 3, 2), "4(a)");
    ck_assert_uint_eq(bed_sums(b).letters_dropped, 1);
    ck_assert_uint_eq(bed_unpark(b, "u", 3), 1);
    ck_assert_uint_eq(bed_unpark(b, "u", 3), 0);
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "b"), "gap 1-1 (4) 2 gap 3-3 (4) 4 5");
    // Full: what is parked gives way as what is handled does.
    ck_assert_uint_eq(STORE(b, .user = "u", .id = "6", .messages = 2, .bytes = 10), 6);
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "b"),
                     "gap 1-1 (4) gap 2-2 (2) gap 3-3 (4) gap 4-4 (2) 5 6");
    ck_assert_str_eq(bed_ends(b), "0/2/0/0 4");
    ck_assert_str_eq(bed_letters(b, "u", 0, 9), "2(a) 4(a)");
    ck_assert_uint_eq(bed_unpark(b, "u", 0), 2);
    ck_assert_uint_eq(bed_unpark(b, "nobody", 0), 0);
    ck_assert_str_eq(bed_letters(b, "u", 0, 9), "");
    ck_assert_str_eq(bed_ends(b), "0/2/0/0 4");
}

// The first letter is kept as long as it says, and with it its entry.
static inline void case_dead_letters_end(struct bed *b) {
    Hawser__Internal__ParkLimits *limits = at_once();
    limits->kept_ms = 1;
    two_devices(b, 2);
    ck_assert_str_eq(
        ATTEMPT(b, .user = "u", .device = "a", .generation = 1, .upto = 2, .limits = limits),
        "parked");
    while (*bed_letters(b, "u", 0, 9)) // until the sweep has come
        loop_step(b->loop, 20);
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "b"), "gap 1-1 (4) 2");
    ck_assert_str_eq(bed_ends(b), "0/1/0/0 1");
}

#endif
