// The stores' contract when the data are of another history: seqs above all that were told, and the
// jump told of.
#ifndef HW_CONTRACT_HISTORY_H
#define HW_CONTRACT_HISTORY_H

#include "contract_append.h"
#include "contract_devices.h"

// A head in another history: below Unix seconds x 2^20 by one, at a second between then and now.
static inline uint64_t head_since(struct bed *b, uint64_t then_ms, uint32_t stream) {
    uint64_t head = bed_head(b, stream, "u").head;
    ck_assert_uint_eq((head + 1) % RESTART_SEQS_PER_S, 0);
    ck_assert_uint_ge((head + 1) / RESTART_SEQS_PER_S, then_ms / 1000);
    ck_assert_uint_le((head + 1) / RESTART_SEQS_PER_S, bed_clock(b) / 1000);
    return head;
}

// In another history of the data the next seq is Unix seconds x 2^20 at least, in the same epoch,
// and the jump is a gap of that reason; in the same history it is the next.
static inline void case_another_history(struct bed *b) {
    static const char *const users[] = {[STREAM_INBOX] = "u", [STREAM_NEWS] = NULL};
    uint64_t epochs[2], then_ms = bed_clock(b);
    char want[160];
    for (uint32_t stream = STREAM_INBOX; stream <= STREAM_NEWS; stream++) {
        store_many(b, stream, users[stream], 1, 2);
        epochs[stream] = bed_head(b, stream, users[stream]).epoch;
    }
    b->factory->next_history(b);
    for (uint32_t stream = STREAM_INBOX; stream <= STREAM_NEWS; stream++) {
        uint64_t head = head_since(b, then_ms, stream);
        Hawser__Internal__AppendReply next =
            APPEND(b, .stream = stream, .user = users[stream], .id = "next");
        ck_assert(next.epoch == epochs[stream] && next.seq == head + 1);
        ck_assert_uint_eq(STORE(b, .stream = stream, .user = users[stream], .id = "last"),
                          head + 2);
        snprintf(want, sizeof(want), "1 2 gap 3-%" PRIu64 " (7) %" PRIu64 " %" PRIu64, head,
                 head + 1, head + 2);
        ck_assert_str_eq(LOAD(b, .stream = stream, .user = users[stream]), want);
    }
}

// Messages that stay and such that expire in turn, till there are so many of each.
static inline void store_ranges(struct bed *b, unsigned from, unsigned upto, unsigned expired) {
    char id[16], want[80];
    for (unsigned i = from; i < upto; i++) {
        snprintf(id, sizeof(id), "stays%u", i);
        STORE(b, .user = "u", .id = id);
        snprintf(id, sizeof(id), "goes%u", i);
        STORE(b, .user = "u", .id = id, .expires_ms = 1);
    }
    snprintf(want, sizeof(want), "0/%u/%u/0", upto, expired + upto);
    until_stats(b, want);
}

// A range that becomes one with a jump, whichever of both is the first, is a jump.
static inline void case_bound_of_a_jump(struct bed *b) {
    enum { FULL = DROPPED_RANGES_MAX - 3 };
    char want[160];
    STORE(b, .user = "u", .id = "before", .expires_ms = 1);
    until_stats(b, "0/0/1/0");
    uint64_t then_ms = bed_clock(b);
    b->factory->next_history(b);
    uint64_t head = head_since(b, then_ms, STREAM_INBOX), first = head + 1;
    STORE(b, .user = "u", .id = "behind", .expires_ms = 1);
    store_ranges(b, 0, FULL, 2);
    snprintf(want, sizeof(want),
             "gap 1-1 (1) gap 2-%" PRIu64 " (7) gap %" PRIu64 "-%" PRIu64 " (1) %" PRIu64
             " gap %" PRIu64 "-%" PRIu64 " (1)",
             head, first, first, first + 1, first + 2, first + 2);
    ck_assert_str_eq(LOAD(b, .user = "u", .messages_max = 1), want);
    store_ranges(b, FULL, FULL + 1, 2);
    snprintf(want, sizeof(want), "gap 1-%" PRIu64 " (7) gap %" PRIu64 "-%" PRIu64 " (1) %" PRIu64,
             head, first, first, first + 1);
    ck_assert_ptr_eq(strstr(LOAD(b, .user = "u", .messages_max = 1), want), b->text);
    store_ranges(b, FULL + 1, FULL + 2, 2);
    snprintf(want, sizeof(want), "gap 1-%" PRIu64 " (7) %" PRIu64, first, first + 1);
    ck_assert_ptr_eq(strstr(LOAD(b, .user = "u", .messages_max = 1), want), b->text);
}

#endif
