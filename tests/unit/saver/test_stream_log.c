// The log of the memory store by itself, at exact times: where another history begins, and when a
// message is over.
#include "../suite.h"

#include "buf.h"
#include "client.pb-c.h"
#include "saver_store.h"
#include "stream_log.h"

// The head in another history is one below Unix seconds x 2^20, so that the next seq is that; one
// that is there already, or above it, stays, and nothing says that it jumped.
START_TEST(test_goes_on_in) {
    static const struct {
        const char *what;
        uint64_t head, history, now_ms, then; // the head after it
    } rows[] = {
        {"the same history", 7, 1, 5000, 7},
        {"another history", 7, 2, 5000, (5 << 20) - 1},
        {"at the end of that second", 7, 2, 5999, (5 << 20) - 1},
        {"at the next second", 7, 2, 6000, (6 << 20) - 1},
        {"a log without a message", 0, 2, 5000, (5 << 20) - 1},
        {"below it by one", (5 << 20) - 2, 2, 5000, (5 << 20) - 1},
        {"there already", (5 << 20) - 1, 2, 5000, (5 << 20) - 1},
        {"above it", 5 << 20, 2, 5000, 5 << 20},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct log_stream l;
        log_stream_init(&l, 9, 1);
        l.head = rows[i].head;
        log_goes_on_in(&l, rows[i].history, rows[i].now_ms);
        ck_assert_msg(l.head == rows[i].then, "%s: %llu", rows[i].what, (unsigned long long)l.head);
        ck_assert_uint_eq(l.history, rows[i].history);
        ck_assert_msg(l.range_count == (l.head > rows[i].head), "%s", rows[i].what);
        if (l.range_count > 0) {
            ck_assert_uint_eq(l.ranges[0].first, rows[i].head + 1);
            ck_assert_uint_eq(l.ranges[0].last, rows[i].then);
            ck_assert_uint_eq(l.ranges[0].reason, HAWSER__V1__GAP_REASON__GAP_STORE_RESTARTED);
        }
        log_stream_deinit(&l);
    }
}
END_TEST

// A message is over from the moment on at which it expires.
START_TEST(test_expires) {
    for (uint64_t now_ms = 4999; now_ms <= 5001; now_ms++) {
        Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
        Hawser__Internal__LoadRequest q = HAWSER__INTERNAL__LOAD_REQUEST__INIT;
        Hawser__Internal__LoadReply *reply = hw_malloc(sizeof(*reply));
        struct log_stream l;
        hawser__internal__load_reply__init(reply);
        log_stream_init(&l, 9, 1);
        (void)log_append(&l, &m, 5000);
        q.max_messages = 1;
        q.max_bytes = 1000;
        log_load(&l, &(struct log_view){&q, 0, now_ms}, reply);
        ck_assert_uint_eq(reply->n_entry, 1);
        ck_assert_int_eq(reply->entry[0]->message != NULL, now_ms < 5000);
        ck_assert_int_eq(reply->entry[0]->gap_reason == HAWSER__V1__GAP_REASON__GAP_EXPIRED,
                         now_ms >= 5000);
        hawser__internal__load_reply__free_unpacked(reply, NULL);
        log_stream_deinit(&l);
    }
}
END_TEST

RUN_TESTS("stream_log", test_goes_on_in, test_expires)
