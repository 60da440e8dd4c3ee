// What every store owes about devices, acks, broadcasts and sums. Each case gets a fresh store.
#ifndef HW_CONTRACT_DEVICES_H
#define HW_CONTRACT_DEVICES_H

#include "store_bed_devices.h"

static inline void store_many(struct bed *b, uint32_t stream, const char *user, unsigned from,
                              unsigned upto) {
    for (char id[16]; from <= upto; from++) {
        snprintf(id, sizeof(id), "%u", from);
        STORE(b, .stream = stream, .user = user, .id = id, .bytes = 10);
    }
}

// Where a login starts: what it brings wins, also when lower; else the copy; a new device at the
// oldest that nobody has handled, and at the end of the broadcasts.
static inline void case_attach(struct bed *b) {
    store_many(b, STREAM_INBOX, "u", 1, 3);
    store_many(b, STREAM_NEWS, NULL, 1, 2);
    store_many(b, STREAM_BULK, NULL, 1, 1);
    uint64_t epoch = bed_head(b, STREAM_INBOX, "u").epoch;
    ck_assert_str_eq(ATTACH(b, .user = "u", .device = "a", .generation = 5), "0:0 1:2 2:1");
    ck_assert(!ACK(b, .user = "u", .device = "a", .generation = 5, .seq = 2));
    ck_assert_str_eq(ATTACH(b, .user = "u", .device = "b", .generation = 1), "0:2 1:2 2:1");
    ck_assert_str_eq(ATTACH(b, .user = "u", .device = "a", .generation = 6), "0:2 1:2 2:1");
    ck_assert_str_eq(
        ATTACH(b, .user = "u", .device = "a", .generation = 7, .have = true, .epoch = epoch),
        "0:0 1:2 2:1"); // lower, and what was not acked by b is there
    ck_assert_str_eq(ATTACH(b, .user = "u", .device = "a", .generation = 8, .have = true,
                            .epoch = epoch, .seq = 3),
                     "0:3 1:2 2:1");
    ck_assert_str_eq(bed_stats(b), "3/0/0/0");
    ck_assert_str_eq(ATTACH(b, .user = "u", .device = "a", .generation = 7), "stale");
    ck_assert_str_eq(ATTACH(b, .user = "u", .device = "a", .generation = 8), "0:3 1:2 2:1");
    epoch = bed_head(b, STREAM_NEWS, NULL).epoch;
    ck_assert_str_eq(ATTACH(b, .user = "u", .device = "c", .generation = 1, .have = true,
                            .stream = STREAM_NEWS, .epoch = epoch, .seq = 1),
                     "0:3 1:1 2:1");
    ck_assert_str_eq(ATTACH(b, .user = "u", .device = "c", .generation = 1), "0:3 1:1 2:1");
    ck_assert_str_eq(bed_user(b, "u"), "pending 0: a=3/2/1 b=2/2/1 c=3/1/1");
    ck_assert_str_eq(bed_user(b, "nobody"), "pending 0:");
}

// Whether the store had the device before: of a user it knows and of one it does not, on the short
// way of a script and on the long one.
static inline void case_known(struct bed *b) {
    (void)ATTACH(b, .user = "u", .device = "a", .generation = 5);
    ck_assert(!was_known);
    (void)ATTACH(b, .user = "u", .device = "a", .generation = 6);
    ck_assert(was_known);
    (void)ATTACH(b, .user = "u", .device = "b", .generation = 7);
    ck_assert(!was_known);
    uint64_t epoch = bed_head(b, STREAM_INBOX, "u").epoch;
    (void)ATTACH(b, .user = "u", .device = "b", .generation = 8, .have = true, .epoch = epoch + 1);
    ck_assert(was_known);
    (void)ATTACH(b, .user = "u", .device = "b", .generation = 9, .devices_max = 1);
    (void)ATTACH(b, .user = "u", .device = "c", .generation = 10, .devices_max = 1);
    ck_assert(!was_known);
    (void)ATTACH(b, .user = "u", .device = "b", .generation = 11);
    ck_assert(!was_known); // displaced by c
    STORE(b, .user = "v", .id = "1", .bytes = 10);
    (void)ATTACH(b, .user = "v", .device = "a", .generation = 5);
    ck_assert(!was_known);
}

