// What every store owes about appending and loading. Each case gets a fresh store.
#ifndef HW_CONTRACT_APPEND_H
#define HW_CONTRACT_APPEND_H

#include "store_bed_devices.h"

#define HASH_A "0123456789abcdef"
#define HASH_B "fedcba9876543210"

// Each log counts from 1 in an epoch of its own; the answer tells both ends of the message.
static inline void case_seqs(struct bed *b) {
    uint64_t before = bed_clock(b);
    Hawser__Internal__AppendReply first =
        APPEND(b, .user = "ann", .id = "a", .bytes = 10, .retention_ms = 60000);
    ck_assert_int_eq(first.outcome, OUTCOME(STORED));
    ck_assert_uint_eq(first.seq, 1);
    ck_assert_uint_eq(first.sent_ms, 77);
    ck_assert(first.epoch > 0 && first.epoch < UINT64_C(1) << 53);
    ck_assert(first.store_ms >= before && first.store_ms < before + 60000);
    ck_assert_uint_eq(first.expires_ms, first.store_ms + 60000);
    uint64_t soon = first.store_ms + 30000;
    Hawser__Internal__AppendReply second =
        APPEND(b, .user = "ann", .id = "b", .expires_ms = soon, .retention_ms = 60000);
    ck_assert_uint_eq(second.seq, 2);
    ck_assert_uint_eq(second.epoch, first.epoch);
    ck_assert_uint_eq(second.expires_ms, soon);
    ck_assert_uint_eq(APPEND(b, .user = "ann", .id = "c").expires_ms / 100000,
                      (bed_clock(b) + BROADCAST_RETENTION_MS) / 100000);
    Hawser__Internal__AppendReply other = APPEND(b, .user = "bob", .id = "a");
    ck_assert_uint_eq(other.seq, 1);
    ck_assert(other.epoch != first.epoch);
    other = APPEND(b, .product = 2, .user = "ann", .id = "a");
    ck_assert_int_eq(other.outcome, OUTCOME(STORED));
    ck_assert_uint_eq(other.seq, 1);
    Hawser__Internal__HeadReply head = bed_head(b, STREAM_INBOX, "ann");
    ck_assert(head.epoch == first.epoch && head.head == 3);
    head = bed_head(b, STREAM_INBOX, "nobody");
    ck_assert(head.epoch != 0 && head.head == 0);
    ck_assert_uint_eq(bed_head(b, STREAM_INBOX, "nobody").epoch, head.epoch);
    ck_assert_str_eq(LOAD(b, .user = "ann", .after = 1), "2 3");
    ck_assert_str_eq(LOAD(b, .user = "ann", .after = 3), "");
    ck_assert_str_eq(LOAD(b, .user = "nobody"), "");
}

// The bytes that come back are those that went in.
static inline void case_bytes(struct bed *b) {
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    Hawser__Internal__LoadRequest l = HAWSER__INTERNAL__LOAD_REQUEST__INIT;
    uint8_t payload[256];
    char user[] = "a:n\n'{x}\"\x01 \xff";
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)i;
    q.product = l.product = 1;
    q.user = l.user = user;
    q.message = &m;
    m.id = (char[]){"an id"};
    m.payload = (ProtobufCBinaryData){sizeof(payload), payload};
    m.collapse_key = (char[]){"key"};
    m.receipt = true;
    l.epoch = ((const Hawser__Internal__AppendReply *)bed_ask(b, &q.base))->epoch;
    l.max_messages = 10;
    l.max_bytes = 1000;
    const Hawser__Internal__LoadReply *reply = bed_ask(b, &l.base);
    ck_assert_uint_eq(reply->n_entry, 1);
    const Hawser__Internal__StoredMessage *got = reply->entry[0]->message;
    ck_assert_uint_eq(got->payload.len, sizeof(payload));
    ck_assert_int_eq(memcmp(got->payload.data, payload, sizeof(payload)), 0);
    ck_assert(got->receipt && strcmp(got->collapse_key, "key") == 0);
}

