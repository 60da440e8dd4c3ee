// What every store owes about recalls. Each case gets a fresh store.
#ifndef HW_CONTRACT_RECALL_H
#define HW_CONTRACT_RECALL_H

#include "contract_collapse.h"
#include "crypto.h"

#define RECALLED(name) ((int)HAWSER__INTERNAL__RECALL_OUTCOME__RECALL_##name)

static inline Hawser__Internal__RecallReply bed_recall(struct bed *b, const struct push *p,
                                                       uint64_t after) {
    Hawser__Internal__RecallRequest q = HAWSER__INTERNAL__RECALL_REQUEST__INIT;
    q.product = p->product ? p->product : 1;
    q.stream = p->stream;
    q.user = (char *)(uintptr_t)(p->user ? p->user : "");
    q.id = (char *)(uintptr_t)p->id;
    q.after = after;
    return *(const Hawser__Internal__RecallReply *)bed_ask(b, &q.base);
}
#define RECALL(b, ...) bed_recall(b, &(const struct push){__VA_ARGS__}, 0)

// What waits is a gap from then on, is counted once, and the log's change tells of it. To recall it
// again says the same, and so does who repeats its append: nothing comes back.
static inline void case_recall(struct bed *b) {
    STORE(b, .user = "u", .id = "a");
    STORE(b, .user = "u", .id = "b", .sent_ms = 5000);
    STORE(b, .user = "u", .id = "bb");
    STORE(b, .user = "v", .id = "b");
    uint64_t change = bed_head(b, STREAM_INBOX, "u").change;
    Hawser__Internal__RecallReply first = RECALL(b, .user = "u", .id = "b");
    ck_assert_int_eq((int)first.outcome, RECALLED(DONE));
    ck_assert_uint_eq(first.seq, 2);
    ck_assert_uint_eq(first.head, 3);
    ck_assert_uint_eq(first.sent_ms, 5000);
    ck_assert_uint_gt(first.expires_ms, 5000);
    ck_assert_uint_gt(first.change, change);
    ck_assert_uint_eq(bed_head(b, STREAM_INBOX, "u").change, first.change);
    ck_assert_uint_eq(bed_head(b, STREAM_INBOX, "u").epoch, first.epoch);
    ck_assert_str_eq(LOAD(b, .user = "u"), "1 gap 2-2 (3) 3");
    ck_assert_str_eq(LOAD(b, .user = "v"), "1");
    ck_assert_uint_eq(bed_sums(b).recalled, 1);
    ck_assert_str_eq(bed_stats(b), "0/3/0/0");
    Hawser__Internal__RecallReply again = RECALL(b, .user = "u", .id = "b");
    ck_assert_int_eq((int)again.outcome, RECALLED(DONE));
    ck_assert_uint_eq(again.seq, 2);
    ck_assert_uint_eq(again.change, first.change);
    ck_assert_uint_eq(again.sent_ms, first.sent_ms);
    ck_assert_uint_eq(again.expires_ms, first.expires_ms);
    ck_assert_uint_eq(bed_sums(b).recalled, 1);
    ck_assert_int_eq(APPEND(b, .user = "u", .id = "b").outcome, OUTCOME(REPLAYED));
    ck_assert_str_eq(LOAD(b, .user = "u"), "1 gap 2-2 (3) 3");
    ck_assert_int_eq((int)RECALL(b, .user = "u", .id = "c").outcome, RECALLED(UNKNOWN));
    ck_assert_int_eq((int)RECALL(b, .user = "nobody", .id = "b").outcome, RECALLED(UNKNOWN));
    ck_assert_int_eq((int)RECALL(b, .product = 2, .user = "u", .id = "a").outcome,
                     RECALLED(UNKNOWN));
    RECALL(b, .user = "u", .id = "a");
    RECALL(b, .user = "u", .id = "bb");
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-3 (3)");
    STORE(b, .user = "u", .id = "d");
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-3 (3) 4");
    ck_assert_uint_eq(bed_sums(b).recalled, 3);
}

// What some device has handled has met its end: it leaves for the others, and is counted no more.
// Nor is what is parked, whose dead letter goes with it.
static inline void case_recall_handled(struct bed *b) {
    STORE(b, .user = "u", .id = "a");
    STORE(b, .user = "u", .id = "b");
    two_devices(b, 0);
    ACK(b, .user = "u", .device = "a", .generation = 1, .seq = 1);
    PARK_AT_ONCE(b, "a", 2);
    ck_assert_str_eq(bed_ends(b), "1/0/0/0 1");
    ck_assert_int_eq((int)RECALL(b, .user = "u", .id = "a").outcome, RECALLED(DONE));
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "b"), "gap 1-1 (3) 2");
    ck_assert_int_eq((int)RECALL(b, .user = "u", .id = "b").outcome, RECALLED(DONE));
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "b"), "gap 1-2 (3)");
    ck_assert_uint_eq(bed_sums(b).recalled, 0);
    Hawser__Internal__ParkedRequest q = HAWSER__INTERNAL__PARKED_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)(uintptr_t) "u";
    ck_assert_uint_eq(((const Hawser__Internal__ParkedReply *)bed_ask(b, &q.base))->n_letter, 0);
    ACK(b, .user = "u", .device = "b", .generation = 2, .seq = 2);
    ck_assert_uint_eq(bed_sums(b).pending, 0);
}