static inline uint64_t arrivals_at(struct bed *b, const char *id) {
    return APPEND(b, .user = "u", .id = id).arrivals;
}

// An append says how often a session has arrived: each attach that is not stale does so, and a head
// that is asked for so. Acks, loads and other heads do not, nor what comes to another inbox.
static inline void case_arrivals(struct bed *b) {
    Hawser__Internal__HeadRequest q = HAWSER__INTERNAL__HEAD_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)(uintptr_t) "u";
    q.arrives = true;
    ck_assert_uint_eq(arrivals_at(b, "1"), 0);
    ATTACH(b, .user = "u", .device = "a", .generation = 5);
    ck_assert_uint_eq(arrivals_at(b, "2"), 1);
    ATTACH(b, .user = "u", .device = "a", .generation = 6);
    ATTACH(b, .user = "u", .device = "a", .generation = 5); // stale
    ATTACH(b, .user = "u", .device = "b", .generation = 1);
    ATTACH(b, .user = "v", .device = "a", .generation = 1);
    ck_assert_uint_eq(arrivals_at(b, "3"), 3);
    ACK(b, .user = "u", .device = "a", .generation = 6, .seq = 3);
    ACK(b, .user = "u", .device = "b", .generation = 1, .seq = 3); // the log is empty now
    LOAD(b, .user = "u");
    bed_head(b, STREAM_INBOX, "u");
    ck_assert_uint_eq(arrivals_at(b, "4"), 3);
    const Hawser__Internal__HeadReply *head = bed_ask(b, &q.base);
    ck_assert_uint_eq(head->head, 4);
    Hawser__Internal__AppendReply reply = APPEND(b, .user = "u", .id = "5");
    ck_assert_uint_eq(reply.arrivals, 4);
    ck_assert_uint_ne(reply.store, 0);
    ck_assert_uint_eq(arrivals_at(b, "5"), 0); // of a repeat it is not told
    ck_assert_uint_eq(APPEND(b, .user = "u", .id = "6", .device = {"a"}).arrivals, 4);
    q.user = (char *)(uintptr_t) "new";
    ck_assert_uint_eq(((const Hawser__Internal__HeadReply *)bed_ask(b, &q.base))->head, 0);
    ck_assert_uint_eq(APPEND(b, .user = "new", .id = "7").arrivals, 1);
}

// A position of another log, or above the head, is reset; epoch 0 is a client that has nothing.
static inline void case_attach_reset(struct bed *b) {
    store_many(b, STREAM_INBOX, "u", 1, 3);
    store_many(b, STREAM_NEWS, NULL, 1, 2);
    uint64_t epoch = bed_head(b, STREAM_INBOX, "u").epoch;
    ck_assert_str_eq(
        ATTACH(b, .user = "u", .device = "a", .generation = 1, .have = true, .epoch = 9, .seq = 1),
        "0:0! 1:2 2:0");
    ACK(b, .user = "u", .device = "a", .generation = 1, .seq = 1);
    ck_assert_str_eq(ATTACH(b, .user = "u", .device = "a", .generation = 1, .have = true,
                            .epoch = epoch, .seq = 4),
                     "0:1! 1:2 2:0");
    ck_assert_str_eq(ATTACH(b, .user = "u", .device = "a", .generation = 1, .have = true),
                     "0:1 1:2 2:0");
    ck_assert_str_eq(ATTACH(b, .user = "u", .device = "b", .generation = 1, .have = true),
                     "0:1 1:2 2:0");
    store_many(b, STREAM_NEWS, NULL, 3, 4);
    ck_assert_str_eq(ATTACH(b, .user = "u", .device = "a", .generation = 1, .have = true,
                            .stream = STREAM_NEWS, .epoch = 9, .seq = 1),
                     "0:1 1:4! 2:0");
    ck_assert_str_eq(
        ATTACH(b, .user = "u", .device = "b", .generation = 1, .have = true, .stream = STREAM_NEWS),
        "0:1 1:2 2:0");
}