// The id is looked at before the last moment, that before the number of ids, that before the log.
static inline void case_order_of_checks(struct bed *b) {
    struct push p = {.user = "u", .id = "one", .hash = HASH_A, .ids_max = 1};
    struct push full = {.messages = 1, .reject_new = true, .user = "u"};
    uint64_t seq = bed_store(b, &p);
    Hawser__Internal__AppendReply reply =
        APPEND(b, .user = "u", .id = "one", .hash = HASH_A, .ids_max = 1, .not_after_ms = 1,
               .messages = 1, .reject_new = true);
    ck_assert_int_eq(reply.outcome, OUTCOME(REPLAYED));
    ck_assert(reply.seq == seq && reply.sent_ms == 77 && reply.expires_ms > reply.store_ms);
    reply = APPEND(b, .user = "u", .id = "one", .hash = HASH_B, .not_after_ms = 1);
    ck_assert_int_eq(reply.outcome, OUTCOME(MISMATCH));
    ck_assert_uint_eq(reply.seq, seq);
    ck_assert_int_eq(APPEND(b, .user = "u", .id = "one").outcome, OUTCOME(MISMATCH));
    full.id = "two";
    full.hash = HASH_A;
    full.ids_max = 1;
    full.not_after_ms = 1;
    ck_assert_int_eq(bed_append(b, &full).outcome, OUTCOME(TOO_LATE));
    full.not_after_ms = bed_clock(b) + 10000;
    ck_assert_int_eq(bed_append(b, &full).outcome, OUTCOME(IDS_FULL));
    full.ids_max = 2;
    ck_assert_int_eq(bed_append(b, &full).outcome, OUTCOME(FULL));
    full.ids_max = 1;
    full.hash = NULL; // ids without a hash are not limited
    ck_assert_int_eq(bed_append(b, &full).outcome, OUTCOME(FULL));
    full.messages = 2;
    ck_assert_int_eq(bed_append(b, &full).outcome, OUTCOME(STORED));
    ck_assert_int_eq(bed_append(b, &full).outcome, OUTCOME(REPLAYED));
    ck_assert_str_eq(LOAD(b, .user = "u"), "1 2");
    ck_assert_str_eq(bed_stats(b), "0/2/0/0");
}

// The bound on keys is the product's, wherever its users' buckets lie; known ids are answered
// still.
static inline void case_keys_of_a_product(struct bed *b) {
    char user[16];
    for (unsigned i = 0; i < 40; i++) {
        snprintf(user, sizeof(user), "user %u", i);
        struct push p = {.user = user, .id = "i", .hash = HASH_A, .ids_max = 3};
        ck_assert_int_eq(bed_append(b, &p).outcome, i < 3 ? OUTCOME(STORED) : OUTCOME(IDS_FULL));
        p.hash = NULL;
        p.id = "j";
        ck_assert_int_eq(bed_append(b, &p).outcome, OUTCOME(STORED));
    }
    struct push p = {.user = "user 1", .id = "i", .hash = HASH_A, .ids_max = 3};
    ck_assert_int_eq(bed_append(b, &p).outcome, OUTCOME(REPLAYED));
    p.hash = HASH_B;
    ck_assert_int_eq(bed_append(b, &p).outcome, OUTCOME(MISMATCH));
    p.user = "another";
    p.product = 2;
    ck_assert_int_eq(bed_append(b, &p).outcome, OUTCOME(STORED));
    p.product = 1;
    p.ids_max = 4;
    ck_assert_int_eq(bed_append(b, &p).outcome, OUTCOME(STORED));
    p.id = "k";
    ck_assert_int_eq(bed_append(b, &p).outcome, OUTCOME(IDS_FULL));
    p.ids_max = 1000000;
    ck_assert_int_eq(bed_append(b, &p).outcome, OUTCOME(STORED));
}