// Broadcasts, which nobody counts by users; the stream's number is no user's name.
static inline void case_recall_broadcast(struct bed *b) {
    STORE(b, .stream = STREAM_NEWS, .id = "a");
    STORE(b, .stream = STREAM_NEWS, .id = "b");
    STORE(b, .user = "1", .id = "a");
    uint64_t change = bed_head(b, STREAM_NEWS, "").change;
    Hawser__Internal__RecallReply r = RECALL(b, .stream = STREAM_NEWS, .id = "a");
    ck_assert_int_eq((int)r.outcome, RECALLED(DONE));
    ck_assert_uint_gt(r.change, change);
    ck_assert_uint_eq(bed_head(b, STREAM_NEWS, "").change, r.change);
    ck_assert_str_eq(LOAD(b, .stream = STREAM_NEWS), "gap 1-1 (3) 2");
    ck_assert_str_eq(LOAD(b, .user = "1"), "1");
    ck_assert_uint_eq(bed_sums(b).recalled, 0);
    ck_assert_int_eq((int)RECALL(b, .stream = STREAM_BULK, .id = "b").outcome, RECALLED(UNKNOWN));
    ck_assert_int_eq((int)RECALL(b, .stream = STREAM_NEWS, .id = "a").outcome, RECALLED(DONE));
}

// A long log is looked through in steps; nothing is recalled of one that has ended.
static inline void case_recall_long(struct bed *b) {
    char id[16];
    for (unsigned i = 1; i <= RECALL_ENTRIES_MAX + 20; i++) {
        snprintf(id, sizeof(id), "i%u", i);
        STORE(b, .user = "u", .id = id);
    }
    snprintf(id, sizeof(id), "i%u", RECALL_ENTRIES_MAX + 5);
    const struct push late = {.user = "u", .id = id};
    Hawser__Internal__RecallReply r = bed_recall(b, &late, 0);
    ck_assert_int_eq((int)r.outcome, RECALLED(MORE));
    ck_assert_uint_eq(r.after, RECALL_ENTRIES_MAX);
    r = bed_recall(b, &late, r.after);
    ck_assert_int_eq((int)r.outcome, RECALLED(DONE));
    ck_assert_uint_eq(r.seq, RECALL_ENTRIES_MAX + 5);
    ck_assert_int_eq((int)bed_recall(b, &late, 0).outcome, RECALLED(DONE)); // it is known
    STORE(b, .user = "v", .id = "large", .bytes = 1000000);
    STORE(b, .user = "v", .id = "larger", .bytes = 1000000);
    STORE(b, .user = "v", .id = "largest", .bytes = 1000000);
    STORE(b, .user = "v", .id = "small");
    r = RECALL(b, .user = "v", .id = "small");
    ck_assert_int_eq((int)r.outcome, RECALLED(MORE));
    ck_assert_uint_eq(r.after, 3);
    STORE(b, .user = "w", .id = "brief", .ttl_ms = 1);
    for (uint64_t stored = bed_clock(b); bed_clock(b) <= stored + 1;)
        loop_step(b->loop, 1);
    ck_assert_int_eq((int)RECALL(b, .user = "w", .id = "brief").outcome, RECALLED(UNKNOWN));
}

static inline const char *bed_inboxes(struct bed *b, const char *like, bool of_all_marks) {
    Hawser__Internal__InboxesRequest q = HAWSER__INTERNAL__INBOXES_REQUEST__INIT;
    size_t len = strlen(like);
    q.product = 1;
    q.bucket = bucket_of_user(like, len);
    q.mark = mark_of_user(like, len);
    q.of_all_marks = of_all_marks;
    b->text[0] = '\0';
    do {
        const Hawser__Internal__InboxesReply *reply = bed_ask(b, &q.base);
        q.cursor = reply->cursor;
        for (size_t i = 0; i < reply->n_user; i++)
            bed_printf(b, "%s ", reply->user[i]);
    } while (q.cursor != 0);
    return b->text;
}

// Who has something in the inbox is found by bucket and mark.
static inline void case_inboxes(struct bed *b) {
    char name[16], other[16] = "";
    for (unsigned i = 0; !*other; i++) { // of the same bucket
        snprintf(name, sizeof(name), "n%u", i);
        if (bucket_of_user(name, strlen(name)) == bucket_of_user("ann", 3))
            memcpy(other, name, sizeof(other));
    }
    STORE(b, .user = "ann", .id = "a");
    STORE(b, .user = other, .id = "b");
    STORE(b, .user = "somebody", .id = "c");
    STORE(b, .product = 2, .user = "ann", .id = "d");
    ck_assert_str_eq(bed_inboxes(b, "ann", false), "ann ");
    ck_assert_uint_eq(strlen(bed_inboxes(b, "ann", true)), strlen("ann ") + strlen(other) + 1);
    ATTACH(b, .user = "ann", .device = "a", .generation = 1);
    ck_assert_ptr_nonnull(strstr(bed_inboxes(b, other, false), other));
}

#endif