static inline void next_millisecond(struct bed *b) {
    for (uint64_t now = bed_clock(b); bed_clock(b) == now;)
        loop_step(b->loop, 1);
}

// The one over the number displaces the one unseen longest, which then comes back as a new one.
static inline void case_displaced(struct bed *b) {
    char name[8];
    for (unsigned i = 1; i <= 16; i++) {
        snprintf(name, sizeof(name), "d%02u", i);
        ATTACH(b, .user = "u", .device = name, .generation = i);
        next_millisecond(b);
    }
    store_many(b, STREAM_INBOX, "u", 1, 2);
    ATTACH(b, .user = "u", .device = "d01", .generation = 17);
    ACK(b, .user = "u", .device = "d01", .generation = 17, .seq = 1);
    ck_assert_str_eq(ATTACH(b, .user = "u", .device = "d17", .generation = 18), "0:1 1:0 2:0");
    bed_user(b, "u");
    ck_assert_ptr_nonnull(strstr(b->text, "pending 1: d01=1/0/0 d03=0/0/0"));
    ck_assert_ptr_nonnull(strstr(b->text, " d16=0/0/0 d17=1/0/0"));
    ck_assert(!ACK(b, .user = "u", .device = "d02", .generation = 2, .seq = 2)); // ignored
    ck_assert_str_eq(bed_stats(b), "1/1/0/0");
    ck_assert_str_eq(ATTACH(b, .user = "u", .device = "d02", .generation = 2), "0:1 1:0 2:0");
    // Only two may stay: what they have handled leaves.
    ACK(b, .user = "u", .device = "d02", .generation = 2, .seq = 2);
    ACK(b, .user = "u", .device = "d01", .generation = 17, .seq = 2);
    ck_assert_str_eq(LOAD(b, .user = "u"), "1 2");
    ATTACH(b, .user = "u", .device = "d03", .generation = 20, .devices_max = 3);
    ATTACH(b, .user = "u", .device = "new", .generation = 20, .devices_max = 2);
    bed_user(b, "u");
    ck_assert_ptr_nonnull(strstr(b->text, " new=2/0/0"));
}

// Of the devices that the register has none gives way while there is another, however long unseen.
static inline void case_known_devices(struct bed *b) {
    for (int i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof(name), "d%d", i);
        ATTACH(b, .user = "u", .device = name, .generation = 1);
        next_millisecond(b);
    }
    ATTACH(b, .user = "u", .device = "d3", .generation = 1, .devices_max = 3,
           .known = {"d0", "d2", "d3"});
    bed_user(b, "u");
    ck_assert_ptr_null(strstr(b->text, "d1="));
    ck_assert_ptr_nonnull(strstr(b->text, "d0="));
    ATTACH(b, .user = "u", .device = "d4", .generation = 1, .devices_max = 3, .known = {"d4"});
    bed_user(b, "u");
    ck_assert_ptr_null(strstr(b->text, "d0="));
    ck_assert_ptr_nonnull(strstr(b->text, "d2="));
}

// Only the highest generation acks; within it the highest wins; other epochs and what is above the
// head are ignored.
static inline void case_acks(struct bed *b) {
    store_many(b, STREAM_INBOX, "u", 1, 5);
    store_many(b, STREAM_NEWS, NULL, 1, 3);
    ck_assert(!ACK(b, .user = "u", .device = "a", .generation = 5, .seq = 2)); // not here yet
    ATTACH(b, .user = "u", .device = "a", .generation = 5);
    ATTACH(b, .user = "u", .device = "b", .generation = 5);
    ck_assert(ACK(b, .user = "u", .device = "a", .generation = 4, .seq = 2));
    ck_assert(!ACK(b, .user = "u", .device = "a", .generation = 6, .seq = 2));
    ck_assert_str_eq(bed_stats(b), "0/5/0/0");
    ck_assert(!ACK(b, .user = "u", .device = "a", .generation = 5, .seq = 3));
    ck_assert(!ACK(b, .user = "u", .device = "a", .generation = 5, .seq = 1));
    ck_assert(!ACK(b, .user = "u", .device = "a", .generation = 5, .seq = 5, .epoch = 9));
    ck_assert(!ACK(b, .user = "u", .device = "a", .generation = 5, .seq = 6));
    ACK(b, .user = "u", .device = "b", .generation = 5, .seq = 2);
    ck_assert_str_eq(bed_stats(b), "3/2/0/0");
    ATTACH(b, .user = "u", .device = "a", .generation = 5, .have = true, .stream = STREAM_NEWS,
           .epoch = bed_head(b, STREAM_NEWS, NULL).epoch);
    ACK(b, .user = "u", .device = "a", .generation = 5, .stream = STREAM_NEWS, .seq = 2);
    ACK(b, .user = "u", .device = "a", .generation = 5, .stream = STREAM_NEWS, .seq = 4);
    ck_assert_str_eq(bed_user(b, "u"), "pending 2: a=3/2/0 b=2/3/0");
}