// A claim takes an id and stores nothing: who comes again, with a claim or an append, hears whose
// it is, or that the body was another one. It counts as a key.
static inline void case_claims(struct bed *b) {
    struct push p = {.user = "u", .id = "i", .hash = HASH_A, .ids_max = 1, .expires_ms = 5};
    p.claim = 7;
    p.not_after_ms = 1;
    ck_assert_int_eq(bed_append(b, &p).outcome, OUTCOME(TOO_LATE));
    p.not_after_ms = 0;
    Hawser__Internal__AppendReply reply = bed_append(b, &p);
    ck_assert_int_eq(reply.outcome, OUTCOME(STORED));
    ck_assert(reply.epoch == 7 && reply.sent_ms == 77 && reply.expires_ms == 5);
    p.claim = (UINT64_C(1) << 53) - 1;
    p.expires_ms = 6;
    reply = bed_append(b, &p);
    ck_assert_int_eq(reply.outcome, OUTCOME(REPLAYED));
    ck_assert(reply.epoch == 7 && reply.seq == 0 && reply.sent_ms == 77 && reply.expires_ms == 5);
    p.hash = HASH_B;
    ck_assert_int_eq(bed_append(b, &p).outcome, OUTCOME(MISMATCH));
    p.claim = 0;
    ck_assert_int_eq(bed_append(b, &p).outcome, OUTCOME(MISMATCH));
    p = (struct push){.id = "i", .stream = STREAM_NEWS, .hash = HASH_A, .claim = 1};
    ck_assert_int_eq(bed_append(b, &p).outcome, OUTCOME(STORED)); // another log's
    p.id = "j";
    p.ids_max = 1;
    ck_assert_int_eq(bed_append(b, &p).outcome, OUTCOME(IDS_FULL));
    ck_assert_str_eq(LOAD(b, .user = "u"), "");
    ck_assert_uint_eq(bed_head(b, STREAM_NEWS, NULL).head, 0);
    ck_assert_str_eq(bed_stats(b), "0/0/0/0");
    STORE(b, .user = "u", .id = "k");
    ck_assert_str_eq(LOAD(b, .user = "u"), "1");
}

// With reject_new only what no device has handled counts, in messages and in bytes.
static inline void case_reject_new(struct bed *b) {
    ATTACH(b, .user = "u", .device = "a", .generation = 1);
    ATTACH(b, .user = "u", .device = "b", .generation = 1);
    struct push p = {.user = "u", .bytes = 100, .limit_bytes = 300, .reject_new = true};
    char id[8] = "0";
    p.id = id;
    for (id[0] = '0'; id[0] < '2'; id[0]++)
        bed_store(b, &p);
    ck_assert_int_eq(bed_append(b, &p).outcome, OUTCOME(FULL)); // 200 and some, and 100
    ACK(b, .user = "u", .device = "a", .generation = 1, .seq = 1);
    bed_store(b, &p); // b has not handled the first, which goes for this one
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-1 (2) 2 3");
    ck_assert_str_eq(bed_stats(b), "1/2/0/0");
    ck_assert_int_eq(
        APPEND(b, .user = "v", .id = "v", .bytes = 101, .limit_bytes = 100, .reject_new = true)
            .outcome,
        OUTCOME(FULL));
    STORE(b, .user = "v", .id = "v", .bytes = 100, .limit_bytes = 100, .reject_new = true);
}

// The oldest that some device has handled goes first, then the oldest; the last one stays whatever
// its size.
static inline void case_overflow(struct bed *b) {
    ATTACH(b, .user = "u", .device = "a", .generation = 1);
    ATTACH(b, .user = "u", .device = "b", .generation = 1);
    STORE(b, .user = "u", .id = "1", .device = {"b"});
    STORE(b, .user = "u", .id = "2");
    STORE(b, .user = "u", .id = "3");
    STORE(b, .user = "u", .id = "4");
    ck_assert(!ACK(b, .user = "u", .device = "a", .generation = 1, .seq = 3));
    STORE(b, .user = "u", .id = "5", .messages = 4); // the first is not for a
    ck_assert_str_eq(LOAD(b, .user = "u"), "1 gap 2-2 (2) 3 4 5");
    ck_assert_str_eq(bed_stats(b), "2/3/0/0");
    STORE(b, .user = "u", .id = "6", .messages = 3);
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-3 (2) 4 5 6");
    ck_assert_str_eq(bed_stats(b), "2/3/0/1");
    STORE(b, .user = "u", .id = "7", .limit_bytes = 1, .bytes = 500);
    ck_assert_str_eq(LOAD(b, .user = "u"), "gap 1-6 (2) 7");
    ck_assert_str_eq(bed_stats(b), "2/1/0/4");
}

static inline void until_stats(struct bed *b, const char *want) {
    while (strcmp(bed_stats(b), want) != 0)
        loop_step(b->loop, 10);
}

