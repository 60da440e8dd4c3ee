// What every store owes about collapse keys. Each case gets a fresh store.
#ifndef HW_CONTRACT_COLLAPSE_H
#define HW_CONTRACT_COLLAPSE_H

#include "contract_parked.h"

// A message takes the place of the one with its key that waits: that one loads as a gap, is counted
// once, and the log's change tells of it. Whoever repeats the push replaces nothing.
static inline void case_collapse(struct bed *b) {
    STORE(b, .user = "u", .id = "a", .key = "k");
    STORE(b, .user = "u", .id = "b");
    uint64_t change = bed_head(b, STREAM_INBOX, "u").change;
    Hawser__Internal__AppendReply reply = APPEND(b, .user = "u", .id = "c", .key = "k");
    ck_assert_uint_eq(reply.seq, 3);
    ck_assert_uint_gt(reply.change, change);
    ck_assert_uint_eq(bed_head(b, STREAM_INBOX, "u").change, reply.change);
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-1 (5) 2 3");
    ck_assert_str_eq(LOAD(b, .user = "u", .after = 1), "2 3");
    ck_assert_int_eq(APPEND(b, .user = "u", .id = "a", .key = "k").outcome, OUTCOME(REPLAYED));
    ck_assert_int_eq(APPEND(b, .user = "u", .id = "c", .key = "k").outcome, OUTCOME(REPLAYED));
    STORE(b, .user = "u", .id = "d", .key = "K");
    STORE(b, .user = "v", .id = "e", .key = "k");
    ck_assert_uint_eq(bed_head(b, STREAM_INBOX, "u").change, reply.change);
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-1 (5) 2 3 4");
    ck_assert_str_eq(bed_stats(b), "0/4/0/0");
    ck_assert_uint_eq(bed_sums(b).collapsed, 1);
    STORE(b, .user = "u", .id = "f", .key = "k");
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-1 (5) 2 gap 3-3 (5) 4 5");
    ck_assert_uint_eq(bed_sums(b).collapsed, 2);
    ATTACH(b, .user = "u", .device = "a", .generation = 1);
    ACK(b, .user = "u", .device = "a", .generation = 1, .seq = 5);
    STORE(b, .user = "u", .id = "g", .key = "k"); // nothing waits
    ck_assert_str_eq(LOAD(b, .user = "u", .after = 5), "6");
    ck_assert_str_eq(bed_stats(b), "3/2/0/0");
}

// What some device has handled has met its end, and so has what is parked: it stays for the others.
static inline void case_collapse_handled(struct bed *b) {
    STORE(b, .user = "u", .id = "a", .key = "k");
    two_devices(b, 0);
    ACK(b, .user = "u", .device = "a", .generation = 1, .seq = 1);
    STORE(b, .user = "u", .id = "b", .key = "k");
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "b"), "1 2");
    PARK_AT_ONCE(b, "a", 2);
    STORE(b, .user = "u", .id = "c", .key = "k");
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "b"), "1 2 3");
    ck_assert_str_eq(bed_ends(b), "1/1/0/0 1");
    ck_assert_uint_eq(bed_sums(b).collapsed, 0);
    ck_assert_uint_eq(bed_head(b, STREAM_INBOX, "u").change, 0);
}

// One that is for fewer devices takes nobody's place, and is the one to be replaced from then on.
static inline void case_collapse_named(struct bed *b) {
    STORE(b, .user = "u", .id = "a", .key = "k");
    STORE(b, .user = "u", .id = "b", .key = "k", .device = {"x", "y"});
    STORE(b, .user = "u", .id = "c", .key = "k", .device = {"x"});
    ck_assert_str_eq(LOAD(b, .user = "u"), "1 2 3");
    STORE(b, .user = "u", .id = "d", .key = "k", .device = {"x", "z"});
    ck_assert_str_eq(LOAD(b, .user = "u"), "1 2 gap 3-3 (5) 4");
    STORE(b, .user = "u", .id = "e", .key = "k", .device = {"z", "x"});
    STORE(b, .user = "u", .id = "f", .key = "k");
    ck_assert_str_eq(LOAD(b, .user = "u"), "1 2 gap 3-5 (5) 6");
    ck_assert_uint_eq(bed_sums(b).collapsed, 3);
}

// Four keys of an inbox are live. With a fifth the one whose message is the oldest is one no more.
static inline void case_collapse_keys(struct bed *b) {
    static const char *const keys[] = {"1", "2", "3", "4", "1", "5", "1", "2"};
    char id[8];
    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        snprintf(id, sizeof(id), "i%u", i);
        STORE(b, .user = "u", .id = id, .key = keys[i]);
    }
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-1 (5) 2 3 4 gap 5-5 (5) 6 7 8");
    STORE(b, .user = "u", .id = "again 3", .key = "3"); // which gave way to 2
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-1 (5) 2 3 4 gap 5-5 (5) 6 7 8 9");
    STORE(b, .user = "u", .id = "again 5", .key = "5");
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-1 (5) 2 3 4 gap 5-6 (5) 7 8 9 10");
    ck_assert_uint_eq(bed_sums(b).collapsed, 3);
    ck_assert_str_eq(bed_stats(b), "0/7/0/0");
}

// What is replaced leaves its place; what is refused replaces nothing.
static inline void case_collapse_full(struct bed *b) {
    struct push p = {
        .user = "u", .id = "a", .key = "k", .bytes = 100, .messages = 1, .reject_new = true};
    bed_store(b, &p);
    p.id = "b";
    p.key = "l";
    ck_assert_int_eq(bed_append(b, &p).outcome, OUTCOME(FULL));
    p.key = "k";
    p.limit_bytes = 50;
    ck_assert_int_eq(bed_append(b, &p).outcome, OUTCOME(FULL));
    ck_assert_str_eq(LOAD(b, .user = "u"), "1");
    p.limit_bytes = 150;
    ck_assert_int_eq(bed_append(b, &p).outcome, OUTCOME(STORED));
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-1 (5) 2");
    p.id = "c";
    p.reject_new = false; // nor is another one dropped for it
    p.messages = 2;
    STORE(b, .user = "u", .id = "plain");
    bed_store(b, &p);
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-2 (5) 3 4");
    ck_assert_str_eq(bed_stats(b), "0/2/0/0");
}

// A message that was left behind somewhere, and comes late, replaces none that was sent later; what
// centers reckon differently does not count.
static inline void case_collapse_late(struct bed *b) {
    STORE(b, .user = "u", .id = "a", .key = "k", .sent_ms = 10000);
    STORE(b, .user = "u", .id = "b", .key = "k", .sent_ms = 9000);
    STORE(b, .user = "u", .id = "c", .key = "k", .sent_ms = 7999);
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-1 (5) 2 3");
    STORE(b, .user = "u", .id = "d", .key = "k", .is_undated = true);
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-1 (5) 2 gap 3-3 (5) 4");
}

#endif