// An entry leaves when all the user's devices have handled it.
static inline void case_leaves(struct bed *b) {
    ATTACH(b, .user = "u", .device = "a", .generation = 1);
    ATTACH(b, .user = "u", .device = "b", .generation = 1);
    store_many(b, STREAM_INBOX, "u", 1, 4);
    ACK(b, .user = "u", .device = "a", .generation = 1, .seq = 3);
    ck_assert_str_eq(LOAD(b, .user = "u"), "1 2 3 4");
    ACK(b, .user = "u", .device = "b", .generation = 1, .seq = 2);
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-2 (0) 3 4");
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "b", .after = 2), "3 4");
    ATTACH(b, .user = "u", .device = "b", .generation = 2, .have = true,
           .epoch = bed_head(b, STREAM_INBOX, "u").epoch, .seq = 4);
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-3 (0) 4");
    ACK(b, .user = "u", .device = "a", .generation = 1, .seq = 4);
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-4 (0)");
    ck_assert_str_eq(bed_stats(b), "4/0/0/0");
}

// One for named devices counts by their acks only, is a gap for the others, and leaves when all
// devices are past it: a named one that comes back lower is told as of any other.
static inline void case_named(struct bed *b) {
    ATTACH(b, .user = "u", .device = "a", .generation = 1);
    ATTACH(b, .user = "u", .device = "b", .generation = 1);
    ATTACH(b, .user = "u", .device = "c", .generation = 1);
    STORE(b, .user = "u", .id = "1", .device = {"a", "b"});
    STORE(b, .user = "u", .id = "2", .device = {"b", "never here"});
    STORE(b, .user = "u", .id = "3");
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "a"), "1 gap 2-2 (6) 3");
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "c"), "gap 1-2 (6) 3");
    ACK(b, .user = "u", .device = "c", .generation = 1, .seq = 3);
    ck_assert_str_eq(bed_stats(b), "1/2/0/0");
    ACK(b, .user = "u", .device = "a", .generation = 1, .seq = 3);
    ck_assert_str_eq(bed_stats(b), "2/1/0/0");
    ck_assert_str_eq(LOAD(b, .user = "u"), "1 2 3");
    ACK(b, .user = "u", .device = "b", .generation = 1, .seq = 3);
    ck_assert_str_eq(bed_stats(b), "3/0/0/0");
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-1 (0) 2 gap 3-3 (0)");
    STORE(b, .user = "u", .id = "4", .device = {"a"});
    ACK(b, .user = "u", .device = "a", .generation = 1, .seq = 4);
    ck_assert_str_eq(LOAD(b, .user = "u", .after = 3, .device = "b"), "gap 4-4 (6)");
    ACK(b, .user = "u", .device = "b", .generation = 1, .seq = 4);
    ACK(b, .user = "u", .device = "c", .generation = 1, .seq = 4);
    ck_assert_str_eq(LOAD(b, .user = "u", .after = 3, .device = "a"), "gap 4-4 (0)");
}