// What is over is never handed out, counts as expired soon, and frees its place; what a device had
// handled before stays acked.
static inline void case_expiry(struct bed *b) {
    ATTACH(b, .user = "u", .device = "a", .generation = 1);
    ATTACH(b, .user = "u", .device = "b", .generation = 1);
    STORE(b, .user = "u", .id = "1");
    STORE(b, .user = "u", .id = "2", .expires_ms = 1);
    STORE(b, .user = "u", .id = "3", .expires_ms = 1);
    STORE(b, .user = "u", .id = "4", .device = {"b"});
    STORE(b, .stream = STREAM_NEWS, .id = "1", .expires_ms = 1);
    STORE(b, .stream = STREAM_NEWS, .id = "2");
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "a"), "1 gap 2-3 (1) gap 4-4 (6)");
    ck_assert_str_eq(LOAD(b, .user = "u"), "1 gap 2-3 (1) 4");
    ck_assert_str_eq(LOAD(b, .stream = STREAM_NEWS), "gap 1-1 (1) 2");
    until_stats(b, "0/2/2/0");
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "a"), "1 gap 2-3 (1) gap 4-4 (6)");
    ck_assert_str_eq(LOAD(b, .stream = STREAM_NEWS), "gap 1-1 (1) 2");
    uint64_t soon = bed_clock(b) + 300;
    STORE(b, .user = "u", .id = "5", .expires_ms = soon);
    ck_assert_str_eq(LOAD(b, .user = "u", .after = 4), "5");
    ACK(b, .user = "u", .device = "a", .generation = 1, .seq = 5);
    while (strcmp(LOAD(b, .user = "u", .after = 4), "5") == 0)
        loop_step(b->loop, 10);
    ck_assert_str_eq(b->text, "gap 5-5 (1)");
    ck_assert(bed_clock(b) >= soon);
    ck_assert_str_eq(bed_stats(b), "2/1/2/0");
    ck_assert_int_eq(APPEND(b, .user = "u", .id = "6", .messages = 2, .reject_new = true).outcome,
                     OUTCOME(STORED)); // one is unhandled
}

// A load gives at least one message, then no more than it was asked for; gaps cost nothing.
static inline void case_load_limits(struct bed *b) {
    STORE(b, .user = "u", .id = "1", .bytes = 1000);
    STORE(b, .user = "u", .id = "2", .bytes = 1000, .device = {"other"});
    STORE(b, .user = "u", .id = "3", .bytes = 1000);
    STORE(b, .user = "u", .id = "4", .bytes = 1000);
    ck_assert_str_eq(LOAD(b, .user = "u", .messages_max = 2), "1 2");
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "d", .messages_max = 2), "1 gap 2-2 (6) 3");
    ck_assert_str_eq(LOAD(b, .user = "u", .bytes_max = 1), "1");
    ck_assert_str_eq(LOAD(b, .user = "u", .bytes_max = 2100), "1 2");
    ck_assert_str_eq(LOAD(b, .user = "u", .after = 1, .device = "d", .bytes_max = 2100),
                     "gap 2-2 (6) 3 4");
    ck_assert_str_eq(LOAD(b, .user = "u", .after = 3, .messages_max = 1), "4");
}

// More dropped ranges than are kept: nothing is skipped silently, only the reason is lost.
static inline void case_many_ranges(struct bed *b) {
    char id[16];
    for (unsigned i = 1; i <= 300; i++) {
        snprintf(id, sizeof(id), "%u", i);
        STORE(b, .user = "u", .id = id, .expires_ms = i % 2);
    }
    until_stats(b, "0/150/150/0");
    LOAD(b, .user = "u");
    ck_assert_ptr_nonnull(strstr(b->text, "gap 1-1 (0) 2 gap 3-3 (0) 4 "));
    ck_assert_ptr_nonnull(strstr(b->text, " 298 gap 299-299 (1) 300"));
}