// Broadcasts: one log each, ids apart from the inboxes', the oldest goes first.
static inline void case_broadcasts(struct bed *b) {
    store_many(b, STREAM_INBOX, "u", 1, 1);
    store_many(b, STREAM_NEWS, NULL, 1, 2);
    store_many(b, STREAM_BULK, NULL, 1, 1);
    ck_assert_int_eq(APPEND(b, .stream = STREAM_NEWS, .id = "1").outcome, OUTCOME(REPLAYED));
    ck_assert_uint_eq(bed_head(b, STREAM_NEWS, NULL).head, 2);
    ck_assert_uint_eq(bed_head(b, STREAM_BULK, NULL).head, 1);
    ck_assert(bed_head(b, STREAM_NEWS, NULL).epoch != bed_head(b, STREAM_BULK, NULL).epoch);
    ck_assert_str_eq(bed_stats(b), "0/1/0/0");
    ck_assert_uint_eq(bed_sums(b).broadcasts, 3);
    char id[16];
    for (unsigned i = 1; i <= 17; i++) {
        snprintf(id, sizeof(id), "big %u", i);
        STORE(b, .stream = STREAM_NEWS, .id = id, .bytes = 1024 * 1024 - 100);
    }
    ck_assert_str_eq(LOAD(b, .stream = STREAM_NEWS, .messages_max = 2, .bytes_max = 3 << 20),
                     "gap 1-3 (2) 4 5");
    ck_assert_str_eq(LOAD(b, .stream = STREAM_BULK), "1");
    ck_assert_str_eq(bed_stats(b), "0/1/0/0");
}

static inline void add_sums(struct bed *b, const char *id, uint64_t sent, uint64_t acked) {
    Hawser__Internal__SumsRequest q = HAWSER__INTERNAL__SUMS_REQUEST__INIT;
    Hawser__Internal__StreamSum news = HAWSER__INTERNAL__STREAM_SUM__INIT;
    Hawser__Internal__StreamSum *sums[] = {&news};
    news.stream = STREAM_NEWS;
    news.sent = sent;
    news.acked = acked;
    q.product = 1;
    q.sum = sums;
    q.n_sum = 1;
    q.id = (ProtobufCBinaryData){strlen(id), (uint8_t *)(uintptr_t)id};
    bed_ask(b, &q.base);
}

// Sums: over all buckets, of this product only; sums of rooms count once per id.
static inline void case_sums(struct bed *b) {
    char user[16];
    for (unsigned i = 0; i < 40; i++) { // of many buckets
        snprintf(user, sizeof(user), "user %u", i);
        store_many(b, STREAM_INBOX, user, 1, 2);
        STORE(b, .product = 2, .user = user, .id = "1");
        if (i % 4 == 0) {
            ATTACH(b, .user = user, .device = "a", .generation = 1);
            ACK(b, .user = user, .device = "a", .generation = 1, .seq = 1);
        }
    }
    ck_assert_str_eq(bed_stats(b), "10/70/0/0");
    add_sums(b, "0123456789abcdef", 10, 4);
    add_sums(b, "0123456789abcdef", 10, 4);
    add_sums(b, "0123456789abcdeF", 5, 1);
    add_sums(b, "short", 5, 1); // no id: not counted
    Hawser__Internal__StatsRequest q = HAWSER__INTERNAL__STATS_REQUEST__INIT;
    q.product = 1;
    const Hawser__Internal__StatsReply *reply = bed_ask(b, &q.base);
    ck_assert_uint_eq(reply->n_sum, 2);
    ck_assert(reply->sum[0]->stream == STREAM_NEWS && reply->sum[1]->stream == STREAM_BULK);
    ck_assert(reply->sum[0]->sent == 15 && reply->sum[0]->acked == 5);
    ck_assert(reply->sum[1]->sent == 0 && reply->sum[1]->acked == 0);
    ck_assert_uint_eq(reply->rejected, 0);
    Hawser__Internal__SumsRequest sums = HAWSER__INTERNAL__SUMS_REQUEST__INIT;
    sums.product = 1;
    sums.rejected = 3;
    sums.id = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t) "a push to a few."};
    bed_ask(b, &sums.base);
    bed_ask(b, &sums.base);
    reply = bed_ask(b, &q.base);
    ck_assert(reply->rejected == 3 && reply->sum[0]->sent == 15);
}

#endif