// The same exactly: 70 ranges with an entry between each two; the oldest six lose their reason.
static inline void case_range_bound(struct bed *b) {
    char id[16];
    ATTACH(b, .user = "u", .device = "a", .generation = 1);
    for (unsigned i = 1; i <= 140; i++) {
        snprintf(id, sizeof(id), "%u", i);
        STORE(b, .user = "u", .id = id, .expires_ms = i % 2);
    }
    until_stats(b, "0/70/70/0");
    LOAD(b, .user = "u");
    ck_assert_ptr_nonnull(strstr(b->text, "gap 11-11 (0) 12 gap 13-13 (1) 14 "));
    ck_assert_ptr_nonnull(strstr(b->text, "gap 139-139 (1) 140"));
    // Without entries between them the oldest two become one, of unknown reason.
    ACK(b, .user = "u", .device = "a", .generation = 1, .seq = 16);
    STORE(b, .user = "u", .id = "141", .expires_ms = 1);
    until_stats(b, "8/62/71/0");
    ck_assert_str_eq(LOAD(b, .user = "u", .messages_max = 1),
                     "gap 1-16 (0) gap 17-17 (1) 18 gap 19-19 (1)");
}

// A position of another epoch or above the head gets a restart: the device's own place where that
// is known, else before the first that nobody has handled; the end for broadcasts.
static inline void case_reset(struct bed *b) {
    for (const char *id = "1\0"
                          "2\0"
                          "3\0";
         *id; id += 2) {
        STORE(b, .user = "u", .id = id);
        STORE(b, .stream = STREAM_BULK, .id = id);
    }
    ck_assert_str_eq(LOAD(b, .user = "u", .epoch = 5), "reset 0");
    ck_assert_str_eq(LOAD(b, .user = "u", .after = 4), "reset 0");
    ATTACH(b, .user = "u", .device = "a", .generation = 1);
    ACK(b, .user = "u", .device = "a", .generation = 1, .seq = 2);
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "a", .epoch = 5), "reset 2");
    ck_assert_str_eq(LOAD(b, .user = "u", .device = "b", .epoch = 5), "reset 2");
    ck_assert_str_eq(LOAD(b, .stream = STREAM_BULK, .epoch = 5), "reset 3");
    ck_assert_str_eq(LOAD(b, .stream = STREAM_BULK, .after = 9), "reset 3");
    ck_assert_str_eq(LOAD(b, .stream = STREAM_BULK, .after = 1), "2 3");
}

static inline const Hawser__Internal__StoredMessage *loaded(struct bed *b, uint32_t stream,
                                                            uint64_t seq) {
    bed_load(b, &(const struct view){.stream = stream,
                                     .user = stream == STREAM_INBOX ? "u" : NULL,
                                     .after = seq - 1});
    return ((const Hawser__Internal__LoadReply *)b->reply)->entry[0]->message;
}

// When a message was sent and when it ends are the store's to say; what it answered is what the
// log shows, to whoever reads it, and what a repeat is answered with.
static inline void case_times(struct bed *b) {
    for (uint32_t stream = STREAM_INBOX; stream <= STREAM_NEWS; stream++) {
        const char *user = stream == STREAM_INBOX ? "u" : NULL;
        struct push p = {.stream = stream,
                         .user = user,
                         .id = "a",
                         .bytes = 3,
                         .ttl_ms = 3600000,
                         .is_undated = true};
        Hawser__Internal__AppendReply first = bed_append(b, &p), again = bed_append(b, &p);
        ck_assert_uint_eq(first.sent_ms, first.store_ms);
        ck_assert_uint_eq(first.expires_ms, first.store_ms + 3600000);
        ck_assert(again.sent_ms == first.sent_ms && again.expires_ms == first.expires_ms);
        const Hawser__Internal__StoredMessage *m = loaded(b, stream, first.seq);
        ck_assert(m->sent_ms == first.sent_ms && m->expires_ms == first.expires_ms);
        ck_assert(m->payload.len == 3 && strcmp(m->id, "a") == 0);
        p = (struct push){.stream = stream, .user = user, .id = "b"};
        uint64_t seq = bed_store(b, &p); // no ttl: it ends with the retention, which is not told
        m = loaded(b, stream, seq);
        ck_assert(m->sent_ms == 77 && m->expires_ms == 0);
        p = (struct push){.stream = stream, .user = user, .id = "c", .ttl_ms = UINT64_C(1) << 40};
        Hawser__Internal__AppendReply last = bed_append(b, &p); // at most the retention
        m = loaded(b, stream, last.seq);
        ck_assert(m->expires_ms == last.expires_ms && last.expires_ms < last.store_ms + p.ttl_ms);
    }
}

#endif
